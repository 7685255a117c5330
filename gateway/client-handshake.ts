// The client's handshake (A1) and what renews it: HELLO with a nonce; LOGIN with a token, or RESUME with a ticket and the
// proof of its secret over the nonce and what the carrier is bound to; WELCOME. Later: tickets (T1), the end of the
// authority that the token gave and its renewal (T2).
import type { Login, Resume } from '../protocols/client/frames.ts'
import {
  clientKind,
  NONCE_BYTES,
  openFrame,
  PROTOCOL_VERSION,
  readLogin,
  readPair,
  readResume,
  SECRET_BYTES,
  writeHello,
  writeNumber,
  writePair,
  writeTicket,
  writeWelcome,
} from '../protocols/client/frames.ts'
import { code } from '../protocols/codes.ts'
import { sameBytes } from '../protocols/link/proof.ts'
import { NAME_BYTES_MAX } from '../protocols/wire/lane-frames.ts'
import type { ClientConnection } from './client-connection.ts'
import { clientState } from './client-connection.ts'
import { cell } from './counters.ts'
import type { Expiring } from './deadlines.ts'
import { Deadline } from './deadlines.ts'
import type { Gateway } from './gateway.ts'
import type { LoginResult } from './seams.ts'
import { fitTicket, openTicket, resumeProof, sealTicket, sessionName } from './tickets.ts'

const SESSION_RANDOM_BYTES = 16
/** A ticket with less than this left is not issued anew at its half life. */
const HALF_LIFE_MIN_MS = 60_000
const encoder = new TextEncoder()
const NO_BYTES = new Uint8Array(0)

export class ClientHandshake implements Expiring {
  readonly #gateway: Gateway
  readonly #connection: ClientConnection
  /** Of no use behind WELCOME. */
  #nonce: Uint8Array
  /** When the authority is half over, then when it ends, then when the connection does (T2). */
  readonly #authority = new Deadline(this)
  #isHalfLife = false
  #authUntilWallMs = 0
  #hasIssued = false
  #isReauthenticating = false

  constructor(gateway: Gateway, connection: ClientConnection) {
    this.#gateway = gateway
    this.#connection = connection
    this.#nonce = gateway.env.randomBytes(NONCE_BYTES)
  }

  greet(): void {
    const outlet = this.#connection.outlet
    writeHello(outlet.writer, { versionMin: PROTOCOL_VERSION, versionMax: PROTOCOL_VERSION, nonce: this.#nonce })
    outlet.touch()
  }

  /** Takes a frame before WELCOME; false when that closed the connection. */
  take(kind: number, bytes: Uint8Array, start: number, end: number): boolean {
    const connection = this.#connection
    const r = openFrame(bytes, start, end)
    if (r === undefined) return connection.violate('malformed frame')
    if (kind === clientKind.ping) {
      const a = readPair(r)
      if (a === undefined) return connection.violate('malformed PING')
      writePair(connection.outlet.writer, clientKind.pong, a.first, this.#gateway.env.wallNow())
      connection.outlet.touch()
      return true
    }
    if (kind === clientKind.pong) return readPair(r) !== undefined || connection.violate('malformed PONG')
    if (kind === clientKind.close) {
      connection.destroy(code.detached)
      return false
    }
    if (connection.state !== clientState.greeting) return connection.violate('a frame before WELCOME')
    if (kind === clientKind.login) {
      const login = readLogin(r)
      return login === undefined ? connection.violate('malformed LOGIN') : this.#login(login)
    }
    if (kind === clientKind.resume) {
      const resume = readResume(r)
      return resume === undefined ? connection.violate('malformed RESUME') : this.#resume(resume)
    }
    return connection.violate('neither LOGIN nor RESUME')
  }

  #isVersion(version: number): boolean {
    if (version === PROTOCOL_VERSION) return true
    this.#refuse(code.version, 'no protocol version in common')
    return false
  }

  #login(login: Login): boolean {
    if (!this.#isVersion(login.version)) return false
    this.#connection.state = clientState.checking
    const address = this.#connection.outlet.carrier.address
    this.#gateway.env.authenticator.login(login.token, address, (result) => this.#checked(result))
    return this.#connection.isAlive
  }

  /** The answer of the authenticator; the connection may be gone by then. */
  #checked(result: LoginResult): void {
    const connection = this.#connection
    const { env } = this.#gateway
    if (connection.state !== clientState.checking) return
    if (!result.ok) {
      this.#refuse(result.code, result.text, result.retryMs)
      return
    }
    if (result.user === '' || encoder.encode(result.user).length > NAME_BYTES_MAX) {
      this.#refuse(code.unauthenticated, 'the name of the user is empty or too long')
      return
    }
    if (this.#isBanned(result.user)) {
      this.#refuse(code.banned, 'banned for a time')
      return
    }
    if (!fitTicket(result.labels)) {
      this.#refuse(code.login_failed, 'the labels of the user are too many or too long')
      return
    }
    const id = sessionName(env.randomBytes(SESSION_RANDOM_BYTES))
    const authUntilWallMs = this.#authUntil(result)
    this.#gateway.counters.cells[cell.logins]++
    const secret = env.randomBytes(SECRET_BYTES)
    const ticket = sealTicket(env.sealer, {
      session: id,
      user: result.user,
      generation: 1,
      secret,
      authUntilWallMs,
      labels: result.labels,
    })
    this.#welcome(
      { id, user: result.user, labels: result.labels, generation: 1, secret, ticket, authUntilWallMs },
      false,
    )
  }

  #authUntil(result: { untilWallMs?: number }): number {
    const longest = this.#gateway.env.wallNow() + this.#gateway.times.authUntilMs
    return Math.floor(Math.min(longest, result.untilWallMs ?? Infinity))
  }

  #resume(resume: Resume): boolean {
    if (!this.#isVersion(resume.version)) return false
    const { env } = this.#gateway
    const { binding, ticket: taken } = this.#connection.outlet.carrier
    // CLI-4.9: a ticket that the carrier's handshake has taken is not shown again.
    const shown = resume.ticket.length > 0 || taken === undefined ? resume.ticket : taken
    const ticket = openTicket(env.sealer, shown)
    if ('code' in ticket) {
      // T3: a key that is not known here yet comes back; what no key of ours sealed does not.
      const why = ticket.code === code.ticket_key_unknown ? code.ticket_key_unknown : code.ticket_invalid
      return this.#refuse(why, 'the ticket cannot be opened')
    }
    if (!sameBytes(resume.proof, resumeProof(env.hmac, ticket.secret, this.#nonce, binding))) {
      return this.#refuse(code.ticket_invalid, 'the secret of the ticket was not proved')
    }
    if (this.#isBanned(ticket.user)) return this.#refuse(code.banned, 'banned for a time')
    this.#gateway.counters.cells[cell.resumes]++
    this.#welcome({ ...ticket, id: ticket.session, ticket: shown }, true)
    return true
  }

  #isBanned(user: string): boolean {
    const { policing, env } = this.#gateway
    const { address } = this.#connection.outlet.carrier
    return policing.isBanned(address, user, env.now()) || (env.isBanned?.(user) ?? false)
  }

  #welcome(
    a: {
      id: string
      user: string
      labels: Record<string, string>
      generation: number
      secret: Uint8Array
      ticket: Uint8Array
      authUntilWallMs: number
    },
    isResumed: boolean,
  ): void {
    const gateway = this.#gateway
    const connection = this.#connection
    const { limits, times, env } = gateway
    const now = env.now()
    gateway.joinSession(connection, a.id, a.user, a.labels)
    connection.generationShown = a.generation
    connection.generationIssued = a.generation
    writeWelcome(connection.outlet.writer, {
      session: a.id,
      user: a.user,
      generation: a.generation,
      secret: a.secret,
      ticket: a.ticket,
      keepMs: times.keepMs,
      heartbeatMs: times.heartbeatMs,
      windowCount: limits.windowCount,
      windowBytes: limits.windowBytes,
      channelsMax: limits.channelsPerSession,
      serverTimeMs: Math.floor(env.wallNow()),
    })
    connection.outlet.touch()
    this.#nonce = NO_BYTES
    connection.opened(now)
    env.observe({
      event: 'session_welcomed',
      session: a.id,
      user: a.user,
      transport: connection.outlet.carrier.transport,
      resumed: isResumed,
    })
    this.#authorise(a.authUntilWallMs, now)
  }

  /** Refuses a login or resume; false, for frame handlers to return. */
  #refuse(why: number, text: string, retryMs?: number): false {
    const { env } = this.#gateway
    env.observe({ event: 'login_refused', address: this.#connection.outlet.carrier.address, code: why, text })
    this.#connection.close(why, text.slice(0, 80), retryMs)
    return false
  }

  // ---- authority (T2) ----

  #authorise(untilWallMs: number, now: number): void {
    this.#authUntilWallMs = untilWallMs
    this.#setExpired(false)
    const leftMs = untilWallMs - this.#gateway.env.wallNow()
    if (leftMs <= 0) {
      this.#askForToken(now)
      return
    }
    this.#await(leftMs, now)
  }

  #await(leftMs: number, now: number): void {
    this.#isHalfLife = leftMs > HALF_LIFE_MIN_MS
    this.#gateway.deadlines.set(this.#authority, now + (this.#isHalfLife ? leftMs / 2 : leftMs))
  }

  #setExpired(isExpired: boolean): void {
    this.#connection.isAuthExpired = isExpired
    this.#connection.subject!.isAuthExpired = isExpired
  }

  /** The session is kept, but nothing is attached any more until its user has shown a new token. */
  #askForToken(now: number): void {
    const connection = this.#connection
    const waitMs = this.#gateway.times.parkMaxMs
    this.#setExpired(true)
    writeNumber(connection.outlet.writer, clientKind.authRequired, waitMs)
    connection.outlet.touch()
    this.#isHalfLife = false
    this.#gateway.deadlines.set(this.#authority, now + waitMs)
  }

  /** REAUTH: a token of the same user continues the session; false when that closed the connection. */
  reauth(token: Uint8Array): boolean {
    const connection = this.#connection
    if (this.#isReauthenticating) return connection.violate('REAUTH while another is being checked')
    this.#isReauthenticating = true
    const address = connection.outlet.carrier.address
    this.#gateway.env.authenticator.login(token, address, (result) => this.#reauthenticated(result))
    return connection.state === clientState.open
  }

  #reauthenticated(result: LoginResult): void {
    const connection = this.#connection
    this.#isReauthenticating = false
    if (connection.state !== clientState.open) return
    if (!result.ok) {
      this.#refuse(result.code, result.text, result.retryMs)
      return
    }
    if (result.user !== connection.session!.user) {
      this.#refuse(code.unauthenticated, 'the token is of another user')
      return
    }
    const now = this.#gateway.env.now()
    if (fitTicket(result.labels)) {
      connection.session!.labels = result.labels
      for (const { subject } of connection.session!.connections) subject!.labels = result.labels
    }
    this.#authorise(this.#authUntil(result), now)
    this.#issue()
  }

  // ---- tickets (T1) ----

  issueFirst(_now: number): void {
    if (this.#hasIssued) return
    this.#issue()
  }

  #issue(): void {
    const connection = this.#connection
    const session = connection.session!
    const { env } = this.#gateway
    this.#hasIssued = true
    const generation = ++connection.generationIssued
    const secret = env.randomBytes(SECRET_BYTES)
    const ticket = sealTicket(env.sealer, {
      session: session.id,
      user: session.user,
      generation,
      secret,
      authUntilWallMs: this.#authUntilWallMs,
      labels: session.labels,
    })
    writeTicket(connection.outlet.writer, { generation, secret, ticket })
    connection.outlet.touch()
  }

  expired(_deadline: Deadline, now: number): void {
    if (this.#isHalfLife) {
      this.#issue()
      this.#await(Math.max(0, this.#authUntilWallMs - this.#gateway.env.wallNow()), now)
    } else if (this.#connection.isAuthExpired) {
      this.#connection.close(code.auth_required, 'no new token came')
    } else {
      this.#askForToken(now)
    }
  }

  end(): void {
    this.#gateway.deadlines.clear(this.#authority)
  }
}
