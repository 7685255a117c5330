// One mortal connection to a gateway: its handshake state, the tables that belong to it alone (route numbers both ways,
// memberships), its heartbeat and one writer that is written out once a turn. What a frame means is decided in
// gateway-frames.ts, when to dial in dialer.ts.
//
//   token -> dialing -> hello -> login -> welcomed -> closed        closed from everywhere
import type { Ticket } from '../../protocols/client/frames.ts'
import { clientKind, writeClose, writePair, writeRoute } from '../../protocols/client/frames.ts'
import type { RouteNumbers } from '../../protocols/session/channel-end.ts'
import type { GroupMember } from '../../protocols/session/group-member.ts'
import type { FrameSink } from '../../protocols/wire/splitter.ts'
import { FrameSplitter, splitResult } from '../../protocols/wire/splitter.ts'
import { Writer } from '../../protocols/wire/writer.ts'
import type { ClientCore } from './core.ts'
import type { CoreChannel } from './core-channel.ts'
import { DatagramSender } from './datagram-sender.ts'
import { receiveDatagram, receiveFrame } from './gateway-frames.ts'
import { Renewal } from './renewal.ts'
import { ROUTES_MAX } from './routes.ts'

export type ConnectionState = 'token' | 'dialing' | 'hello' | 'login' | 'welcomed' | 'closed'

/** A member of a group on this connection, under the gateway's number. */
export type Membership = { channel: CoreChannel; member: GroupMember }

const HANDSHAKE_FRAME_BYTES_MAX = 16 * 1024
const FIRST_BYTES = 256
const KEPT_BYTES = 64 * 1024
/** Silence after which a client that waits for an ACK asks whether the gateway is there. */
const OWED_MS = 2000
const EMPTY = new Uint8Array(0)

export class ClientConnection implements RouteNumbers, FrameSink {
  readonly id: number
  /** Index of its gateway in the list of addresses. */
  readonly address: number
  readonly writer = new Writer(FIRST_BYTES)
  readonly memberships: Membership[] = []
  readonly datagrams: DatagramSender
  readonly renewal: Renewal
  state: ConnectionState = 'token'
  binding: Uint8Array = EMPTY
  /** What the carrier's own handshake has shown, and the gateway taken. */
  ticketTaken: Ticket | undefined = undefined
  /** Newest ticket generation shown or issued here: what ATTACH names (T1). */
  generation = 0
  /** What it was resumed with; 0: it logs in. */
  shownGeneration = 0
  /** The gateway's, once HELLO came. */
  nonce: Uint8Array | undefined
  isDraining = false
  /** Nothing was heard for a while though something is owed; another way is looked for. */
  isSilent = false
  /** More is queued than lanes may add to. */
  isBlocked = false
  welcomedAt = -1
  /** When it is given up: the handshake's end, or silence for two heartbeats (O1). */
  lostAt = Infinity
  /** When a connection that is not the active one any more is closed. */
  lingerUntil = Infinity
  heartbeatMs = 10_000
  readonly #core: ClientCore
  readonly #splitter = new FrameSplitter(HANDSHAKE_FRAME_BYTES_MAX)
  readonly #routesIn: string[] = []
  /** 0: not announced here; else the turn in which it was. */
  readonly #announcedAt = new Uint32Array(ROUTES_MAX)
  #turn = 1
  #pingAt = Infinity
  #heardAt = 0
  #pingedAt = 0

  constructor(core: ClientCore, id: number, address: number) {
    this.#core = core
    this.id = id
    this.address = address
    this.datagrams = new DatagramSender(core, this)
    this.renewal = new Renewal(core, this)
  }

  get isOpen(): boolean {
    return this.state === 'hello' || this.state === 'login' || this.state === 'welcomed'
  }

  // ---- receiving ----

  receive(bytes: Uint8Array, now: number): void {
    if (!this.isOpen) return
    this.#heard(now)
    const result = this.#splitter.receive(bytes, this)
    if (result === splitResult.ok || this.#isClosed()) return
    this.#core.dialer.violated(this, result === splitResult.tooLarge ? 'a frame too large' : 'a malformed length', now)
  }

  /** One frame that came beside the stream, lent for the call. Whatever is wrong with it, it is dropped (WIRE-10.2). */
  receiveDatagram(frame: Uint8Array, now: number): void {
    if (this.state !== 'welcomed') return
    this.#heard(now)
    receiveDatagram(this.#core, this, frame)
  }

  /** Called by the splitter: false stops it. */
  frame(bytes: Uint8Array, start: number, end: number): boolean {
    receiveFrame(this.#core, this, bytes, start, end)
    return !this.#isClosed()
  }

  /** A gateway gives a route its number here; false: out of range. */
  learnRoute(number: number, name: string): boolean {
    if (number >= ROUTES_MAX) return false
    while (this.#routesIn.length <= number) this.#routesIn.push('')
    this.#routesIn[number] = name
    return true
  }

  /** The name of the gateway's number; empty where it was not announced. */
  routeName(number: number): string {
    return number < this.#routesIn.length ? this.#routesIn[number] : ''
  }

  // ---- sending ----

  /** The number of one of our routes, announced here before its first use (L3). */
  numberOf(route: string, w: Writer): number {
    const number = this.#core.routes.numberOf(route)
    if (this.#announcedAt[number] === 0) {
      this.#announcedAt[number] = this.#turn
      writeRoute(w, clientKind.route, number, route)
    }
    return number
  }

  /** Whether the route's number was announced in an earlier turn (KCP-7.6). */
  knowsRoute(route: string): boolean {
    const at = this.#announcedAt[this.#core.routes.numberOf(route)]
    return at !== 0 && at !== this.#turn
  }

  /** Hands what was written to the carrier: one write a turn. */
  flush(): void {
    const writer = this.writer
    if (writer.at === 0) return
    this.#turn++
    this.#core.env.write(this.id, writer.view())
    writer.clear()
    if (writer.bytes.length > KEPT_BYTES) writer.reset(FIRST_BYTES)
  }

  /** Says why, and ends it. */
  close(why: number, text: string): void {
    const isTold = this.isOpen
    const isDialed = isTold || this.state === 'dialing'
    this.state = 'closed'
    if (isTold) {
      writeClose(this.writer, clientKind.close, { code: why, retryMs: 0, text })
      this.flush()
    }
    if (isDialed) this.#core.env.closeConnection(this.id)
  }

  // ---- time ----

  welcomed(heartbeatMs: number, now: number): void {
    this.state = 'welcomed'
    this.welcomedAt = now
    this.heartbeatMs = heartbeatMs
    this.#splitter.frameBytesMax = this.#core.settings.frameBytesMax
    this.lostAt = now + 2 * heartbeatMs
    this.#heardAt = now
    this.#ping(now)
  }

  deadline(): number {
    return Math.min(this.lostAt, this.lingerUntil, this.#pingDueAt, this.renewal.deadline())
  }

  get #pingDueAt(): number {
    if (this.state !== 'welcomed') return Infinity
    if (!this.#core.attacher.isOwed(this)) return this.#pingAt
    return Math.min(this.#pingAt, Math.max(this.#heardAt, this.#pingedAt) + OWED_MS)
  }

  /** Asks for a sign of life when one is due; says whether the connection is to be given up. */
  tick(now: number): 'alive' | 'lost' | 'lingered' {
    if (this.lostAt <= now) return 'lost'
    if (this.lingerUntil <= now) return 'lingered'
    if (this.#pingDueAt <= now) this.#ping(now)
    this.renewal.tick(now)
    return 'alive'
  }

  /** The process stood still: what was sent to us meanwhile may still wait in the carrier (O1). */
  grace(now: number, graceMs: number): void {
    if (this.state === 'welcomed') {
      this.lostAt = Math.max(this.lostAt, now + this.heartbeatMs)
      if (this.#pingAt > now) this.#pingAt = now
    } else {
      this.lostAt = Math.max(this.lostAt, now + graceMs)
    }
  }

  /**
   * Every heartbeat, after half of one in which nothing was heard, and sooner while the other end owes an ACK: a client
   * whose window is full sends nothing by which a carrier could notice that nobody is there.
   */
  #ping(now: number): void {
    this.#pingedAt = now
    writePair(this.writer, clientKind.ping, Math.floor(now), Math.round(this.#core.rttMs))
    this.#pingAt = now + (now - this.#heardAt >= this.heartbeatMs / 2 ? this.heartbeatMs : this.heartbeatMs / 2)
    this.#core.wake()
  }

  #heard(now: number): void {
    this.#heardAt = now
    if (this.isSilent) {
      this.isSilent = false
      this.#core.dialer.recovered(this)
    }
    if (this.state === 'welcomed') this.lostAt = now + 2 * this.heartbeatMs
  }

  #isClosed(): boolean {
    return this.state === 'closed'
  }
}
