// Bans of users, addresses and networks, each until a time: kept in a file of the state folder, so that they outlive the
// process, and written there as a whole with each change. Few and seldom: what is looked up for each connection is a set.
// What policies decide is in here for the time after this process; while it runs policies/bans.ts sees to it, which says why
// there are two.
import fs from 'node:fs'
import path from 'node:path'
import { networkName } from '../../config/networks.ts'
import { readKept } from './kept-file.ts'
import { Networks } from './networks.ts'

export type Ban = {
  /** `user:NAME`, an address, or a network. */
  what: string
  /** Milliseconds since 1970. */
  untilWallMs: number
  reason: string
}

type Decided = { of: 'address' | 'user'; address: string; user: string; ms: number }

const BANS_MAX = 10_000
const FILE = 'bans.json'
/** What changes by itself is taken up within this; making the set anew takes up to 30 ms. */
const SOON_MS = 1000
export const USER = 'user:'
const USER_BYTES_MAX = 256
/** What a timer can wait for. */
const TIMER_MAX_MS = 2 ** 31 - 1

export class KeptBans {
  readonly #file: string
  readonly #wallNow: () => number
  readonly #warn: (text: string, error: unknown) => void
  #bans = new Map<string, Ban>()
  #networks: Networks | undefined
  #timer: NodeJS.Timeout | undefined
  #soon: NodeJS.Timeout | undefined

  /** Reads what was kept; what cannot be read is told to `warn`, and the file is left as it is until the next ban. */
  constructor(stateDir: string, warn: (text: string, error: unknown) => void, wallNow: () => number = Date.now) {
    this.#file = path.join(stateDir, FILE)
    this.#wallNow = wallNow
    this.#warn = warn
    try {
      const kept = JSON.parse(readKept(this.#file) ?? '[]') as Ban[]
      for (const ban of kept) {
        if (!isBan(ban)) continue
        const what = normalized(ban.what)!
        this.#bans.set(what, { ...ban, what })
      }
    } catch (error) {
      warn('the bans that were kept cannot be read', error)
    }
    this.#changed()
  }

  /** Bans, or bans for another time. Returns what is wrong with it, in words. */
  add(what: string, forMs: number, reason: string): string | undefined {
    const name = normalized(what)
    if (name === undefined) return `${what} is neither user:NAME nor an address nor a network`
    if (this.#bans.size >= BANS_MAX && !this.#bans.has(name)) return `there are ${BANS_MAX} bans, the most allowed`
    this.#bans.set(name, { what: name, untilWallMs: this.#wallNow() + forMs, reason })
    this.#changed()
    this.#keep()
    return undefined
  }

  /**
   * The same for one that a policy has decided, and sees to itself while the process runs: many may come at once, so they
   * are taken up and kept together, within a second. One that there is no room for is not kept, and none ends sooner for it.
   */
  keepDecided({ of, address, user, ms }: Decided): void {
    const name = normalized(of === 'user' ? USER + user : address.includes(':') ? `${address}/64` : address)
    if (name === undefined || (this.#bans.size >= BANS_MAX && !this.#bans.has(name))) return
    const untilWallMs = this.#wallNow() + ms
    if ((this.#bans.get(name)?.untilWallMs ?? 0) >= untilWallMs) return
    this.#bans.set(name, { what: name, untilWallMs, reason: 'a policy' })
    this.#soon ??= setTimeout(() => this.#takeUp(), SOON_MS).unref()
  }

  /** False: there is no such ban. */
  remove(what: string): boolean {
    const wasThere = this.#bans.delete(normalized(what) ?? what)
    if (wasThere) {
      this.#changed()
      this.#keep()
    }
    return wasThere
  }

  list(): Ban[] {
    const now = this.#wallNow()
    return [...this.#bans.values()].filter(({ untilWallMs }) => untilWallMs > now)
  }

  hasAddress(address: string): boolean {
    return this.#networks?.has(address) ?? false
  }

  hasUser(user: string): boolean {
    const ban = this.#bans.size === 0 ? undefined : this.#bans.get(USER + user)
    return ban !== undefined && ban.untilWallMs > this.#wallNow()
  }

  stop(): void {
    if (this.#soon !== undefined) this.#takeUp()
    clearTimeout(this.#timer)
  }

  #takeUp(): void {
    clearTimeout(this.#soon)
    this.#soon = undefined
    this.#changed()
    this.#keep()
  }

  /** Forgets what is over, makes the set anew, and comes again when the next is over, or soon after. */
  #changed(): void {
    const now = this.#wallNow()
    let next = Infinity
    for (const { what, untilWallMs } of this.#bans.values()) {
      if (untilWallMs <= now) this.#bans.delete(what)
      else next = Math.min(next, untilWallMs)
    }
    const networks = [...this.#bans.keys()].filter((what) => !what.startsWith(USER))
    this.#networks = networks.length === 0 ? undefined : new Networks(networks)
    clearTimeout(this.#timer)
    if (next === Infinity) return
    // Bans of thousands that end one by one must not cost a set each.
    const inMs = Math.max(SOON_MS, next - now)
    this.#timer = setTimeout(() => this.#changed(), Math.min(inMs, TIMER_MAX_MS))
    this.#timer.unref()
  }

  #keep(): void {
    const draft = `${this.#file}.${process.pid}`
    try {
      fs.mkdirSync(path.dirname(this.#file), { recursive: true, mode: 0o700 })
      fs.writeFileSync(draft, `${JSON.stringify(this.list())}\n`, { mode: 0o600, flush: true })
      fs.renameSync(draft, this.#file)
    } catch (error) {
      this.#warn('the bans cannot be kept; they hold until the process ends', error)
    }
  }
}

/** One name for each, so that what was banned in one notation is found in another: `user:NAME`, or a network's name. */
function normalized(what: string): string | undefined {
  if (what.startsWith(USER)) {
    return what.length > USER.length && Buffer.byteLength(what) <= USER_BYTES_MAX ? what : undefined
  }
  return networkName(what)
}

function isBan(ban: unknown): ban is Ban {
  const { what, untilWallMs, reason } = (ban ?? {}) as Ban
  return typeof what === 'string' && typeof reason === 'string' && normalized(what) !== undefined && untilWallMs > 0
}
