// A rate limit: so many messages, or bytes, a second, with a burst, for each key. Keys are what is known of the sender
// (connection, session, user, address, network) and of the place (listener, service, route, or `global`: one bucket for
// all); several together count each combination apart. docs/policies/rate-limit.md.
//
// Buckets live in one table for all limits (bucket-table.ts), by hash of the limit's name and the keys. So one that is
// written the same after a reload goes on where it was, and its numbers may change meanwhile.
import { code } from '../protocols/codes.ts'
import type { BanOf } from './bans.ts'
import type { BucketTable } from './bucket-table.ts'
import type { CompileTools, Place } from './compile.ts'
import { hashText } from './key-hash.ts'
import { type Check, type Judgement, type Mode, type PolicyCount, type Verdict, verdict } from './pipeline.ts'
import { type LimitKey, type Subject, type SubjectKey, subjectKeys } from './subject.ts'

export type RateLimitSettings = {
  readonly name: string
  readonly mode: Mode
  /** Messages or bytes a second, and how many at once. */
  readonly perSecond: number
  readonly burst: number
  readonly unit: 'messages' | 'bytes'
  readonly per: readonly LimitKey[]
  readonly action: 'reject' | 'drop' | 'delay' | 'close' | 'ban'
  /** Action `delay`: the longest that a message waits; then it is rejected. */
  readonly delayMsMax: number
  /** Action `ban`: of how long. */
  readonly banMs: number
  readonly banOf: BanOf
}

/** The longest hint: a client that waits longer would better be told anew. */
const RETRY_MS_MAX = 60_000
const COST = 20

/** The words that the keys of a bucket are mixed into, and what a bucket of the limit holds. */
type Base = { readonly lo: number; readonly hi: number; readonly intervalMs: number; readonly burstMs: number }

/** A limit with other numbers has other buckets. */
function baseOf(settings: RateLimitSettings, scope: string, place: Place, tools: CompileTools): Base {
  const { name, unit, perSecond, burst, per } = settings
  const at = [scope, name, unit, perSecond, burst, ...per]
  if (per.includes('listener')) at.push(place.listener)
  if (per.includes('service') || per.includes('route')) at.push(place.service)
  if (per.includes('route')) at.push(place.match)
  const { lo, hi } = hashText(tools.hashKey, at.join('\n'))
  const intervalMs = 1000 / perSecond
  return { lo, hi, intervalMs, burstMs: burst * intervalMs }
}

export class RateLimitCheck implements Check {
  readonly count: PolicyCount
  readonly mode: Mode
  readonly cost = COST
  readonly readsPayload = false
  readonly #tools: CompileTools
  readonly #table: BucketTable
  readonly #base: Base
  /** How the limit was before a reload that changed its numbers, for as long as a bucket of then may not be full. */
  #former: Base | undefined
  /** The sender's keys that it counts by, as indices of `subjectKeys`. */
  readonly #keys: number[]
  /** It counts by a key of the sender; else all have one bucket. */
  readonly #isPersonal: boolean
  readonly #isBytes: boolean
  readonly #action: Verdict
  readonly #delayMsMax: number
  readonly #banMs: number
  readonly #banOf: BanOf
  /** Of the limit, for the credit of replay. */
  readonly #number: number
  /** The last sender, the hash of its bucket, and where that is. */
  #subject: Subject | undefined = undefined
  #lo = 0
  #hi = 0
  #entry = 0

  constructor(settings: RateLimitSettings, scope: string, place: Place, tools: CompileTools) {
    this.count = tools.counts.of('rate_limit', scope, settings.name)
    this.mode = settings.mode
    this.#tools = tools
    this.#table = tools.table
    this.#base = baseOf(settings, scope, place, tools)
    const { number, former } = tools.limit(scope, settings)
    this.#number = number
    if (former !== undefined && former.unit === settings.unit && `${former.per}` === `${settings.per}`) {
      const base = baseOf(former, scope, place, tools)
      if (base.lo !== this.#base.lo || base.hi !== this.#base.hi) this.#former = base
    }
    this.#keys = settings.per.map((key) => subjectKeys.indexOf(key as SubjectKey)).filter((i) => i !== -1)
    this.#isPersonal = this.#keys.length > 0
    this.#lo = this.#base.lo
    this.#hi = this.#base.hi
    this.#isBytes = settings.unit === 'bytes'
    this.#action = verdict[settings.action]
    this.#delayMsMax = settings.delayMsMax
    this.#banMs = settings.banMs
    this.#banOf = settings.banOf
  }

  judge(judgement: Judgement, now: number): Verdict {
    const { subject } = judgement
    if (this.#former !== undefined) this.#carry(this.#former, subject, now)
    // Messages come in runs of one sender: the entry of the last one is asked first.
    const isOther = this.#isPersonal && subject !== this.#subject
    if (isOther || !this.#table.isOf(this.#entry, this.#lo, this.#hi)) this.#find(subject, now)
    const { intervalMs, burstMs } = this.#base
    const amount = this.#isBytes ? judgement.messageBytes : 1
    const costMs = amount * intervalMs
    const waitMs = this.#table.takeAt(this.#entry, costMs, burstMs, now)
    if (waitMs === 0) return verdict.pass
    const credit = judgement.credit
    if (credit !== undefined) {
      const { limitCount, generation } = this.#tools
      if (credit.take(this.#number, limitCount, generation, 1 / intervalMs, amount, this.#isBytes)) return verdict.pass
    }
    // No burst will ever hold it: trying again is of no use.
    const isHopeless = costMs > burstMs
    judgement.code = isHopeless ? code.too_large : code.rate_limited
    judgement.retryMs = isHopeless ? 0 : Math.min(Math.ceil(waitMs), RETRY_MS_MAX)
    judgement.delayMsMax = this.#delayMsMax
    judgement.banMs = this.#banMs
    judgement.banOf = this.#banOf
    return isHopeless && this.#action === verdict.delay ? verdict.reject : this.#action
  }

  #find(subject: Subject, now: number): void {
    this.#mix(this.#base, subject)
    this.#entry = this.#table.entryOf(this.#lo, this.#hi, now)
    this.#subject = subject
  }

  #mix(base: Base, subject: Subject): void {
    const keys = this.#keys
    let { lo, hi } = base
    for (let i = 0; i < keys.length; i++) {
      // The words are keyed hashes: mixing them needs to be quick, not strong.
      lo = Math.imul(lo ^ subject.lo(keys[i]), 0x85ebca6b)
      hi = Math.imul(hi ^ subject.hi(keys[i]), 0xc2b2ae35)
      lo ^= (lo >>> 15) ^ hi
    }
    this.#lo = lo
    this.#hi = hi
  }

  /** What a bucket had before the reload it has now: a reload fills none, and empties none but one that became smaller. */
  #carry(former: Base, subject: Subject, now: number): void {
    if (now > this.#tools.since + former.burstMs) {
      this.#former = undefined
      return
    }
    const { intervalMs, burstMs } = this.#base
    this.#mix(former, subject)
    const { since } = this.#tools
    const missingMs = this.#table.missing(this.#lo, this.#hi, since)
    this.#mix(this.#base, subject)
    this.#subject = undefined
    if (missingMs <= 0 || this.#table.missing(this.#lo, this.#hi, now) > 0) return
    const tokens = Math.max(0, former.burstMs - missingMs) / former.intervalMs
    const fullAt = since + Math.max(0, burstMs - tokens * intervalMs)
    if (fullAt > now) this.#table.take(this.#lo, this.#hi, fullAt - now, burstMs, now)
  }
}

export function rateLimitChecks(place: Place, tools: CompileTools): Check[] {
  return place.levels.flatMap(({ scope, policies }) =>
    (policies.rateLimits ?? []).map((limit) => new RateLimitCheck(limit, scope, place, tools)),
  )
}
