// Token buckets for any number of keys in bounded memory: 16 bytes an entry, found by a 64-bit keyed hash (key-hash.ts),
// synchronous, nothing allocated for a frame.
//
//   entry   hash lo u32 | hash hi u32 | fullAt f64      eight entries are a set: a key's hash names its set, and the entry
//                                                       of it that is looked at first
//
// A bucket is one number, `fullAt`: when it will be full again if nothing more is taken (the virtual scheduling form of
// the generic cell rate algorithm; the same decisions as counting tokens). Amounts are milliseconds: a token of a limit of
// 50/s is 20 ms, and its burst of 100 is 2,000 ms. So a table needs to know nothing of the limits it serves, and a bucket
// that is full by now is the same as none: its entry is free.
//
// The table doubles, a little at each look-up, until it has room for `keysMax`; then a set without a free entry gives up
// the bucket that is nearest to full. Monotonic milliseconds are given: a jump forward fills buckets, a jump back leaves
// them at most empty, and they fill at their rate from there.

const WAYS = 8
const WORDS = 4
/** The upper bits of a hash's second word, as many as name an entry of a set. */
const WAY_SHIFT = 32 - Math.log2(WAYS)
const FIRST_SETS = 512
/** Sets moved at each look-up while the table grows: done after half as many look-ups as there were sets. */
const MOVED_AT_ONCE = 2
/** Room for so many times the keys: with a quarter of the entries in use one set in a thousand is full. */
const ROOM = 4
/** Sums of milliseconds are not exact in their last bits. */
const GRAIN_MS = 1e-6

class Sets {
  readonly words: Int32Array
  readonly times: Float64Array
  readonly count: number

  constructor(count: number) {
    const buffer = new ArrayBuffer(count * WAYS * WORDS * 4)
    this.words = new Int32Array(buffer)
    this.times = new Float64Array(buffer)
    this.count = count
  }

  /** The entry of a key in its set, or -1. Most are where their hash wants them: a line of memory and no more is read. */
  find(lo: number, hi: number): number {
    const first = (lo & (this.count - 1)) * WAYS
    const words = this.words
    const wanted = first + (hi >>> WAY_SHIFT)
    if (words[wanted * WORDS] === lo && words[wanted * WORDS + 1] === hi) return wanted
    for (let entry = first; entry < first + WAYS; entry++) {
      if (words[entry * WORDS] === lo && words[entry * WORDS + 1] === hi) return entry
    }
    return -1
  }

  /** The entry to use for a new key: where its hash wants it, else a free one, or that whose bucket is nearest to full. */
  roomFor(lo: number, hi: number, now: number): number {
    const first = (lo & (this.count - 1)) * WAYS
    const wanted = first + (hi >>> WAY_SHIFT)
    if (this.times[wanted * 2 + 1] <= now) return wanted
    let best = first
    for (let entry = first; entry < first + WAYS; entry++) {
      const fullAt = this.times[entry * 2 + 1]
      if (fullAt <= now) return entry
      if (fullAt < this.times[best * 2 + 1]) best = entry
    }
    return best
  }

  put(entry: number, lo: number, hi: number, fullAt: number): void {
    this.words[entry * WORDS] = lo
    this.words[entry * WORDS + 1] = hi
    this.times[entry * 2 + 1] = fullAt
  }
}

export class BucketTable {
  /** Buckets that were not full and had to make room for others. */
  evictions = 0
  readonly #setsMax: number
  #sets: Sets
  /** While the table grows: what has not been moved yet. */
  #old: Sets | undefined = undefined
  #moved = 0

  constructor(keysMax: number) {
    const entries = 2 ** Math.ceil(Math.log2(Math.max(1, keysMax) * ROOM))
    this.#setsMax = Math.max(FIRST_SETS, entries / WAYS)
    this.#sets = new Sets(FIRST_SETS)
  }

  get memoryBytes(): number {
    return this.#sets.words.byteLength + (this.#old?.words.byteLength ?? 0)
  }

  /** Buckets that are not full. Looks at all of them. */
  inUse(now: number): number {
    let count = 0
    for (const sets of [this.#sets, this.#old]) {
      if (sets === undefined) continue
      for (let entry = 0; entry < sets.count * WAYS; entry++) if (sets.times[entry * 2 + 1] > now) count++
    }
    return count
  }

  /**
   * Takes `costMs` from the bucket of a key that holds `burstMs`, or nothing. Returns 0, or in how many milliseconds there
   * will be enough.
   */
  take(lo: number, hi: number, costMs: number, burstMs: number, now: number): number {
    return this.takeAt(this.entryOf(lo, hi, now), costMs, burstMs, now)
  }

  /** The entry of a key, made where there is none; it is the key's for as long as `isOf` says so. */
  entryOf(lo: number, hi: number, now: number): number {
    if (this.#old !== undefined) this.#move(now)
    const entry = this.#sets.find(lo, hi)
    return entry === -1 ? this.#add(lo, hi, now) : entry
  }

  isOf(entry: number, lo: number, hi: number): boolean {
    const words = this.#sets.words
    return words[entry * WORDS] === lo && words[entry * WORDS + 1] === hi
  }

  /** `take` from an entry that is a key's. */
  takeAt(entry: number, costMs: number, burstMs: number, now: number): number {
    const times = this.#sets.times
    const at = entry * 2 + 1
    // By min and max the number stays in a register; a variable that is either it or `now`, an object, would be boxed.
    const fullAt = Math.min(Math.max(times[at], now), now + burstMs)
    const waitMs = fullAt + costMs - now - burstMs
    if (waitMs > GRAIN_MS) {
      times[at] = fullAt
      return waitMs
    }
    times[at] = fullAt + costMs
    return 0
  }

  /** How many milliseconds a key's bucket needs to be full; 0 where it is, or where there is none. */
  missing(lo: number, hi: number, now: number): number {
    const entry = this.#sets.find(lo, hi)
    if (entry !== -1) return Math.max(0, this.#sets.times[entry * 2 + 1] - now)
    const old = this.#old?.find(lo, hi) ?? -1
    return old === -1 ? 0 : Math.max(0, this.#old!.times[old * 2 + 1] - now)
  }

  #add(lo: number, hi: number, now: number): number {
    let entry = this.#sets.roomFor(lo, hi, now)
    if (this.#sets.times[entry * 2 + 1] > now) {
      if (this.#old === undefined && this.#sets.count < this.#setsMax) {
        this.#grow()
        entry = this.#sets.roomFor(lo, hi, now)
      } else {
        this.evictions++
      }
    }
    const old = this.#old
    const before = old === undefined ? -1 : old.find(lo, hi)
    this.#sets.put(entry, lo, hi, before === -1 ? now : old!.times[before * 2 + 1])
    if (before !== -1) old!.put(before, 0, 0, -Infinity)
    return entry
  }

  #grow(): void {
    this.#old = this.#sets
    this.#sets = new Sets(this.#old.count * 2)
    this.#moved = 0
  }

  #move(now: number): void {
    const old = this.#old!
    const { words, times } = old
    const until = Math.min(this.#moved + MOVED_AT_ONCE, old.count)
    for (let entry = this.#moved * WAYS; entry < until * WAYS; entry++) {
      const fullAt = times[entry * 2 + 1]
      if (fullAt <= now) continue
      const lo = words[entry * WORDS]
      const hi = words[entry * WORDS + 1]
      const room = this.#sets.roomFor(lo, hi, now)
      if (this.#sets.times[room * 2 + 1] > now) this.evictions++
      this.#sets.put(room, lo, hi, fullAt)
      // What is found in the old table from now on would be a copy.
      old.put(entry, 0, 0, -Infinity)
    }
    this.#moved = until
    if (until === old.count) this.#old = undefined
  }
}
