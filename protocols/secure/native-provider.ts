// The suite on a server: X25519 and SHA-256 from Node's crypto, the AEAD from sodium-native where that is there, else from
// @noble/ciphers. The libraries are given, so that nothing here needs more than a browser has; who runs on Node loads them
// (gateway/io/crypto-provider.ts, sdk/node-crypto.ts). Measured on a shared core: X25519 33 us against 1 ms of
// @noble/curves, sealing 64 bytes 0.6 us against 5.
import {
  type Aead,
  type CryptoProvider,
  concat,
  type Dh,
  type Hash,
  type KeyPair,
  NONCE_BYTES,
  PUBLIC_KEY_BYTES,
  writeNonce,
} from './crypto.ts'
import { nobleProvider } from './noble-provider.ts'

type Der = { key: Uint8Array; format: 'der' }
interface NodeKey {
  export(options: { format: 'der'; type: 'spki' }): Uint8Array
}
interface NodeMac {
  update(part: Uint8Array): unknown
  digest(): Uint8Array
}

/** What is used of node:crypto. */
export interface NodeCrypto {
  createPrivateKey(from: Der & { type: 'pkcs8' }): NodeKey
  createPublicKey(from: (Der & { type: 'spki' }) | NodeKey): NodeKey
  diffieHellman(keys: { privateKey: NodeKey; publicKey: NodeKey }): Uint8Array
  hash(algorithm: 'sha256', bytes: Uint8Array, encoding: 'buffer'): Uint8Array
  createHmac(algorithm: 'sha256', key: Uint8Array): NodeMac
}

/** What is used of sodium-native; it brings no types. */
export interface Sodium {
  crypto_aead_chacha20poly1305_ietf_encrypt(
    out: Uint8Array,
    plain: Uint8Array,
    ad: Uint8Array,
    nsec: null,
    nonce: Uint8Array,
    key: Uint8Array,
  ): number
  crypto_aead_chacha20poly1305_ietf_decrypt(
    out: Uint8Array,
    nsec: null,
    sealed: Uint8Array,
    ad: Uint8Array,
    nonce: Uint8Array,
    key: Uint8Array,
  ): number
}

// An X25519 key in DER is a fixed head and the 32 bytes: 302e020100300506032b656e04220420, 302a300506032b656e032100.
const PRIVATE_HEAD = Uint8Array.of(0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x6e, 4, 0x22, 4, 0x20)
const PUBLIC_HEAD = Uint8Array.of(0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x6e, 3, 0x21, 0)

export function nativeProvider(crypto: NodeCrypto, sodium: Sodium | undefined): CryptoProvider {
  const name = sodium === undefined ? 'noble' : 'sodium-native'
  return providerWith(crypto, name, sodium === undefined ? nobleProvider.aead : sodiumAead(sodium))
}

/** X25519 and SHA-256 of Node beside an AEAD of that name. */
export function providerWith(crypto: NodeCrypto, name: string, aead: Aead): CryptoProvider {
  return { name: `node:crypto + ${name}`, aead, dh: nodeDh(crypto), hash: nodeHash(crypto) }
}

function sodiumAead(sodium: Sodium): Aead {
  const nonce = new Uint8Array(NONCE_BYTES)
  const encrypt = sodium.crypto_aead_chacha20poly1305_ietf_encrypt
  const decrypt = sodium.crypto_aead_chacha20poly1305_ietf_decrypt
  return {
    seal(key, counter, ad, plain, out) {
      writeNonce(nonce, counter)
      encrypt(out, plain, ad, null, nonce, key)
    },
    open(key, counter, ad, sealed, out) {
      writeNonce(nonce, counter)
      // It throws for what is forged; without a stack trace that costs half.
      const { stackTraceLimit } = Error
      Error.stackTraceLimit = 0
      try {
        decrypt(out, null, sealed, ad, nonce, key)
        return true
      } catch {
        return false
      } finally {
        Error.stackTraceLimit = stackTraceLimit
      }
    },
  }
}

const nodeDh = (crypto: NodeCrypto): Dh => ({
  generateFrom(secret): KeyPair {
    const key = concat(PRIVATE_HEAD, secret)
    const native = crypto.createPrivateKey({ key, format: 'der', type: 'pkcs8' })
    const spki = crypto.createPublicKey(native).export({ format: 'der', type: 'spki' })
    return { secret, publicKey: new Uint8Array(spki.subarray(PUBLIC_HEAD.length)), native }
  },
  sharedSecret(pair, publicKey) {
    if (publicKey.length !== PUBLIC_KEY_BYTES) return undefined
    try {
      const key = concat(PUBLIC_HEAD, publicKey)
      return crypto.diffieHellman({
        privateKey: pair.native as NodeKey,
        publicKey: crypto.createPublicKey({ key, format: 'der', type: 'spki' }),
      })
    } catch {
      // OpenSSL refuses to derive an all-zero secret.
      return undefined
    }
  },
})

const nodeHash = (crypto: NodeCrypto): Hash => ({
  sha256: (...parts) => crypto.hash('sha256', parts.length === 1 ? parts[0] : concat(...parts), 'buffer'),
  hmac(key, ...parts) {
    const mac = crypto.createHmac('sha256', key)
    for (const part of parts) mac.update(part)
    return mac.digest()
  },
})
