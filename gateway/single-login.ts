// One session for each user (T4): a session counts from its first ATTACH on. Of a second one, either the older ends
// (`replace`, a kick: X4) or the newer is refused for as long as the older is connected here (`reject`). Whoever comes back
// with a ticket is the session that it was, and counts once.
//
// A gateway knows its own sessions only. Which session a user has is remembered for `keep` after its last connection, so
// that `replace` also ends one that is on its way back.
import type { Settings } from '../config/settings.ts'
import { code } from '../protocols/codes.ts'
import type { Gateway } from './gateway.ts'
import type { Session } from './session.ts'

type Away = { session: string; until: number }

/** Users that are remembered though none of their connections is here. */
const AWAY_MAX = 100_000

export class SingleLogin {
  readonly #gateway: Gateway
  /** The session of each user that is connected. */
  readonly #here = new Map<string, string>()
  /** Of those that are not, the longest away first. */
  readonly #away = new Map<string, Away>()
  mode: Settings['singleLogin'] = undefined

  constructor(gateway: Gateway) {
    this.#gateway = gateway
  }

  /** A session attaches: `ok`, or the code that refuses it. */
  claim(session: Session, now: number): number {
    if (this.mode === undefined || session.isCounted) return code.ok
    const { id, user } = session
    const here = this.#here.get(user)
    if (this.mode === 'reject') {
      if (here !== undefined && here !== id) return code.user_present
    } else {
      const older = here ?? this.#onItsWay(user, now)
      if (older !== undefined && older !== id) this.#gateway.kick(older, code.replaced)
    }
    session.isCounted = true
    this.#away.delete(user)
    this.#here.set(user, id)
    return code.ok
  }

  /** The last connection of a session here has ended. */
  left({ id, user }: Session, now: number): void {
    if (this.#here.get(user) !== id) return
    this.#here.delete(user)
    if (this.mode === undefined) return
    this.#away.set(user, { session: id, until: now + this.#gateway.times.keepMs })
    this.#forget(now)
  }

  #onItsWay(user: string, now: number): string | undefined {
    const away = this.#away.get(user)
    return away !== undefined && away.until > now ? away.session : undefined
  }

  /** Those that were away for too long, and the longest away where there are too many. */
  #forget(now: number): void {
    for (const [user, { until }] of this.#away) {
      if (until > now && this.#away.size <= AWAY_MAX) break
      this.#away.delete(user)
    }
  }
}
