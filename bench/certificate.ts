// A certificate for 127.0.0.1, for the gateway and its rivals alike: made once a run, in its folder.
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import path from 'node:path'

export type Certificate = { certFile: string; keyFile: string }

/** @throws Error where there is no openssl */
export function certificateIn(folder: string): Certificate {
  const [certFile, keyFile] = [path.join(folder, 'cert.pem'), path.join(folder, 'key.pem')]
  if (existsSync(certFile)) return { certFile, keyFile }
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', keyFile]
  const about = ['-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
  try {
    execFileSync('openssl', ['req', '-x509', ...key, '-out', certFile, ...about], { stdio: 'ignore' })
  } catch {
    throw new Error('no certificate could be made: apt-get install openssl')
  }
  return { certFile, keyFile }
}
