// Acknowledgements owed since the last flush, as pairs (sn, ts) in the order of arrival, duplicates too (KCP-3.3). Grown
// with what comes, never past `countMax`: the check of a datagram refuses what would not fit (KCP-2.12). Who owes none has no
// memory for them: a list that is emptied gives it to the next one that owes some.

const FIRST_COUNT = 8
const NO_PAIRS: Int32Array = new Int32Array(0)
/** Of FIRST_COUNT, given back: as many as owe something between two flushes. */
const spare: Int32Array[] = []
const SPARE_MAX = 64

export class AckList {
  readonly countMax: number
  count = 0
  /** sn, ts, sn, ts ... */
  pairs = NO_PAIRS

  constructor(countMax: number) {
    this.countMax = countMax
  }

  add(sn: number, ts: number): void {
    const at = 2 * this.count
    if (at === this.pairs.length) this.#grow()
    this.pairs[at] = sn
    this.pairs[at + 1] = ts
    this.count++
  }

  clear(): void {
    this.count = 0
    // Whoever has owed many will owe many again.
    if (this.pairs.length !== 2 * FIRST_COUNT || spare.length === SPARE_MAX) return
    spare.push(this.pairs)
    this.pairs = NO_PAIRS
  }

  #grow(): void {
    if (this.pairs.length === 0) {
      this.pairs = spare.pop() ?? new Int32Array(2 * FIRST_COUNT)
      return
    }
    const grown = new Int32Array(2 * this.pairs.length)
    grown.set(this.pairs)
    this.pairs = grown
  }
}
