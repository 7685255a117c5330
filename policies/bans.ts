// Who is kept away for a time: addresses (IPv4, IPv6 /64) and users. A policy bans with its action `ban`; who is banned is
// refused at the door and at the login, and does not come back by itself (`banned`). Bounded: past its room the ban that
// ends first makes room. Monotonic milliseconds.
//
// gateway/io/kept-bans.ts has these bans, too, beside the operator's, and the two are not one on purpose. This one holds from
// the message on that was refused, in the same turn, also in virtual time and without a folder (`skewer test`), and however
// many come at once. That one has wall-clock times, networks and a file; to take bans up it makes its set of networks anew,
// which takes up to 30 ms and is done once a second. What both do is small: to tell whether somebody is banned.
import { addressKey } from './network.ts'

export type BanOf = 'address' | 'user'
export type Ban = { readonly of: BanOf; readonly name: string; readonly until: number; readonly reason: string }

const BANS_MAX = 100_000

export class Bans {
  readonly #bans = new Map<string, Ban>()
  readonly #max: number

  constructor(max = BANS_MAX) {
    this.#max = max
  }

  /** The name that an address is banned under. */
  static network(address: string): string {
    return addressKey(address)
  }

  /** A ban that holds already is only made longer. */
  add(of: BanOf, name: string, until: number, reason: string, now: number): void {
    const key = `${of} ${name}`
    const held = this.#bans.get(key)
    if (held !== undefined && held.until >= until) return
    if (held === undefined && this.#bans.size >= this.#max) this.#makeRoom(now)
    this.#bans.set(key, { of, name, until, reason })
  }

  has(of: BanOf, name: string, now: number): boolean {
    if (this.#bans.size === 0) return false
    const key = `${of} ${name}`
    const ban = this.#bans.get(key)
    if (ban === undefined) return false
    if (ban.until > now) return true
    this.#bans.delete(key)
    return false
  }

  lift(of: BanOf, name: string): boolean {
    return this.#bans.delete(`${of} ${name}`)
  }

  list(now: number): Ban[] {
    return [...this.#bans.values()].filter(({ until }) => until > now)
  }

  #makeRoom(now: number): void {
    let first: string | undefined
    let firstUntil = Infinity
    for (const [key, { until }] of this.#bans) {
      if (until <= now) this.#bans.delete(key)
      else if (until < firstUntil) [first, firstUntil] = [key, until]
    }
    if (this.#bans.size >= this.#max && first !== undefined) this.#bans.delete(first)
  }
}
