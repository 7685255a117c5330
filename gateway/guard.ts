// What guards one host, service or route: its circuit breaker and its limit of requests under way, each enforced or only
// observed. A guard keeps its name over reloads, and with it what was counted.
import type { BreakerSettings, ConcurrencyLimitSettings } from '../config/settings.ts'
import type { BreakerState, Pass } from '../policies/circuit-breaker.ts'
import { CircuitBreaker, pass } from '../policies/circuit-breaker.ts'
import { ConcurrencyLimit } from '../policies/concurrency-limit.ts'
import { code } from '../protocols/codes.ts'
import type { GatewayEvent } from './events.ts'

export type GuardLevel = 'host' | 'service' | 'route'

export type GuardSnapshot = {
  /** `host game-1`, `service arena`, `route arena arena.buy`. */
  guard: string
  state: BreakerState | 'none'
  isObserved: boolean
  requests: number
  failed: number
  slow: number
  openings: number
  refused: number
  inFlight: number
  /** -1: there is none. */
  inFlightMax: number
  concurrencyRefused: number
}

export class Guard {
  readonly name: string
  readonly level: GuardLevel
  breaker: CircuitBreaker | undefined = undefined
  concurrency: ConcurrencyLimit | undefined = undefined
  /** A canary host whose breaker has opened (canary.rollback); until the operator says otherwise. */
  hasOpened = false
  /** The code of the refusal that was given last. */
  refusal: number = code.ok
  #isBreakerObserved = false
  #isConcurrencyObserved = false
  readonly #observe: (event: GatewayEvent) => void

  constructor(level: GuardLevel, name: string, observe: (event: GatewayEvent) => void) {
    this.level = level
    this.name = name
    this.#observe = observe
  }

  configure(
    breaker: BreakerSettings | undefined,
    concurrency: ConcurrencyLimitSettings | undefined,
    now: number,
  ): void {
    if (breaker === undefined) this.breaker = undefined
    else if (this.breaker !== undefined) this.breaker.configure(breaker, now)
    else
      this.breaker = new CircuitBreaker(breaker, (change) => this.#changed(change.from, change.to, change.reason), now)
    if (concurrency === undefined) this.concurrency = undefined
    else if (this.concurrency !== undefined) this.concurrency.configure(concurrency)
    else this.concurrency = new ConcurrencyLimit(concurrency)
    this.#isBreakerObserved = breaker?.isObserved ?? false
    this.#isConcurrencyObserved = concurrency?.isObserved ?? false
  }

  /** Whether a request, an attach or a call may go, and as what; `refused` says nothing of why: see `refusal`. */
  ask(now: number): Pass {
    const { breaker, concurrency } = this
    let as: Pass = pass.ordinary
    if (breaker !== undefined && !breaker.isClosed) {
      as = breaker.ask(now)
      if (as === pass.refused) {
        if (!this.#isBreakerObserved) {
          this.refusal = code.breaker_open
          return pass.refused
        }
        as = pass.ordinary
      }
    }
    if (concurrency !== undefined && !concurrency.take()) {
      if (!this.#isConcurrencyObserved) {
        breaker?.giveBack(as)
        this.refusal = code.concurrency
        return pass.refused
      }
      concurrency.takeAnyway()
    }
    return as
  }

  /** Whether its breaker would refuse, and is not only observed. */
  isOpen(now: number): boolean {
    return !this.#isBreakerObserved && (this.breaker?.refuses(now) ?? false)
  }

  /** For what has no outcome of its own: a one-way message. */
  letsPass(now: number): boolean {
    const { breaker } = this
    if (breaker === undefined || !breaker.refuses(now)) return true
    breaker.refusals++
    this.refusal = code.breaker_open
    return this.#isBreakerObserved
  }

  retryMs(now: number): number {
    return this.refusal === code.breaker_open ? this.breaker!.retryMs(now) : 100
  }

  /** What became of what was let pass. */
  settled(as: Pass, isFailed: boolean, latencyMs: number, client: number, now: number): void {
    this.concurrency?.answered(latencyMs)
    this.breaker?.record(as, isFailed, latencyMs, client, now)
  }

  /** It went nowhere: refused further on, withdrawn, or its channel ended. */
  giveBack(as: Pass): void {
    this.concurrency?.release()
    this.breaker?.giveBack(as)
  }

  snapshot(now: number): GuardSnapshot {
    const { breaker, concurrency } = this
    const counts = breaker?.counts(now)
    return {
      guard: this.name,
      state: breaker?.state ?? 'none',
      isObserved: this.#isBreakerObserved,
      requests: counts?.total ?? 0,
      failed: counts?.failed ?? 0,
      slow: counts?.slow ?? 0,
      openings: breaker?.openings ?? 0,
      refused: breaker?.refusals ?? 0,
      inFlight: concurrency?.inFlight ?? 0,
      inFlightMax: concurrency?.limit ?? -1,
      concurrencyRefused: concurrency?.refusals ?? 0,
    }
  }

  #changed(from: BreakerState, to: BreakerState, reason: string): void {
    if (to === 'open' && !this.#isBreakerObserved) this.hasOpened = true
    this.#observe({ event: 'breaker_changed', guard: this.name, from, to, reason, isObserved: this.#isBreakerObserved })
  }
}
