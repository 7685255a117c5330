// Acknowledgements owed since the last flush, as pairs (sn, ts) in the order of arrival, duplicates too (KCP-3.3). Grown
// with what comes, never past `countMax`: the check of a datagram refuses what would not fit (KCP-2.12).

const FIRST_COUNT = 8

export class AckList {
  readonly countMax: number
  count = 0
  /** sn, ts, sn, ts ... */
  pairs = new Int32Array(2 * FIRST_COUNT)

  constructor(countMax: number) {
    this.countMax = countMax
  }

  add(sn: number, ts: number): void {
    const at = 2 * this.count
    if (at === this.pairs.length) {
      const grown = new Int32Array(2 * at)
      grown.set(this.pairs)
      this.pairs = grown
    }
    this.pairs[at] = sn
    this.pairs[at + 1] = ts
    this.count++
  }
}
