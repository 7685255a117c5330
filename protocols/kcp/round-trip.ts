// The estimate of the round trip and the waits made of it (KCP-4.1, KCP-4.2, KCP-4.9): Jacobson's mean and
// deviation in whole milliseconds, every division rounded down as ikcp does, so that two engines that are fed the same
// samples send at the same time.

/** What a conversation waits before it has a sample. */
const RTO_FIRST_MS = 200
export const rtoMaxMs = 60_000

export class RoundTrip {
  /** Smoothed; 0 before the first sample. */
  meanMs = 0
  deviationMs = 0
  rtoMs = RTO_FIRST_MS
  /** What a segment that was overtaken waits: later than it should have been acknowledged by all that is known. */
  graceMs = RTO_FIRST_MS
  readonly #intervalMs: number
  readonly #minRtoMs: number

  constructor(intervalMs: number, minRtoMs: number) {
    this.#intervalMs = intervalMs
    this.#minRtoMs = minRtoMs
  }

  /** A sample above the longest timeout says nothing about the path and is left out. */
  sample(rttMs: number): void {
    if (rttMs > rtoMaxMs) return
    if (this.meanMs === 0) {
      this.meanMs = rttMs
      this.deviationMs = rttMs >> 1
    } else {
      const off = rttMs > this.meanMs ? rttMs - this.meanMs : this.meanMs - rttMs
      this.deviationMs = (3 * this.deviationMs + off) >> 2
      this.meanMs = (7 * this.meanMs + rttMs) >> 3
      if (this.meanMs < 1) this.meanMs = 1
    }
    this.graceMs = this.meanMs + Math.max(this.#intervalMs, this.deviationMs)
    const rtoMs = this.meanMs + Math.max(this.#intervalMs, 4 * this.deviationMs)
    this.rtoMs = Math.min(Math.max(this.#minRtoMs, rtoMs), rtoMaxMs)
  }
}
