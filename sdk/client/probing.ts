// When the ways that are preferred to the one in use are tried again: soon at first, then with growing pauses, so that a
// network that blocks them for good costs next to nothing. A way that came back must last before the pauses are short again.
import type { ClientCore } from './core.ts'

/** The pauses double up to so many times the first one: from 10 s to 5 min. */
const GROWTH_MAX = 30
/** A preferred way that lasted so long is trusted again. */
const LASTED_MS = 60_000

export class Probing {
  /** Off where the owner has chosen the way itself. */
  isWanted = true
  dueAt = Infinity
  readonly #core: ClientCore
  #pauseMs: number
  #preferredSince = Infinity

  constructor(core: ClientCore) {
    this.#core = core
    this.#pauseMs = core.settings.probeMs
  }

  /** This address carries the session now. */
  arrived(address: number, now: number): void {
    this.#left(now)
    if (this.#betterThan(address).length === 0) this.#preferredSince = now
    this.#wait(address, now)
  }

  /** Nothing does. */
  left(now: number): void {
    this.#left(now)
    this.dueAt = Infinity
  }

  /** The addresses to try now. */
  begin(address: number): readonly number[] {
    this.dueAt = Infinity
    return this.#betterThan(address)
  }

  /** None of them works. */
  failed(now: number): void {
    this.#pause(now)
  }

  stop(): void {
    this.dueAt = Infinity
    this.#preferredSince = Infinity
    this.#pauseMs = this.#core.settings.probeMs
  }

  #left(now: number): void {
    if (now - this.#preferredSince >= LASTED_MS) this.#pauseMs = this.#core.settings.probeMs
    this.#preferredSince = Infinity
  }

  #wait(address: number, now: number): void {
    this.dueAt = Infinity
    if (this.isWanted && this.#betterThan(address).length > 0) this.#pause(now)
  }

  /** With up to a quarter of jitter, so that clients that lost UDP together do not all look for it together. */
  #pause(now: number): void {
    this.dueAt = now + this.#pauseMs * (1 + this.#core.env.random() / 4)
    this.#pauseMs = Math.min(GROWTH_MAX * this.#core.settings.probeMs, this.#pauseMs * 2)
  }

  #betterThan(address: number): number[] {
    const { gateways, gatewayOf } = this.#core.settings
    const ways = gateways[gatewayOf[address]]
    return ways.slice(0, ways.indexOf(address))
  }
}
