// One client's connection: the carrier's bytes cut into frames, the handshake first (client-handshake.ts), then lanes
// (lanes.ts) and control frames. Everything kept here is an array with a bound or a number; a peer that breaks the
// protocol is closed with a code and one line of text.
import {
  clientKind,
  openFrame,
  readAttach,
  readLoose,
  readNumber,
  readPair,
  readReauth,
  readRoute,
  writeClose,
  writeLooseReply,
  writePair,
} from '../protocols/client/frames.ts'
import type { CompiledPolicies } from '../policies/compile.ts'
import type { Pipeline, Verdict } from '../policies/pipeline.ts'
import { verdict } from '../policies/pipeline.ts'
import type { SlowConsumers } from '../policies/slow-consumers.ts'
import type { Subject } from '../policies/subject.ts'
import { code, comesBack } from '../protocols/codes.ts'
import { sniff } from '../protocols/secure/sniff.ts'
import { isSkippable, KIND_MASK, laneKind } from '../protocols/wire/lane-frames.ts'
import type { FrameSink } from '../protocols/wire/splitter.ts'
import { FrameSplitter, splitResult } from '../protocols/wire/splitter.ts'
import type { Attachment } from './attachment.ts'
import { ClientHandshake } from './client-handshake.ts'
import { cell, drop } from './counters.ts'
import type { Expiring } from './deadlines.ts'
import { Deadline } from './deadlines.ts'
import type { Arrears } from './flow.ts'
import type { Gateway } from './gateway.ts'
import { Grants } from './grants.ts'
import type { Link } from './link.ts'
import type { LooseCaller } from './loose-calls.ts'
import { Outlet } from './outlet.ts'
import { Announced, RouteEntry, ROUTES_MAX } from './route-numbers.ts'
import type { Carrier, CarrierEvents, Entrance } from './seams.ts'
import type { Session } from './session.ts'

export const clientState = { greeting: 0, checking: 1, open: 2, closed: 3 } as const

/**
 * Frames that cost more than they carry (control frames, frames of detached channels, repeated ACKs) come out of a bucket
 * of this many, refilled at this rate: 1,024 routes, all attaches and their repetition fit, a flood does not.
 */
const CHARGE_BURST = 2500
const CHARGES_PER_MS = 0.25
/**
 * Messages that are refused cost the gateway as much as others and bring nothing. A connection that has sent more than half
 * a window of them at a stretch is read no faster than so many in a millisecond: it rests, at most so long at a time, and its
 * sender meets the end of its own TCP or KCP window. Of the stream nothing is lost, and nothing is refused by it; datagrams
 * beside KCP are dropped meanwhile (C1). With a portion of a read (8 KiB, some 110 of 64 bytes) it stays within what a host
 * allows to a client that keeps no window (W1): it is slowed, where it would else be thrown out and log in again and again.
 */
const WASTE_FREE = 128
const WASTE_PER_MS = 1
/** More is forgotten: who behaves again is not slowed for long. */
const WASTE_MAX = 4096
export const REST_MS_MAX = 250
/** Loose calls open on one connection. */
const LOOSE_OPEN_MAX = 64
/** What a CLOSE hints to a client that shall come back later. */
const RETRY_MS = 1000

export class ClientConnection implements CarrierEvents, FrameSink, Expiring, LooseCaller {
  readonly outlet: Outlet
  /** The listener that it came in by. */
  readonly entrance: Entrance | undefined
  state: (typeof clientState)[keyof typeof clientState] = clientState.greeting
  session: Session | undefined = undefined
  /** What limits count it by; set with the session. */
  subject: Subject | undefined = undefined
  /** T1: the generations that this client may name: the one it has shown, up to the last issued here. */
  generationShown = 0
  generationIssued = 0
  /** T2: AUTH_REQUIRED was sent; no attach until a new token. */
  isAuthExpired = false
  // With room for one, which is what most have: an array that grows from nothing takes room for 17.
  readonly aliases: (Attachment | undefined)[] = [undefined]
  /** Attachments that are not detached. */
  channelCount = 0
  readonly grants = new Grants()
  readonly routes: (RouteEntry | undefined)[] = [undefined]
  readonly announced = new Announced()
  /** W6: not read because of this link, since then. */
  pausedBy: Link | undefined = undefined
  pausedAt = 0
  arrears: Arrears | undefined = undefined
  /** Time of the chunk that is being read. */
  now: number
  readonly openedAt: number
  rttMs = 0
  readonly #gateway: Gateway
  readonly #splitter: FrameSplitter
  readonly #handshake: ClientHandshake
  readonly #alive = new Deadline(this)
  #heardAt: number
  /** As the client was told in WELCOME: a reload does not change what it keeps to. */
  #heartbeatMs = 0
  #charges = CHARGE_BURST
  #pipelines: readonly Pipeline[] = []
  #pipelinesOf: CompiledPolicies | undefined = undefined
  #slow: SlowConsumers | undefined = undefined
  #chargedAt: number
  #looseOpen = 0
  #isUnheard = true
  /** Wasted messages: of this read, and of late. */
  #wasted = 0
  #waste = 0
  #wasteAt = 0
  /** Waits while it rests. Few ever need one. */
  #rest: Deadline | undefined

  constructor(gateway: Gateway, carrier: Carrier, now: number, entrance?: Entrance) {
    this.#gateway = gateway
    this.entrance = entrance
    this.outlet = new Outlet(gateway.turn, carrier, false)
    this.now = now
    this.openedAt = now
    this.#heardAt = now
    this.#chargedAt = now
    this.#splitter = new FrameSplitter(gateway.limits.handshakeFrameBytesMax)
    this.#handshake = new ClientHandshake(gateway, this)
  }

  get isAlive(): boolean {
    return this.state !== clientState.closed
  }

  get isLoggedIn(): boolean {
    return this.state === clientState.open
  }

  /** Greets the client; its handshake must be done in time. */
  begin(): void {
    this.#gateway.deadlines.set(this.#alive, this.now + this.#gateway.times.handshakeMs)
    this.#handshake.greet()
  }

  // ---- carrier ----

  receive(bytes: Uint8Array, now: number): void {
    if (this.state === clientState.closed) return
    this.now = now
    this.#heardAt = now
    if (this.#isUnheard && this.#isOtherSecurity(bytes)) return
    this.#gateway.counters.cells[cell.clientBytesIn] += bytes.length
    const result = this.#splitter.receive(bytes, this)
    if (result === splitResult.tooLarge) this.violate('frame too large', code.too_large)
    else if (result === splitResult.malformed) this.violate('malformed frame length')
    if (this.#wasted > 0) this.#restAfterWaste(now)
  }

  /** A message that was read for nothing: refused, or dropped by a limit. What `charge` counts is not counted here. */
  waste(): void {
    this.#wasted++
  }

  /** While it is not read because of what it sends. */
  get isResting(): boolean {
    return this.#rest !== undefined && this.#rest.slot !== -1
  }

  /** Whether it is we who do not read what it sends. */
  get #isUnread(): boolean {
    return this.pausedBy !== undefined || this.isResting || this.outlet.carrier.holdsUnread === true
  }

  #restAfterWaste(now: number): void {
    const left = Math.max(0, this.#waste - (now - this.#wasteAt) * WASTE_PER_MS)
    this.#waste = Math.min(WASTE_MAX, left + this.#wasted)
    this.#wasteAt = now
    this.#wasted = 0
    if (this.#waste <= WASTE_FREE || this.state !== clientState.open) return
    const restMs = Math.min(REST_MS_MAX, (this.#waste - WASTE_FREE) / WASTE_PER_MS)
    this.#rest ??= new Deadline(this)
    this.#gateway.deadlines.set(this.#rest, now + restMs)
    this.#gateway.counters.cells[cell.clientRests]++
    this.outlet.carrier.pause()
  }

  /** Whether the first bytes are another security's; the connection is closed then. */
  #isOtherSecurity(first: Uint8Array): boolean {
    this.#isUnheard = false
    const spoken = sniff(first)
    if (spoken !== 'tls' && spoken !== 'http' && spoken !== 'skewer-noise') return false
    const { env } = this.#gateway
    const { name: listener = '', security: expected = 'none' } = this.entrance?.settings ?? {}
    const { address } = this.outlet.carrier
    env.observe({ event: 'wrong_security', listener, address, code: code.wrong_security, expected, spoken })
    this.close(code.wrong_security, `this port speaks the plain protocol, not ${spoken}`)
    return true
  }

  /** One frame that came beside the ordered stream, without its length (C1). */
  receiveDatagram(frame: Uint8Array, now: number): void {
    if (this.state !== clientState.open) return
    this.now = now
    this.#heardAt = now
    this.#gateway.counters.cells[cell.clientBytesIn] += frame.length
    this.#gateway.lanes.datagramFromClient(this, frame)
  }

  drained(_now: number): void {
    if (this.state !== clientState.closed) this.#gateway.flow.clientDrained(this)
  }

  closed(_now: number): void {
    this.outlet.forget()
    this.#end(code.detached)
  }

  // ---- frames ----

  frame(bytes: Uint8Array, start: number, end: number): boolean {
    this.#gateway.counters.cells[cell.clientFramesIn]++
    const kind = bytes[start] & KIND_MASK
    if (this.state === clientState.open) {
      if (kind >= laneKind.oneway && kind <= laneKind.unreliable) {
        return this.#gateway.lanes.fromClient(this, bytes, start, end)
      }
      return this.charge() && this.#control(kind, bytes, start, end)
    }
    return this.isAlive && this.charge() && this.#handshake.take(kind, bytes, start, end)
  }

  #control(kind: number, bytes: Uint8Array, start: number, end: number): boolean {
    const r = openFrame(bytes, start, end)
    if (r === undefined) return this.#unreadable(bytes[start])
    switch (kind) {
      case clientKind.attach: {
        const a = readAttach(r)
        return a === undefined ? this.violate('malformed ATTACH') : this.#gateway.attaches.attach(this, a, this.now)
      }
      case clientKind.detach: {
        const alias = readNumber(r)
        if (alias === undefined) return this.violate('malformed DETACH')
        const attachment = alias < this.aliases.length ? this.aliases[alias] : undefined
        if (attachment !== undefined) this.#gateway.attaches.letGo(attachment, code.detached)
        return true
      }
      case clientKind.route: {
        const a = readRoute(r)
        if (a === undefined || a.number >= ROUTES_MAX) return this.violate('malformed ROUTE')
        // L3: none is reused while announced, and nothing takes an announcement back.
        if (this.routes[a.number] !== undefined) return this.violate('route number announced twice')
        while (this.routes.length < a.number) this.routes.push(undefined)
        this.routes[a.number] = new RouteEntry(a.name)
        return true
      }
      case clientKind.ping: {
        const a = readPair(r)
        if (a === undefined) return this.violate('malformed PING')
        this.rttMs = a.second
        writePair(this.outlet.writer, clientKind.pong, a.first, this.#gateway.env.wallNow())
        this.outlet.touch()
        return true
      }
      case clientKind.pong:
        return readPair(r) !== undefined || this.violate('malformed PONG')
      case clientKind.loose:
        return this.#loose(bytes, start, end)
      case clientKind.reauth: {
        const token = readReauth(r)
        return token === undefined ? this.violate('malformed REAUTH') : this.#handshake.reauth(token)
      }
      case clientKind.close:
        // The client goes; nothing more is said to it.
        this.destroy(code.detached)
        return false
      default:
        return this.#unreadable(bytes[start])
    }
  }

  /** A kind that is not known, or extensions that cannot be read: skipped where the frame says so (WIRE-5.2, WIRE-6.4). */
  #unreadable(first: number): boolean {
    if (!isSkippable(first)) return this.violate(`unknown or unreadable frame of kind ${first & KIND_MASK}`)
    this.#gateway.counters.drops[drop.unknownKind]++
    return true
  }

  #loose(bytes: Uint8Array, start: number, end: number): boolean {
    const a = readLoose(openFrame(bytes, start, end)!)
    if (a === undefined) return this.violate('malformed LOOSE')
    const entry = a.route < this.routes.length ? this.routes[a.route] : undefined
    if (entry === undefined) return this.violate('route number that was not announced')
    const session = this.session!
    this.#looseOpen++
    if (this.#looseOpen > LOOSE_OPEN_MAX) {
      this.looseReplied(a.request, code.too_many_requests, new Uint8Array(0))
      return true
    }
    const call = {
      request: a.request,
      session: session.id,
      user: session.user,
      address: this.outlet.carrier.address,
      route: entry.name,
      key: a.key,
      deadlineMs: a.deadlineMs,
      idempotencyKey: '',
      payload: a.payload,
    }
    const said = this.#gateway.looseCalls.call(call, this, this.subject!, this.pipelines(), this.now)
    return said < verdict.close || this.punish(said)
  }

  looseReplied(request: number, answer: number, payload: Uint8Array): void {
    this.#looseOpen--
    if (this.state !== clientState.open) return
    if (this.outlet.held > this.#gateway.limits.connectionBytesMax && !this.#gateway.flow.clientFull(this)) return
    writeLooseReply(this.outlet.writer, clientKind.looseReply, { request, code: answer, payload })
    this.outlet.touch()
  }

  // ---- own life ----

  /** The handshake has succeeded: frames may be of full size, and the heartbeat counts. */
  opened(now: number): void {
    this.state = clientState.open
    if (this.entrance?.places !== undefined) this.entrance.places.loggedIn++
    this.#splitter.frameBytesMax = this.#gateway.limits.frameBytesMax
    this.#heartbeatMs = this.#gateway.times.heartbeatMs
    this.#gateway.deadlines.set(this.#alive, now + 2 * this.#heartbeatMs)
  }

  /** T1: behind the first answer of a host the next ticket is issued. */
  issueFirstTicket(now: number): void {
    this.#handshake.issueFirst(now)
  }

  expired(deadline: Deadline, now: number): void {
    if (deadline === this.#rest) {
      // W6: a full link may still keep it from being read.
      if (this.pausedBy === undefined) this.outlet.carrier.resume()
      return
    }
    const isOpen = this.state === clientState.open
    const since = isOpen ? this.#heardAt : this.openedAt
    const allowedMs = isOpen ? 2 * this.#heartbeatMs : this.#gateway.times.handshakeMs
    // O1: what it has sent is heard before anybody calls it silent; as long again at most, since it may be nothing.
    if (this.#isUnread && now < since + 2 * allowedMs) this.#gateway.deadlines.set(this.#alive, now + REST_MS_MAX)
    else if (!isOpen) this.close(code.handshake_timeout, 'the handshake was not finished in time')
    else if (now >= since + allowedMs) this.close(code.idle, 'nothing was heard for two heartbeats')
    else this.#gateway.deadlines.set(this.#alive, since + allowedMs)
  }

  /** Takes one from the bucket of frames that cost more than they carry; false: it was empty, the connection is closed. */
  charge(): boolean {
    const passed = this.now - this.#chargedAt
    if (passed > 0) {
      this.#charges = Math.min(CHARGE_BURST, this.#charges + passed * CHARGES_PER_MS)
      this.#chargedAt = this.now
    }
    if (this.#charges >= 1) {
      this.#charges--
      return true
    }
    return this.violate('too many frames that carry nothing', code.rate_limited)
  }

  /** What judges its messages: by the index of a rule + 1, at 0 for reserved names. */
  pipelines(): readonly Pipeline[] {
    const { compiled } = this.#gateway.policing
    if (this.#pipelinesOf !== compiled) {
      const listener = this.entrance?.settings.name ?? ''
      this.#pipelines = compiled.pipelines(listener)
      this.#slow = compiled.slowConsumers(listener)
      this.#pipelinesOf = compiled
    }
    return this.#pipelines
  }

  /** From when on it gets less. */
  slow(): SlowConsumers {
    this.pipelines()
    return this.#slow!
  }

  /** Closes the connection because of what a policy said of its last message (R4); false, for frame handlers to return. */
  punish(said: Verdict): false {
    const { policing } = this.#gateway
    const { judgement } = policing
    if (said === verdict.ban) {
      this.#gateway.banned(this.outlet.carrier.address, this.session!.user, this.now)
      return false
    }
    this.close(judgement.code, `closed by a policy: ${judgement.by!.policy}`, judgement.retryMs)
    return false
  }

  /** Closes the connection because its peer broke the protocol; false, for frame handlers to return. */
  violate(what: string, why: number = code.protocol): false {
    if (this.state !== clientState.closed) {
      const address = this.outlet.carrier.address
      this.#gateway.env.observe({ event: 'peer_violation', side: 'client', address, code: why, what })
      this.close(why, what)
    }
    return false
  }

  /** Ends the connection with a CLOSE to the client. Its session lives where the code comes back. */
  close(why: number, text: string, retryMs: number = comesBack(why) ? RETRY_MS : 0): void {
    if (this.state === clientState.closed) return
    writeClose(this.outlet.writer, clientKind.close, { code: why, retryMs, text })
    this.#end(why)
    this.outlet.endAfterFlush(why, text)
  }

  /** Ends the connection at once, without a word. */
  destroy(why: number): void {
    if (this.state === clientState.closed) return
    this.#end(why)
    this.outlet.destroy()
  }

  #end(why: number): void {
    if (this.state === clientState.closed) return
    if (this.state === clientState.open && this.entrance?.places !== undefined) this.entrance.places.loggedIn--
    this.state = clientState.closed
    const gateway = this.#gateway
    gateway.deadlines.clear(this.#alive)
    if (this.#rest !== undefined) gateway.deadlines.clear(this.#rest)
    this.#handshake.end()
    for (const attachment of this.aliases) {
      if (attachment !== undefined) gateway.attaches.letGo(attachment, code.detached)
    }
    gateway.flow.clientGone(this)
    gateway.connectionEnded(this, why)
  }
}
