// Which connection, when: the first one and every later one, back-off with full jitter, make before break. At most two
// connections at a time (a third one waits for nothing: the oldest is closed).
//
//   next    dialed, not welcomed yet; once welcomed it is `active`, and every channel attaches there (A3)
//   active  carries the channels
//   old     was active; stays only for the answers of loose calls, at most 3 s
import type { Close, Hello, Welcome } from '../../protocols/client/frames.ts'
import { PROTOCOL_VERSION, writeLogin, writeReauth, writeResume } from '../../protocols/client/frames.ts'
import { code, codeRows, comesBack } from '../../protocols/codes.ts'
import { ClientConnection } from './connection.ts'
import type { ClientCore } from './core.ts'

const RESUME_CONTEXT = new TextEncoder().encode('skewer-resume-1')
const LINGER_MS = 3000
/** Time a token provider has. */
const TOKEN_MS = 30_000
/** Longest hint of a gateway that is followed. */
const RETRY_MS_MAX = 30_000
const HEARTBEAT_MS_MIN = 20
const HEARTBEAT_MS_MAX = 600_000
const DOUBLINGS_MAX = 16

export class Dialer {
  active: ClientConnection | undefined
  next: ClientConnection | undefined
  old: ClientConnection | undefined
  readonly #core: ClientCore
  #lastId = 0
  #isWanted = false
  #dialAt = Infinity
  #dialAddress = 0
  /** Attempts since the session was last connected for longer than the longest back-off, over any connections. */
  #attempts = 0
  #connectedSince = Infinity

  constructor(core: ClientCore) {
    this.#core = core
  }

  get isConnecting(): boolean {
    return this.next !== undefined
  }

  byId(id: number): ClientConnection | undefined {
    if (this.active?.id === id) return this.active
    if (this.next?.id === id) return this.next
    return this.old?.id === id ? this.old : undefined
  }

  start(now: number): void {
    if (this.#isWanted) return
    this.#isWanted = true
    this.#attempts = 0
    this.#dial(this.#dialAddress, now)
  }

  get isWanted(): boolean {
    return this.#isWanted
  }

  /** Ends all connections, and makes none any more; returns those that there were. */
  stop(why: number, text: string): ClientConnection[] {
    this.#isWanted = false
    this.#dialAt = Infinity
    const connections = [this.old, this.next, this.active].filter((one) => one !== undefined)
    this.old = this.next = this.active = undefined
    for (const connection of connections) if (connection.state !== 'closed') connection.close(why, text)
    return connections
  }

  /** Makes a connection to that address, then moves the channels there (make before break). */
  switchTo(address: number, now: number): void {
    if (!this.#isWanted) {
      this.#dialAddress = address
      return
    }
    this.#abandonNext()
    this.#dial(address, now)
  }

  /** Moves to another gateway, where there is one. */
  migrate(now: number): boolean {
    if (this.active === undefined || this.next !== undefined || this.#core.settings.addresses.length < 2) return false
    this.#dial(this.#after(this.active.address), now)
    return true
  }

  /** The gateway drains: away from it at a random time within the one it gave, so that not all come at once (O1). */
  drain(connection: ClientConnection, withinMs: number, now: number): void {
    connection.isDraining = true
    if (connection !== this.active || this.next !== undefined || this.#core.settings.addresses.length < 2) return
    this.#dialAddress = this.#after(connection.address)
    this.#dialAt = now + this.#core.env.random() * Math.min(withinMs, RETRY_MS_MAX)
  }

  /** Full jitter over a doubling range. */
  backoffMs(attempt: number): number {
    const { backoffBaseMs, backoffMaxMs } = this.#core.settings
    return this.#core.env.random() * Math.min(backoffMaxMs, backoffBaseMs * 2 ** Math.min(attempt, DOUBLINGS_MAX))
  }

  // ---- handshake ----

  #dial(address: number, now: number): void {
    this.#closeOld()
    this.#dialAt = Infinity
    this.#dialAddress = address
    const connection = new ClientConnection(this.#core, ++this.#lastId, address)
    this.next = connection
    if (this.#core.ticket !== undefined) {
      this.#open(connection, now)
      return
    }
    connection.lostAt = now + TOKEN_MS
    this.#askToken(now, (token, at) => {
      if (connection.state !== 'token' || this.next !== connection) return
      if (token === undefined) {
        connection.state = 'closed'
        this.#gone(connection, code.login_failed, 'there is no token', 0, at)
        return
      }
      this.#core.loginToken = token
      this.#open(connection, at)
    })
  }

  #open(connection: ClientConnection, now: number): void {
    connection.state = 'dialing'
    connection.lostAt = now + this.#core.settings.handshakeMs
    this.#core.env.dial(connection.id, this.#core.settings.addresses[connection.address])
  }

  opened(connection: ClientConnection, binding: Uint8Array): void {
    if (connection.state !== 'dialing') return
    connection.state = 'hello'
    connection.binding = binding.slice()
  }

  /** HELLO came: the nonce is proved over, or the token shown (A1). */
  hello(connection: ClientConnection, hello: Hello, now: number): void {
    const core = this.#core
    if (hello.versionMin > PROTOCOL_VERSION || hello.versionMax < PROTOCOL_VERSION) {
      connection.close(code.version, '')
      this.#gone(connection, code.version, 'the gateway speaks other versions of the protocol', 0, now)
      return
    }
    connection.state = 'login'
    const version = PROTOCOL_VERSION
    const agent = core.settings.agent
    const ticket = core.ticket
    if (ticket === undefined) {
      writeLogin(connection.writer, { version, token: core.loginToken, agent })
    } else {
      connection.shownGeneration = connection.generation = ticket.generation
      const proof = core.env.hmac(ticket.secret, RESUME_CONTEXT, hello.nonce, connection.binding)
      writeResume(connection.writer, { version, proof, ticket: ticket.ticket, agent })
    }
    core.wake()
  }

  welcomed(connection: ClientConnection, welcome: Welcome, now: number): void {
    const core = this.#core
    const isResumed = connection.shownGeneration > 0
    if (connection !== this.next || (isResumed && welcome.session !== core.session)) {
      this.violated(connection, 'a WELCOME to another session', now)
      return
    }
    connection.generation = welcome.generation
    connection.welcomed(Math.min(HEARTBEAT_MS_MAX, Math.max(HEARTBEAT_MS_MIN, welcome.heartbeatMs)), now)
    const former = this.active
    if (former === undefined) this.#connectedSince = now
    this.next = undefined
    this.active = connection
    this.#dialAt = Infinity
    core.welcomed(connection, welcome, isResumed, now)
    // Whoever was told may have closed the client from within.
    if (this.active !== connection) return
    core.attacher.attachAll(now)
    if (former !== undefined) this.#retire(former, now)
  }

  /** TICKET is not taken while another connection shows the older one: ATTACH there could not name it (T1). */
  get takesTickets(): boolean {
    return this.next === undefined || this.next.shownGeneration === 0
  }

  authRequired(connection: ClientConnection, now: number): void {
    connection.isAuthWanted = true
    this.#askToken(now, (token) => {
      if (token === undefined || !connection.isOpen) return
      writeReauth(connection.writer, token)
      this.#core.wake()
    })
  }

  #askToken(now: number, give: (token: Uint8Array | undefined, now: number) => void): void {
    const token = this.#core.settings.token
    if (typeof token !== 'function') {
      give(token, now)
      return
    }
    let isGiven = false
    token((value, at) => {
      if (isGiven) return
      isGiven = true
      this.#core.enter(at)
      give(value, at)
      this.#core.left()
      this.#core.wake()
    }, now)
  }

  // ---- ends ----

  /** CLOSE of the gateway. Its code says whether and when to come back. */
  closedByGateway(connection: ClientConnection, a: Close, now: number): void {
    connection.state = 'closed'
    this.#core.env.closeConnection(connection.id)
    this.#gone(connection, a.code, a.text, a.retryMs, now)
  }

  /** The carrier is gone. */
  lost(connection: ClientConnection, text: string, now: number): void {
    connection.state = 'closed'
    this.#gone(connection, code.ok, text, 0, now)
  }

  /** The gateway, or a host through it, broke the protocol: away from it, and elsewhere again (N3). */
  violated(connection: ClientConnection, what: string, now: number): void {
    if (connection.state === 'closed') return
    connection.close(code.protocol, what)
    this.#ended(connection, code.protocol, what, now)
    this.#again(connection, true, 0, now)
  }

  #gone(connection: ClientConnection, why: number, text: string, retryMs: number, now: number): void {
    const wasActive = connection === this.active
    this.#ended(connection, why, text, now)
    if (!comesBack(why) && (wasActive || this.active === undefined)) {
      this.#core.endSession(why, text, now)
      return
    }
    // A hint says how long to wait, not how long to be away where coming back at once is right.
    const hintMs = codeRows.find((row) => row.number === why)?.retry === 'now' ? 0 : retryMs
    this.#again(connection, !wasActive || why !== code.ok, hintMs, now)
  }

  #ended(connection: ClientConnection, why: number, text: string, now: number): void {
    const wasActive = connection === this.active
    if (wasActive) this.active = undefined
    else if (connection === this.next) this.next = undefined
    else if (connection === this.old) this.old = undefined
    this.#core.loose.connectionLost(connection)
    if (wasActive) this.#core.attacher.connectionLost(connection, why === code.ok ? code.detached : why, now)
    this.#core.sink.connectionEnded(connection.address, why, text)
  }

  /** Comes back, here or elsewhere; at once the first time after a connection that had been welcomed. */
  #again(connection: ClientConnection, isElsewhere: boolean, hintMs: number, now: number): void {
    if (!this.#isWanted || this.next !== undefined) return
    if (this.active !== undefined && !this.active.isDraining) return
    const { addresses, backoffMaxMs } = this.#core.settings
    if (now - this.#connectedSince >= backoffMaxMs) this.#attempts = 0
    this.#connectedSince = Infinity
    // The range doubles by the round: that one gateway is away says nothing of the next one.
    const doublings = Math.floor(this.#attempts / addresses.length)
    const delayMs = connection.welcomedAt >= 0 && this.#attempts === 0 ? 0 : this.backoffMs(doublings)
    this.#attempts++
    this.#dialAddress = isElsewhere ? this.#after(connection.address) : connection.address
    this.#dialAt = now + Math.max(delayMs, Math.min(hintMs, RETRY_MS_MAX))
  }

  /** The next address in order; not the one that drains. */
  #after(address: number): number {
    const count = this.#core.settings.addresses.length
    const next = (address + 1) % count
    return next === this.active?.address && count > 1 ? (next + 1) % count : next
  }

  #retire(connection: ClientConnection, now: number): void {
    this.old = connection
    if (this.#core.loose.isAwaitedOn(connection)) connection.lingerUntil = now + LINGER_MS
    else this.#closeOld()
  }

  #closeOld(): void {
    const old = this.old
    if (old === undefined) return
    this.old = undefined
    old.close(code.ok, 'the session goes on elsewhere')
    this.#core.loose.connectionLost(old)
  }

  #abandonNext(): void {
    const next = this.next
    this.next = undefined
    next?.close(code.ok, 'another connection is wanted')
  }

  // ---- time ----

  deadline(): number {
    let at = this.#dialAt
    for (const connection of [this.active, this.next, this.old]) {
      if (connection !== undefined) at = Math.min(at, connection.deadline())
    }
    return at
  }

  tick(now: number): void {
    for (const connection of [this.active, this.next, this.old]) {
      if (connection === undefined || connection.state === 'closed') continue
      const condition = connection.tick(now)
      if (condition === 'lingered') this.#closeOld()
      if (condition !== 'lost') continue
      const why = connection.state === 'welcomed' ? code.idle : code.handshake_timeout
      connection.close(why, '')
      this.#gone(connection, why, '', 0, now)
    }
    if (this.#dialAt <= now && this.next === undefined) this.#dial(this.#dialAddress, now)
  }

  grace(now: number, graceMs: number): void {
    for (const connection of [this.active, this.next, this.old]) connection?.grace(now, graceMs)
  }

  flush(): void {
    for (const connection of [this.active, this.next, this.old]) if (connection?.isOpen) connection.flush()
  }
}
