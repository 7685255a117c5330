// X25519 keys of Noise as files: the private key in PEM (PKCS #8, as OpenSSL writes it too), the public one as 43
// characters of base64url, which is what clients and hosts are given.
import { type KeyObject, createPrivateKey, generateKeyPairSync } from 'node:crypto'

export type NoiseKey = {
  /** 32 bytes. */
  secret: Uint8Array
  /** In base64url. */
  publicKey: string
}

/** Undefined where the text does not hold an X25519 private key without a password. */
export function readNoiseKey(pem: string): NoiseKey | undefined {
  let key: KeyObject
  try {
    key = createPrivateKey(pem)
  } catch {
    return undefined
  }
  if (key.asymmetricKeyType !== 'x25519') return undefined
  const { d, x } = key.export({ format: 'jwk' })
  return { secret: new Uint8Array(Buffer.from(d!, 'base64url')), publicKey: x! }
}

/** A new private key, as its file is written. */
export function newNoiseKeyFile(): string {
  const { privateKey } = generateKeyPairSync('x25519', {
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  })
  return privateKey
}
