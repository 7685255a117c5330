// What a route needs of the login of who uses it: authority that has not run out (T2: a session outlives its token, what it
// may do need not), and labels that the authenticator gave, such as a role. docs/policies/authentication.md.
import { code } from '../protocols/codes.ts'
import type { CompileTools, Place } from './compile.ts'
import { type Check, type Judgement, type Mode, type PolicyCount, type Verdict, verdict } from './pipeline.ts'

export type AuthenticationSettings = {
  readonly mode: Mode
  /** Each label must have one of these values. */
  readonly labels: Readonly<Record<string, readonly string[]>>
  readonly action: 'reject' | 'close'
}

const COST = 1
/** A new token is asked for already: this is how long a client should take for it. */
const RETRY_MS = 1000

export class AuthenticationCheck implements Check {
  readonly count: PolicyCount
  readonly mode: Mode
  readonly cost = COST
  readonly readsPayload = false
  readonly #names: readonly string[]
  readonly #values: readonly ReadonlySet<string>[]
  readonly #action: Verdict

  constructor(settings: AuthenticationSettings, count: PolicyCount) {
    this.count = count
    this.mode = settings.mode
    this.#names = Object.keys(settings.labels)
    this.#values = Object.values(settings.labels).map((values) => new Set(values))
    this.#action = verdict[settings.action]
  }

  judge(judgement: Judgement): Verdict {
    const { subject } = judgement
    if (subject.isAuthExpired) {
      judgement.code = code.auth_required
      judgement.retryMs = RETRY_MS
      return this.#action
    }
    const { labels } = subject
    for (let i = 0; i < this.#names.length; i++) {
      const name = this.#names[i]
      if (Object.hasOwn(labels, name) && this.#values[i].has(labels[name])) continue
      judgement.code = code.not_allowed
      judgement.retryMs = 0
      return this.#action
    }
    return verdict.pass
  }
}

export function authenticationChecks(place: Place, tools: CompileTools): Check[] {
  return place.levels.flatMap(({ scope, policies: { authentication } }) =>
    authentication === undefined
      ? []
      : [new AuthenticationCheck(authentication, tools.counts.of('authentication', scope, ''))],
  )
}
