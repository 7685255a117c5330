// Draining (O1): not ready any more, every client is told to attach elsewhere, spread over the first half of the time so
// that the others are not stormed, and what is left at the end is closed. Lanes lose nothing by it.
import { clientKind, writeClose } from '../protocols/client/frames.ts'
import { code } from '../protocols/codes.ts'
import type { ClientConnection } from './client-connection.ts'
import { clientState } from './client-connection.ts'
import type { Expiring } from './deadlines.ts'
import { Deadline } from './deadlines.ts'
import type { Gateway } from './gateway.ts'

const STEP_MS = 20

export class Drain implements Expiring {
  readonly #gateway: Gateway
  readonly #next = new Deadline(this)
  readonly #waiting: ClientConnection[]
  readonly #perStep: number
  readonly #endAt: number
  isFinished = false

  constructor(gateway: Gateway, withinMs: number, now: number) {
    this.#gateway = gateway
    this.#waiting = [...gateway.connections]
    this.#endAt = now + withinMs
    const steps = Math.max(1, Math.floor(withinMs / 2 / STEP_MS))
    this.#perStep = Math.ceil(this.#waiting.length / steps)
    gateway.env.observe({ event: 'drain_started', withinMs })
    for (const link of gateway.links) link.announceDrain(withinMs)
    gateway.deadlines.set(this.#next, now)
  }

  expired(_deadline: Deadline, now: number): void {
    if (this.isFinished) return
    if (now >= this.#endAt || this.#gateway.connections.size === 0) {
      this.#finish()
      return
    }
    for (const connection of this.#waiting.splice(0, this.#perStep)) this.tell(connection, now)
    const next = this.#waiting.length > 0 ? now + STEP_MS : this.#endAt
    this.#gateway.deadlines.set(this.#next, Math.min(next, this.#endAt))
  }

  /** Tells one client to go within what is left, at a moment of its own. */
  tell(connection: ClientConnection, now: number): void {
    if (connection.state === clientState.closed) return
    const left = Math.max(0, this.#endAt - now)
    const retryMs = Math.floor(left * (0.25 + 0.5 * this.#gateway.random()))
    writeClose(connection.outlet.writer, clientKind.drain, { code: code.going_away, retryMs, text: '' })
    connection.outlet.touch()
  }

  /** The operator has changed his mind: who was told to go may go, nobody is closed. */
  cancel(): void {
    this.isFinished = true
    this.#gateway.deadlines.clear(this.#next)
  }

  /** A connection has ended: perhaps it was the last. */
  connectionEnded(): void {
    if (!this.isFinished && this.#gateway.connections.size === 0) this.#finish()
  }

  #finish(): void {
    this.isFinished = true
    this.#gateway.deadlines.clear(this.#next)
    const left = this.#gateway.connections.size
    for (const connection of [...this.#gateway.connections])
      connection.close(code.going_away, 'this gateway is draining')
    this.#gateway.env.observe({ event: 'drain_finished', left })
  }
}
