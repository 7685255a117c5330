// Draining (O1): not ready any more, hosts are told that nothing new comes, every client is let go (departures.ts).
import { Departures } from './departures.ts'
import type { Gateway } from './gateway.ts'

export class Drain {
  readonly #gateway: Gateway
  readonly #departures: Departures
  #isFinished = false

  constructor(gateway: Gateway, withinMs: number, now: number) {
    this.#gateway = gateway
    gateway.env.observe({ event: 'drain_started', withinMs })
    for (const link of gateway.links) link.announceDrain(withinMs)
    const over = (left: number) => {
      this.#isFinished = true
      gateway.env.observe({ event: 'drain_finished', left })
    }
    this.#departures = new Departures(
      gateway,
      [...gateway.connections],
      withinMs,
      'this gateway is draining',
      over,
      now,
    )
  }

  /** The operator has changed his mind: who was told to go may go, nobody is closed. */
  cancel(): void {
    this.#isFinished = true
    this.#departures.cancel()
  }

  /** A connection has ended: perhaps it was the last. */
  connectionEnded(): void {
    if (this.#isFinished || this.#gateway.connections.size > 0) return
    this.#isFinished = true
    this.#departures.finish()
  }
}
