// What TLS is spoken: 1.2 and 1.3, suites with forward secrecy and authenticated encryption only, no ALPN, session tickets
// on (a resumed handshake saves the client a round trip and the gateway most of its work). Files are read at start and at
// each reload.
import fs from 'node:fs'
import tls from 'node:tls'
import type { HostSettings, TlsSettings } from '../../config/settings.ts'
import type { NativeTls, TlsContext } from './native-tls.ts'

/** Of 1.3. */
const SUITES = ['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'].join(':')
/** Of 1.2. */
const CIPHERS = [
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':')
const common = { minVersion: 'TLSv1.2', ciphers: `${SUITES}:${CIPHERS}` } as const

/** Throws with the name of the file that is wrong. */
export function serverOptions(name: string, settings: TlsSettings | undefined): tls.TlsOptions {
  if (settings === undefined) throw new Error(`listener ${name}: security is tls, but there is no certificate`)
  const options: tls.TlsOptions = {
    ...common,
    honorCipherOrder: true,
    cert: readFile(settings.certFile, `listener ${name}: certificate`),
    key: readFile(settings.keyFile, `listener ${name}: key`),
  }
  if (settings.clientCaFile !== undefined) {
    options.ca = readFile(settings.clientCaFile, `listener ${name}: client CA`)
    options.requestCert = true
    options.rejectUnauthorized = true
  }
  try {
    tls.createSecureContext(options)
  } catch (error) {
    const files = `${settings.certFile} and ${settings.keyFile}`
    throw new Error(`listener ${name}: ${files} are not a certificate and its key: ${(error as Error).message}`)
  }
  return options
}

/** The same for the accelerator, of what `serverOptions` returned. Those who have tickets of `before` may show them. */
export function acceleratedContext(
  name: string,
  tls: NativeTls,
  options: tls.TlsOptions,
  before: TlsContext | undefined,
): TlsContext {
  const { cert, key, ca } = options as { cert: Buffer; key: Buffer; ca?: Buffer }
  try {
    return tls.context(cert, key, ca, CIPHERS, SUITES, before && tls.ticketKeys(before))
  } catch (error) {
    throw new Error(`listener ${name}: ${(error as Error).message}`)
  }
}

export function hostOptions(host: HostSettings): tls.ConnectionOptions {
  const options: tls.ConnectionOptions = { ...common, rejectUnauthorized: true }
  const settings = host.tls
  if (settings?.caFile !== undefined) options.ca = readFile(settings.caFile, `host ${host.name}: CA`)
  if (settings?.certFile !== undefined) options.cert = readFile(settings.certFile, `host ${host.name}: certificate`)
  if (settings?.keyFile !== undefined) options.key = readFile(settings.keyFile, `host ${host.name}: key`)
  if (settings?.serverName !== undefined) options.servername = settings.serverName
  return options
}

function readFile(file: string, what: string): Buffer {
  try {
    return fs.readFileSync(file)
  } catch (error) {
    throw new Error(`${what} ${file} cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
}
