// What an operator does about bans: who is kept out, and what becomes of what is there of them.
import { Bans } from '../../policies/bans.ts'
import { code } from '../../protocols/codes.ts'
import type { Gateway } from '../gateway.ts'
import type { Authenticator } from '../seams.ts'
import { type Ban, type KeptBans, USER } from './kept-bans.ts'

export class BanDesk {
  readonly #kept: KeptBans
  readonly #gateway: Gateway
  readonly #changed: () => void

  /** `changed` is told when somebody was banned: verdicts about tokens hold no more. */
  constructor(kept: KeptBans, gateway: Gateway, changed: () => void) {
    this.#kept = kept
    this.#gateway = gateway
    this.#changed = changed
  }

  list(): Ban[] {
    return this.#kept.list()
  }

  /** Keeps somebody out, and ends what is there. Returns what is wrong with it, in words. */
  add(what: string, forMs: number, reason: string): string | undefined {
    const problem = this.#kept.add(what, forMs, reason)
    if (problem !== undefined) return problem
    if (what.startsWith(USER)) this.#gateway.kickUser(what.slice(USER.length), code.banned)
    else this.#gateway.closeFrom((address) => this.#kept.hasAddress(address), code.banned)
    this.#changed()
    return undefined
  }

  /** Also what a policy has decided. False: nobody is banned by that name. */
  remove(what: string): boolean {
    const { bans } = this.#gateway.policing
    const wasKept = this.#kept.remove(what)
    const wasDecided = what.startsWith(USER)
      ? bans.lift('user', what.slice(USER.length))
      : bans.lift('address', Bans.network(what.split('/')[0]))
    return wasKept || wasDecided
  }
}

/** Logins of users that are not banned. */
export function behindBans(
  authenticator: () => Authenticator,
  isBanned: (user: string) => boolean,
  checked: () => void,
): Authenticator {
  return {
    login(token, address, done) {
      authenticator().login(token, address, (result) => {
        const isOut = result.ok && isBanned(result.user)
        done(isOut ? { ok: false, code: code.banned, text: 'the user is banned' } : result)
        checked()
      })
    },
  }
}
