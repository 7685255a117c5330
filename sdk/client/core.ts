// The client without sockets, timers or promises: bytes and time come in, bytes go out through the environment, what
// happens goes to the sink. The facade drives it on real sockets, the simulator in virtual time.
//
//   verbs      connect, opened, receive, lost, drained, tick, and those of channels: any order, `now` never falling
//   turns      a verb that leaves something to write asks for one `flush` (env.scheduleFlush); after each flush and tick
//              the driver reads `deadline()` and calls `tick` then
//
// The parts: dialer.ts which connection, attacher.ts which channel is attached, gateway-frames.ts what a frame means,
// groups.ts, loose.ts. The promises of section 1 are kept by protocols/session.
import type { Ticket, Welcome } from '../../protocols/client/frames.ts'
import { code } from '../../protocols/codes.ts'
import type { ClientChannelSettings } from '../../protocols/session/client-channel.ts'
import { LaneFrame } from '../../protocols/wire/lane-frames.ts'
import { Attacher } from './attacher.ts'
import type { ClientConnection } from './connection.ts'
import type { CoreChannel } from './core-channel.ts'
import { Dialer } from './dialer.ts'
import { LooseCalls } from './loose.ts'
import type { ClientEnvironment, ClientOptions, ClientSettings, ClientSink, ClientState } from './options.ts'
import { clientSettings } from './options.ts'
import { Routes } from './routes.ts'

/** A timer that comes later than this says that the process stood still (O1). */
const STALL_MS = 1000
const GRACE_MS = 2000
const KEEP_MS_MIN = 100
const EMPTY = new Uint8Array(0)

export class ClientCore {
  readonly settings: ClientSettings
  readonly env: ClientEnvironment
  readonly sink: ClientSink
  readonly routes = new Routes()
  readonly dialer: Dialer
  readonly attacher: Attacher
  readonly loose: LooseCalls
  readonly laneFrame = new LaneFrame()
  /** Shared by all channels; follows WELCOME. */
  readonly channelSettings: ClientChannelSettings
  channelsMax: number
  now = 0
  state: ClientState = 'offline'
  session = ''
  user = ''
  /** The newest ticket, in memory only (S4); undefined before the first WELCOME and after the session's end. */
  ticket: Ticket | undefined
  /** Smoothed round trip to the gateway in ms; 0 unknown. */
  rttMs = 0
  /** Frames of channels and groups that are not attached here any more. */
  framesIgnored = 0
  #serverOffsetMs = Number.NaN
  #isAwake = false
  #dueAt = Infinity
  #graceUntil = -Infinity

  constructor(options: ClientOptions, env: ClientEnvironment, sink: ClientSink) {
    this.settings = clientSettings(options)
    this.env = env
    this.sink = sink
    this.channelsMax = this.settings.channelsMax
    this.channelSettings = {
      window: { ...this.settings.window },
      limits: this.settings.limits,
      keepMs: this.settings.keepMs,
    }
    this.dialer = new Dialer(this)
    this.attacher = new Attacher(this)
    this.loose = new LooseCalls(this)
  }

  // ---- the owner's verbs ----

  /** Begins to connect, and stays connected from then on. After a session's end it begins a new one. */
  connect(now: number): void {
    this.enter(now)
    this.dialer.start(now)
    this.wake()
    this.left()
  }

  /** Ends the session here: connections close, channels end with what is unknown of them (X5). */
  close(now: number): void {
    this.enter(now)
    this.#end(code.closed, 'closed by the client', now)
    this.left()
  }

  /** The channel to an actor; an empty key is the user's own. Minus a code: there may be no more channels. */
  channel(service: string, key: string, now: number): CoreChannel | number {
    this.enter(now)
    const channel = this.attacher.open(service, key)
    if (typeof channel !== 'number' && channel.state === 'apart') this.attacher.attach(channel, now)
    this.wake()
    this.left()
    return channel
  }

  /** A loose call (at most once); its outcome comes under the id returned, minus a code: refused. */
  callLoose(route: string, key: string, payload: Uint8Array, deadlineAt: number, now: number): number {
    this.enter(now)
    return this.loose.call(route, key, payload, deadlineAt, now)
  }

  /** Moves the session to another address of the list: connects there first, then moves the channels. */
  switchTo(address: number, now: number): void {
    this.enter(now)
    if (!(address in this.settings.addresses)) throw new RangeError(`there is no address ${address}`)
    this.dialer.switchTo(address, now)
    this.wake()
    this.left()
  }

  /** Milliseconds since 1970 at the gateway, as well as the round trips tell; NaN before the first WELCOME. */
  serverTimeMs(now: number): number {
    return now + this.#serverOffsetMs
  }

  // ---- what the carrier tells ----

  /**
   * The connection stands; `binding` is what it is bound to (a handshake hash), empty on plain and TLS carriers. `taken`:
   * the ticket that its handshake has shown, and the gateway taken.
   */
  opened(connection: number, binding: Uint8Array, now: number, taken?: Ticket): void {
    this.enter(now)
    const it = this.dialer.byId(connection)
    if (it !== undefined) this.dialer.opened(it, binding, taken)
    this.wake()
    this.left()
  }

  /** Bytes of a connection, lent for the call. */
  receive(connection: number, bytes: Uint8Array, now: number): void {
    this.enter(now)
    this.dialer.byId(connection)?.receive(bytes, now)
    this.wake()
    this.left()
  }

  /** One frame that came beside a connection's stream, without a length, lent for the call. */
  receiveDatagram(connection: number, frame: Uint8Array, now: number): void {
    this.enter(now)
    this.dialer.byId(connection)?.receiveDatagram(frame, now)
    this.wake()
    this.left()
  }

  /** The connection is gone, or could not be made; `text` is what the carrier says of it. */
  lost(connection: number, now: number, text = ''): void {
    this.enter(now)
    const it = this.dialer.byId(connection)
    if (it !== undefined) this.dialer.lost(it, text, now)
    this.wake()
    this.left()
  }

  /** Something was written to the connection and nothing is heard of it; may be told again. */
  stalled(connection: number, now: number): void {
    this.enter(now)
    const it = this.dialer.byId(connection)
    if (it !== undefined) this.dialer.stalled(it, now)
    this.wake()
    this.left()
  }

  /** The carrier has room again after `queuedBytes` was high. */
  drained(connection: number, now: number): void {
    this.enter(now)
    if (this.dialer.byId(connection) !== undefined) this.wake()
  }

  // ---- turns and time ----

  /** Writes what this turn has left to say, once a connection. */
  flush(now: number): void {
    this.enter(now)
    this.#isAwake = false
    const active = this.dialer.active
    if (active !== undefined) {
      active.isBlocked = this.env.queuedBytes(active.id) > this.settings.queuedBytesMax
      if (!active.isBlocked) this.attacher.transmit(active, now)
    }
    this.dialer.flush()
    this.left()
  }

  /** Does what is due. */
  tick(now: number): void {
    this.enter(now)
    this.#dueAt = Infinity
    this.dialer.tick(now)
    if (now >= this.#graceUntil) {
      this.attacher.tick(now)
      this.loose.tick(now)
    }
    this.left()
  }

  /** When `tick` is to be called; Infinity: nothing is due. */
  deadline(): number {
    const channels = Math.min(this.attacher.deadline(), this.loose.deadline())
    const held = this.now < this.#graceUntil ? Math.max(channels, this.#graceUntil) : channels
    this.#dueAt = Math.min(this.dialer.deadline(), held)
    return this.#dueAt
  }

  // ---- for the parts ----

  /** Every verb begins here: takes the time, and sees when the process stood still (O1). */
  enter(now: number): void {
    if (now > this.now) this.now = now
    if (now <= this.#dueAt + STALL_MS) return
    this.#dueAt = Infinity
    this.#graceUntil = now + GRACE_MS
    this.dialer.grace(now, GRACE_MS)
  }

  /** Every verb that may change the state ends here. */
  left(): void {
    const state = this.#currentState()
    if (state === this.state) return
    this.state = state
    this.sink.state(state)
  }

  #currentState(): ClientState {
    if (this.dialer.active === undefined) return this.dialer.isConnecting ? 'connecting' : 'offline'
    return this.attacher.isWhole ? 'online' : 'degraded'
  }

  /** Random number of a channel's end here, never 0 (A3). */
  mintEnd(): bigint {
    const half = () => BigInt(Math.floor(this.env.random() * 2 ** 32))
    return (half() << 32n) | half() || 1n
  }

  /** Something is to be written, or a deadline has changed. */
  wake(): void {
    if (this.#isAwake) return
    this.#isAwake = true
    this.env.scheduleFlush()
  }

  welcomed(connection: ClientConnection, welcome: Welcome, isResumed: boolean, now: number): void {
    this.session = welcome.session
    this.user = welcome.user
    if (welcome.ticket.length > 0) {
      this.ticket = { generation: welcome.generation, secret: welcome.secret, ticket: welcome.ticket }
    }
    this.channelsMax = Math.min(this.settings.channelsMax, Math.max(1, welcome.channelsMax))
    this.channelSettings.keepMs = Math.max(KEEP_MS_MIN, welcome.keepMs)
    this.#serverOffsetMs = welcome.serverTimeMs - now
    this.sink.welcomed(welcome.session, welcome.user, isResumed, connection.address)
  }

  holdTicket(connection: ClientConnection, ticket: Ticket): void {
    if (connection.renewal.isShown) {
      connection.renewal.isShown = false
      this.attacher.authRenewed(this.now)
    }
    if (!this.dialer.takesTickets || connection !== this.dialer.active) return
    if (this.ticket !== undefined && ticket.generation <= this.ticket.generation) return
    this.ticket = ticket
    connection.generation = ticket.generation
  }

  pong(connection: ClientConnection, sentAt: number, serverTimeMs: number, now: number): void {
    const sample = now - sentAt
    if (connection !== this.dialer.active || sample < 0 || sample > 2 * connection.heartbeatMs) return
    this.rttMs = this.rttMs === 0 ? sample : this.rttMs + (sample - this.rttMs) / 8
    const offset = serverTimeMs + sample / 2 - now
    // A sample that took its time says little of the middle of its way.
    const weight = sample <= this.rttMs * 1.5 ? 1 / 4 : 1 / 32
    this.#serverOffsetMs += (offset - this.#serverOffsetMs) * weight
    this.sink.rtt(this.rttMs)
  }

  /**
   * No gateway knows the key that sealed the ticket. As long as a host may keep a channel of the session, the key may still
   * come (T3); later nothing is left to come back to, and the next connection logs in.
   */
  forgetTicket(lastConnectedAt: number, now: number): void {
    const isKept = now - lastConnectedAt < this.channelSettings.keepMs
    if (isKept || this.attacher.channels.some((channel) => channel.line.life !== 0n)) return
    this.ticket = undefined
    this.session = ''
    // A pin is sealed for its session.
    for (const channel of this.attacher.channels) channel.line.pin = EMPTY
  }

  /** The session is over and does not come back. */
  endSession(why: number, text: string, now: number): void {
    this.#end(why, text, now)
  }

  #end(why: number, text: string, now: number): void {
    const wasOpen = this.session !== '' || this.dialer.isWanted
    const connections = this.dialer.stop(why, text)
    for (const connection of connections) this.loose.connectionLost(connection)
    for (const channel of this.attacher.channels.slice()) channel.line.endWith(why)
    this.session = ''
    this.ticket = undefined
    this.attacher.epoch = 0
    if (wasOpen) this.sink.sessionEnded(why, text)
    if (now > this.now) this.now = now
  }
}
