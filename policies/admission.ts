// Who may connect at all, judged by address before a byte is read: networks that are let in or kept out, how many
// connections an address (IPv4 /32, IPv6 /64) and its network (/24, /48) may have open, and how often they may come. Bans
// are networks that are kept out for a while; who keeps them says so through `Lists`.
import { type AttemptRate, Attempts } from './attempts.ts'
import type { HashKey } from './key-hash.ts'
import { addressKey, NetworkCounts, networkKey } from './network.ts'

export type AdmissionSettings = {
  readonly isObserved: boolean
  /** Connections open at once of one address, and of its network; Infinity: any number. */
  readonly perAddress: number
  readonly perNetwork: number
  /** New connections of one address. */
  readonly rate?: AttemptRate
  /** HTTP requests of one address. */
  readonly requestRate?: AttemptRate
}

export interface Lists {
  /** undefined: everybody who is not denied. */
  readonly allowed: { has(address: string): boolean } | undefined
  readonly denied: { has(address: string): boolean } | undefined
  isBanned(address: string): boolean
}

export const admissionReasons = [
  'banned',
  'denied',
  'not_allowed',
  'per_address',
  'per_network',
  'rate',
  'request_rate',
] as const
/** What is counted by rate, and where there is a store by all gateways together. */
export type CountedKind = 'connection' | 'request'
export type AdmissionReason = (typeof admissionReasons)[number]

/** Addresses whose rate is remembered: beyond that those nearest to a full bucket are forgotten. */
const RATE_KEYS_MAX = 200_000

export class Admission {
  settings: AdmissionSettings
  lists: Lists
  readonly #open = new NetworkCounts()
  readonly #attempts: Attempts

  constructor(settings: AdmissionSettings, lists: Lists, hashKey: HashKey) {
    this.settings = settings
    this.lists = lists
    this.#attempts = new Attempts(hashKey, RATE_KEYS_MAX)
  }

  /**
   * Why this address may not connect now; undefined: it may, and is counted until `left` says so. In `observe` the caller
   * lets it in all the same, with `entered`. Bans are enforced always.
   */
  refuses(address: string, now: number): AdmissionReason | undefined {
    const { perAddress, perNetwork } = this.settings
    const listed = this.refusesListed(address)
    if (listed !== undefined) return listed
    if (perAddress !== Infinity && this.#open.of(addressKey(address)) >= perAddress) return 'per_address'
    if (perNetwork !== Infinity && this.#open.of(networkKey(address)) >= perNetwork) return 'per_network'
    return this.attempt('connection', address, now) > 0 ? 'rate' : undefined
  }

  rateOf(kind: CountedKind): AttemptRate | undefined {
    return kind === 'connection' ? this.settings.rate : this.settings.requestRate
  }

  /** Counts a connection, as `refuses` does, or a request. 0, or in how many milliseconds another one may come. */
  attempt(kind: CountedKind, address: string, now: number): number {
    const rate = this.rateOf(kind)
    return rate === undefined ? 0 : this.#attempts.take(`${kind}:${addressKey(address)}`, rate, now)
  }

  /** All gateways together have seen so many of this address that none is let in for so long. */
  keepOut(kind: CountedKind, address: string, ms: number, now: number): void {
    this.#attempts.keepOut(`${kind}:${addressKey(address)}`, ms, now)
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
