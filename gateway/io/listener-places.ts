// How many connections a listener may have open, and how many of them without a login (`listeners[].limits`), beside what
// all listeners share (`limits.connectionsMax`). A connection in its handshake costs its peer nothing and us a place: a
// flood of them at one port leaves those of the others, and its own logged-in clients, alone.
import type { ListenerSettings } from '../../config/settings.ts'
import type { IoCounters } from './io-counters.ts'

export class ListenerPlaces {
  /** Connections that are open, those included whose end is under way. */
  open = 0
  /** Those of them that have logged in; the core counts. */
  loggedIn = 0
  #settings: ListenerSettings
  readonly #counters: IoCounters

  constructor(settings: ListenerSettings, counters: IoCounters) {
    this.#settings = settings
    this.#counters = counters
  }

  /** Other limits hold for new connections. */
  configure(settings: ListenerSettings): void {
    this.#settings = settings
  }

  /** Whether there is room for one more; it is taken then, until `release`. */
  take(): boolean {
    const { connectionsMax = Infinity, handshakesMax = Infinity } = this.#settings.limits ?? {}
    if (this.open >= connectionsMax) {
      this.#counters.listenerConnectionsRefused++
      return false
    }
    if (this.open - this.loggedIn >= handshakesMax) {
      this.#counters.listenerHandshakesRefused++
      return false
    }
    this.open++
    return true
  }

  release(): void {
    this.open--
  }
}
