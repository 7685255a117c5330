// Who may connect: the admission policy with its lists read from the configuration and its files, and the bans. One for all
// listeners. What is refused is closed before anything is read of it, counted by its reason, and logged. Connections and HTTP
// requests that are let in are also counted by the store that gateways share, where there is one: nobody waits for it.
import type { Settings } from '../../config/settings.ts'
import { Admission, type AdmissionReason, type AdmissionSettings, type CountedKind } from '../../policies/admission.ts'
import { windowOf } from '../../policies/attempts.ts'
import type { HashKey } from '../../policies/key-hash.ts'
import { addressKey } from '../../policies/network.ts'
import { code } from '../../protocols/codes.ts'
import type { GatewayEvent } from '../seams.ts'
import type { KeptBans } from './kept-bans.ts'
import type { IoCounters } from './io-counters.ts'
import { Networks } from './networks.ts'
import type { SharedCounts } from './shared-counts.ts'

const OPEN: AdmissionSettings = { isObserved: false, perAddress: Infinity, perNetwork: Infinity }

export class Doorkeeper {
  readonly #bans: KeptBans
  readonly #admission: Admission
  readonly #counters: IoCounters
  readonly #observe: (event: GatewayEvent) => void
  readonly #now: () => number
  readonly #store: SharedCounts | undefined
  /** Whether connections are to be counted: else nobody needs to say that one has left. */
  #isCounting = false

  /** Throws where a list cannot be read. */
  constructor(
    settings: Settings,
    bans: KeptBans,
    hashKey: HashKey,
    counters: IoCounters,
    observe: (event: GatewayEvent) => void,
    now: () => number,
    store?: SharedCounts,
  ) {
    this.#now = now
    this.#store = store
    this.#bans = bans
    this.#counters = counters
    this.#observe = observe
    this.#admission = new Admission(OPEN, { allowed: undefined, denied: undefined, isBanned: () => false }, hashKey)
    const { allow = [], allowFile, deny = [], denyFile } = settings.admission?.lists ?? {}
    const allowed = isEmpty(allow, allowFile) ? undefined : new Networks(allow, listOf(allowFile))
    const denied = isEmpty(deny, denyFile) ? undefined : new Networks(deny, listOf(denyFile))
    this.#use(settings.admission, allowed, denied)
  }

  /** Reads the lists of other settings; rejects where one cannot be read. What it resolves with puts them in use. */
  async prepare({ admission }: Settings): Promise<() => void> {
    const { allow = [], allowFile, deny = [], denyFile } = admission?.lists ?? {}
    const allowed = isEmpty(allow, allowFile) ? undefined : await Networks.inSteps(allow, listOf(allowFile))
    const denied = isEmpty(deny, denyFile) ? undefined : await Networks.inSteps(deny, listOf(denyFile))
    return () => this.#use(admission, allowed, denied)
  }

  #use(admission: Settings['admission'], allowed: Networks | undefined, denied: Networks | undefined): void {
    this.#admission.lists = { allowed, denied, isBanned: (address) => this.#bans.hasAddress(address) }
    this.#admission.settings = admission?.limits ?? OPEN
    const { perAddress, perNetwork } = this.#admission.settings
    this.#isCounting ||= perAddress !== Infinity || perNetwork !== Infinity
  }

  get isCounting(): boolean {
    return this.#isCounting
  }

  /** Whether this address may connect now; one that may is counted until it has `left`, where connections are counted. */
  enter(address: string, listener: string, now: number): boolean {
    const reason = this.#admission.refuses(address, now)
    if (reason !== undefined && this.#refuse(reason, address, listener)) return false
    if (reason !== 'rate') this.#share('connection', address)
    if (this.#isCounting) this.#admission.entered(address)
    return true
  }

  /** 0: this HTTP request may be answered; else it may not, and another one may come in so many milliseconds. */
  request(address: string, listener: string, now: number): number {
    if (this.#admission.settings.requestRate === undefined) return 0
    const waitMs = this.#admission.attempt('request', address, now)
    if (waitMs > 0) return this.#refuse('request_rate', address, listener) ? Math.ceil(waitMs) : 0
    this.#share('request', address)
    return 0
  }

  #share(kind: CountedKind, address: string): void {
    const rate = this.#admission.rateOf(kind)
    if (rate === undefined) return
    this.#store?.count(kind, addressKey(address), windowOf(rate), (ms) =>
      this.#admission.keepOut(kind, address, ms, this.#now()),
    )
  }

  /** Whether this address may be here at all, by lists and bans. */
  admits(address: string, listener: string): boolean {
    const reason = this.#admission.refusesListed(address)
    return reason === undefined || !this.#refuse(reason, address, listener)
  }

  left(address: string): void {
    this.#admission.left(address)
  }

  #refuse(reason: AdmissionReason, address: string, listener: string): boolean {
    const isObserved = this.#admission.settings.isObserved && reason !== 'banned'
    this.#counters.admission[isObserved ? 'observed' : 'refused'][reason]++
    const why = reason === 'banned' ? code.banned : reason === 'request_rate' ? code.rate_limited : code.admission
    this.#observe({ event: 'admission_refused', listener, address, reason, code: why, isObserved })
    return !isObserved
  }
}

const listOf = (file: string | undefined): string[] => (file === undefined ? [] : [file])
const isEmpty = (networks: readonly string[], file: string | undefined): boolean =>
  networks.length === 0 && file === undefined
