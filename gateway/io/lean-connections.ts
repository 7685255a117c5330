// The connections of a listener that are served by lean-connection.ts. Those that are idle for too long are closed by one
// look at all of them, now and then: no timer each.
import type { Closing } from './http-exchange.ts'
import type { Accepted } from './onread-socket.ts'
import { LeanConnection, type LeanHome, type Released } from './lean-connection.ts'

const LOOK_MS = 500

export class LeanConnections {
  readonly #home: LeanHome
  readonly #closing: Closing
  readonly #open = new Set<LeanConnection>()
  #looking: NodeJS.Timeout | undefined

  constructor(home: LeanHome, closing: Closing) {
    this.#home = home
    this.#closing = closing
  }

  /** Serves a socket; its first request must come in the time of one. */
  take(socket: Accepted, released: Released, requestMs: number): void {
    const idleUntil = this.#home.now() + requestMs
    this.#open.add(new LeanConnection(socket, released, this.#home, this.#closing, idleUntil, this.#gone))
    this.#looking ??= setInterval(() => this.#look(), LOOK_MS).unref()
  }

  closeIdle(): void {
    for (const connection of this.#open) if (!connection.isBusy) connection.socket.destroy()
  }

  closeAll(): void {
    for (const { socket } of this.#open) socket.destroy()
  }

  readonly #gone = (connection: LeanConnection): void => {
    this.#open.delete(connection)
    if (this.#open.size > 0) return
    clearInterval(this.#looking)
    this.#looking = undefined
  }

  #look(): void {
    const now = this.#home.now()
    for (const connection of this.#open) {
      if (!connection.isBusy && connection.idleUntil <= now) connection.socket.destroy()
    }
  }
}
