// The files that a configuration names: certificates, private and public keys must be there, be readable, parse and
// belong together, found out before a listener opens and not by the first player.
import { X509Certificate, createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'
import fs from 'node:fs'
import { readKeySet } from './key-sets.ts'
import { type NoiseKey, readNoiseKey } from './noise-keys.ts'
import type { Complaint } from './problems.ts'

type Complain = (complaint: Complaint) => void

const PEM_BYTES_MAX = 1024 * 1024
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

/** A certificate (the first of its chain) and its private key. */
export function checkKeyPair(certFile: string, keyFile: string, cert: Complain, key: Complain, now: number): void {
  const certificate = checkCertificates(certFile, cert, now)
  const text = content(keyFile, key)
  if (text === undefined) return
  try {
    const privateKey = createPrivateKey(text)
    if (certificate && !certificate.checkPrivateKey(privateKey)) {
      key({ what: 'the key does not belong to the certificate', got: keyFile })
    }
  } catch {
    key({ what: 'does not hold a private key', got: keyFile, expected: 'PEM without a password' })
  }
}

/** One or more certificates; returns the first. */
export function checkCertificates(file: string, complain: Complain, now: number): X509Certificate | undefined {
  const text = content(file, complain)
  if (text === undefined) return undefined
  try {
    const certificates = (text.match(CERTIFICATE) ?? []).map((pem) => new X509Certificate(pem))
    if (certificates.length === 0) throw new Error('empty')
    const expired = certificates.find((certificate) => certificate.validToDate.getTime() < now)
    if (expired) complain({ severity: 'warning', what: `the certificate expired on ${expired.validTo}`, got: file })
    return certificates[0]
  } catch {
    complain({ what: 'does not hold a certificate', got: file, expected: 'PEM' })
    return undefined
  }
}

/** A public key that at least one of the algorithms can be used with. */
export function checkPublicKey(file: string, algorithms: readonly string[], complain: Complain): void {
  const text = content(file, complain)
  if (text === undefined) return
  try {
    if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text)) throw new Error('private')
    const usable = algorithmsOf(createPublicKey(text))
    if (algorithms.some((algorithm) => usable.includes(algorithm))) return
    const expected = usable.length === 0 ? 'a key for one of `algorithms`' : `${usable.join(' or ')} in \`algorithms\``
    complain({ what: 'the key is for none of the algorithms', got: algorithms.join(', '), expected })
  } catch {
    complain({ what: 'does not hold a public key', got: file, expected: 'PEM' })
  }
}

/** A JSON Web Key Set with public keys only. */
export function checkKeySet(file: string, complain: Complain): void {
  const text = content(file, complain)
  if (text === undefined) return
  const read = readKeySet(text)
  if ('what' in read) complain({ what: read.what, got: file, expected: 'a JSON Web Key Set with public keys' })
  else if (read.secretCount > 0) {
    complain({ what: 'holds private or secret keys', got: file, expected: 'public keys only' })
  }
}

const CURVES: Record<string, string> = { prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512' }

function algorithmsOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): string[] {
  if (asymmetricKeyType === 'ed25519') return ['EdDSA']
  if (asymmetricKeyType === 'ec') return [CURVES[asymmetricKeyDetails?.namedCurve ?? '']].filter(Boolean)
  if (asymmetricKeyType === 'rsa') return ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512']
  return []
}

/** An X25519 private key, which only its owner should be able to read. */
export function checkNoiseKey(file: string, complain: Complain): NoiseKey | undefined {
  const text = content(file, complain)
  if (text === undefined) return undefined
  const key = readNoiseKey(text)
  if (key === undefined) {
    complain({
      what: 'does not hold an X25519 private key',
      got: file,
      expected: 'PEM, as `skewer keygen noise` makes it',
    })
  } else if (process.platform !== 'win32' && (fs.statSync(file).mode & 0o044) !== 0) {
    complain({
      severity: 'warning',
      what: 'others on this machine can read this private key',
      got: file,
      expected: 'chmod 600',
    })
  }
  return key
}

function content(file: string, complain: Complain): string | undefined {
  try {
    if (fs.statSync(file).size > PEM_BYTES_MAX) throw Object.assign(new Error('size'), { code: 'larger than 1MiB' })
    return fs.readFileSync(file, 'utf8')
  } catch (error) {
    complain({ what: `the file cannot be read (${(error as NodeJS.ErrnoException).code})`, got: file })
    return undefined
  }
}
