// The suite in plain JavaScript: @noble/ciphers, curves and hashes. What browsers use, what servers fall back to, and the
// reference that native providers are compared with. About ten times slower than those.
import { chacha20poly1305 } from '@noble/ciphers/chacha.js'
import { x25519 } from '@noble/curves/ed25519.js'
import { hmac } from '@noble/hashes/hmac.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { type CryptoProvider, concat, type KeyPair, NONCE_BYTES, writeNonce } from './crypto.ts'

const nonce = new Uint8Array(NONCE_BYTES)

const whole = (parts: Uint8Array[]): Uint8Array => (parts.length === 1 ? parts[0] : concat(...parts))

export const nobleProvider: CryptoProvider = {
  name: 'noble',
  aead: {
    seal(key, counter, ad, plain, out) {
      writeNonce(nonce, counter)
      chacha20poly1305(key, nonce, ad).encrypt(plain, out)
    },
    open(key, counter, ad, sealed, out) {
      writeNonce(nonce, counter)
      try {
        chacha20poly1305(key, nonce, ad).decrypt(sealed, out)
        return true
      } catch {
        return false
      }
    },
  },
  dh: {
    generateFrom: (secret): KeyPair => ({ secret, publicKey: x25519.getPublicKey(secret) }),
    sharedSecret(pair, publicKey) {
      try {
        return x25519.getSharedSecret(pair.secret, publicKey)
      } catch {
        return undefined
      }
    },
  },
  hash: {
    sha256: (...parts) => sha256(whole(parts)),
    hmac: (key, ...parts) => hmac(sha256, key, whole(parts)),
  },
}
