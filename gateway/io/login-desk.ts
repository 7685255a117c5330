// In front of every check of a token (LOGIN, REAUTH, HTTP): who has tried too often is refused without one. Judged here and
// at once; where gateways share a store the attempt is counted there too, and nobody waits for its answer: it only says
// whom to keep out from then on. What was refused here is not sent there.
import { createHash } from 'node:crypto'
import type { Settings } from '../../config/settings.ts'
import { windowOf } from '../../policies/attempts.ts'
import { type LoginKind, LoginLimits } from '../../policies/login-limits.ts'
import type { HashKey } from '../../policies/key-hash.ts'
import { addressKey } from '../../policies/network.ts'
import { code } from '../../protocols/codes.ts'
import type { Authenticator } from '../seams.ts'
import type { IoCounters } from './io-counters.ts'
import type { SharedCounts } from './shared-counts.ts'

const texts = { address: 'too many logins from this address', user: 'too many logins of this user' }

export class LoginDesk {
  readonly #limits: LoginLimits
  readonly #store: SharedCounts | undefined
  readonly #counters: IoCounters
  readonly #now: () => number
  #isObserved = false

  constructor(
    settings: Settings,
    hashKey: HashKey,
    counters: IoCounters,
    now: () => number,
    store: SharedCounts | undefined,
  ) {
    this.#limits = new LoginLimits(hashKey)
    this.#store = store
    this.#counters = counters
    this.#now = now
    this.use(settings)
  }

  use({ admission }: Settings): void {
    this.#limits.settings = admission?.logins ?? {}
    this.#isObserved = admission?.limits.isObserved ?? false
  }

  /** 0, or in how many milliseconds another try makes sense. */
  refuses(kind: LoginKind, name: string): number {
    const rate = this.#limits.rateOf(kind)
    if (rate === undefined) return 0
    const waitMs = this.#limits.attempt(kind, name, this.#now())
    if (waitMs > 0) {
      this.#counters.loginsLimited[this.#isObserved ? 'observed' : 'refused'][kind]++
      return this.#isObserved ? 0 : Math.ceil(waitMs)
    }
    this.#store?.count(`login:${kind}`, keyOf(kind, name), windowOf(rate), (ms) =>
      this.#limits.keepOut(kind, name, ms, this.#now()),
    )
    return 0
  }
}

/** What a user is called stays out of the store, and is no longer there than here. */
const keyOf = (kind: LoginKind, name: string): string =>
  kind === 'address' ? name : createHash('sha256').update(name).digest('base64url')

/** `authenticator`, asked only for those who may try. */
export function behindLoginLimits(desk: () => LoginDesk, authenticator: Authenticator): Authenticator {
  const refusal = (kind: LoginKind, retryMs: number) =>
    ({ ok: false, code: code.rate_limited, text: texts[kind], retryMs }) as const
  return {
    login(token, address, done) {
      const waitMs = desk().refuses('address', addressKey(address))
      if (waitMs > 0) {
        done(refusal('address', waitMs))
        return
      }
      authenticator.login(token, address, (result) => {
        const userMs = result.ok ? desk().refuses('user', result.user) : 0
        done(userMs > 0 ? refusal('user', userMs) : result)
      })
    },
  }
}
