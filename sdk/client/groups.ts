// The groups that a channel's session is a member of (G1-G3): which of the gateway's numbers means which, and the RECOVER
// requests that bring back what is missing.
import type { GroupPlace, Join } from '../../protocols/client/frames.ts'
import { clientKind, GROUPS_PER_ATTACH_MAX } from '../../protocols/client/frames.ts'
import { code } from '../../protocols/codes.ts'
import type { Incoming, Outcome } from '../../protocols/session/channel-end.ts'
import {
  decodeRecovered,
  encodeRecover,
  GroupMember,
  memberVerdict,
  RECOVER_ROUTE,
} from '../../protocols/session/group-member.ts'
import type { ClientConnection, Membership } from './connection.ts'
import type { ClientCore } from './core.ts'
import type { CoreChannel } from './core-channel.ts'

/** Groups of one channel; what a host joins beyond is not taken. */
const MEMBERS_MAX = 256
const RECOVER_DEADLINE_MS = 10_000
/** Wait after a RECOVER that was not answered well. */
const RECOVER_RETRY_MS = 1000

export class ChannelGroups {
  readonly #core: ClientCore
  readonly #channel: CoreChannel
  #members: GroupMember[] = []
  #recoverAt = Infinity

  constructor(core: ClientCore, channel: CoreChannel) {
    this.#core = core
    this.#channel = channel
  }

  /** What ATTACH lists: the places of recoverable groups, the newest ones where there are too many. */
  places(): GroupPlace[] {
    const places: GroupPlace[] = []
    for (let i = this.#members.length - 1; i >= 0 && places.length < GROUPS_PER_ATTACH_MAX; i--) {
      if (this.#members[i].isRecoverable) places.push(this.#members[i].place)
    }
    return places.reverse()
  }

  joined(connection: ClientConnection, a: Join): void {
    let member = this.#named(a.name)
    if (member === undefined) {
      if (this.#members.length >= MEMBERS_MAX && !this.#dropOldest()) return
      member = new GroupMember(a.name)
      this.#members.push(member)
    }
    const isNew = member.number === -1
    const missed = member.joined(a.group, a.recoverable, a.life, a.offset)
    if (isNew) {
      connection.memberships.push({ channel: this.#channel, member })
      this.#core.sink.joined(this.#channel, a.name, a.recoverable)
    }
    if (missed !== undefined) this.#core.sink.missed(this.#channel, a.name, missed)
    this.#consider()
  }

  left(membership: Membership): void {
    const at = this.#members.indexOf(membership.member)
    if (at >= 0) this.#members.splice(at, 1)
    this.#core.sink.left(this.#channel, membership.member.name)
  }

  lagged(member: GroupMember): void {
    if (!member.isRecoverable) this.#core.sink.missed(this.#channel, member.name, undefined)
    member.lagged()
    this.#consider()
  }

  published(member: GroupMember, route: string, offset: number, payload: Uint8Array): void {
    if (member.judge(offset) === memberVerdict.deliver) {
      const hasRoom = this.#core.sink.published(this.#channel, {
        kind: clientKind.published,
        number: 0,
        route,
        request: 0,
        deadlineAt: Infinity,
        key: '',
        group: member.name,
        life: member.life,
        offset,
        payload,
      })
      if (hasRoom) member.delivered(offset)
      else this.lagged(member)
    }
    this.#consider()
  }

  /** A publication that came as a lane message; false: it is not to be delivered. */
  admitsReplay(message: Incoming): boolean {
    let member = this.#named(message.group)
    if (member === undefined) {
      if (this.#members.length >= MEMBERS_MAX && !this.#dropOldest()) return false
      member = new GroupMember(message.group)
      this.#members.push(member)
    }
    const verdict = member.judgeReplay(message.life, message.offset)
    if (verdict === memberVerdict.deliver) member.delivered(message.offset)
    this.#consider()
    return verdict === memberVerdict.deliver
  }

  /** True: the outcome was that of a RECOVER. */
  answered(request: number, outcome: Outcome): boolean {
    const member = this.#members.find((one) => one.recoverRequest === request)
    if (member === undefined) return false
    const answer = outcome.code === code.ok ? decodeRecovered(outcome.payload) : undefined
    const missed = member.recovered(answer)
    if (answer === undefined) this.#recoverAt = this.#core.now + RECOVER_RETRY_MS
    if (missed !== undefined) this.#core.sink.missed(this.#channel, member.name, missed)
    this.#consider()
    return true
  }

  /** The attach is over, and with it what the gateway knew of the memberships (G4). */
  detached(): void {
    for (const member of this.#members) member.detached()
    const memberships = this.#channel.on?.memberships
    if (memberships === undefined) return
    let kept = 0
    for (const membership of memberships) if (membership.channel !== this.#channel) memberships[kept++] = membership
    memberships.length = kept
  }

  deadline(): number {
    return this.#recoverAt
  }

  /** Sends the RECOVERs that are wanted and were not sent yet: one a member (G3). */
  recover(now: number): void {
    if (this.#channel.state !== 'attached' || this.#recoverAt > now) return
    this.#recoverAt = Infinity
    for (const member of this.#members) {
      if (!member.wantsRecover || member.recoverRequest !== 0) continue
      const question = encodeRecover({ name: member.name, life: member.life, offset: member.last })
      const request = this.#channel.end.request(RECOVER_ROUTE, question, now + RECOVER_DEADLINE_MS)
      if (request > 0) member.recovering(request)
      else this.#recoverAt = now + RECOVER_RETRY_MS
    }
  }

  #consider(): void {
    if (this.#recoverAt !== Infinity) return
    for (const member of this.#members) {
      if (!member.wantsRecover || member.recoverRequest !== 0) continue
      this.#recoverAt = this.#core.now
      this.#core.wake()
      return
    }
  }

  #named(name: string): GroupMember | undefined {
    for (const member of this.#members) if (member.name === name) return member
    return undefined
  }

  #dropOldest(): boolean {
    const at = this.#members.findIndex((member) => member.number === -1)
    if (at >= 0) this.#members.splice(at, 1)
    return at >= 0
  }
}
