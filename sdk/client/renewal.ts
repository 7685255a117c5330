// Another token on a connection whose authority has run out (T2): the application's source is asked until it gives one or the
// gateway waits no longer, with the back-off of connections between two questions. Meanwhile what is attached goes on.
//
//   idle -> asking -> shown (REAUTH is written)           asking -> pausing -> asking ... while the source has none
import { writeReauth } from '../../protocols/client/frames.ts'
import type { ClientConnection } from './connection.ts'
import type { ClientCore } from './core.ts'

export class Renewal {
  /** REAUTH was written; the TICKET that follows says that the token was accepted. */
  isShown = false
  readonly #core: ClientCore
  readonly #connection: ClientConnection
  #isAsking = false
  #askAt = Infinity
  /** When the gateway closes the connection. */
  #until = -Infinity
  #attempts = 0

  constructor(core: ClientCore, connection: ClientConnection) {
    this.#core = core
    this.#connection = connection
  }

  /** AUTH_REQUIRED. While a token is looked for, another one only says how long there is; never two REAUTH for one (CLI-4.8). */
  wanted(withinMs: number, now: number): void {
    this.#until = now + withinMs
    if (this.#isAsking || this.#askAt !== Infinity) return
    this.isShown = false
    this.#attempts = 0
    this.#ask(now)
  }

  deadline(): number {
    return this.#askAt
  }

  tick(now: number): void {
    if (this.#askAt <= now) this.#ask(now)
  }

  #ask(now: number): void {
    this.#askAt = Infinity
    if (!this.#isOurs) return
    this.#isAsking = true
    this.#core.dialer.greeter.askToken((token, at, error) => {
      this.#isAsking = false
      if (!this.#isOurs) return
      if (token === undefined) {
        this.#again(error, at)
        return
      }
      this.isShown = true
      writeReauth(this.#connection.writer, token)
    }, now)
  }

  /** Behind the gateway's deadline the next connection is asked, not this one. */
  #again(error: unknown, now: number): void {
    const core = this.#core
    const askAt = now + core.dialer.backoffMs(this.#attempts++)
    this.#askAt = askAt < this.#until ? askAt : Infinity
    core.sink.tokenFailed(this.#connection.address, error, this.#askAt === Infinity ? 0 : Math.ceil(askAt - now))
  }

  /** A connection that was left, for another one or for good, has nothing to renew. */
  get #isOurs(): boolean {
    return this.#connection.isOpen && this.#connection !== this.#core.dialer.old
  }
}
