// One end of a channel: a lane out, a lane in, the requests open on it and its unnumbered messages. Both ends are this
// machine; how an end attaches differs (client-channel.ts, host-record.ts). Pure: bytes and time come in, frames go out
// through `transmit`, what happened goes to the sink.
//
// Calling order while attached: `attached(...)` once, then `receive(frame, route, now)` for each lane frame, `settle` for
// each delivered number when its handler has finished, `transmit(...)` at the end of a turn, `tick(now)` at `deadline()`,
// `detached()` once.
import { code } from '../codes.ts'
import type { LaneFrame } from '../wire/lane-frames.ts'
import { expandNumber, laneKind, readLaneBody } from '../wire/lane-frames.ts'
import { writeAck, writeLatest, writeUnreliable } from '../wire/lane-frames.ts'
import type { Writer } from '../wire/writer.ts'
import { incoming } from './incoming.ts'
import { BEYOND_WINDOW, Intake, taken } from './intake.ts'
import { writeItem } from './item-frames.ts'
import { LatestReceiver, LatestSender } from './latest.ts'
import type { Window } from './outbox.ts'
import { Item, Outbox } from './outbox.ts'

/** What came for the application. Numbered kinds (number > 0) must be settled, once, when the handler has finished. */
export type Incoming = {
  kind: number
  number: number
  route: string
  request: number
  /** When the sender stops waiting; Infinity where it waits for ever. Monotonic, in the receiver's time (Q1). */
  deadlineAt: number
  key: string
  group: string
  life: bigint
  offset: number
  payload: Uint8Array
}

export type Outcome = { code: number; payload: Uint8Array; ran: 'yes' | 'no' | 'unknown'; retryMs: number }

/** What an end tells its owner. */
export interface ChannelSink {
  deliver(message: Incoming): void
  /** A one-way message certainly did not run: refused or withdrawn. Told once (S1, R3); requests end by `outcome`. */
  refused(item: Item, number: number, code: number, retryMs: number): void
  /** A request ended (Q2). `late` outcomes are not told. */
  outcome(request: number, outcome: Outcome): void
  /** The other end sent FIN: it will send nothing more (X4). */
  finished(code: number): void
}

/** Gives route names their numbers on one connection or link, announcing them into the writer before their first use. */
export interface RouteNumbers {
  numberOf(route: string, w: Writer): number
}

/** Where datagrams go beside the stream of a connection: for LATEST and UNRELIABLE alone (WIRE-10.1). */
export interface DatagramPath {
  /** A writer for one frame on that route, or undefined where the frame is to go in the stream (KCP-7.6). */
  begin(route: string): Writer | undefined
  /** Sends the frame that was written; false: it is to go in the stream. */
  end(): boolean
}

export type EndLimits = {
  /** Requests open in this direction (W4). */
  openRequestsMax: number
  /** Longest time a settled number stays unacknowledged (W3). */
  ackDelayMs: number
  numberMask: number
}

/** A quarter of a second: in a game that sends four times a second or oftener, every ACK rides (decision 0012). */
export const endLimits: EndLimits = { openRequestsMax: 64, ackDelayMs: 250, numberMask: 0xffff }

type OpenRequest = { number: number; deadlineAt: number; told: boolean }

const EMPTY = new Uint8Array(0)
const UNRELIABLE_WAITING_MAX = 64

export class ChannelEnd {
  readonly out: Outbox
  readonly in: Intake
  readonly latest = new LatestSender()
  epoch = 0
  isAttached = false
  finSent = 0
  finReceived = false
  finCode = 0
  /** Largest window of this life, the bound of R2. */
  largestWindow: number
  #largestWindowBytes: number
  lateReplies = 0
  staleUnnumbered = 0
  readonly #limits: EndLimits
  readonly #sink: ChannelSink
  readonly #seen = new LatestReceiver()
  #requests: Map<number, OpenRequest> = new Map()
  #nextRequest = 1
  #ackDueAt = Infinity
  /** When numbered items were last written, or the attach began. */
  #wroteAt = 0
  #requestDueAt = Infinity
  #unreliable: { route: string; payload: Uint8Array }[] = []

  constructor(window: Window, limits: EndLimits, sink: ChannelSink, now: number) {
    this.out = new Outbox(window)
    this.in = new Intake(now)
    this.largestWindow = window.count
    this.#largestWindowBytes = window.bytes
    this.#limits = limits
    this.#sink = sink
  }

  get openRequests(): number {
    return this.#requests.size
  }

  // ---- sending ----

  /**
   * Accepts a reliable one-way message, or says synchronously why not, and then nothing has happened (W1). The payload is
   * kept as it is: the caller gives it away (SDKs copy at their own `send`).
   * @returns the number, or minus the code that refuses it.
   */
  send(route: string, payload: Uint8Array): number {
    const refusal = this.finSent > 0 ? code.closed : this.out.admits(payload.length)
    if (refusal !== code.ok) return -refusal
    return this.out.push(new Item(laneKind.oneway, route, payload))
  }

  /** Accepts a request. Its outcome comes to the sink under the id returned; minus a code: refused synchronously. */
  request(route: string, payload: Uint8Array, deadlineAt: number): number {
    let refusal: number = this.finSent > 0 ? code.closed : this.out.admits(payload.length)
    if (refusal === code.ok && this.#requests.size >= this.#limits.openRequestsMax) refusal = code.too_many_requests
    if (refusal !== code.ok) return -refusal
    const item = new Item(laneKind.request, route, payload)
    item.request = this.#nextRequest++
    item.deadlineAt = deadlineAt
    const number = this.out.push(item)
    this.#requests.set(item.request, { number, deadlineAt, told: false })
    if (deadlineAt < this.#requestDueAt) this.#requestDueAt = deadlineAt
    return item.request
  }

  /**
   * Answers a request; the room was reserved by the request itself (W4). Returns the reply's number; behind our FIN nothing
   * is numbered any more, and the reply is dropped (X4).
   */
  reply(request: number, replyCode: number, payload: Uint8Array): number {
    if (this.finSent > 0) return -code.closed
    const item = new Item(laneKind.reply, '', payload)
    item.request = request
    item.code = replyCode
    if (payload.length > this.out.window.bytes >>> 2) {
      item.code = code.too_large
      item.payload = EMPTY
    }
    return this.out.push(item)
  }

  /** Accepts what a group member missed as a lane message (G2); minus a code when the window is full. */
  replay(route: string, group: string, life: bigint, offset: number, payload: Uint8Array): number {
    const refusal = this.finSent > 0 ? code.closed : this.out.admits(payload.length)
    if (refusal !== code.ok) return -refusal
    const item = new Item(laneKind.replay, route, payload)
    item.group = group
    item.life = life
    item.offset = offset
    return this.out.push(item)
  }

  /** Ends this direction with a numbered FIN; what was accepted before still goes (X4). */
  fin(finCode: number): void {
    if (this.finSent > 0) return
    const item = new Item(laneKind.fin, '', EMPTY)
    item.code = finCode
    this.finSent = this.out.push(item)
  }

  /** Sends the newest value of a key while attached, and again after each attach (C2). */
  sendLatest(route: string, key: string, payload: Uint8Array, settleAt = Infinity): void {
    this.latest.set(route, key, payload, settleAt)
    if (!this.isAttached) this.latest.pause()
  }

  /** Sends while attached, at most once, or not at all (C1). */
  sendUnreliable(route: string, payload: Uint8Array): boolean {
    if (!this.isAttached) return false
    this.#unreliable.push({ route, payload })
    if (this.#unreliable.length > UNRELIABLE_WAITING_MAX) this.#unreliable.shift()
    return true
  }

  /** Takes a message back if it certainly has not run (N4); it is then told as refused with this code. */
  withdraw(number: number, reason: number = code.withdrawn): boolean {
    const kind = this.out.at(number)?.kind
    if (kind !== laneKind.oneway && kind !== laneKind.request) return false
    return this.out.canWithdraw(number) && this.#bury(number, reason, 0)
  }

  // ---- attach and detach ----

  /**
   * An attach has begun: the other end has taken `received` and settled `settled` of our lane, and was told that we have
   * settled `settledTold` of theirs (A6-A8).
   */
  attached(epoch: number, received: number, settled: number, settledTold: number, now: number): void {
    this.epoch = epoch
    this.isAttached = true
    if (settled > this.out.acked) this.out.ack(settled)
    this.out.attach(received)
    this.in.ackedOut = settledTold
    this.in.bytesSinceAck = 0
    this.#ackDueAt = Infinity
    this.#wroteAt = now
    this.#considerAck(now)
    this.#seen.reset()
    this.latest.resend()
    this.#unreliable = []
    if (this.#requestDueAt <= now) this.#expireRequests(now)
  }

  detached(): void {
    this.isAttached = false
    this.out.detach()
    this.latest.pause()
    this.#unreliable = []
    this.#ackDueAt = Infinity
  }

  // ---- receiving ----

  /**
   * Takes one lane frame of the current attach; `route` is the name of its number (empty where it has none).
   * @returns `code.ok`, or `code.protocol`: the handle must be closed (N3).
   */
  receive(frame: LaneFrame, route: string, now: number): number {
    if (!readLaneBody(frame)) return code.protocol
    switch (frame.kind) {
      case laneKind.ack:
        return this.#receiveAck(frame)
      case laneKind.reject:
        return this.#receiveReject(frame)
      case laneKind.latest:
      case laneKind.unreliable:
        return this.#receiveUnnumbered(frame, route)
      case laneKind.skip:
        return this.#receiveSkip(frame, now)
      default:
        return this.#receiveNumbered(frame, route, now)
    }
  }

  /** The handler of a delivered number has finished; `bytes` is its payload's length (W2). */
  settle(number: number, bytes: number, now: number): void {
    this.in.settle(number)
    this.in.bytesSinceAck += bytes
    this.in.unsettledBytes -= bytes
    this.#considerAck(now)
  }

  #receiveNumbered(frame: LaneFrame, route: string, now: number): number {
    const number = expandNumber(frame.number, this.in.received + 1, this.#limits.numberMask)
    if (this.finReceived && number > this.in.received) return code.protocol
    const verdict = this.in.take(number, now)
    if (verdict === taken.gap) return code.protocol
    if (verdict === taken.duplicate) return code.ok
    if (frame.kind === laneKind.reply) {
      // Taken at receipt, not behind the mailbox: a handler may be waiting for it (W4).
      this.in.settle(number)
      this.#considerAck(now)
      this.#close(frame.request, { code: frame.code, payload: frame.payload(), ran: 'yes', retryMs: 0 })
      return code.ok
    }
    if (frame.kind === laneKind.fin) {
      this.finReceived = true
      this.finCode = frame.code
      this.in.settle(number)
      this.#considerAck(now)
      this.#sink.finished(frame.code)
      return code.ok
    }
    this.in.unsettledBytes += frame.end - frame.payloadStart
    // A sender that does not keep its window would grow our mailbox without bound (W1).
    if (this.in.received - this.in.settled > this.largestWindow + BEYOND_WINDOW) return code.protocol
    if (this.in.unsettledBytes > this.#largestWindowBytes) return code.protocol
    this.#sink.deliver(incoming(frame, number, route, now))
    return code.ok
  }

  #receiveSkip(frame: LaneFrame, now: number): number {
    const first = expandNumber(frame.number, this.in.received + 1, this.#limits.numberMask)
    if (frame.count < 1 || frame.count > this.largestWindow + BEYOND_WINDOW) return code.protocol
    for (let number = first; number < first + frame.count; number++) {
      const verdict = this.in.take(number, now)
      if (verdict === taken.gap) return code.protocol
      if (verdict === taken.duplicate) continue
      this.in.settle(number)
      // What its sender took back itself it knows of; what was refused on the way it must be told (R2).
      if (frame.code !== code.withdrawn) this.in.refuse(number, frame.code, this.largestWindow)
    }
    this.#considerAck(now)
    return code.ok
  }

  #receiveAck(frame: LaneFrame): number {
    const number = this.out.acked + ((frame.number - this.out.acked) & this.#limits.numberMask)
    if (number > this.out.transmitted) return code.protocol
    this.out.ack(number)
    return code.ok
  }

  #receiveReject(frame: LaneFrame): number {
    const number = expandNumber(frame.number, this.out.transmitted, this.#limits.numberMask)
    if (number > this.out.transmitted) return code.protocol
    this.#bury(number, frame.code, frame.retryMs)
    return code.ok
  }

  #receiveUnnumbered(frame: LaneFrame, route: string): number {
    if (frame.epoch !== (this.epoch & 0xff)) {
      this.staleUnnumbered++
      return code.ok
    }
    if (frame.kind === laneKind.latest && !this.#seen.admits(route, frame.key, frame.stamp)) {
      this.staleUnnumbered++
      return code.ok
    }
    this.#sink.deliver(incoming(frame, 0, route, 0))
    return code.ok
  }

  /** The other end says, at an attach, which of our numbers were refused on the way (A8, R3). */
  refusedAtAttach(number: number, reason: number): void {
    this.#bury(number, reason, 0)
  }

  #bury(number: number, reason: number, retryMs: number): boolean {
    const item = this.out.bury(number, reason)
    if (item === undefined) return false
    if (item.kind === laneKind.request) {
      this.#close(item.request, { code: reason, payload: EMPTY, ran: 'no', retryMs })
    } else {
      this.#sink.refused(item, number, reason, retryMs)
    }
    return true
  }

  /** Ends an open request, telling its outcome unless it was told before (Q2: late replies are counted and dropped). */
  #close(request: number, outcome: Outcome): void {
    const open = this.#requests.get(request)
    if (open === undefined || open.told) this.lateReplies++
    this.#requests.delete(request)
    if (open !== undefined && !open.told) this.#sink.outcome(request, outcome)
  }

  // ---- transmitting ----

  /** Whether `transmit` would write something now. */
  needsTransmit(now: number): boolean {
    if (!this.isAttached) return false
    return this.out.hasUntransmitted || this.latest.hasWaiting || this.#unreliable.length > 0 || this.#ackDueAt <= now
  }

  /** Writes what is due on the current attach: new and replayed items, tombstones, unnumbered messages, an ACK. */
  transmit(w: Writer, channel: number, routes: RouteNumbers, now: number, datagrams?: DatagramPath): void {
    if (!this.isAttached) return
    let wrote = false
    for (let item = this.out.next(); item !== undefined; item = this.out.next()) {
      if (item.deadlineAt <= now && item.kind === laneKind.request) item = this.#expired(item)
      writeItem(w, channel, item, routes, this.#limits.numberMask, now)
      wrote = true
    }
    const epoch = this.epoch & 0xff
    for (const { route, payload } of this.#unreliable) {
      const datagram = datagrams?.begin(route)
      if (datagram !== undefined) {
        writeUnreliable(datagram, channel, epoch, routes.numberOf(route, datagram), payload)
        if (datagrams!.end()) continue
      }
      writeUnreliable(w, channel, epoch, routes.numberOf(route, w), payload)
    }
    if (this.#unreliable.length > 0) this.#unreliable = []
    for (let held = this.latest.next(); held !== undefined; held = this.latest.next()) {
      const { route, key, stamp, payload } = held
      const datagram = datagrams?.begin(route)
      if (datagram !== undefined) {
        writeLatest(datagram, channel, epoch, routes.numberOf(route, datagram), key, stamp, payload)
        if (datagrams!.end()) continue
      }
      writeLatest(w, channel, epoch, routes.numberOf(route, w), key, stamp, payload)
    }
    if (this.#ackDueAt <= now || (wrote && this.#rides(now))) this.writeAck(w, channel)
    if (wrote) this.#wroteAt = now
  }

  /**
   * Whether an ACK goes with what is written anyway (W3): when it is due soon, or when it would be due before the next
   * write, if that comes as long after this one as this one after the last. A write of its own costs both ends and the
   * gateway more than four bytes in this one; where writes come often, one ACK for many messages still is the cheapest.
   */
  #rides(now: number): boolean {
    const leftMs = this.#ackDueAt - now
    return leftMs < this.#limits.ackDelayMs / 2 || (leftMs < Infinity && leftMs < now - this.#wroteAt)
  }

  writeAck(w: Writer, channel: number): void {
    this.#ackDueAt = Infinity
    if (!this.in.hasUnackedSettled) return
    this.in.ackedOut = this.in.settled
    this.in.bytesSinceAck = 0
    writeAck(w, channel, this.in.settled & this.#limits.numberMask)
  }

  /** A request whose deadline passed before this transmission certainly has not run on this attach: SKIP (Q1, N4). */
  #expired(item: Item): Item {
    this.#bury(item.number, code.expired, 0)
    return this.out.at(item.number)!
  }

  #considerAck(now: number): void {
    if (!this.isAttached || !this.in.hasUnackedSettled) return
    const unacked = this.in.settled - this.in.ackedOut
    const isQuarter = unacked >= this.out.window.count >>> 2 || this.in.bytesSinceAck >= this.out.window.bytes >>> 2
    // Who ends the channel waits for it (X4).
    if (isQuarter || this.finReceived) this.#ackDueAt = now
    else if (this.#ackDueAt === Infinity) this.#ackDueAt = now + this.#limits.ackDelayMs
  }

  // ---- time ----

  deadline(): number {
    let at = this.#requestDueAt
    if (this.isAttached && this.#ackDueAt < at) at = this.#ackDueAt
    const settle = this.latest.deadline()
    return Math.min(settle, at)
  }

  /** Expires requests and promotes quiet `latest` values; ACKs that are due are written by `transmit`. */
  tick(now: number): void {
    if (this.#requestDueAt <= now) this.#expireRequests(now)
    if (this.latest.deadline() <= now) {
      for (const held of this.latest.settled(now)) {
        // Accepted or not: where the window is full the value is still held and re-sent at the next attach (C2).
        this.send(held.route, held.payload)
      }
    }
  }

  #expireRequests(now: number): void {
    let next = Infinity
    for (const [request, open] of this.#requests) {
      if (open.told) continue
      if (open.deadlineAt > now) {
        if (open.deadlineAt < next) next = open.deadlineAt
        continue
      }
      if (this.out.canWithdraw(open.number)) {
        this.#bury(open.number, code.expired, 0)
      } else {
        // The slot stays reserved until the reply comes or the lane ends: the reply still needs its room (W4).
        open.told = true
        this.#sink.outcome(request, { code: code.unknown, payload: EMPTY, ran: 'unknown', retryMs: 0 })
      }
    }
    this.#requestDueAt = next
  }

  // ---- end ----

  /**
   * Ends both lanes and what was open on them: requests become unknown. A new life is a new end, so that a handler which
   * is still running settles nothing there (X1).
   * @returns the messages whose outcome is unknown.
   */
  close(): Item[] {
    const unknown = this.out.unsettled()
    const open = this.#requests
    this.#requests = new Map()
    this.#requestDueAt = Infinity
    this.detached()
    this.latest.clear()
    for (const [request, { told }] of open) {
      if (!told) this.#sink.outcome(request, { code: code.unknown, payload: EMPTY, ran: 'unknown', retryMs: 0 })
    }
    return unknown
  }

  /** Takes the windows that the host grants (A7); a message too large for a smaller one is taken back (W1, N4). */
  grant(window: Window): void {
    for (const number of this.out.grant(window)) this.#bury(number, code.too_large, 0)
    if (window.count > this.largestWindow) this.largestWindow = window.count
    if (window.bytes > this.#largestWindowBytes) this.#largestWindowBytes = window.bytes
  }
}
