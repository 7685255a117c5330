// Who may connect at all, judged by address before a byte is read: networks that are let in or kept out, how many
// connections an address (IPv4 /32, IPv6 /64) and its network (/24, /48) may have open, and how often they may come. Bans
// are networks that are kept out for a while; who keeps them says so through `Lists`.
import { BucketTable } from './bucket-table.ts'
import { type HashKey, hashText } from './key-hash.ts'
import { addressKey, NetworkCounts, networkKey } from './network.ts'

export type AdmissionSettings = {
  readonly isObserved: boolean
  /** Connections open at once of one address, and of its network; Infinity: any number. */
  readonly perAddress: number
  readonly perNetwork: number
  /** New connections of one address. */
  readonly rate?: { readonly perSecond: number; readonly burst: number }
}

export interface Lists {
  /** undefined: everybody who is not denied. */
  readonly allowed: { has(address: string): boolean } | undefined
  readonly denied: { has(address: string): boolean } | undefined
  isBanned(address: string): boolean
}

export const admissionReasons = ['banned', 'denied', 'not_allowed', 'per_address', 'per_network', 'rate'] as const
export type AdmissionReason = (typeof admissionReasons)[number]

/** Addresses whose rate is remembered: beyond that those nearest to a full bucket are forgotten. */
const RATE_KEYS_MAX = 200_000

export class Admission {
  settings: AdmissionSettings
  lists: Lists
  readonly #open = new NetworkCounts()
  readonly #rates = new BucketTable(RATE_KEYS_MAX)
  readonly #hashKey: HashKey

  constructor(settings: AdmissionSettings, lists: Lists, hashKey: HashKey) {
    this.settings = settings
    this.lists = lists
    this.#hashKey = hashKey
  }

  /**
   * Why this address may not connect now; undefined: it may, and is counted until `left` says so. In `observe` the caller
   * lets it in all the same, with `entered`. Bans are enforced always.
   */
  refuses(address: string, now: number): AdmissionReason | undefined {
    const { perAddress, perNetwork, rate } = this.settings
    const listed = this.refusesListed(address)
    if (listed !== undefined) return listed
    if (perAddress !== Infinity && this.#open.of(addressKey(address)) >= perAddress) return 'per_address'
    if (perNetwork !== Infinity && this.#open.of(networkKey(address)) >= perNetwork) return 'per_network'
    if (rate !== undefined) {
      const { lo, hi } = hashText(this.#hashKey, addressKey(address))
      const tokenMs = 1000 / rate.perSecond
      if (this.#rates.take(lo, hi, tokenMs, rate.burst * tokenMs, now) > 0) return 'rate'
    }
    return undefined
  }

  /** The same by the lists and bans alone: for what is no connection of its own, a request that a proxy passes on. */
  refusesListed(address: string): AdmissionReason | undefined {
    const { allowed, denied } = this.lists
    if (this.lists.isBanned(address)) return 'banned'
    if (denied?.has(address)) return 'denied'
    return allowed !== undefined && !allowed.has(address) ? 'not_allowed' : undefined
  }

  /** One more connection of this address is open. */
  entered(address: string): void {
    this.#open.add(addressKey(address))
    this.#open.add(networkKey(address))
  }

  /** One that had entered is closed. */
  left(address: string): void {
    this.#open.take(addressKey(address))
    this.#open.take(networkKey(address))
  }

  /** Addresses and networks that have connections open. */
  get size(): number {
    return this.#open.size
  }
}
