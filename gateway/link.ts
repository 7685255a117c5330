// One link to a host: the carrier's bytes cut into frames, the handshake first, then lanes and the rest handed to whom they
// concern. Ends by itself when the host falls silent (two heartbeats).
import {
  clientKind,
  openFrame,
  readAnswer,
  readAttached,
  readClose,
  readJoin,
  readLooseReply,
  readNumber,
  readPair,
  readReset,
  readRoute,
  readStale,
  writeClose,
  writeLooseReply,
  writePair,
} from '../protocols/client/frames.ts'
import { code } from '../protocols/codes.ts'
import type { ServiceOffer } from '../protocols/link/frames.ts'
import {
  linkKind,
  readBroadcast,
  readCloseHandle,
  readKick,
  readLinkInvite,
  readLinkLoose,
  readLocate,
  readLocated,
  readNotHere,
  readOpen,
  readPublish,
  writeCloseHandle,
} from '../protocols/link/frames.ts'
import { isSkippable, KIND_MASK, laneKind } from '../protocols/wire/lane-frames.ts'
import type { FrameSink } from '../protocols/wire/splitter.ts'
import { FrameSplitter, splitResult } from '../protocols/wire/splitter.ts'
import type { ClientConnection } from './client-connection.ts'
import { cell, drop } from './counters.ts'
import type { Expiring } from './deadlines.ts'
import { Deadline } from './deadlines.ts'
import { LinkBusy } from './flow.ts'
import type { Gateway } from './gateway.ts'
import type { Group } from './groups.ts'
import type { HandleSlot } from './handles.ts'
import { Handles } from './handles.ts'
import type { Host } from './host.ts'
import type { LooseCaller } from './loose-calls.ts'
import { LinkHandshake } from './link-handshake.ts'
import { Outlet } from './outlet.ts'
import { QueueAge } from './queue-age.ts'
import { HOST_ROUTES_MAX, LinkRoutes, RouteEntry } from './route-numbers.ts'
import type { Carrier, CarrierEvents } from './seams.ts'

export const linkState = { handshake: 0, open: 1, closed: 2 } as const
/** HELLO lists up to 256 services and 32 labels. */
const HANDSHAKE_FRAME_BYTES_MAX = 64 * 1024
/** What a link frame may have beside its payload: refused numbers of an ATTACHED, excluded members of a PUBLISH. */
const FRAME_EXTRA_BYTES = 256 * 1024
/** A link whose host takes nothing is given up when this many times its limit waits. */
const STUCK_FACTOR = 8

export class Link implements CarrierEvents, FrameSink, Expiring, LooseCaller {
  readonly host: Host
  readonly outlet: Outlet
  readonly handles = new Handles()
  readonly routes = new LinkRoutes()
  readonly hostRoutes: (RouteEntry | undefined)[] = []
  readonly groups: (Group | undefined)[] = []
  readonly bytesMax: number
  state: (typeof linkState)[keyof typeof linkState] = linkState.handshake
  instance = 0n
  serial = 0
  offers: ServiceOffer[] = []
  /** W6: since when it is full, and the clients that are not read because of it, longest first. */
  isFull = false
  readonly paused: ClientConnection[] = []
  readonly busyAt: Deadline
  readonly queueAge: QueueAge
  now: number
  rttMs = 0
  readonly #gateway: Gateway
  readonly #splitter: FrameSplitter
  readonly #handshake: LinkHandshake
  readonly #beat = new Deadline(this)
  /** The interval that is running: a reload changes the next one. */
  #beatMs = 0
  #heardAt: number

  constructor(gateway: Gateway, host: Host, carrier: Carrier, now: number) {
    this.#gateway = gateway
    this.host = host
    this.outlet = new Outlet(gateway.turn, carrier, true)
    this.queueAge = new QueueAge(this.outlet)
    this.bytesMax = gateway.limits.linkBytesMax
    this.now = now
    this.#heardAt = now
    this.busyAt = new Deadline(new LinkBusy(gateway.flow, this))
    this.#splitter = new FrameSplitter(HANDSHAKE_FRAME_BYTES_MAX)
    this.#handshake = new LinkHandshake(gateway, this)
    this.#handshake.begin()
    gateway.deadlines.set(this.#beat, now + gateway.times.handshakeMs)
  }

  // ---- carrier ----

  receive(bytes: Uint8Array, now: number): void {
    if (this.state === linkState.closed) return
    this.now = now
    this.#heardAt = now
    this.#gateway.counters.cells[cell.linkBytesIn] += bytes.length
    const result = this.#splitter.receive(bytes, this)
    if (result === splitResult.tooLarge) this.violate('frame too large')
    else if (result === splitResult.malformed) this.violate('malformed frame length')
  }

  drained(now: number): void {
    this.now = now
    if (this.state !== linkState.closed) this.#gateway.flow.linkDrained(this)
  }

  closed(now: number): void {
    this.outlet.forget()
    this.#end(code.link_lost, now, 'the carrier has ended')
  }

  // ---- frames ----

  frame(bytes: Uint8Array, start: number, end: number): boolean {
    this.#gateway.counters.cells[cell.linkFramesIn]++
    const kind = bytes[start] & KIND_MASK
    if (this.state === linkState.open) {
      if (kind >= laneKind.oneway && kind <= laneKind.unreliable) {
        return this.#gateway.lanes.fromLink(this, bytes, start, end)
      }
      return this.#control(kind, bytes, start, end)
    }
    return this.state === linkState.handshake && this.#handshake.take(kind, bytes, start, end, this.now)
  }

  #control(kind: number, bytes: Uint8Array, start: number, end: number): boolean {
    const r = openFrame(bytes, start, end)
    if (r === undefined) return this.#unreadable(bytes[start])
    const gateway = this.#gateway
    switch (kind) {
      case linkKind.publish: {
        const a = readPublish(r)
        return a === undefined ? this.violate('malformed PUBLISH') : gateway.groups.publish(this, a, bytes, end)
      }
      case linkKind.attached: {
        const a = readAttached(r)
        if (a === undefined) return this.violate('malformed ATTACHED')
        gateway.attaches.attached(this, a, this.now)
        return true
      }
      case linkKind.reset: {
        const a = readReset(r)
        if (a === undefined) return this.violate('malformed RESET')
        gateway.attaches.reset(this, a, this.now)
        return true
      }
      case linkKind.stale:
      case linkKind.spent: {
        const a = readStale(r)
        if (a === undefined) return this.violate('malformed STALE')
        gateway.attaches.stale(this, kind, a)
        return true
      }
      case linkKind.refused: {
        const a = readAnswer(r)
        if (a === undefined) return this.violate('malformed REFUSED')
        gateway.attaches.refused(this, a)
        return true
      }
      case linkKind.notHere: {
        const a = readNotHere(r)
        if (a === undefined) return this.violate('malformed NOT_HERE')
        gateway.attaches.notHere(this, a, this.now)
        return true
      }
      case linkKind.closeHandle: {
        const a = readCloseHandle(r)
        if (a === undefined) return this.violate('malformed CLOSE_HANDLE')
        gateway.attaches.closed(this, a)
        return true
      }
      case linkKind.route: {
        const a = readRoute(r)
        if (a === undefined || a.number >= HOST_ROUTES_MAX) return this.violate('malformed ROUTE')
        while (this.hostRoutes.length < a.number) this.hostRoutes.push(undefined)
        this.hostRoutes[a.number] = new RouteEntry(a.name)
        return true
      }
      case linkKind.join: {
        const a = readJoin(r)
        return a === undefined ? this.violate('malformed JOIN') : gateway.groups.join(this, a)
      }
      case linkKind.lag: {
        const number = readNumber(r)
        if (number === undefined) return this.violate('malformed LAG')
        gateway.groups.lag(this, number)
        return true
      }
      case linkKind.leave: {
        const a = readPair(r)
        if (a === undefined) return this.violate('malformed LEAVE')
        gateway.groups.leave(this, a.first, a.second)
        return true
      }
      case linkKind.open: {
        const a = readOpen(r)
        return a === undefined ? this.violate('malformed OPEN') : gateway.attaches.open(this, a, this.now)
      }
      case linkKind.locate: {
        const a = readLocate(r)
        if (a === undefined) return this.violate('malformed LOCATE')
        gateway.locates.ask(this, a, this.now)
        return true
      }
      case linkKind.located: {
        const a = readLocated(r)
        if (a === undefined) return this.violate('malformed LOCATED')
        gateway.locates.answered(this, a)
        return true
      }
      case linkKind.invite: {
        const a = readLinkInvite(r)
        if (a === undefined) return this.violate('malformed INVITE')
        gateway.invite(this, a)
        return true
      }
      case linkKind.kick: {
        const a = readKick(r)
        if (a === undefined) return this.violate('malformed KICK')
        gateway.kick(a.session, a.code, this)
        return true
      }
      case linkKind.loose: {
        const a = readLinkLoose(r)
        if (a === undefined) return this.violate('malformed LOOSE')
        gateway.looseCalls.fromHost(this, a, this.now)
        return true
      }
      case linkKind.looseReply: {
        const a = readLooseReply(r)
        if (a === undefined) return this.violate('malformed LOOSE_REPLY')
        gateway.looseCalls.replied(this, a, this.now)
        return true
      }
      case linkKind.broadcast: {
        const a = readBroadcast(r)
        if (a === undefined) return this.violate('malformed BROADCAST')
        gateway.looseCalls.broadcast(this, a)
        return true
      }
      default:
        return this.#keeping(kind, bytes, start, end)
    }
  }

  /** What concerns the link itself. */
  #keeping(kind: number, bytes: Uint8Array, start: number, end: number): boolean {
    const gateway = this.#gateway
    const r = openFrame(bytes, start, end)!
    switch (kind) {
      case linkKind.ping:
      case linkKind.pong:
      case linkKind.load: {
        const a = readPair(r)
        if (a === undefined) return this.violate('malformed PING, PONG or LOAD')
        if (kind === linkKind.ping) {
          writePair(this.outlet.writer, linkKind.pong, a.first, gateway.env.wallNow())
          this.outlet.touch()
        } else if (kind === linkKind.pong) {
          this.rttMs = Math.max(0, this.now - a.first)
        } else {
          this.host.channels = a.first
          this.host.busyThousandths = a.second
        }
        return true
      }
      case linkKind.drain:
      case linkKind.goodbye:
      case linkKind.close: {
        const a = readClose(r)
        if (a === undefined) return this.violate('malformed DRAIN, GOODBYE or CLOSE')
        if (kind === linkKind.drain) {
          this.host.isDraining = true
          gateway.env.observe({ event: 'host_draining', host: this.host.name })
          return true
        }
        if (kind === linkKind.goodbye) gateway.hostTable.declareGone(this.host, 'goodbye', this.now)
        this.close(kind === linkKind.goodbye ? code.host_lost : code.link_lost, '', this.now)
        return false
      }
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

  // ---- own life ----

  /** Both hellos and proofs are in order: the link takes channels from now on. */
  opened(now: number): void {
    const gateway = this.#gateway
    this.state = linkState.open
    const limits = gateway.limits
    this.#splitter.frameBytesMax = Math.max(limits.frameBytesMax, limits.looseReplyBytesMax) + FRAME_EXTRA_BYTES
    this.#beatIn(now)
    gateway.counters.cells[cell.linksOpen]++
    gateway.env.observe({
      event: 'link_opened',
      host: this.host.name,
      instance: this.instance.toString(16),
      serial: this.serial,
    })
    gateway.hostTable.linked(this, now)
  }

  expired(_deadline: Deadline, now: number): void {
    if (this.state === linkState.handshake) {
      this.close(code.handshake_timeout, 'the handshake was not finished in time', now)
      return
    }
    if (now - this.#heardAt >= 2 * this.#beatMs) {
      this.close(code.idle, 'nothing was heard for two heartbeats', now)
      return
    }
    if (this.outlet.heldNow() > STUCK_FACTOR * this.bytesMax) {
      this.close(code.slow, 'the host takes nothing', now)
      return
    }
    writePair(this.outlet.writer, linkKind.ping, Math.floor(now), Math.floor(this.rttMs))
    this.outlet.touch()
    this.#beatIn(now)
  }

  #beatIn(now: number): void {
    this.#beatMs = this.#gateway.times.linkHeartbeatMs
    this.#gateway.deadlines.set(this.#beat, now + this.#beatMs)
  }

  /** Tells the host that this gateway goes: nothing new is begun over this link. */
  announceDrain(withinMs: number): void {
    if (this.state !== linkState.open) return
    writeClose(this.outlet.writer, linkKind.drain, { code: code.going_away, retryMs: Math.floor(withinMs), text: '' })
    this.outlet.touch()
  }

  /** Sends CLOSE_HANDLE if that was not done, and frees the handle when both sides have (L2). */
  closeHandle(slot: HandleSlot, why: number, retryMs: number): void {
    if (this.state === linkState.closed || !slot.isOpen) return
    if (!slot.closeSent) {
      slot.closeSent = true
      writeCloseHandle(this.outlet.writer, { handle: slot.handle, code: why, retryMs, host: '' })
      this.outlet.touch()
      this.#gateway.counters.cells[cell.linkFramesOut]++
    }
    this.handles.settle(slot)
  }

  /** The answer to a loose call that this host made. */
  looseReplied(request: number, answer: number, payload: Uint8Array): void {
    if (this.state !== linkState.open) return
    writeLooseReply(this.outlet.writer, linkKind.looseReply, { request, code: answer, payload })
    this.outlet.touch()
  }

  /** Ends the link because the host broke the protocol; false, for frame handlers to return. */
  violate(what: string): false {
    this.#gateway.env.observe({
      event: 'peer_violation',
      side: 'link',
      address: this.outlet.carrier.address,
      code: code.protocol,
      what,
    })
    this.close(code.protocol, what, this.now)
    return false
  }

  /** Ends the link with a CLOSE to the host. */
  close(why: number, text: string, now: number): void {
    if (this.state === linkState.closed) return
    writeClose(this.outlet.writer, clientKind.close, { code: why, retryMs: 0, text })
    this.#end(why, now, text)
    this.outlet.endAfterFlush(why, text)
  }

  #end(why: number, now: number, text = ''): void {
    if (this.state === linkState.closed) return
    const gateway = this.#gateway
    const wasOpen = this.state === linkState.open
    this.state = linkState.closed
    gateway.deadlines.clear(this.#beat)
    gateway.flow.linkGone(this)
    gateway.links.delete(this)
    if (!wasOpen) {
      gateway.env.observe({ event: 'link_refused', host: this.host.name, code: why, text })
      gateway.hostTable.redial(this.host, now)
      return
    }
    gateway.counters.cells[cell.linksOpen]--
    gateway.hostTable.unlinked(this, now)
    gateway.groups.linkGone(this)
    const told = why === code.host_lost ? code.host_lost : code.link_lost
    for (const attachment of this.handles.attachments()) {
      if (attachment.origin === this) gateway.attaches.letGo(attachment, told)
      else gateway.attaches.lost(attachment, told)
    }
    gateway.locates.linkGone(this)
    gateway.looseCalls.linkGone(this, now)
    gateway.env.observe({ event: 'link_closed', host: this.host.name, code: why })
  }
}
