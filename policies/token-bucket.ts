// Token buckets for the frame path: synchronous, two typed-array cells a bucket, refilled by the time that has passed.
// A bucket starts full. Monotonic milliseconds are given; one that goes backwards refills nothing.

export class TokenBuckets {
  readonly #tokens: Float64Array
  readonly #at: Float64Array

  constructor(count: number) {
    this.#tokens = new Float64Array(count)
    this.#at = new Float64Array(count).fill(-Infinity)
  }

  /** Goes on where other buckets are: `places` has the index there of each bucket here, -1 for a new one. */
  carry(from: TokenBuckets, places: Int32Array): void {
    for (let i = 0; i < places.length; i++) {
      if (places[i] === -1) continue
      this.#tokens[i] = from.#tokens[places[i]]
      this.#at[i] = from.#at[places[i]]
    }
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

  /** How long until bucket `index` has `amount` tokens, as of the last `take`; Infinity where it never will. */
  waitMs(index: number, perSecond: number, amount: number): number {
    const missing = amount - this.#tokens[index]
    return missing <= 0 ? 0 : Math.ceil((missing / perSecond) * 1000)
  }
}
