// How often something may be tried under a name: token buckets, and beside them who is kept out for a while because all
// gateways together have seen too much of them; who knows that says so. Both are bounded tables: names are hashed, none is
// kept, and beyond the bound those nearest to a full bucket are forgotten.
import { BucketTable } from './bucket-table.ts'
import { type HashKey, hashText } from './key-hash.ts'

export type AttemptRate = { readonly perSecond: number; readonly burst: number }
/** A number of attempts within whole seconds, which a store counts. */
export type AttemptWindow = { readonly attempts: number; readonly seconds: number }

const WINDOW_SECONDS_MAX = 86_400

export class Attempts {
  readonly #buckets: BucketTable
  readonly #keptOut: BucketTable
  readonly #hashKey: HashKey

  constructor(hashKey: HashKey, keysMax: number) {
    this.#hashKey = hashKey
    this.#buckets = new BucketTable(keysMax)
    this.#keptOut = new BucketTable(keysMax)
  }

  /** Counts an attempt. 0: it may go on; else it may not, and may again in so many milliseconds. */
  take(name: string, { perSecond, burst }: AttemptRate, now: number): number {
    const { lo, hi } = hashText(this.#hashKey, name)
    const outMs = this.#keptOut.missing(lo, hi, now)
    if (outMs > 0) return outMs
    const tokenMs = 1000 / perSecond
    return this.#buckets.take(lo, hi, tokenMs, burst * tokenMs, now)
  }

  /** Every attempt is refused for so long; the longer time holds where there is one already. */
  keepOut(name: string, ms: number, now: number): void {
    const { lo, hi } = hashText(this.#hashKey, name)
    const moreMs = ms - this.#keptOut.missing(lo, hi, now)
    if (moreMs > 0) this.#keptOut.take(lo, hi, moreMs, ms, now)
  }

  get memoryBytes(): number {
    return this.#buckets.memoryBytes + this.#keptOut.memoryBytes
  }
}

/** A rate as a window, for a store that counts in whole numbers and seconds: a burst, in the time that it takes to refill. */
export function windowOf({ perSecond, burst }: AttemptRate): AttemptWindow {
  const seconds = Math.min(WINDOW_SECONDS_MAX, Math.max(1, Math.ceil(burst / perSecond)))
  return { seconds, attempts: Math.max(1, Math.round(perSecond * seconds)) }
}
