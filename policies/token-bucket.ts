// Token buckets by number: synchronous, two typed-array cells a bucket, refilled by the time that has passed. What has names,
// or too many of them, uses bucket-table.ts. A bucket starts full. Monotonic milliseconds are given; one that goes backwards refills nothing.

export class TokenBuckets {
  readonly #tokens: Float64Array
  readonly #at: Float64Array

  constructor(count: number) {
    this.#tokens = new Float64Array(count)
    this.#at = new Float64Array(count).fill(-Infinity)
  }

  /** Takes `amount` tokens from bucket `index`, or none when it has fewer. */
  take(index: number, perSecond: number, burst: number, amount: number, now: number): boolean {
    const passed = now - this.#at[index]
    let tokens = this.#tokens[index]
    if (passed > 0) {
      tokens = Math.min(burst, tokens + (passed / 1000) * perSecond)
      this.#at[index] = now
    }
    if (tokens < amount) {
      this.#tokens[index] = tokens
      return false
    }
    this.#tokens[index] = tokens - amount
    return true
  }
}
