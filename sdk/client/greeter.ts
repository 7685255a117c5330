// How a connection is greeted: HELLO, then a ticket and the proof of its secret over the gateway's nonce, or a token (A1).
// One token is fetched for each LOGIN, and for each REAUTH (renewal.ts).
import type { Hello } from '../../protocols/client/frames.ts'
import { PROTOCOL_VERSION, writeLogin, writeResume } from '../../protocols/client/frames.ts'
import type { ClientConnection } from './connection.ts'
import type { ClientCore } from './core.ts'
import type { GiveToken } from './options.ts'

const NO_BYTES = new Uint8Array(0)
const RESUME_CONTEXT = new TextEncoder().encode('skewer-resume-1')

export const speaksOurVersion = (hello: Hello): boolean =>
  hello.versionMin <= PROTOCOL_VERSION && hello.versionMax >= PROTOCOL_VERSION

export class Greeter {
  readonly #core: ClientCore
  /** Fetched for the next LOGIN. */
  #token: Uint8Array | undefined

  constructor(core: ClientCore) {
    this.#core = core
  }

  /** Whether the next connection can be greeted without asking for a token. */
  get isReady(): boolean {
    return this.#core.ticket !== undefined || this.#token !== undefined
  }

  /** What was fetched long ago is not shown. */
  forget(): void {
    this.#token = undefined
  }

  /** Fetches a token for the next LOGIN; false: there is none now. */
  prepare(done: (isReady: boolean, now: number) => void, now: number): void {
    this.askToken((token, at) => {
      this.#token = token
      done(token !== undefined, at)
    }, now)
  }

  /** Shows the ticket, or what `prepare` has fetched, in answer to the nonce of this connection. */
  greet(connection: ClientConnection): void {
    const core = this.#core
    const version = PROTOCOL_VERSION
    const agent = core.settings.agent
    const ticket = core.ticket
    connection.state = 'login'
    if (ticket === undefined) {
      writeLogin(connection.writer, { version, token: this.#token!, agent })
      this.#token = undefined
    } else {
      connection.shownGeneration = connection.generation = ticket.generation
      const proof = core.env.hmac(ticket.secret, RESUME_CONTEXT, connection.nonce!, connection.binding)
      // A ticket that the carrier's handshake has shown is not shown again (CLI-4.9).
      const shown = connection.ticketTaken === ticket ? NO_BYTES : ticket.ticket
      writeResume(connection.writer, { version, proof, ticket: shown, agent })
    }
    core.wake()
  }

  /** Asks the application's source once; it answers now or later, and what it says after that is not heard. */
  askToken(give: GiveToken, now: number): void {
    const token = this.#core.settings.token
    if (typeof token !== 'function') {
      give(token, now)
      return
    }
    let isGiven = false
    token((value, at, error) => {
      if (isGiven) return
      isGiven = true
      this.#core.enter(at)
      give(value, at, error)
      this.#core.left()
      this.#core.wake()
    }, now)
  }
}
