// Groups (G1-G4): a host joins channels to a group and publishes once; the publication is encoded once and copied to every
// member here. A group is known by (link, the host's number) upward and by one number of the gateway's downward, equal for
// all its connections, announced by JOIN. Membership ends with the handle. Nothing here is reliable: what a slow member
// misses is told by LAG.
import type { Join } from '../protocols/client/frames.ts'
import { clientKind, writeJoin, writeNumber, writePublished } from '../protocols/client/frames.ts'
import type { Publish } from '../protocols/link/frames.ts'
import { Writer } from '../protocols/wire/writer.ts'
import type { Attachment } from './attachment.ts'
import { attachState } from './attachment.ts'
import { cell, drop } from './counters.ts'
import type { Gateway } from './gateway.ts'
import type { Link } from './link.ts'

/** Groups on one link. */
export const GROUPS_MAX = 1 << 20
const AHEAD_MAX = 1024
/** Groups of one channel. */
const MEMBERSHIPS_MAX = 256
/** A number rests this many turns of the queue before it names another group (L3: none is reused while announced). */
const RESTING = 256

export class Membership {
  readonly group: Group
  readonly attachment: Attachment
  at: number
  isMember = true
  isLagging = false

  constructor(group: Group, attachment: Attachment, at: number) {
    this.group = group
    this.attachment = attachment
    this.at = at
  }
}

export class Group {
  readonly link: Link
  /** The host's number on its link, and the gateway's for all clients. */
  readonly up: number
  readonly down: number
  readonly members: Membership[] = []

  constructor(link: Link, up: number, down: number) {
    this.link = link
    this.up = up
    this.down = down
  }
}

export class Groups {
  readonly #gateway: Gateway
  readonly #scratch = new Writer(1024)
  readonly #resting: number[] = []
  #nextNumber = 0
  #excludeMark = 0

  constructor(gateway: Gateway) {
    this.#gateway = gateway
  }

  /** JOIN of a host; false when that closed the link. */
  join(link: Link, a: Join): boolean {
    const slot = link.handles.at(a.channel)
    const attachment = slot?.attachment
    if (attachment === undefined || attachment.slot !== slot || attachment.state !== attachState.attached) {
      this.#gateway.counters.drops[drop.closedHandle]++
      return true
    }
    // Members are clients: an actor that wants another's publications asks for them over its channel.
    if (attachment.connection === undefined) return link.violate('JOIN of a channel between hosts')
    if (a.group >= GROUPS_MAX || a.group >= link.groups.length + AHEAD_MAX)
      return link.violate('group number too large')
    while (link.groups.length <= a.group) link.groups.push(undefined)
    let group = link.groups[a.group]
    if (group === undefined) {
      group = new Group(link, a.group, this.#takeNumber())
      link.groups[a.group] = group
    }
    if (!attachment.memberships.some((membership) => membership.group === group)) {
      if (attachment.memberships.length >= MEMBERSHIPS_MAX) return link.violate('too many groups for one channel')
      const membership = new Membership(group, attachment, group.members.length)
      group.members.push(membership)
      attachment.memberships.push(membership)
    }
    writeJoin(attachment.outlet.writer, clientKind.join, { ...a, channel: attachment.channel, group: group.down })
    this.#sent(attachment)
    return true
  }

  leave(link: Link, handle: number, number: number): void {
    const attachment = link.handles.at(handle)?.attachment
    const memberships = attachment?.memberships
    const at = memberships?.findIndex((membership) => membership.group.up === number) ?? -1
    if (attachment === undefined || at === -1) return
    const [membership] = attachment.memberships.splice(at, 1)
    writeNumber(attachment.outlet.writer, clientKind.leave, membership.group.down)
    this.#sent(attachment)
    this.#remove(membership)
  }

  /** Membership ends with the handle (G4). */
  leaveAll(attachment: Attachment): void {
    for (const membership of attachment.memberships) this.#remove(membership)
    attachment.memberships = []
  }

  /** PUBLISH: one encoding, one copy a member. False when that closed the link. */
  publish(link: Link, a: Publish, bytes: Uint8Array, end: number): boolean {
    const cells = this.#gateway.counters.cells
    cells[cell.publicationsIn]++
    const entry = a.route < link.hostRoutes.length ? link.hostRoutes[a.route] : undefined
    if (entry === undefined) return link.violate('route number that was not announced')
    const group = a.group < link.groups.length ? link.groups[a.group] : undefined
    if (group === undefined) {
      // The last member has left while this was on its way.
      this.#gateway.counters.drops[drop.closedHandle]++
      return true
    }
    const route = this.#gateway.routesDown.numberOf(entry)
    if (route === -1) return link.violate('too many routes')
    const scratch = this.#scratch
    scratch.clear()
    writePublished(scratch, group.down, route, a.offset, bytes, a.payloadStart, end)
    const mark = this.#exclude(link, a.excludes)
    const members = group.members
    for (let i = 0; i < members.length; i++) {
      const membership = members[i]
      const attachment = membership.attachment
      if (attachment.slot!.excludeMark === mark) continue
      const connection = attachment.connection!
      if (membership.isLagging || this.#gateway.flow.isBehind(connection)) {
        cells[cell.publicationsDropped]++
        this.#gateway.flow.lag(membership)
        continue
      }
      const outlet = connection.outlet
      if (!connection.announced.has(route)) connection.announced.announce(route, entry.name, outlet)
      outlet.writer.copy(scratch.bytes, 0, scratch.at)
      outlet.touch()
      cells[cell.publicationsOut]++
      cells[cell.clientFramesOut]++
    }
    return true
  }

  /** The host itself has dropped publications of a group on this link: all its members here have missed them. */
  lag(link: Link, number: number): void {
    const group = number < link.groups.length ? link.groups[number] : undefined
    if (group === undefined) return
    for (const { attachment } of group.members) {
      writeNumber(attachment.outlet.writer, clientKind.lag, group.down)
      this.#sent(attachment)
    }
  }

  linkGone(link: Link): void {
    for (const group of link.groups) {
      if (group === undefined) continue
      for (const membership of group.members.slice()) {
        const own = membership.attachment.memberships
        own.splice(own.indexOf(membership), 1)
        this.#remove(membership)
      }
    }
  }

  /** Marks the members left out; a mark of 0 is nobody's. */
  #exclude(link: Link, handles: readonly number[]): number {
    const mark = ++this.#excludeMark
    for (const handle of handles) {
      const slot = link.handles.at(handle)
      if (slot !== undefined) slot.excludeMark = mark
    }
    return mark
  }

  #remove(membership: Membership): void {
    membership.isMember = false
    const { group, at } = membership
    const last = group.members.pop()!
    if (last !== membership) {
      group.members[at] = last
      last.at = at
    }
    if (group.members.length > 0) return
    group.link.groups[group.up] = undefined
    this.#resting.push(group.down)
  }

  #takeNumber(): number {
    return this.#resting.length > RESTING ? this.#resting.shift()! : this.#nextNumber++
  }

  #sent(attachment: Attachment): void {
    attachment.outlet.touch()
    this.#gateway.counters.cells[cell.clientFramesOut]++
  }
}
