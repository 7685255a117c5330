// The groups that a session is a member of, on the member's side of things: what it still misses travels on its lane, and
// only when it has caught up does it JOIN at its gateway and get what is published live (G2). All of it happens while a
// turn is flushed, so that nothing is published between the last replay, the JOIN and the answer to a RECOVER.
import type { GroupPlace } from '../../protocols/client/frames.ts'
import { GROUPS_PER_ATTACH_MAX, writeJoin, writePair } from '../../protocols/client/frames.ts'
import { code } from '../../protocols/codes.ts'
import { linkKind } from '../../protocols/link/frames.ts'
import type { Incoming } from '../../protocols/session/channel-end.ts'
import { decodeRecover, encodeRecovered, RECOVER_ROUTE } from '../../protocols/session/group-member.ts'
import { SkewerError } from '../error.ts'
import type { Binding } from './binding.ts'
import type { Group } from './groups.ts'
import type { Handle } from './handles.ts'
import type { HostLink } from './link.ts'

export class Membership {
  readonly group: Group
  readonly binding: Binding
  /** Highest offset that the member has, or will have when its lane arrives. */
  place: number
  isJoined = false
  /** Joined, but publications were dropped for a full link: it catches up like one that was away, and joins again. */
  isBehind = false

  constructor(group: Group, binding: Binding, place: number) {
    this.group = group
    this.binding = binding
    this.place = place
  }
}

type Recover = { message: Incoming; group: Group; place: number; missed: boolean }

/** Groups of one session, as many as an ATTACH can name. */
const GROUPS_MAX = GROUPS_PER_ATTACH_MAX
const EMPTY: Uint8Array = new Uint8Array(0)

export class Memberships {
  readonly #binding: Binding
  #all: Membership[] = []
  #recovers: Recover[] = []
  /** Groups that the client named and is no member of (any more). */
  #strangers: GroupPlace[] = []
  #isPending = false

  constructor(binding: Binding) {
    this.#binding = binding
  }

  get count(): number {
    return this.#all.length
  }

  of(group: Group): Membership | undefined {
    return this.#all.find((membership) => membership.group === group)
  }

  join(group: Group): Membership {
    if (this.#all.length >= GROUPS_MAX)
      throw new SkewerError(code.not_allowed, `a session is in at most ${GROUPS_MAX} groups`)
    const membership = new Membership(group, this.#binding, group.offset)
    this.#all.push(membership)
    this.#isPending = true
    return membership
  }

  leave(membership: Membership): void {
    const { link, handle } = this.#binding
    this.#all = this.#all.filter((other) => other !== membership)
    if (!membership.isJoined || link === undefined || handle === undefined) return
    membership.isJoined = false
    writePair(link.writer, linkKind.leave, handle.number, membership.group.numberOn(link))
    membership.group.left(link)
    this.#binding.actor.host.wake()
  }

  /** Publications above `offset` did not reach the members on this link (G4). */
  fellBehind(membership: Membership, offset: number): void {
    membership.isBehind = true
    membership.place = offset
    this.#isPending = true
    this.#binding.actor.host.touch(this.#binding)
  }

  /** The binding was attached: everything is joined anew, from where the member says it is. */
  attached(places: readonly GroupPlace[]): void {
    this.#giveUpRecovers()
    this.#strangers = places.filter(({ name }) => this.#all.every(({ group }) => group.name !== name))
    this.#isPending = this.#all.length > 0 || this.#strangers.length > 0
    for (const membership of this.#all) {
      const { group } = membership
      const place = places.find(({ name }) => name === group.name)
      // A first JOIN that was lost is not in the list: what was published since then is still to come.
      if (place === undefined) continue
      membership.place = place.life === group.life ? Math.min(place.offset, group.offset) : group.offset
    }
  }

  detached(link: HostLink): void {
    for (const membership of this.#all) {
      if (!membership.isJoined) continue
      membership.isJoined = false
      membership.isBehind = false
      membership.place = membership.group.offset
      membership.group.left(link)
    }
    this.#giveUpRecovers()
    this.#isPending = false
  }

  /** The member asks anew on its next attach; the numbers of what it asked on this one settle all the same (W2). */
  #giveUpRecovers(): void {
    const { now } = this.#binding.actor.host
    for (const { message } of this.#recovers.splice(0)) this.#binding.settle(message, code.detached, EMPTY, now)
  }

  /** The channel is over: it is a member of nothing. */
  end(): void {
    for (const membership of [...this.#all]) membership.group.remove(membership)
    this.#recovers = []
  }

  /** A request of the SDK itself (G3). */
  request(message: Incoming): void {
    const binding = this.#binding
    const { now } = binding.actor.host
    const asked = message.route === RECOVER_ROUTE ? decodeRecover(message.payload) : undefined
    const group = this.#all.find((membership) => membership.group.name === asked?.name)?.group
    if (asked === undefined || group === undefined || !group.isRecoverable) {
      binding.settle(message, code.not_found, EMPTY, now)
      return
    }
    const { life, offset } = asked
    const isSame = life === group.life && offset <= group.offset
    this.#recovers.push({ message, group, place: isSame ? offset : group.offset, missed: !isSame })
    this.#isPending = true
  }

  /** Puts what is missing on the lane, as far as the window admits; the rest follows when it opens. */
  beforeTransmit(): void {
    if (!this.#isPending) return
    for (const membership of this.#all) {
      if ((membership.isJoined && !membership.isBehind) || !membership.group.isRecoverable) continue
      const { group } = membership
      membership.place = this.#replay(group, membership.place)
      // Too old: JOIN names the current place, and the member sees the jump (G2).
      if (membership.place < group.oldest - 1) membership.place = group.offset
    }
    if (this.#recovers.length > 0) this.#recovers = this.#recovers.filter((recover) => !this.#recover(recover))
  }

  /**
   * True when it is answered: replayed up to the group's present place, or missed up to what is still kept, from where the
   * member asks again.
   */
  #recover(recover: Recover): boolean {
    const { group, message } = recover
    recover.place = this.#replay(group, recover.place)
    if (recover.place < group.oldest - 1) {
      recover.missed = true
      recover.place = group.oldest - 1
    } else if (recover.place < group.offset) return false
    const answer = encodeRecovered({ missed: recover.missed, life: group.life, offset: recover.place })
    this.#binding.settle(message, code.ok, answer, this.#binding.actor.host.now)
    return true
  }

  #replay(group: Group, place: number): number {
    const { lanes } = this.#binding
    for (let entry = group.at(place + 1); entry !== undefined; entry = group.at(place + 1)) {
      if (lanes.replay(entry.route, group.name, group.life, entry.offset, entry.payload) < 0) break
      place++
    }
    return place
  }

  /** Joins the gateway's group where the member has caught up; only now may live publications follow. */
  afterTransmit(link: HostLink, handle: Handle): void {
    if (!this.#isPending) return
    let pending = this.#recovers.length > 0
    for (const membership of this.#all) {
      if (membership.isJoined && !membership.isBehind) continue
      const { group } = membership
      if (group.isRecoverable && membership.place < group.offset) {
        pending = true
        continue
      }
      const number = membership.isJoined ? group.numberOn(link) : group.joinOn(link)
      if (number < 0) continue
      membership.isJoined = true
      membership.isBehind = false
      writeJoin(link.writer, linkKind.join, {
        channel: handle.number,
        group: number,
        recoverable: group.isRecoverable,
        name: group.name,
        life: group.life,
        offset: group.offset,
      })
    }
    this.#leaveStrangers(link, handle)
    this.#isPending = pending
  }

  /** A group that was left while the client was away: there is no frame for that but to join and leave. */
  #leaveStrangers(link: HostLink, handle: Handle): void {
    for (const { name, life, offset } of this.#strangers) {
      const number = link.takeGroupNumber(this)
      if (number < 0) break
      writeJoin(link.writer, linkKind.join, {
        channel: handle.number,
        group: number,
        recoverable: true,
        name,
        life,
        offset,
      })
      writePair(link.writer, linkKind.leave, handle.number, number)
      link.freeGroupNumber(number)
    }
    this.#strangers = []
  }
}
