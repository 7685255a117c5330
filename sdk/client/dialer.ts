// Which connection, when: the first one and every later one, back-off with full jitter, make before break. Ways to one
// gateway run a race (race.ts), gateways follow each other. When a less preferred way has won, the better ones are tried
// again with growing pauses.
//
//   race    dialed, not welcomed yet; once welcomed it is `active`, and every channel attaches there (A3)
//   active  carries the channels
//   old     was active; stays only for the answers of loose calls, at most 3 s (a further one waits for nothing)
import type { Close, Hello, Ticket, Welcome } from '../../protocols/client/frames.ts'
import { code, codeRows, comesBack } from '../../protocols/codes.ts'
import { ClientConnection } from './connection.ts'
import type { ClientCore } from './core.ts'
import { Greeter, speaksOurVersion } from './greeter.ts'
import { Probing } from './probing.ts'
import type { Purpose, RaceOwner } from './race.ts'
import { Race } from './race.ts'

const LINGER_MS = 3000
/** Longest hint of a gateway that is followed. */
const RETRY_MS_MAX = 30_000
const HEARTBEAT_MS_MIN = 20
const HEARTBEAT_MS_MAX = 600_000
const DOUBLINGS_MAX = 16
/** Pause behind a search for another way while a connection is silent; it doubles until there was calm for a while. */
const RESCUE_MS = 2000
const RESCUE_MS_MAX = 32_000
const CALM_MS = 60_000

export class Dialer implements RaceOwner {
  active: ClientConnection | undefined
  old: ClientConnection | undefined
  readonly greeter: Greeter
  readonly #core: ClientCore
  readonly #probing: Probing
  #race: Race | undefined
  #lastId = 0
  #isWanted = false
  #dialAt = Infinity
  #dialGateway = 0
  /** An address that was asked for by itself. */
  #dialAddress: number | undefined
  /** Where a silent connection's session was looked for last. */
  #rescueGateway = 0
  /** Not sooner than this for the next one. */
  #rescueAt = -Infinity
  #rescuePauseMs = RESCUE_MS
  /** Attempts since the session was last connected for longer than the longest back-off, over any connections. */
  #attempts = 0
  #connectedSince = Infinity
  #lastConnectedAt = -Infinity
  /** By gateway, until when it is left alone: it broke the protocol (CLI-5.2). */
  #leftUntil: number[] = []

  constructor(core: ClientCore) {
    this.#core = core
    this.greeter = new Greeter(core)
    this.#probing = new Probing(core)
  }

  /** The connection that comes next, as far as one can tell. */
  get next(): ClientConnection | undefined {
    return this.#race?.runners[0]
  }

  get isConnecting(): boolean {
    return this.#race !== undefined
  }

  /** Whether the channels are about to go elsewhere; that a better way is looked for does not mean it. */
  get isMoving(): boolean {
    return this.#race !== undefined && this.#race.purpose !== 'probe'
  }

  byId(id: number): ClientConnection | undefined {
    if (this.active?.id === id) return this.active
    if (this.old?.id === id) return this.old
    return this.#race?.runners.find((runner) => runner.id === id)
  }

  start(now: number): void {
    if (this.#isWanted) return
    this.#isWanted = true
    this.#attempts = 0
    this.#dial(now)
  }

  get isWanted(): boolean {
    return this.#isWanted
  }

  /** Ends all connections, and makes none any more; returns those that there were. */
  stop(why: number, text: string): ClientConnection[] {
    this.#isWanted = false
    this.#dialAt = Infinity
    this.#probing.stop()
    const connections = this.#all()
    this.old = this.active = this.#race = undefined
    for (const connection of connections) if (connection.state !== 'closed') connection.close(why, text)
    return connections
  }

  /** Makes a connection to that address, then moves the channels there (make before break). */
  switchTo(address: number, now: number): void {
    this.#dialAddress = address
    this.#dialGateway = this.#core.settings.gatewayOf[address]
    if (this.#isWanted) this.#dial(now)
  }

  /** Moves to another gateway, where there is one. */
  migrate(now: number): boolean {
    if (this.active === undefined || this.isMoving || this.#core.settings.gateways.length < 2) return false
    this.#dialGateway = this.#after(this.active.address)
    this.#dial(now)
    return true
  }

  /** The gateway drains: away from it at a random time within the one it gave, so that not all come at once (O1). */
  drain(connection: ClientConnection, withinMs: number, now: number): void {
    connection.isDraining = true
    if (connection !== this.active || this.isMoving || this.#core.settings.gateways.length < 2) return
    this.#dialGateway = this.#after(connection.address)
    this.#dialAt = now + this.#core.env.random() * Math.min(withinMs, RETRY_MS_MAX)
  }

  /**
   * Nothing is heard though something is owed: other ways to the gateway, and a fresh one of this kind, are tried; and when
   * it is told again, the next gateway's beside them.
   */
  stalled(connection: ClientConnection, now: number): void {
    if (connection !== this.active || this.#core.ticket === undefined) return
    if (!this.isMoving && now < this.#rescueAt) return
    const { gateways, gatewayOf } = this.#core.settings
    if (connection.isSilent) this.#rescueGateway = (this.#rescueGateway + 1) % gateways.length
    else this.#rescueGateway = gatewayOf[connection.address]
    connection.isSilent = true
    if (this.isMoving) {
      this.#race!.add(gateways[this.#rescueGateway], now)
    } else {
      this.#abandon('the connection beside it is silent')
      // A gateway that is too busy to answer must not get a handshake of each of its clients every two seconds.
      this.#rescuePauseMs =
        now - this.#rescueAt >= CALM_MS ? RESCUE_MS : Math.min(RESCUE_MS_MAX, 2 * this.#rescuePauseMs)
      this.#rescueAt = now + this.#rescuePauseMs
      this.#run(gateways[this.#rescueGateway], 'rescue', now)
    }
  }

  /** It is heard again. */
  recovered(connection: ClientConnection): void {
    if (connection === this.active && this.#race?.purpose === 'rescue') this.#abandon('the other one is heard again')
  }

  /** Full jitter over a doubling range. */
  backoffMs(attempt: number): number {
    const { backoffBaseMs, backoffMaxMs } = this.#core.settings
    return this.#core.env.random() * Math.min(backoffMaxMs, backoffBaseMs * 2 ** Math.min(attempt, DOUBLINGS_MAX))
  }

  // ---- handshake ----

  #dial(now: number): void {
    const { gateways } = this.#core.settings
    const addresses = this.#dialAddress === undefined ? gateways[this.#dialGateway] : [this.#dialAddress]
    this.#probing.isWanted = this.#dialAddress === undefined
    this.#dialAddress = undefined
    this.#closeOld()
    this.#abandon('another connection is wanted')
    this.#run(addresses, 'move', now)
  }

  #run(addresses: readonly number[], purpose: Purpose, now: number): void {
    this.#dialAt = Infinity
    this.greeter.forget()
    this.#race = new Race(this.#core, this.greeter, this, addresses, purpose)
    this.#race.start(now)
  }

  connectionTo(address: number): ClientConnection {
    return new ClientConnection(this.#core, ++this.#lastId, address)
  }

  /** The next gateway in order that is not left alone; where there is one gateway, it again. Not where the owner chose. */
  furtherWays(now: number): readonly number[] {
    const { gateways } = this.#core.settings
    if (this.active !== undefined || !this.#probing.isWanted) return []
    for (let tries = 0; tries < gateways.length; tries++) {
      this.#dialGateway = (this.#dialGateway + 1) % gateways.length
      if (!(this.#leftUntil[this.#dialGateway] > now)) return gateways[this.#dialGateway]
    }
    return []
  }

  opened(connection: ClientConnection, binding: Uint8Array, taken: Ticket | undefined): void {
    if (connection.state !== 'dialing') return
    connection.state = 'hello'
    connection.ticketTaken = taken
    connection.binding = binding.slice()
  }

  /** HELLO came: the nonce is proved over, or the token shown (A1). */
  hello(connection: ClientConnection, hello: Hello, now: number): void {
    if (connection.nonce !== undefined) {
      this.violated(connection, 'a second HELLO', now)
    } else if (speaksOurVersion(hello)) {
      this.#race?.hello(connection, hello.nonce.slice(), now)
    } else {
      connection.close(code.version, '')
      this.gone(connection, code.version, 'the gateway speaks other versions of the protocol', 0, now)
    }
  }

  welcomed(connection: ClientConnection, welcome: Welcome, now: number): void {
    const core = this.#core
    const isResumed = connection.shownGeneration > 0
    if (isResumed && welcome.session !== core.session) {
      this.violated(connection, 'a WELCOME to another session', now)
      return
    }
    connection.generation = welcome.generation
    connection.welcomed(Math.min(HEARTBEAT_MS_MAX, Math.max(HEARTBEAT_MS_MIN, welcome.heartbeatMs)), now)
    const former = this.active
    if (former === undefined) this.#connectedSince = now
    const race = this.#race
    this.#race = undefined
    race?.end(connection, 'another way was faster')
    this.active = connection
    this.#dialAt = Infinity
    this.#probing.arrived(connection.address, now)
    core.welcomed(connection, welcome, isResumed, now)
    if (this.active !== connection) {
      // Whoever was told has closed the client from within, which knew nothing of the former one any more.
      former?.close(code.ok, 'the session has ended')
      if (former !== undefined) core.loose.connectionLost(former)
      return
    }
    core.attacher.attachAll(now)
    if (former !== undefined) this.#retire(former, now)
  }

  /** TICKET is not taken while another connection shows the older one: ATTACH there could not name it (T1). */
  get takesTickets(): boolean {
    return this.#race?.showsTicket !== true
  }

  // ---- ends ----

  /** CLOSE of the gateway. Its code says whether and when to come back. */
  closedByGateway(connection: ClientConnection, a: Close, now: number): void {
    connection.state = 'closed'
    this.#core.env.closeConnection(connection.id)
    this.gone(connection, a.code, a.text, a.retryMs, now)
  }

  /** The carrier is gone. */
  lost(connection: ClientConnection, text: string, now: number): void {
    connection.state = 'closed'
    this.gone(connection, code.ok, text, 0, now)
  }

  /** The gateway, or a host through it, broke the protocol: left for the longest back-off, elsewhere before (CLI-5.2, N3). */
  violated(connection: ClientConnection, what: string, now: number): void {
    if (connection.state === 'closed') return
    const { gatewayOf, backoffMaxMs } = this.#core.settings
    this.#leftUntil[gatewayOf[connection.address]] = now + backoffMaxMs
    connection.close(code.protocol, what)
    this.#ended(connection, code.protocol, what, now)
    this.#again(connection, true, 0, now)
  }

  gone(connection: ClientConnection, why: number, text: string, retryMs: number, now: number): void {
    const wasActive = connection === this.active
    this.#ended(connection, why, text, now)
    if (!comesBack(why) && (wasActive || this.active === undefined)) {
      // What one gateway or way cannot do, another that is being tried beside it perhaps can: those are heard out.
      const isOfTheWay = why === code.version || why === code.wrong_security || why === code.ticket_invalid
      if (!isOfTheWay || this.#race === undefined || this.#race.isOver) {
        this.#core.endSession(why, text, now)
        return
      }
      this.#race.refusal ??= { why, text }
    }
    if (why === code.ticket_key_unknown && this.active === undefined)
      this.#core.forgetTicket(this.#lastConnectedAt, now)
    // A hint says how long to wait, not how long to be away where coming back at once is right.
    const hintMs = codeRows.find((row) => row.number === why)?.retry === 'now' ? 0 : retryMs
    this.#again(connection, !wasActive || why !== code.ok, hintMs, now)
  }

  #ended(connection: ClientConnection, why: number, text: string, now: number): void {
    const wasActive = connection === this.active
    if (wasActive) {
      this.active = undefined
      this.#lastConnectedAt = now
      this.#probing.left(now)
    } else if (connection === this.old) {
      this.old = undefined
    }
    this.#race?.lost(connection, now)
    this.#core.loose.connectionLost(connection)
    if (wasActive) this.#core.attacher.connectionLost(connection, why === code.ok ? code.detached : why, now)
    this.#core.sink.connectionEnded(connection.address, why, text)
  }

  /** Comes back, here or elsewhere; at once the first time after a connection that had been welcomed. */
  #again(connection: ClientConnection, isElsewhere: boolean, hintMs: number, now: number): void {
    if (!this.#isWanted) return
    const race = this.#race
    if (race !== undefined) {
      race.hintMs = Math.max(race.hintMs, hintMs)
      // What was a look at better ways is now all there is: the others are wanted, too.
      if (this.active === undefined && race.purpose !== 'move') {
        if (race.purpose === 'probe') race.add(this.#waysTo(connection.address), now)
        race.becomeMove(now)
      }
      if (!race.isOver) return
      this.#race = undefined
      if (race.refusal !== undefined && this.active === undefined) {
        this.#core.endSession(race.refusal.why, race.refusal.text, now)
        return
      }
    }
    if (this.active !== undefined && !this.active.isDraining) {
      if (race?.purpose === 'probe') this.#probing.failed(now)
      return
    }
    const { gateways, gatewayOf, backoffMaxMs } = this.#core.settings
    if (now - this.#connectedSince >= backoffMaxMs) this.#attempts = 0
    this.#connectedSince = Infinity
    // The range doubles by the round: that one gateway is away says nothing of the next one.
    const doublings = Math.floor(this.#attempts / gateways.length)
    const delayMs = connection.welcomedAt >= 0 && this.#attempts === 0 ? 0 : this.backoffMs(doublings)
    this.#attempts++
    this.#dialGateway = isElsewhere ? this.#after(connection.address) : gatewayOf[connection.address]
    const hinted = now + Math.max(delayMs, Math.min(Math.max(hintMs, race?.hintMs ?? 0), RETRY_MS_MAX))
    this.#dialAt = Math.max(hinted, this.#leftUntil[this.#dialGateway] ?? 0)
  }

  /** The next gateway in order; not the one that drains. */
  #after(address: number): number {
    const { gateways, gatewayOf } = this.#core.settings
    const count = gateways.length
    const next = (gatewayOf[address] + 1) % count
    const isActive = this.active !== undefined && gatewayOf[this.active.address] === next
    return isActive && count > 1 ? (next + 1) % count : next
  }

  #waysTo(address: number): readonly number[] {
    const { gateways, gatewayOf } = this.#core.settings
    return gateways[gatewayOf[address]]
  }

  #retire(connection: ClientConnection, now: number): void {
    this.#closeOld()
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

  #abandon(text: string): void {
    const race = this.#race
    this.#race = undefined
    race?.end(undefined, text)
  }

  // ---- time ----

  deadline(): number {
    const race = this.#race
    let at = race === undefined ? this.#probing.dueAt : race.deadline()
    if (!this.isMoving) at = Math.min(at, this.#dialAt)
    for (const connection of this.#all()) at = Math.min(at, connection.deadline())
    return at
  }

  tick(now: number): void {
    for (const connection of this.#all()) {
      if (connection.state === 'closed') continue
      const condition = connection.tick(now)
      if (condition === 'lingered') this.#closeOld()
      if (condition !== 'lost') continue
      const why = connection.state === 'welcomed' ? code.idle : code.handshake_timeout
      const text =
        connection.state === 'hello' ? 'no greeting came: the port may speak TLS, or Noise, which needs a key' : ''
      connection.close(why, '')
      this.gone(connection, why, text, 0, now)
    }
    this.#race?.tick(now)
    if (this.#dialAt <= now && !this.isMoving) this.#dial(now)
    if (this.#probing.dueAt <= now && this.#race === undefined && this.active !== undefined) {
      this.#run(this.#probing.begin(this.active.address), 'probe', now)
    }
  }

  grace(now: number, graceMs: number): void {
    for (const connection of this.#all()) connection.grace(now, graceMs)
  }

  flush(): void {
    for (const connection of this.#all()) if (connection.isOpen) connection.flush()
  }

  #all(): ClientConnection[] {
    const connections = this.#race === undefined ? [] : this.#race.runners.slice()
    if (this.active !== undefined) connections.push(this.active)
    if (this.old !== undefined) connections.push(this.old)
    return connections
  }
}
