// Letting clients go (O1): each of some connections is told to attach elsewhere, spread over the first half of a time so
// that the others are not stormed, and what is left of them at its end is closed. Lanes lose nothing by it. A drain of the
// gateway lets all go, a listener that is taken away those that came in by it.
import { clientKind, writeClose } from '../protocols/client/frames.ts'
import { code } from '../protocols/codes.ts'
import type { ClientConnection } from './client-connection.ts'
import { clientState } from './client-connection.ts'
import type { Expiring } from './deadlines.ts'
import { Deadline } from './deadlines.ts'
import type { Gateway } from './gateway.ts'

const STEP_MS = 20

export class Departures implements Expiring {
  readonly #gateway: Gateway
  readonly #next = new Deadline(this)
  readonly #leaving: readonly ClientConnection[]
  readonly #perStep: number
  readonly #endAt: number
  readonly #text: string
  readonly #over: (left: number) => void
  #told = 0
  #isOver = false

  /** `over` is told how many had to be closed, once; `text` is what those are told. */
  constructor(
    gateway: Gateway,
    leaving: readonly ClientConnection[],
    withinMs: number,
    text: string,
    over: (left: number) => void,
    now: number,
  ) {
    this.#gateway = gateway
    this.#leaving = leaving
    this.#text = text
    this.#over = over
    this.#endAt = now + withinMs
    const steps = Math.max(1, Math.floor(withinMs / 2 / STEP_MS))
    this.#perStep = Math.ceil(leaving.length / steps)
    gateway.deadlines.set(this.#next, now)
  }

  expired(_deadline: Deadline, now: number): void {
    if (now >= this.#endAt || this.#leaving.every((connection) => !connection.isAlive)) {
      this.finish()
      return
    }
    const until = Math.min(this.#told + this.#perStep, this.#leaving.length)
    while (this.#told < until) this.#tell(this.#leaving[this.#told++], now)
    const next = this.#told < this.#leaving.length ? now + STEP_MS : this.#endAt
    this.#gateway.deadlines.set(this.#next, Math.min(next, this.#endAt))
  }

  /** Tells one client to go within what is left, at a moment of its own. */
  #tell(connection: ClientConnection, now: number): void {
    if (connection.state === clientState.closed) return
    const left = Math.max(0, this.#endAt - now)
    const retryMs = Math.floor(left * (0.25 + 0.5 * this.#gateway.random()))
    writeClose(connection.outlet.writer, clientKind.drain, { code: code.going_away, retryMs, text: '' })
    connection.outlet.touch()
  }

  /** Ends it before its time: whoever is left is closed now. */
  finish(): void {
    // The last one to be closed may call this again.
    if (this.#isOver) return
    this.cancel()
    const left = this.#leaving.filter((connection) => connection.isAlive)
    for (const connection of left) connection.close(code.going_away, this.#text)
    this.#over(left.length)
  }

  /** Who was told to go may go; nobody is closed. */
  cancel(): void {
    this.#isOver = true
    this.#gateway.deadlines.clear(this.#next)
  }
}
