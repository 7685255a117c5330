// The running secrets of one Noise handshake (section 5.2): chaining key, hash of all that was said, and the key that
// seals the handshake's own payloads. Its arrays are replaced and never written to, so that a checkpoint is five
// references and a message that fails leaves no trace ([SEC-2.2]).
import { CipherState, type RekeyLimits } from './cipher-state.ts'
import { type CryptoProvider, HASH_BYTES, hkdf, NO_BYTES, TAG_BYTES } from './crypto.ts'

export type Checkpoint = {
  readonly chainingKey: Uint8Array
  readonly hash: Uint8Array
  readonly key: Uint8Array | undefined
  readonly counter: number
}

export class SymmetricState {
  readonly #crypto: CryptoProvider
  #chainingKey: Uint8Array
  #hash: Uint8Array
  #key: Uint8Array | undefined
  #counter = 0

  constructor(crypto: CryptoProvider, protocolName: string) {
    const name = new TextEncoder().encode(protocolName)
    this.#crypto = crypto
    if (name.length > HASH_BYTES) this.#hash = crypto.hash.sha256(name)
    else {
      this.#hash = new Uint8Array(HASH_BYTES)
      this.#hash.set(name)
    }
    this.#chainingKey = this.#hash
  }

  /** Hash of everything both ends have seen alike; at the end it names this handshake and no other. */
  get hash(): Uint8Array {
    return this.#hash
  }

  get hasKey(): boolean {
    return this.#key !== undefined
  }

  mixHash(data: Uint8Array): void {
    this.#hash = this.#crypto.hash.sha256(this.#hash, data)
  }

  mixKey(input: Uint8Array): void {
    const [chainingKey, key] = hkdf(this.#crypto.hash, this.#chainingKey, input, 2)
    this.#chainingKey = chainingKey
    this.#key = key
    this.#counter = 0
  }

  mixKeyAndHash(input: Uint8Array): void {
    const [chainingKey, hash, key] = hkdf(this.#crypto.hash, this.#chainingKey, input, 3)
    this.#chainingKey = chainingKey
    this.mixHash(hash)
    this.#key = key
    this.#counter = 0
  }

  /** Appends `plain`, sealed once there is a key, to `out` at `at`; returns where it ends. */
  encryptAndHash(plain: Uint8Array, out: Uint8Array, at: number): number {
    const end = at + plain.length + (this.#key === undefined ? 0 : TAG_BYTES)
    const place = out.subarray(at, end)
    if (this.#key === undefined) place.set(plain)
    else this.#crypto.aead.seal(this.#key, this.#counter++, this.#hash, plain, place)
    this.mixHash(place)
    return end
  }

  /** What was sealed, in memory of its own; undefined when it is forged or too short for its tag. */
  decryptAndHash(sealed: Uint8Array): Uint8Array | undefined {
    if (this.#key === undefined) {
      this.mixHash(sealed)
      return sealed.slice()
    }
    if (sealed.length < TAG_BYTES) return undefined
    const plain = new Uint8Array(sealed.length - TAG_BYTES)
    if (!this.#crypto.aead.open(this.#key, this.#counter, this.#hash, sealed, plain)) return undefined
    this.#counter++
    this.mixHash(sealed)
    return plain
  }

  /** The two directions: initiator to responder, responder to initiator. */
  split(limits?: RekeyLimits): [CipherState, CipherState] {
    const [first, second] = hkdf(this.#crypto.hash, this.#chainingKey, NO_BYTES, 2)
    return [new CipherState(this.#crypto.aead, first, limits), new CipherState(this.#crypto.aead, second, limits)]
  }

  checkpoint(): Checkpoint {
    return { chainingKey: this.#chainingKey, hash: this.#hash, key: this.#key, counter: this.#counter }
  }

  restore(to: Checkpoint): void {
    this.#chainingKey = to.chainingKey
    this.#hash = to.hash
    this.#key = to.key
    this.#counter = to.counter
  }
}
