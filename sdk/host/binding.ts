// A session bound to an actor: the host's record of their channel (S2), which link and handle serve it now, and what the
// actor is told of it. The record outlives attaches; another life is another binding.
//
//   attach -> attached <-> apart -> ended: closed | kicked | expired | reset | undelivered ... (X5, told once)
import { writeAttached, writeReset } from '../../protocols/client/frames.ts'
import { code, codeName } from '../../protocols/codes.ts'
import type { LinkAttach, Labels } from '../../protocols/link/frames.ts'
import type { ChannelEnd, ChannelSink, Incoming, Outcome } from '../../protocols/session/channel-end.ts'
import { answerAttach, endRecord, HostRecord, isRecordClosed } from '../../protocols/session/host-record.ts'
import type { Item } from '../../protocols/session/outbox.ts'
import { laneKind } from '../../protocols/wire/lane-frames.ts'
import type { LaneFrame } from '../../protocols/wire/lane-frames.ts'
import { SkewerError } from '../error.ts'
import { endingOf } from './actor.ts'
import type { Actor } from './actor.ts'
import type { Handle } from './handles.ts'
import type { MessageSource } from './jobs.ts'
import { MessageJob } from './jobs.ts'
import type { Flushable, HostLink } from './link.ts'
import type { LaneOwner } from './link-frames.ts'
import { Memberships } from './memberships.ts'
import type { Timed } from './schedule.ts'

/** Unnumbered messages of one session that may wait in a mailbox; no window bounds them (C1). */
const UNNUMBERED_WAITING_MAX = 64
/** What is due is looked at again after this, never at once: what waits for a full link, and the rest. */
const BLOCKED_MS = 100
const DUE_MS = 1

export class Binding implements Timed, Flushable, ChannelSink, LaneOwner, MessageSource {
  dueAt = Infinity
  place = -1
  isDirty = false
  isWaiting = false
  readonly actor: Actor
  readonly session: string
  readonly record: HostRecord
  readonly memberships: Memberships
  user = ''
  address = ''
  labels: Labels = {}
  link: HostLink | undefined
  handle: Handle | undefined
  /** The actor was told of its end; the record may still answer a re-attach that missed it (X4). */
  isOver = false
  isKicked = false
  /** An ATTACHED or RESET of this life was written: what was sent then may have run. */
  wasAttached = false
  #calls: Map<number, (outcome: Outcome) => void> = new Map()
  /** Requests delivered and not answered: FIN waits for their replies. */
  #unanswered = 0
  #closeCode = -1
  /** It ended before anything was offered to the session: nothing of it ran, certainly (P5). */
  #isUndelivered = false
  #unnumbered: MessageJob[] = []

  constructor(actor: Actor, session: string, now: number) {
    const { window, limits } = actor.host.settings
    this.actor = actor
    this.session = session
    const life = actor.host.mintLife()
    this.record = new HostRecord(session, actor.service.name, actor.key, life, window, limits, this, now)
    this.memberships = new Memberships(this)
    this.arm()
  }

  /** Both lanes of this life. */
  get lanes(): ChannelEnd {
    return this.record.end
  }

  get isAttached(): boolean {
    return this.link !== undefined
  }

  // ---- attach and detach ----

  /** A6, first half: nothing that still arrives on the old handle is taken. */
  fence(): void {
    const { link, handle } = this
    if (link === undefined || handle === undefined) return
    this.link = undefined
    this.handle = undefined
    this.memberships.detached(link)
    link.closeHandle(handle, code.superseded, 0)
  }

  /** A6, second half: stores the epoch, reads the counters and answers. The caller has judged and fenced just before. */
  answer(link: HostLink, handle: Handle, a: LinkAttach, isReset: boolean, now: number): void {
    this.user = a.user
    this.address = a.address
    this.labels = a.labels
    this.link = link
    this.handle = handle
    handle.owner = this
    const answer = answerAttach(this.record, a, isReset, now)
    if (answer.isReset) writeReset(link.writer, answer.frame)
    else writeAttached(link.writer, answer.frame)
    this.wasAttached = true
    this.memberships.attached(a.groups)
    const { actor } = this
    const { service, key } = actor
    actor.host.settings.onEvent({
      event: 'attached',
      session: this.session,
      service: service.name,
      key,
      epoch: a.epoch,
      isReset,
    })
    if (!this.isOver) actor.hook('onAttached', this, service.definition.onAttached)
    actor.host.touch(this)
  }

  handleClosed(_handle: Handle, why: number, _retryMs: number, now: number): void {
    const { link } = this
    if (link === undefined) return
    this.link = undefined
    this.handle = undefined
    this.lanes.detached()
    this.memberships.detached(link)
    this.record.apartSince = now
    const { actor } = this
    const { service, key, host } = actor
    host.settings.onEvent({ event: 'detached', session: this.session, service: service.name, key, code: why })
    if (this.isKicked) this.end(code.kicked, now)
    else if (!this.isOver && service.definition.onDetached !== undefined) {
      const { onDetached } = service.definition
      actor.hook('onDetached', this, (context) => onDetached(context, why))
    }
    this.arm()
  }

  // ---- receiving ----

  receiveLane(frame: LaneFrame, route: string, now: number): void {
    // A frame of this life: from now on another life is another record (A5).
    this.record.isConfirmed = true
    if (this.lanes.receive(frame, route, now) !== code.ok) {
      const { link, handle } = this
      if (link === undefined || handle === undefined) return
      this.actor.host.counters.violations++
      this.handleClosed(handle, code.protocol, 0, now)
      link.closeHandle(handle, code.protocol, 0)
      return
    }
    if (this.lanes.finReceived) this.considerClosed(now)
    this.actor.host.touch(this)
  }

  deliver(message: Incoming): void {
    if (message.kind === laneKind.request) {
      this.#unanswered++
      if (message.route.startsWith('$')) {
        this.memberships.request(message)
        return
      }
    } else if (message.kind === laneKind.replay) {
      // Replays of groups travel downwards only; it has taken a number, so it settles.
      this.settle(message, code.ok, message.payload, this.actor.host.now)
      return
    }
    const job = new MessageJob(this, message)
    if (message.number === 0 && !this.#admitUnnumbered(job)) return
    this.actor.mailbox.push(job)
  }

  /** Newer before older: a waiting `latest` of the same key takes the new value, and past the bound the new one goes. */
  #admitUnnumbered(job: MessageJob): boolean {
    const { message } = job
    if (message.kind === laneKind.latest) {
      for (const waiting of this.#unnumbered) {
        const old = waiting.message
        if (old.kind !== laneKind.latest || old.key !== message.key || old.route !== message.route) continue
        old.payload = message.payload
        this.actor.host.counters.unnumberedDropped++
        return false
      }
    }
    if (this.#unnumbered.length >= UNNUMBERED_WAITING_MAX) {
      this.actor.host.counters.unnumberedDropped++
      return false
    }
    this.#unnumbered.push(job)
    return true
  }

  /** A message of ours leaves the mailbox. */
  started(job: MessageJob): void {
    if (job.message.number > 0) return
    const at = this.#unnumbered.indexOf(job)
    if (at >= 0) this.#unnumbered.splice(at, 1)
  }

  /** The one end of every message: replies where it is a request, then settles (Q1, W2). */
  settle(message: Incoming, why: number, payload: Uint8Array, now: number): void {
    const { host } = this.actor
    if (message.kind === laneKind.request) {
      this.#unanswered--
      // Behind our FIN nothing may be numbered; a lane that ended has told its requests' outcome (X5).
      if (this.lanes.finSent > 0 || this.isOver) host.counters.repliesDropped++
      else this.lanes.reply(message.request, why, payload)
    }
    if (message.number === 0) return
    this.lanes.settle(message.number, message.payload.length, now)
    if (this.#closeCode >= 0) this.#fin()
    if (this.lanes.finReceived) this.considerClosed(now)
    host.touch(this)
  }

  refused(item: Item, number: number, why: number): void {
    const { actor } = this
    const { onRefused } = actor.service.definition
    if (onRefused === undefined) return
    const refused = {
      session: this.session,
      number,
      route: item.route,
      payload: actor.host.decoded(item.payload),
      code: why,
      name: codeName(why),
    }
    actor.hook('onRefused', this, (context) => onRefused(context, refused))
  }

  outcome(request: number, outcome: Outcome): void {
    const done = this.#calls.get(request)
    this.#calls.delete(request)
    if (this.#isUndelivered) outcome = { ...outcome, code: code.undelivered, ran: 'no' }
    done?.(outcome)
  }

  finished(): void {
    // Told the actor when both directions are through (X4).
  }

  // ---- sending ----

  /** Throws where the message is not accepted (W1). */
  push(route: string, payload: Uint8Array): number {
    this.#assertOpen(route)
    const number = this.lanes.send(route, payload)
    if (number < 0) throw new SkewerError(-number)
    this.actor.host.touch(this)
    return number
  }

  request(route: string, payload: Uint8Array, deadlineAt: number, done: (outcome: Outcome) => void): void {
    this.#assertOpen(route)
    const request = this.lanes.request(route, payload, deadlineAt)
    if (request < 0) throw new SkewerError(-request)
    this.#calls.set(request, done)
    this.actor.host.touch(this)
  }

  latest(route: string, key: string, payload: Uint8Array, settleAt: number): void {
    this.#assertOpen(route)
    this.lanes.sendLatest(route, key, payload, settleAt)
    this.actor.host.touch(this)
  }

  unreliable(route: string, payload: Uint8Array): boolean {
    this.#assertOpen(route)
    const sent = this.lanes.sendUnreliable(route, payload)
    if (sent) this.actor.host.touch(this)
    return sent
  }

  #assertOpen(route: string): void {
    if (this.isOver || this.#closeCode >= 0) throw new SkewerError(code.closed)
    this.actor.host.routes.admit(route)
  }

  // ---- end ----

  /** Ends our direction behind what was accepted and the replies still to come (X4). */
  close(why: number): void {
    if (this.#closeCode < 0) this.#closeCode = why
    this.#fin()
    this.actor.host.touch(this)
  }

  #fin(): void {
    if (this.#unanswered === 0 && this.lanes.finSent === 0) this.lanes.fin(this.#closeCode)
  }

  /** FIN at once, and the record ends as soon as nobody can come for it any more (X4). */
  kick(why: number, now: number): void {
    if (this.isOver) return
    this.isKicked = true
    this.#closeCode = why
    this.lanes.fin(why)
    if (this.link === undefined) {
      this.end(code.kicked, now)
      return
    }
    this.flush(now)
  }

  /** Whether both FINs are through; the record stays for `keep`, to say so to an end that missed it. */
  considerClosed(now: number): void {
    if (this.isOver || !isRecordClosed(this.record)) return
    const { link, handle } = this
    this.#tellEnd(this.isKicked ? code.kicked : code.closed, [])
    if (link !== undefined && handle !== undefined) {
      // The other end needs our last ACK before the handle goes, or it would report what was settled as unknown.
      this.lanes.writeAck(link.writer, handle.number)
      this.link = undefined
      this.handle = undefined
      this.lanes.detached()
      this.memberships.detached(link)
      this.record.apartSince = now
      link.closeHandle(handle, code.closed, 0)
    }
    // Requests that the other end closed over have their outcome now (X5).
    this.lanes.close()
    this.actor.host.linger(this)
    this.arm()
  }

  /** Ends the channel: the actor is told once, the record is forgotten, the handle closed. */
  end(why: number, now: number): void {
    const { link, handle } = this
    if (!this.isOver) {
      this.#isUndelivered = why === code.expired && !this.wasAttached
      const { unknown } = endRecord(this.record, why)
      // The other end finished and went away before the last ACK: that is no more than closed (X4).
      if (why === code.expired && this.lanes.finReceived && unknown.length === 0) why = code.closed
      this.#tellEnd(this.#isUndelivered ? code.undelivered : why, unknown)
    }
    this.link = undefined
    this.handle = undefined
    if (link !== undefined && handle !== undefined) {
      this.memberships.detached(link)
      link.closeHandle(handle, why, 0)
    }
    this.forget()
    this.actor.considerIdle(now)
  }

  #tellEnd(why: number, unknown: Item[]): void {
    this.isOver = true
    const { actor, session } = this
    const { host, service, key } = actor
    this.memberships.end()
    host.invites.stop(this)
    host.counters.recordsEnded++
    const count = this.#isUndelivered ? 0 : unknown.length
    host.settings.onEvent({ event: 'channel_ended', session, service: service.name, key, code: why, unknown: count })
    const { onEnd } = service.definition
    if (onEnd === undefined) return
    const ending = endingOf(why, actor.values(unknown), this.#isUndelivered)
    actor.hook('onEnd', this, (context) => onEnd(context, ending))
  }

  /** Lets the record go: no attach finds it any more. */
  forget(): void {
    const { actor } = this
    actor.host.schedule.remove(this)
    if (actor.bindingOf(this.session) === this) actor.bindings.delete(`s${this.session}`)
    actor.host.unbound(this)
  }

  // ---- turns and time ----

  flush(now: number): void {
    const { link, handle } = this
    if (link !== undefined && handle !== undefined) {
      if (!link.hasRoom) {
        link.wait(this)
      } else {
        this.memberships.beforeTransmit()
        if (this.lanes.needsTransmit(now)) this.lanes.transmit(link.writer, handle.number, link, now)
        this.memberships.afterTransmit(link, handle)
      }
    }
    this.arm()
  }

  due(now: number): void {
    if (!this.isAttached && this.record.apartSince + this.actor.host.settings.keepMs <= now) {
      // After a stall peers get the time to be heard before they are given up (O1).
      if (this.actor.host.isGrace(now)) {
        this.actor.host.schedule.set(this, this.actor.host.graceUntil)
        return
      }
      this.end(code.expired, now)
      return
    }
    this.lanes.tick(now)
    this.actor.host.touch(this)
  }

  arm(): void {
    if (this.isOver && this.actor.bindingOf(this.session) !== this) return
    const expiresAt = this.isAttached ? Infinity : this.record.apartSince + this.actor.host.settings.keepMs
    const lanesAt = this.isOver ? Infinity : this.lanes.deadline()
    const at = Math.min(expiresAt, lanesAt)
    const { host } = this.actor
    host.schedule.set(this, at <= host.now ? host.now + (this.isWaiting ? BLOCKED_MS : DUE_MS) : at)
  }
}
