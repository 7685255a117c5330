// What the secure layer asks of a library of cryptography: one suite (X25519, ChaCha20-Poly1305, SHA-256) behind one
// interface, so that browsers run @noble and servers what is native (docs/spec/secure.md, section 1). No randomness: who
// needs a secret passes it in. Keys are plain bytes, except that a pair may keep a library's own handle.
//
//   nonce of the AEAD: 00 00 00 00 | counter u64 little-endian

/** One pair of X25519 keys. `native` belongs to the provider that made the pair. */
export type KeyPair = { readonly publicKey: Uint8Array; readonly secret: Uint8Array; readonly native?: unknown }

/** ChaCha20-Poly1305 (RFC 8439), nonces counted. Nothing is kept of the buffers; results are written where told. */
export interface Aead {
  /** Writes sealed bytes and tag to `out`, which has `plain.length + TAG_BYTES` bytes and no byte in common with `plain`. */
  seal(key: Uint8Array, counter: number, ad: Uint8Array, plain: Uint8Array, out: Uint8Array): void
  /**
   * Writes what was sealed to `out`, which has `sealed.length - TAG_BYTES` bytes and none in common with `sealed`. False
   * when the tag is wrong: what `out` holds then is not to be read. `sealed` has at least TAG_BYTES.
   */
  open(key: Uint8Array, counter: number, ad: Uint8Array, sealed: Uint8Array, out: Uint8Array): boolean
  /** The same by offsets, where a library does that for less. */
  readonly placed?: PlacedAead
}

/** ChaCha20-Poly1305 of what lies somewhere in longer arrays, without views of it. */
export interface PlacedAead {
  /** Seals bytes[at, end) in place, with bytes[start, at) beside it; the tag goes behind it, where there is room. */
  seal(key: Uint8Array, counter: number, bytes: Uint8Array, start: number, at: number, end: number): void
  /**
   * Writes what was sealed to bytes[at, end), the tag being its last TAG_BYTES, to the front of `out`, with bytes[start, at)
   * beside it. False, and nothing is written, when the tag is wrong.
   */
  open(
    key: Uint8Array,
    counter: number,
    bytes: Uint8Array,
    start: number,
    at: number,
    end: number,
    out: Uint8Array,
  ): boolean
}

/** X25519 (RFC 7748). */
export interface Dh {
  generateFrom(secret: Uint8Array): KeyPair
  /** Undefined when the secret would be all zero, whatever the pair: the peer's key is of low order ([SEC-1.3]). */
  sharedSecret(pair: KeyPair, publicKey: Uint8Array): Uint8Array | undefined
}

/** SHA-256 and HMAC-SHA256, over the parts as if they were one. */
export interface Hash {
  sha256(...parts: Uint8Array[]): Uint8Array
  hmac(key: Uint8Array, ...parts: Uint8Array[]): Uint8Array
}

export interface CryptoProvider {
  /** Which libraries are in use, for logs and reports. */
  readonly name: string
  readonly aead: Aead
  readonly dh: Dh
  readonly hash: Hash
}

export const KEY_BYTES = 32
export const PUBLIC_KEY_BYTES = 32
export const TAG_BYTES = 16
export const HASH_BYTES = 32
export const NONCE_BYTES = 12
/** Counters are JavaScript numbers: the last that is used is 2^53 - 2, so that adding one to it is still exact. */
export const COUNTER_MAX = Number.MAX_SAFE_INTEGER - 1
/** Stands for 2^64 - 1, the nonce that Noise keeps for REKEY: all ones, as `writeNonce` writes it. */
export const REKEY_COUNTER = -1

export const NO_BYTES = new Uint8Array(0)
const TWO_32 = 2 ** 32

/** Writes the nonce of `counter` to the 12 bytes of `nonce`, of which the first four stay zero. */
export function writeNonce(nonce: Uint8Array, counter: number): void {
  const low = counter >>> 0
  const high = Math.floor(counter / TWO_32) >>> 0
  nonce[4] = low
  nonce[5] = low >>> 8
  nonce[6] = low >>> 16
  nonce[7] = low >>> 24
  nonce[8] = high
  nonce[9] = high >>> 8
  nonce[10] = high >>> 16
  nonce[11] = high >>> 24
}

/** HKDF of Noise (section 4.3): `count` outputs of 32 bytes. */
export function hkdf(hash: Hash, chainingKey: Uint8Array, input: Uint8Array, count: 2 | 3): Uint8Array[] {
  const temp = hash.hmac(chainingKey, input)
  const first = hash.hmac(temp, ONE)
  const second = hash.hmac(temp, first, TWO)
  return count === 2 ? [first, second] : [first, second, hash.hmac(temp, second, THREE)]
}

/** HKDF-SHA256 (RFC 5869) of one 32-byte key for the purpose that `label` names; the salt is 32 zero bytes. */
export function deriveKey(hash: Hash, secret: Uint8Array, label: string): Uint8Array {
  return hash.hmac(hash.hmac(ZEROS, secret), encoder.encode(label), ONE)
}

export function concat(...parts: Uint8Array[]): Uint8Array {
  let length = 0
  for (const part of parts) length += part.length
  const out = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

const encoder = new TextEncoder()
export const ZEROS = new Uint8Array(32)
const ONE = Uint8Array.of(1)
const TWO = Uint8Array.of(2)
const THREE = Uint8Array.of(3)
