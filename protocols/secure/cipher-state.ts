// One direction of an ordered, lossless conversation: a key and a counter (Noise section 5.1), with a rekey that both ends
// make at the same record, since both count the same records and bytes ([SEC-4.1]). Datagrams, which are lost and
// reordered, have datagram-keys.ts.
import { type Aead, COUNTER_MAX, NO_BYTES, REKEY_COUNTER, TAG_BYTES, ZEROS } from './crypto.ts'

export type RekeyLimits = { readonly records: number; readonly bytes: number }

/** A key seals at most this much before the next takes its place; bytes count sealed, tags included. */
export const REKEY_LIMITS: RekeyLimits = { records: 2 ** 20, bytes: 2 ** 30 }

/** REKEY of Noise: the first 32 bytes of 32 zeros sealed under the last nonce. One way. */
export function rekeyed(aead: Aead, key: Uint8Array): Uint8Array {
  const out = new Uint8Array(ZEROS.length + TAG_BYTES)
  aead.seal(key, REKEY_COUNTER, ZEROS.subarray(0, 0), ZEROS, out)
  return out.slice(0, ZEROS.length)
}

export class CipherState {
  readonly #aead: Aead
  readonly #limits: RekeyLimits
  #key: Uint8Array
  #counter = 0
  #records = 0
  #bytes = 0
  #rekeys = 0

  constructor(aead: Aead, key: Uint8Array, limits: RekeyLimits = REKEY_LIMITS) {
    this.#aead = aead
    this.#key = key
    this.#limits = limits
  }

  /** The key in use now: for what builds upon a handshake without being a stream. */
  get key(): Uint8Array {
    return this.#key
  }

  get counter(): number {
    return this.#counter
  }

  /** How often the key was renewed. */
  get rekeys(): number {
    return this.#rekeys
  }

  /** No counter is left; nothing more can be sealed or opened ([SEC-4.2]). */
  get isExhausted(): boolean {
    return this.#counter > COUNTER_MAX
  }

  /** Seals `plain` into `out` (`plain.length + TAG_BYTES` bytes). Throws when exhausted. */
  seal(ad: Uint8Array, plain: Uint8Array, out: Uint8Array): void {
    if (this.isExhausted) throw new Error('the counter of this cipher is used up')
    this.#aead.seal(this.#key, this.#counter, ad, plain, out)
    this.#count(out.length)
  }

  /** Opens `sealed` into `out`; false, and nothing has changed, when it is not the next record. */
  open(ad: Uint8Array, sealed: Uint8Array, out: Uint8Array): boolean {
    if (sealed.length < TAG_BYTES || this.isExhausted) return false
    if (!this.#aead.open(this.#key, this.#counter, ad, sealed, out)) return false
    this.#count(sealed.length)
    return true
  }

  /** Seals `plain` into bytes[at, at + plain.length + TAG_BYTES). Throws when exhausted. */
  sealInto(plain: Uint8Array, bytes: Uint8Array, at: number): void {
    if (this.isExhausted) throw new Error('the counter of this cipher is used up')
    const end = at + plain.length
    const { placed } = this.#aead
    if (placed === undefined) {
      this.#aead.seal(this.#key, this.#counter, NO_BYTES, plain, bytes.subarray(at, end + TAG_BYTES))
    } else {
      bytes.set(plain, at)
      placed.seal(this.#key, this.#counter, bytes, at, at, end)
    }
    this.#count(plain.length + TAG_BYTES)
  }

  /** Opens bytes[at, end) into `out`, which has room for just that; false, and nothing has changed, as `open`. */
  openFrom(bytes: Uint8Array, at: number, end: number, out: Uint8Array): boolean {
    if (end - at < TAG_BYTES || this.isExhausted) return false
    const { placed } = this.#aead
    const isRight =
      placed === undefined
        ? this.#aead.open(this.#key, this.#counter, NO_BYTES, bytes.subarray(at, end), out)
        : placed.open(this.#key, this.#counter, bytes, at, at, end, out)
    if (isRight) this.#count(end - at)
    return isRight
  }

  /** Renews the key now; the counter goes on. Both ends have to do it at the same record. */
  rekey(): void {
    this.#key = rekeyed(this.#aead, this.#key)
    this.#records = 0
    this.#bytes = 0
    this.#rekeys++
  }

  /** For tests of what happens at the end of the counters. */
  skipTo(counter: number): void {
    if (counter < this.#counter) throw new Error('a counter never goes back')
    this.#counter = counter
  }

  #count(sealedBytes: number): void {
    this.#counter++
    this.#records++
    this.#bytes += sealedBytes
    if (this.#records >= this.#limits.records || this.#bytes >= this.#limits.bytes) this.rekey()
  }
}
