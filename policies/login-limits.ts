// How often somebody may try to log in: by address before a token is looked at, by user once it has been found good (who it
// names is not known before). Token buckets of this gateway, and beside them who is kept out for a while because all gateways
// together have seen too much of them; who knows that says so. Both are bounded tables: names are hashed, none is kept.
import { BucketTable } from './bucket-table.ts'
import { type HashKey, hashText } from './key-hash.ts'

type Rate = { readonly perSecond: number; readonly burst: number }
export type LoginLimitSettings = { readonly perAddress?: Rate; readonly perUser?: Rate }
/** A number of attempts within whole seconds, which a store counts. */
export type LoginWindow = { readonly attempts: number; readonly seconds: number }

export const loginKinds = ['address', 'user'] as const
export type LoginKind = (typeof loginKinds)[number]

/** Beyond that the addresses and users nearest to a full bucket are forgotten. */
const KEYS_MAX = 100_000
const WINDOW_SECONDS_MAX = 86_400

export class LoginLimits {
  settings: LoginLimitSettings = {}
  readonly #buckets = new BucketTable(KEYS_MAX)
  readonly #keptOut = new BucketTable(KEYS_MAX)
  readonly #hashKey: HashKey

  constructor(hashKey: HashKey) {
    this.#hashKey = hashKey
  }

  rateOf(kind: LoginKind): Rate | undefined {
    return kind === 'address' ? this.settings.perAddress : this.settings.perUser
  }

  /** Counts an attempt. 0: it may go on; else it may not, and may again in so many milliseconds. */
  attempt(kind: LoginKind, name: string, now: number): number {
    const rate = this.rateOf(kind)
    if (rate === undefined) return 0
    const { lo, hi } = hashText(this.#hashKey, `${kind}:${name}`)
    const outMs = this.#keptOut.missing(lo, hi, now)
    if (outMs > 0) return outMs
    const tokenMs = 1000 / rate.perSecond
    return this.#buckets.take(lo, hi, tokenMs, rate.burst * tokenMs, now)
  }

  /** Every attempt is refused for so long; the longer time holds where there is one already. */
  keepOut(kind: LoginKind, name: string, ms: number, now: number): void {
    const { lo, hi } = hashText(this.#hashKey, `${kind}:${name}`)
    const moreMs = ms - this.#keptOut.missing(lo, hi, now)
    if (moreMs > 0) this.#keptOut.take(lo, hi, moreMs, ms, now)
  }

  get memoryBytes(): number {
    return this.#buckets.memoryBytes + this.#keptOut.memoryBytes
  }
}

/** A rate as a window, for a store that counts in whole numbers and seconds: a burst, in the time that it takes to refill. */
export function windowOf({ perSecond, burst }: Rate): LoginWindow {
  const seconds = Math.min(WINDOW_SECONDS_MAX, Math.max(1, Math.ceil(burst / perSecond)))
  return { seconds, attempts: Math.max(1, Math.round(perSecond * seconds)) }
}
