// What judges a message: the policies that hold at its place (gateway, listener, service, route), compiled into one flat
// list of checks, cheapest first; the first refusal wins. Each check is synchronous and says one of
//
//   pass                          the next check is asked
//   drop, reject                  R1: the client is told (drop: without a hint), the host gets a SKIP in its place
//   delay                         the lane waits `retryMs`, then the message is judged anew (R4)
//   close, ban                    R1, then the connection ends; a ban keeps its address or user away for `banMs`
//
// A check that is only observed counts what it would have said, and lets pass. docs/policies/README.md.
import type { BanOf } from './bans.ts'
import type { ReplayCredit } from './replay-credit.ts'
import type { Subject } from './subject.ts'

export const verdict = { pass: 0, drop: 1, delay: 2, reject: 3, close: 4, ban: 5 } as const
export type Verdict = (typeof verdict)[keyof typeof verdict]
export const verdictNames: readonly string[] = Object.keys(verdict)

export type Mode = 'enforce' | 'observe'

/** What one policy has said since the gateway started, but for passes: they are the rest. */
export class PolicyCount {
  /** The kind of policy, as in the metric: `rate_limit`. */
  readonly policy: string
  /** Where it was written: `gateway`, `listener tcp-7777`, `service arena`, `route arena.move`. */
  readonly scope: string
  /** Empty where a place can have only one of its kind. */
  readonly name: string
  readonly enforced = new Float64Array(verdictNames.length)
  readonly observed = new Float64Array(verdictNames.length)
  /** How often for which reason, enforced or observed; of policies that tell one. The reasons are words of the policy's. */
  readonly reasons = new Map<string, number>()

  constructor(policy: string, scope: string, name: string) {
    this.policy = policy
    this.scope = scope
    this.name = name
  }

  because(reason: string): void {
    this.reasons.set(reason, (this.reasons.get(reason) ?? 0) + 1)
  }
}

/** One message to be judged, and what was said of it: one object, used again for each. */
export class Judgement {
  subject: Subject
  /** Bytes of the message behind its header. */
  messageBytes = 0
  /** The payload, lent for the call; set for checks that ask for it (`readsPayload`). */
  bytes: Uint8Array = new Uint8Array(0)
  payloadStart = 0
  payloadEnd = 0
  /** R6: set while the message is one that was sent before this attach. */
  credit: ReplayCredit | undefined = undefined
  /** Why it was refused, by protocols/codes.ts. */
  code = 0
  /** In how many milliseconds trying again makes sense; 0: no hint. For a delay, how long to wait. */
  retryMs = 0
  /** With a delay: the longest that one message may be held. */
  delayMsMax = 0
  /** For how long a ban holds, and of what. */
  banMs = 0
  banOf: BanOf = 'address'
  /** The policy that refused. */
  by: PolicyCount | undefined = undefined

  constructor(subject: Subject) {
    this.subject = subject
  }
}

export interface Check {
  readonly count: PolicyCount
  readonly mode: Mode
  /** Its place among the checks: about the nanoseconds it takes. */
  readonly cost: number
  /** It looks at the payload, or at its length. */
  readonly readsPayload: boolean
  /** Anything but a pass leaves code and hint in the judgement. Monotonic milliseconds. */
  judge(judgement: Judgement, now: number): Verdict
}

export class Pipeline {
  readonly checks: readonly Check[]
  readonly isEmpty: boolean
  readonly readsPayload: boolean

  constructor(checks: readonly Check[]) {
    this.checks = checks.toSorted((a, b) => a.cost - b.cost)
    this.isEmpty = checks.length === 0
    this.readsPayload = checks.some((check) => check.readsPayload)
  }

  judge(judgement: Judgement, now: number): Verdict {
    const checks = this.checks
    for (let i = 0; i < checks.length; i++) {
      const check = checks[i]
      const said = check.judge(judgement, now)
      if (said === verdict.pass) continue
      if (check.mode === 'observe') {
        check.count.observed[said]++
        continue
      }
      check.count.enforced[said]++
      judgement.by = check.count
      return said
    }
    return verdict.pass
  }
}
