// One message through the gateway, both ways: read the header, find the attachment, check the number, judge, write it anew
// under the other side's numbers. Nothing here allocates, awaits or looks anything up by a string once a route is known.
//
//   client --alias,n,route--> judge (R1) --handle,n,route'--> host         the number never changes (S5)
//   refused n: REJECT(n) to the client at once, SKIP(n, count) to the host in its place; a run is one SKIP
//
// Frames of a channel that is detached are dropped; frames that no honest client can send close it (`protocol`).
import { pass } from '../policies/circuit-breaker.ts'
import type { Pipeline, Verdict } from '../policies/pipeline.ts'
import { verdict } from '../policies/pipeline.ts'
import { code } from '../protocols/codes.ts'
import {
  expandNumber,
  forwardLane,
  forwardRequest,
  LaneFrame,
  laneKind,
  readLaneBody,
  readLaneHeader,
  writeReject,
  writeSkip,
} from '../protocols/wire/lane-frames.ts'
import type { Attachment } from './attachment.ts'
import { attachState } from './attachment.ts'
import type { ClientConnection } from './client-connection.ts'
import { cell, drop } from './counters.ts'
import type { Gateway } from './gateway.ts'
import { hasNoReplyRoom } from './grants.ts'
import { HeldLane } from './held-lane.ts'
import type { Link } from './link.ts'
import type { RouteEntry } from './route-numbers.ts'

/** A SKIP never covers more than the largest window and what does not count in it (N2, R2). */
const SKIP_COUNT_MAX = 2 ** 14 + 65
const RETRY_MS = 1000

export class Lanes {
  readonly #gateway: Gateway
  readonly #frame = new LaneFrame()
  readonly #mask: number
  /** Attachments with a run of refusals whose SKIP is still to be written, at the latest at the end of the turn. */
  readonly #skipping: Attachment[] = []

  constructor(gateway: Gateway, numberBits: number) {
    this.#gateway = gateway
    this.#mask = 2 ** numberBits - 1
  }

  // ---- from a client ----

  /** Takes one lane frame of a client; false when that closed the connection. */
  fromClient(connection: ClientConnection, bytes: Uint8Array, start: number, end: number): boolean {
    const frame = this.#frame
    if (!readLaneHeader(frame, bytes, start, end)) return connection.violate('malformed lane frame')
    const aliases = connection.aliases
    const attachment = frame.channel < aliases.length ? aliases[frame.channel] : undefined
    if (attachment === undefined) return connection.violate('lane frame on an alias that was never attached')
    if (attachment.state !== attachState.attached) {
      // Behind a DETACHED of ours in flight this is honest (A10); before ATTACHED it is not (A3, A7).
      if (attachment.state !== attachState.detached) return connection.violate('lane frame before ATTACHED')
      this.#gateway.counters.drops[drop.detachedAlias]++
      return connection.charge()
    }
    const kind = frame.kind
    if (attachment.held !== undefined && kind <= laneKind.skip) {
      if (!attachment.held.add(bytes, start, end)) return connection.violate('more than a window is sent')
      return true
    }
    if (kind <= laneKind.request) return this.#messageUp(connection, attachment, frame, start)
    if (kind >= laneKind.latest) return this.#unnumberedUp(connection, attachment, frame)
    if (kind === laneKind.ack) return this.#ackUp(connection, attachment, frame)
    if (kind === laneKind.replay || kind === laneKind.reject) return connection.violate('a host frame from a client')
    if (!this.#inOrderUp(attachment, frame)) return connection.charge()
    if (kind === laneKind.skip) {
      if (!this.#skipUp(attachment, frame)) return connection.violate('malformed SKIP')
    } else {
      attachment.nextUp++
    }
    this.#forwardUp(connection, attachment, frame, 0)
    return true
  }

  /** A frame that came beside the ordered stream: unnumbered or nothing (C1). Never a reason to close. */
  datagramFromClient(connection: ClientConnection, bytes: Uint8Array): void {
    const frame = this.#frame
    if (readLaneHeader(frame, bytes, 0, bytes.length) && frame.kind >= laneKind.latest) {
      const attachment = frame.channel < connection.aliases.length ? connection.aliases[frame.channel] : undefined
      const entry = frame.route < connection.routes.length ? connection.routes[frame.route] : undefined
      if (attachment?.state === attachState.attached && entry !== undefined) {
        this.#unnumberedUp(connection, attachment, frame)
        return
      }
    }
    this.#gateway.counters.drops[drop.datagram]++
  }

  #messageUp(connection: ClientConnection, attachment: Attachment, frame: LaneFrame, start: number): boolean {
    const entry = frame.route < connection.routes.length ? connection.routes[frame.route] : undefined
    if (entry === undefined) return connection.violate('route number that was not announced')
    if (!this.#inOrderUp(attachment, frame)) return connection.charge()
    const rule = entry.rule(this.#gateway.routes, attachment.service)
    if (rule === undefined) {
      this.#refuse(connection, attachment, entry.name, code.no_route, 0)
      return true
    }
    const pipeline = connection.pipelines()[rule.index + 1]
    if (!pipeline.isEmpty) {
      if (pipeline.readsPayload && !readLaneBody(frame)) return connection.violate('malformed message')
      const said = this.#judge(connection, attachment, pipeline, frame)
      if (said === verdict.delay && this.#hold(connection, attachment, frame, start)) return true
      if (said !== verdict.pass) return this.#refused(connection, attachment, entry.name, said)
    }
    // Q1: whether it would wait longer than its route allows.
    let isLate = false
    const guards = this.#gateway.guards
    const guard = rule.index === -1 ? undefined : guards.ofRule[rule.index]
    if (frame.kind === laneKind.request) {
      if (!readLaneBody(frame)) return connection.violate('malformed message')
      if (hasNoReplyRoom(connection, this.#gateway.limits)) {
        this.#refuse(connection, attachment, entry.name, code.busy, RETRY_MS)
        return true
      }
      const as = guard === undefined ? pass.ordinary : guard.ask(connection.now)
      if (as === pass.refused) {
        this.#refuse(connection, attachment, entry.name, guard!.refusal, guard!.retryMs(connection.now))
        return true
      }
      const { requestMsMax } = rule
      isLate = frame.deadlineMs > requestMsMax || (frame.deadlineMs === 0 && requestMsMax !== Infinity)
      if (isLate) frame.deadlineMs = requestMsMax
      guards.sent(attachment, frame.request, frame.deadlineMs, guard, as, connection.now)
    } else if (guard !== undefined && !guard.letsPass(connection.now)) {
      this.#refuse(connection, attachment, entry.name, guard.refusal, guard.retryMs(connection.now))
      return true
    }
    attachment.nextUp++
    const link = attachment.link!
    const number = link.routes.numberOf(entry, rule.match, link.outlet.writer)
    if (isLate) this.#shorten(connection, attachment, frame, number)
    else this.#forwardUp(connection, attachment, frame, number)
    return true
  }

  #unnumberedUp(connection: ClientConnection, attachment: Attachment, frame: LaneFrame): boolean {
    const entry = frame.route < connection.routes.length ? connection.routes[frame.route] : undefined
    if (entry === undefined) return connection.violate('route number that was not announced')
    if (frame.epoch !== (attachment.epoch & 0xff)) {
      this.#gateway.counters.drops[drop.staleEpoch]++
      return connection.charge()
    }
    const link = attachment.link!
    if (link.isFull) {
      this.#gateway.counters.drops[drop.fullLink]++
      return true
    }
    const rule = entry.rule(this.#gateway.routes, attachment.service)
    if (rule === undefined) {
      this.#gateway.counters.drops[drop.refusedUnnumbered]++
      connection.waste()
      return true
    }
    const pipeline = connection.pipelines()[rule.index + 1]
    if (!pipeline.isEmpty) {
      const isRead = !pipeline.readsPayload || readLaneBody(frame)
      const said = isRead ? this.#judge(connection, attachment, pipeline, frame) : verdict.drop
      if (said !== verdict.pass) {
        this.#gateway.counters.drops[drop.refusedUnnumbered]++
        connection.waste()
        return said < verdict.close || connection.punish(said)
      }
    }
    this.#forwardUp(connection, attachment, frame, link.routes.numberOf(entry, rule.match, link.outlet.writer))
    return true
  }

  /** W5: what was not written to the client cannot have been settled by it. */
  #ackUp(connection: ClientConnection, attachment: Attachment, frame: LaneFrame): boolean {
    const written = attachment.nextDown - 1
    const acked = expandNumber(frame.number, written, this.#mask)
    if (acked > written) return connection.violate('ACK beyond what was sent')
    if (acked <= attachment.ackedDown) return connection.charge()
    attachment.ackedDown = acked
    this.#forwardUp(connection, attachment, frame, 0)
    return true
  }

  /** The withdrawn or refused numbers of the client itself (N4, R3): passed unjudged. */
  #skipUp(attachment: Attachment, frame: LaneFrame): boolean {
    if (!readLaneBody(frame) || frame.count < 1 || frame.count > SKIP_COUNT_MAX) return false
    attachment.nextUp += frame.count
    return true
  }

  #forwardUp(connection: ClientConnection, attachment: Attachment, frame: LaneFrame, route: number): void {
    if (attachment.skipCount > 0) this.#writeSkip(attachment)
    forwardLane(attachment.link!.outlet.writer, frame, attachment.handle, route)
    this.#sentUp(connection, attachment.link!)
  }

  /** The same for a request, with the deadline that its route allows (Q1). */
  #shorten(connection: ClientConnection, attachment: Attachment, frame: LaneFrame, route: number): void {
    if (attachment.skipCount > 0) this.#writeSkip(attachment)
    forwardRequest(attachment.link!.outlet.writer, frame, attachment.handle, route, frame.deadlineMs)
    this.#gateway.counters.cells[cell.deadlinesShortened]++
    this.#sentUp(connection, attachment.link!)
  }

  #sentUp(connection: ClientConnection, link: Link): void {
    const { outlet } = link
    outlet.touch()
    this.#gateway.counters.cells[cell.linkFramesOut]++
    if (outlet.held > link.bytesMax) this.#gateway.flow.linkFull(link, connection)
  }

  /** N3: the next number or nothing; below is dropped, above closes the handle. */
  #inOrderUp(attachment: Attachment, frame: LaneFrame): boolean {
    const next = attachment.nextUp
    if (frame.number === (next & this.#mask)) return true
    if (expandNumber(frame.number, next, this.#mask) < next) this.#gateway.counters.drops[drop.duplicate]++
    else this.#gateway.attaches.end(attachment, code.protocol, 0, 'a number was left out')
    return false
  }

  /** R1: what the policies of its place say of a message; its body was read where one of them asks for that. */
  #judge(connection: ClientConnection, attachment: Attachment, pipeline: Pipeline, frame: LaneFrame): Verdict {
    const judgement = this.#gateway.policing.judgement
    judgement.subject = connection.subject!
    judgement.messageBytes = frame.end - frame.bodyStart
    judgement.bytes = frame.bytes
    judgement.payloadStart = frame.payloadStart
    judgement.payloadEnd = frame.end
    const isReplay = frame.kind <= laneKind.request && attachment.nextUp <= attachment.sentAtAttach
    judgement.credit = isReplay ? attachment.credit : undefined
    return pipeline.judge(judgement, connection.now)
  }

  /** R4: the lane waits for this message, unless that would take longer than its policy allows; false then. */
  #hold(connection: ClientConnection, attachment: Attachment, frame: LaneFrame, start: number): boolean {
    const { retryMs, delayMsMax } = this.#gateway.policing.judgement
    const { now } = connection
    if (attachment.heldNumber !== attachment.nextUp) {
      attachment.heldNumber = attachment.nextUp
      attachment.heldSince = now
    }
    if (now + retryMs > attachment.heldSince + delayMsMax) return false
    attachment.held = new HeldLane(this.#gateway, connection, attachment, now + retryMs)
    attachment.held.add(frame.bytes, start, frame.end)
    this.#gateway.counters.cells[cell.messagesDelayed]++
    return true
  }

  /** R4: a refusal is R1, and after `close` and `ban` the connection ends; false then. */
  #refused(connection: ClientConnection, attachment: Attachment, route: string, said: Verdict): boolean {
    const { judgement } = this.#gateway.policing
    if (said === verdict.drop) this.#refuse(connection, attachment, route, code.dropped, 0)
    else this.#refuse(connection, attachment, route, judgement.code, judgement.retryMs)
    return said < verdict.close || connection.punish(said)
  }

  /** R1: the client is told at once, the host in the message's place. */
  #refuse(connection: ClientConnection, attachment: Attachment, route: string, refusal: number, retryMs: number): void {
    const number = attachment.nextUp++
    const counters = this.#gateway.counters
    connection.waste()
    counters.cells[cell.messagesRefused]++
    counters.refusedByCode[refusal]++
    if (attachment.skipCount > 0) {
      const isRun = attachment.skipCode === refusal && attachment.skipCount < SKIP_COUNT_MAX
      if (isRun) attachment.skipCount++
      else this.#writeSkip(attachment)
    }
    if (attachment.skipCount === 0) {
      // The first of a run; pushed even if an earlier run of this turn is in the list already.
      attachment.skipFrom = number
      attachment.skipCount = 1
      attachment.skipCode = refusal
      attachment.skipRoute = route
      this.#skipping.push(attachment)
      this.#gateway.turn.schedule()
    }
    writeReject(connection.outlet.writer, attachment.channel, number & this.#mask, refusal, retryMs)
    connection.outlet.touch()
    counters.cells[cell.clientFramesOut]++
    if (connection.outlet.held > this.#gateway.limits.connectionBytesMax) this.#gateway.flow.clientFull(connection)
  }

  #writeSkip(attachment: Attachment): void {
    const outlet = attachment.link!.outlet
    writeSkip(
      outlet.writer,
      attachment.handle,
      attachment.skipFrom & this.#mask,
      attachment.skipCount,
      attachment.skipCode,
    )
    outlet.touch()
    this.#gateway.counters.cells[cell.linkFramesOut]++
    this.#gateway.env.observe({
      event: 'message_refused',
      session: attachment.sessionName,
      route: attachment.skipRoute,
      code: attachment.skipCode,
      count: attachment.skipCount,
    })
    attachment.skipCount = 0
  }

  /** Writes the SKIPs of this turn that no later message has written yet. */
  flushSkips(): void {
    const skipping = this.#skipping
    for (let i = 0; i < skipping.length; i++) this.settleSkip(skipping[i])
    skipping.length = 0
  }

  /** What was refused is told to the host before its handle closes. */
  settleSkip(attachment: Attachment): void {
    if (attachment.skipCount > 0 && attachment.link !== undefined) this.#writeSkip(attachment)
    attachment.skipCount = 0
  }

  // ---- from a link ----

  /** Takes one lane frame of a host; false when that closed the link. */
  fromLink(link: Link, bytes: Uint8Array, start: number, end: number): boolean {
    const frame = this.#frame
    if (!readLaneHeader(frame, bytes, start, end)) return link.violate('malformed lane frame')
    const attachment = link.handles.at(frame.channel)?.attachment
    if (attachment === undefined) {
      this.#gateway.counters.drops[drop.closedHandle]++
      return true
    }
    if (attachment.state !== attachState.attached) {
      this.#gateway.counters.drops[drop.beforeAttached]++
      return true
    }
    let entry: RouteEntry | undefined
    if (frame.kind <= laneKind.request || frame.kind === laneKind.replay || frame.kind >= laneKind.latest) {
      entry = frame.route < link.hostRoutes.length ? link.hostRoutes[frame.route] : undefined
      if (entry === undefined) return link.violate('route number that was not announced')
    }
    if (frame.kind === laneKind.reject) return link.violate('REJECT from a host')
    if (frame.channel & 1) return this.#relay(link, attachment, frame, entry, true)
    if (frame.kind <= laneKind.skip && !this.#inOrderDown(attachment, frame)) return true
    if (attachment.origin !== undefined) return this.#relay(link, attachment, frame, entry, false)
    return this.#down(link, attachment, frame, entry)
  }

  #down(link: Link, attachment: Attachment, frame: LaneFrame, entry: RouteEntry | undefined): boolean {
    const connection = attachment.connection!
    const outlet = connection.outlet
    let route = 0
    if (frame.kind >= laneKind.latest) {
      route = this.#gateway.routesDown.numberOf(entry!)
      if (route === -1) return link.violate('too many routes')
      if (this.#gateway.flow.divert(connection, attachment, frame, route)) return true
    } else if (outlet.held > this.#gateway.limits.connectionBytesMax) {
      if (!this.#gateway.flow.clientFull(connection)) return true
    }
    if (entry !== undefined) {
      route = this.#gateway.routesDown.numberOf(entry)
      if (route === -1) return link.violate('too many routes')
      if (!connection.announced.has(route)) connection.announced.announce(route, entry.name, outlet)
    }
    if (frame.kind === laneKind.reply && attachment.requests !== undefined && readLaneBody(frame)) {
      this.#gateway.guards.replied(attachment, frame.request, frame.code, link.now)
    }
    forwardLane(outlet.writer, frame, attachment.channel, route)
    outlet.touch()
    this.#gateway.counters.cells[cell.clientFramesOut]++
    return true
  }

  #inOrderDown(attachment: Attachment, frame: LaneFrame): boolean {
    const next = attachment.nextDown
    if (frame.number !== (next & this.#mask)) {
      if (expandNumber(frame.number, next, this.#mask) < next) this.#gateway.counters.drops[drop.duplicate]++
      else this.#gateway.attaches.hostBroke(attachment, 'a number was left out')
      return false
    }
    if (frame.kind !== laneKind.skip) {
      attachment.nextDown++
      return true
    }
    if (!readLaneBody(frame) || frame.count < 1 || frame.count > SKIP_COUNT_MAX) {
      this.#gateway.attaches.hostBroke(attachment, 'malformed SKIP')
      return false
    }
    attachment.nextDown += frame.count
    return true
  }

  /** P6: both ends are hosts. Upward the numbers are checked as a client's are; nothing is judged. */
  #relay(link: Link, attachment: Attachment, frame: LaneFrame, entry: RouteEntry | undefined, isUp: boolean): boolean {
    if (isUp && frame.kind === laneKind.replay) return link.violate('REPLAY from a client end')
    if (isUp && frame.kind <= laneKind.skip) {
      if (!this.#inOrderUp(attachment, frame)) return true
      if (frame.kind !== laneKind.skip) attachment.nextUp++
      else if (!this.#skipUp(attachment, frame)) return link.violate('malformed SKIP')
    }
    const to = isUp ? attachment.link! : attachment.origin!
    if (to.outlet.held > to.bytesMax && to.outlet.heldNow() > to.bytesMax) {
      // No link waits for another (W6): unnumbered frames are dropped, the channel is detached.
      if (frame.kind >= laneKind.latest) this.#gateway.counters.drops[drop.fullLink]++
      else this.#gateway.attaches.end(attachment, code.busy, 1000)
      return true
    }
    const route = entry === undefined ? 0 : to.routes.numberOf(entry, '', to.outlet.writer)
    forwardLane(to.outlet.writer, frame, isUp ? attachment.handle : attachment.channel, route)
    to.outlet.touch()
    this.#gateway.counters.cells[cell.linkFramesOut]++
    return true
  }
}
