// Flow control where ends meet in the gateway.
//   W5  what it holds for one client is capped by its own count: past half of the cap unnumbered frames are dropped and
//       publications leave a LAG behind, past the cap the connection closes (`slow`); past the budget of all the worst go
//   W6  a full link stops the reading of the clients that feed it, at most a second, then their channels are detached
//   C2  while a client is behind, only the newest `latest` of each (channel, route, key) waits for it
// A link is never paused for a client.
import { clientKind, writeNumber } from '../protocols/client/frames.ts'
import { verdict } from '../policies/pipeline.ts'
import { code } from '../protocols/codes.ts'
import type { LaneFrame } from '../protocols/wire/lane-frames.ts'
import { forwardLane, laneKind, readLaneBody } from '../protocols/wire/lane-frames.ts'
import { Writer } from '../protocols/wire/writer.ts'
import type { Attachment } from './attachment.ts'
import { attachState } from './attachment.ts'
import type { ClientConnection } from './client-connection.ts'
import { cell, drop } from './counters.ts'
import type { Expiring } from './deadlines.ts'
import { Deadline } from './deadlines.ts'
import type { Gateway } from './gateway.ts'
import type { Membership } from './groups.ts'
import type { Link } from './link.ts'

/** The longest that a client is not read because of a link (W6). */
export const PAUSE_MS = 1000
const RETRY_MS = 1000

/** What waits for a client that is behind: the newest `latest` values, and groups that owe it a LAG. */
export class Arrears implements Expiring {
  readonly latest = new Map<string, { attachment: Attachment; bytes: Uint8Array }>()
  readonly lagging: Membership[] = []
  bytes = 0
  /** When it has been behind for too long. */
  readonly until = new Deadline(this)
  readonly #connection: ClientConnection

  constructor(connection: ClientConnection) {
    this.#connection = connection
  }

  expired(): void {
    if (this.#connection.slow().says(verdict.close)) this.#connection.close(code.slow, 'behind for too long')
  }
}

export class LinkBusy implements Expiring {
  readonly #flow: Flow
  readonly #link: Link

  constructor(flow: Flow, link: Link) {
    this.#flow = flow
    this.#link = link
  }

  expired(_deadline: Deadline, now: number): void {
    this.#flow.pausedTooLong(this.#link, now)
  }
}

export class Flow {
  readonly #gateway: Gateway
  readonly #fullLinks = new Set<Link>()
  readonly #behind = new Set<ClientConnection>()
  readonly #scratch = new Writer(512)
  /** All clients together are near the budget: unnumbered frames go first. */
  #isTight = false

  constructor(gateway: Gateway) {
    this.#gateway = gateway
  }

  // ---- links (W6) ----

  /** A frame of `connection` has filled this link. */
  linkFull(link: Link, connection: ClientConnection): void {
    if (!link.isFull) {
      if (link.outlet.heldNow() <= link.bytesMax) return
      link.isFull = true
      this.#fullLinks.add(link)
    }
    if (connection.pausedBy !== undefined) return
    connection.pausedBy = link
    connection.pausedAt = connection.now
    link.paused.push(connection)
    this.#gateway.counters.cells[cell.clientPauses]++
    connection.outlet.carrier.pause()
    if (link.busyAt.slot === -1) this.#gateway.deadlines.set(link.busyAt, connection.now + PAUSE_MS)
  }

  linkDrained(link: Link): void {
    if (!link.isFull || link.outlet.heldNow() > link.bytesMax / 2) return
    this.#notFull(link)
  }

  linkGone(link: Link): void {
    if (link.isFull) this.#notFull(link)
  }

  #notFull(link: Link): void {
    link.isFull = false
    this.#fullLinks.delete(link)
    this.#gateway.deadlines.clear(link.busyAt)
    for (const connection of link.paused.splice(0)) this.#resume(connection)
  }

  #resume(connection: ClientConnection): void {
    if (connection.pausedBy === undefined) return
    connection.pausedBy = undefined
    if (!connection.isResting) connection.outlet.carrier.resume()
  }

  /** W6: after a second its feeders are read again, and their channels on this link are detached: `busy`. */
  pausedTooLong(link: Link, now: number): void {
    while (link.paused.length > 0 && link.paused[0].pausedAt + PAUSE_MS <= now) {
      const connection = link.paused.shift()!
      for (const attachment of connection.aliases) {
        if (attachment?.link === link) this.#gateway.attaches.end(attachment, code.busy, RETRY_MS)
      }
      this.#resume(connection)
    }
    if (link.paused.length > 0) this.#gateway.deadlines.set(link.busyAt, link.paused[0].pausedAt + PAUSE_MS)
  }

  // ---- clients (W5) ----

  /** A numbered frame found the cap reached. True: the carrier has taken enough meanwhile; false: closed as slow. */
  clientFull(connection: ClientConnection): boolean {
    if (connection.outlet.heldNow() <= this.#gateway.limits.connectionBytesMax) return true
    connection.close(code.slow, 'too much is waiting for this client')
    return false
  }

  /** Whether publications and unreliable frames for this client are to be dropped now. */
  isBehind(connection: ClientConnection): boolean {
    const outlet = connection.outlet
    if (this.#isTight && outlet.held > 0 && outlet.heldNow() > 0) return true
    const slow = connection.slow()
    const dropAbove = this.#gateway.limits.connectionBytesMax * slow.settings.dropAboveShare
    return outlet.held > dropAbove && outlet.heldNow() > dropAbove && slow.says(verdict.drop)
  }

  /**
   * Takes an unnumbered frame for a client out of the ordered stream: as a datagram, held as the newest value, or dropped.
   * False: it goes the ordinary way.
   */
  divert(connection: ClientConnection, attachment: Attachment, frame: LaneFrame, route: number): boolean {
    const outlet = connection.outlet
    if (connection.announced.has(route) && outlet.takesDatagrams) {
      const scratch = this.#encode(attachment, frame, route)
      if (outlet.carrier.datagram!(scratch.bytes.subarray(prefixBytes(scratch), scratch.at))) return true
    }
    if (frame.kind === laneKind.unreliable) {
      if (!this.isBehind(connection)) return false
      this.#gateway.counters.drops[drop.slowClient]++
      return true
    }
    const holdAbove = this.#holdAbove(connection)
    const owes = connection.arrears !== undefined && connection.arrears.latest.size > 0
    if (!owes && (outlet.held <= holdAbove || outlet.heldNow() <= holdAbove)) return false
    if (!connection.slow().says(verdict.delay)) return false
    this.#hold(connection, attachment, frame, route)
    return true
  }

  #holdAbove(connection: ClientConnection): number {
    return Math.min(connection.slow().settings.latestAboveBytes, this.#gateway.limits.connectionBytesMax / 4)
  }

  #encode(attachment: Attachment, frame: LaneFrame, route: number): Writer {
    this.#scratch.clear()
    forwardLane(this.#scratch, frame, attachment.channel, route)
    return this.#scratch
  }

  #hold(connection: ClientConnection, attachment: Attachment, frame: LaneFrame, route: number): void {
    const drops = this.#gateway.counters.drops
    const arrears = this.#arrearsOf(connection)
    if (!readLaneBody(frame)) {
      drops[drop.slowClient]++
      return
    }
    const name = `${attachment.channel} ${route} ${frame.key}`
    const before = arrears.latest.get(name)
    const bytes = this.#encode(attachment, frame, route).drain()
    const total = arrears.bytes + bytes.length - (before?.bytes.length ?? 0)
    const isRoom = before !== undefined || arrears.latest.size < connection.slow().settings.latestKeysMax
    if (!isRoom || total > this.#gateway.limits.connectionBytesMax / 4) {
      drops[drop.slowClient]++
      return
    }
    if (before !== undefined) drops[drop.conflated]++
    if (!connection.announced.has(route)) {
      connection.announced.announce(route, this.#gateway.routesDown.names[route], connection.outlet)
      connection.outlet.touch()
    }
    arrears.latest.set(name, { attachment, bytes })
    arrears.bytes = total
  }

  #arrearsOf(connection: ClientConnection): Arrears {
    let arrears = connection.arrears
    if (arrears === undefined) {
      arrears = connection.arrears = new Arrears(connection)
      this.#behind.add(connection)
      const { behindMaxMs } = connection.slow().settings
      if (behindMaxMs !== Infinity) this.#gateway.deadlines.set(arrears.until, this.#gateway.env.now() + behindMaxMs)
    }
    return arrears
  }

  /** G4: a publication was dropped for this member; LAG tells it when its queue has drained. */
  lag(membership: Membership): void {
    if (membership.isLagging) return
    membership.isLagging = true
    this.#arrearsOf(membership.attachment.connection!).lagging.push(membership)
  }

  /** The client may have caught up: what waits for it goes now. */
  clientDrained(connection: ClientConnection): void {
    const arrears = connection.arrears
    if (arrears === undefined || connection.outlet.heldNow() > this.#holdAbove(connection) / 2) return
    this.#forget(connection)
    const writer = connection.outlet.writer
    for (const { attachment, bytes } of arrears.latest.values()) {
      if (attachment.state === attachState.attached) writer.raw(bytes)
    }
    for (const membership of arrears.lagging) {
      membership.isLagging = false
      if (membership.isMember) writeNumber(writer, clientKind.lag, membership.group.down)
    }
    connection.outlet.touch()
  }

  #forget(connection: ClientConnection): void {
    this.#behind.delete(connection)
    if (connection.arrears !== undefined) this.#gateway.deadlines.clear(connection.arrears.until)
    connection.arrears = undefined
  }

  clientGone(connection: ClientConnection): void {
    this.#forget(connection)
    const link = connection.pausedBy
    if (link === undefined) return
    connection.pausedBy = undefined
    const at = link.paused.indexOf(connection)
    if (at !== -1) link.paused.splice(at, 1)
  }

  // ---- the end of a turn ----

  /** After the writes of a turn: who has caught up, and whether all together are past the budget. */
  afterFlush(): void {
    for (const link of this.#fullLinks) this.linkDrained(link)
    for (const connection of this.#behind) this.clientDrained(connection)
    const budget = this.#gateway.limits.queueBytesMax
    const queued = this.#gateway.counters.cells[cell.clientQueueBytes]
    this.#isTight = queued > 0.75 * budget
    if (queued > budget) this.#shed(budget)
  }

  /** The connections that hold most are ended until the rest fits the budget; their sessions live (W5). */
  #shed(budget: number): void {
    const cells = this.#gateway.counters.cells
    const holding: ClientConnection[] = []
    for (const connection of this.#gateway.connections) if (connection.outlet.heldNow() > 0) holding.push(connection)
    holding.sort((a, b) => b.outlet.held - a.outlet.held)
    for (const connection of holding) {
      if (cells[cell.clientQueueBytes] <= budget) break
      connection.destroy(code.slow)
    }
  }
}

/** Length of the length in front of the one frame in this writer. */
function prefixBytes(w: Writer): number {
  let size = 1
  while (w.bytes[size - 1] >= 0x80) size++
  return size
}
