// What became of requests over the last while: a ring of ten buckets that turn with time, and their sums. Recording is a
// few additions; nothing is allocated after the constructor. Whoever fails often counts only up to a share, so that one
// client's failures alone never reach what would open a breaker.

const BUCKETS = 10
/** Cells for the failures of clients, by their number; two clients in one cell share what one of them may count. */
const CELLS = 256

export class OutcomeWindow {
  /** Sums over the window. */
  total = 0
  failed = 0
  slow = 0
  readonly #totals = new Uint32Array(BUCKETS)
  readonly #failures = new Uint32Array(BUCKETS)
  readonly #slows = new Uint32Array(BUCKETS)
  readonly #bucketMs: number
  /** What one client has brought, in this stretch of `windowMs` and in the one before it. */
  #share = new Uint16Array(CELLS)
  #shareBefore = new Uint16Array(CELLS)
  #bucket = 0
  /** When the bucket in use is over. */
  #turnAt: number
  #turns = 0

  constructor(windowMs: number, now: number) {
    this.#bucketMs = windowMs / BUCKETS
    this.#turnAt = now + this.#bucketMs
  }

  clear(now: number): void {
    this.total = this.failed = this.slow = 0
    this.#totals.fill(0)
    this.#failures.fill(0)
    this.#slows.fill(0)
    this.#share.fill(0)
    this.#shareBefore.fill(0)
    this.#turnAt = now + this.#bucketMs
  }

  /** Whether what this client brings still counts: at most `max` in any stretch as long as the window. */
  takeShare(client: number, max: number, now: number): boolean {
    this.turn(now)
    const at = client & (CELLS - 1)
    if (this.#share[at] + this.#shareBefore[at] >= max) return false
    this.#share[at]++
    return true
  }

  record(isFailed: boolean, isSlow: boolean, now: number): void {
    this.turn(now)
    const bucket = this.#bucket
    this.#totals[bucket]++
    this.total++
    if (isFailed) {
      this.#failures[bucket]++
      this.failed++
    }
    if (isSlow) {
      this.#slows[bucket]++
      this.slow++
    }
  }

  /** Forgets what is older than the window. A clock that goes backwards forgets nothing. */
  turn(now: number): void {
    if (now < this.#turnAt) return
    const behind = Math.floor((now - this.#turnAt) / this.#bucketMs)
    if (behind >= 2 * BUCKETS) {
      this.clear(now)
      return
    }
    for (let i = 0; i <= behind; i++) this.#next()
    this.#turnAt += (behind + 1) * this.#bucketMs
  }

  #next(): void {
    const bucket = (this.#bucket + 1) % BUCKETS
    this.#bucket = bucket
    this.total -= this.#totals[bucket]
    this.failed -= this.#failures[bucket]
    this.slow -= this.#slows[bucket]
    this.#totals[bucket] = this.#failures[bucket] = this.#slows[bucket] = 0
    if (++this.#turns % BUCKETS !== 0) return
    const share = this.#shareBefore.fill(0)
    this.#shareBefore = this.#share
    this.#share = share
  }
}
