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

type Held = { session: string; isConnected: boolean; until: number }

/** Users that are remembered though none of their connections is here. */
const AWAY_MAX = 100_000

export class SingleLogin {
  readonly #gateway: Gateway
  /** In the order in which they left, the longest away first. */
  readonly #byUser = new Map<string, Held>()
  mode: Settings['singleLogin'] = undefined

  constructor(gateway: Gateway) {
    this.#gateway = gateway
  }

  /** A session attaches: `ok`, or the code that refuses it. */
  claim(session: Session, now: number): number {
    if (this.mode === undefined || session.isCounted) return code.ok
    const held = this.#byUser.get(session.user)
    if (held !== undefined && held.session !== session.id && (held.isConnected || held.until > now)) {
      if (this.mode === 'reject') {
        if (held.isConnected) return code.user_present
      } else {
        this.#gateway.kick(held.session, code.replaced)
      }
    }
    session.isCounted = true
    this.#byUser.delete(session.user)
    this.#byUser.set(session.user, { session: session.id, isConnected: true, until: Infinity })
    return code.ok
  }

  /** The last connection of a session here has ended. */
  left(session: Session, now: number): void {
    const held = this.#byUser.get(session.user)
    if (held?.session !== session.id) return
    this.#byUser.delete(session.user)
    if (this.mode === undefined) return
    held.isConnected = false
    held.until = now + this.#gateway.times.keepMs
    this.#byUser.set(session.user, held)
    this.#forget(now)
  }

  /** Those that were away for too long, and the longest away where there are too many. */
  #forget(now: number): void {
    for (const [user, held] of this.#byUser) {
      if (held.isConnected) continue
      if (held.until > now && this.#byUser.size <= AWAY_MAX + this.#gateway.connections.size) break
      this.#byUser.delete(user)
    }
  }
}
