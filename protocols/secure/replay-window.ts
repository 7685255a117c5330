// Which counters of datagrams were seen before: a ring of bits that a growing counter slides over (RFC 6479; docs/spec/
// datagram.md, section 6). Two steps, so that a forged datagram moves nothing: `check` before the datagram is opened,
// `accept` after. No shifting; 1 KiB of bits, and until as many counters have come so many that they hold them all: most of
// the sessions that say little never get there.
//
//   bits      |  word  |  word  |  word  | ...   256 words of 32; one is always being entered, so 255 x 32 = 8,160 of
//   window    |<------- 8,128 counters ------->|   them hold at any time; the window is the 8,128 of WireGuard
import { COUNTER_MAX } from './crypto.ts'

const WORD_BITS = 32
const WORD_SHIFT = 5
const INT32_MAX = 0x7fffffff
const WORDS = 256
const FIRST_WORDS = 8
const GROWTH = 4
const NO_WORDS = new Uint32Array(0)
/** Counters further behind the highest than this are refused ([DGM-6.1]). */
export const REPLAY_WINDOW = 8128

export class ReplayWindow {
  /** A power of two of words. Below WORDS no row has come round yet: the row is the place. */
  #bits = NO_WORDS
  #highest = -1
  /** The row of the highest, and its word, which is not in `bits` yet: nearly everything comes there. */
  #row = -1
  #word = 0

  /** The highest counter accepted, -1 before the first. */
  get highest(): number {
    return this.#highest
  }

  /** Whether `counter` may still come: it was not accepted and is not too old. Changes nothing. */
  check(counter: number): boolean {
    if (!(counter >= 0 && counter <= COUNTER_MAX)) return false
    if (counter > this.#highest) return true
    if (this.#highest - counter > REPLAY_WINDOW) return false
    const row = rowOf(counter)
    return ((row === this.#row ? this.#word : this.#bits[row & (this.#bits.length - 1)]) & bitOf(counter)) === 0
  }

  /** Marks a counter that `check` let pass and whose datagram was authentic; true when it is the highest so far. */
  accept(counter: number): boolean {
    const row = rowOf(counter)
    const isHighest = counter > this.#highest
    if (isHighest) {
      if (row !== this.#row) this.#enter(row)
      this.#highest = counter
    }
    if (row === this.#row) this.#word |= bitOf(counter)
    else this.#bits[row & (this.#bits.length - 1)] |= bitOf(counter)
    return isHighest
  }

  #enter(row: number): void {
    const from = this.#row
    if (row > 0 && row >= this.#bits.length && this.#bits.length < WORDS) this.#grow(row)
    const bits = this.#bits
    const mask = bits.length - 1
    if (from >= 0 && mask >= 0) bits[from & mask] = this.#word
    const steps = Math.min(row - from, bits.length)
    for (let i = 1; i <= steps; i++) bits[(from + i) & mask] = 0
    this.#row = row
    this.#word = 0
  }

  /** Room for this row, and for those to come. */
  #grow(row: number): void {
    let words = Math.max(FIRST_WORDS, this.#bits.length)
    while (words < WORDS && words <= row) words *= GROWTH
    const grown = new Uint32Array(Math.min(words, WORDS))
    grown.set(this.#bits)
    this.#bits = grown
  }
}

/** Integers as long as they are some to the engine: a division of doubles and its rest cost more than all else here. */
const rowOf = (counter: number): number =>
  counter <= INT32_MAX ? counter >> WORD_SHIFT : Math.floor(counter / WORD_BITS)
const bitOf = (counter: number): number => 1 << (counter & (WORD_BITS - 1))
