// From an actor to one on another host (P6): the sending actor is the client end of a channel, over any gateway linked to
// us. The same machine as in a client (ClientChannel); OPEN on an odd handle takes the place of ATTACH, the epochs are
// the sending actor's. Lost links and refusals are repaired by a new OPEN and nothing else (A10).
import { code, codeName } from '../../protocols/codes.ts'
import type { Answer, Attached, Detached, Reset, Stale } from '../../protocols/client/frames.ts'
import { writeOpen } from '../../protocols/link/frames.ts'
import type { Incoming, Outcome } from '../../protocols/session/channel-end.ts'
import type { ClientChannelSink, Ending } from '../../protocols/session/client-channel.ts'
import { ClientChannel } from '../../protocols/session/client-channel.ts'
import type { Item } from '../../protocols/session/outbox.ts'
import type { LaneFrame } from '../../protocols/wire/lane-frames.ts'
import { laneKind } from '../../protocols/wire/lane-frames.ts'
import { SkewerError } from '../error.ts'
import type { Actor } from './actor.ts'
import { endingOf } from './actor.ts'
import type { Handle } from './handles.ts'
import type { MessageSource } from './jobs.ts'
import { MessageJob } from './jobs.ts'
import type { Flushable, HostLink } from './link.ts'
import type { LaneOwner } from './link-frames.ts'
import type { Outgoing } from './outgoing.ts'
import type { Timed } from './schedule.ts'

/** An OPEN that is not answered goes to another gateway (A2). */
const ANSWER_MS = 3000
const BACKOFF_MS = 100
/** What is due is looked at again after this, never at once: what waits for a full link, and the rest. */
const BLOCKED_MS = 100
const DUE_MS = 1
const BACKOFF_MAX_MS = 5000

export class ActorChannel implements Outgoing, MessageSource, ClientChannelSink, LaneOwner, Flushable, Timed {
  dueAt = Infinity
  place = -1
  isDirty = false
  isWaiting = false
  /** The sending actor; what the other pushes to it runs in its mailbox. */
  readonly actor: Actor
  readonly isKicked = false
  /** The other end as this actor's handlers see it: `a:service/key`. */
  readonly session: string
  readonly user = ''
  readonly address = ''
  readonly labels = {}
  readonly channel: ClientChannel
  #link: HostLink | undefined
  #handle: Handle | undefined
  #calls: Map<number, (outcome: Outcome) => void> = new Map()
  /** Which of the gateways is asked next. */
  #turn = 0
  #usedAt: number
  /** Its actor has let it go while nothing was under way. */
  #isLeaving = false

  constructor(actor: Actor, service: string, key: string, now: number) {
    const { window, limits, keepMs } = actor.host.settings
    this.actor = actor
    this.session = `a:${service}/${key}`
    this.channel = new ClientChannel(service, key, actor.host.mintLife(), { window, limits, keepMs }, this, now)
    this.#usedAt = now
    actor.host.channels.add(this)
    this.#attach(now)
  }

  get isQuiet(): boolean {
    const { out, in: intake, openRequests } = this.channel.end
    return out.acked === out.sent && intake.settled === intake.received && openRequests === 0
  }

  // ---- sending ----

  send(route: string, payload: Uint8Array): number {
    this.actor.host.routes.admit(route)
    this.#usedAt = this.actor.host.now
    const number = this.channel.end.send(route, payload)
    if (number < 0) throw new SkewerError(-number)
    this.actor.host.touch(this)
    return number
  }

  request(route: string, payload: Uint8Array, deadlineAt: number, done: (outcome: Outcome) => void): void {
    this.actor.host.routes.admit(route)
    this.#usedAt = this.actor.host.now
    const request = this.channel.end.request(route, payload, deadlineAt)
    if (request < 0) throw new SkewerError(-request)
    this.#calls.set(request, done)
    this.actor.host.touch(this)
  }

  // ---- attaching ----

  #attach(now: number): void {
    const { host } = this.actor
    const links = host.freshLinks()
    if (links.length === 0 || this.channel.state !== 'apart' || now < this.channel.retryAt) {
      this.arm()
      return
    }
    const link = links[this.#turn++ % links.length]
    const handle = link.handles.openOurs()
    if (handle === undefined) {
      this.channel.retryAt = now + BACKOFF_MAX_MS
      this.arm()
      return
    }
    this.#link = link
    this.#handle = handle
    handle.owner = this
    const epoch = ++this.actor.epoch
    const { received, settled, acked, sent, end, life, service, key, pin } = this.channel.attach(
      handle.number,
      epoch,
      0,
      [],
      now,
    )
    writeOpen(link.writer, {
      handle: handle.number,
      epoch,
      from: this.actor.address,
      service,
      key,
      pin,
      end,
      life,
      received,
      settled,
      acked,
      sent,
    })
    host.wake()
    this.arm()
  }

  /** Lets go of the handle; the channel stays and attaches again. */
  #release(): void {
    const link = this.#link
    const handle = this.#handle
    this.#link = undefined
    this.#handle = undefined
    if (link !== undefined && handle !== undefined) link.closeHandle(handle, code.ok, 0)
  }

  onAttached(a: Attached, now: number): void {
    this.#taken(this.channel.attached(a, now), now)
  }

  onReset(a: Reset, now: number): void {
    this.#taken(this.channel.reset(a, now), now)
  }

  #taken(verdict: number, now: number): void {
    if (verdict === code.ok) this.actor.host.touch(this)
    else this.#broken(now)
  }

  onStale(a: Stale, isSpent: boolean, now: number): void {
    if (isSpent) this.channel.spent(a)
    else this.actor.epoch = Math.max(this.actor.epoch, this.channel.stale(a, now))
    this.#again(now)
  }

  onParked(a: Answer): void {
    this.channel.parked(a.epoch)
    this.arm()
  }

  onRefused(a: Answer, now: number): void {
    const backoffMs = Math.min(BACKOFF_MAX_MS, BACKOFF_MS * 2 ** Math.min(this.channel.refusals, 10))
    this.channel.refused(a.epoch, a.code, a.retryMs, backoffMs, now)
    this.#again(now)
  }

  onDetached(a: Detached, now: number): void {
    this.channel.detached(a.epoch, a.code, a.retryMs, a.pin, now)
    this.#again(now)
  }

  handleClosed(handle: Handle, _why: number, retryMs: number, now: number): void {
    if (handle !== this.#handle) return
    this.#link = undefined
    this.#handle = undefined
    this.channel.lost(now)
    this.channel.retryAt = now + retryMs
    this.#attach(now)
  }

  #again(now: number): void {
    if (this.channel.state === 'apart' || this.channel.state === 'ended') this.#release()
    this.#attach(now)
  }

  #broken(now: number): void {
    this.actor.host.counters.violations++
    this.#release()
    this.channel.lost(now)
    this.channel.retryAt = now + BACKOFF_MAX_MS
    this.arm()
  }

  /** A gateway has linked: a channel without one need not wait. */
  linkReady(now: number): void {
    if (this.channel.state === 'apart') this.#attach(now)
  }

  // ---- receiving ----

  receiveLane(frame: LaneFrame, route: string, now: number): void {
    if (this.channel.state !== 'attached') return
    if (this.channel.end.receive(frame, route, now) !== code.ok) this.#broken(now)
    else {
      this.channel.considerClosed()
      this.actor.host.touch(this)
      if (this.isQuiet) this.actor.considerIdle(now)
    }
  }

  deliver(message: Incoming): void {
    if (message.kind === laneKind.replay) this.settle(message, code.ok, message.payload, this.actor.host.now)
    else this.actor.mailbox.push(new MessageJob(this, message))
  }

  started(): void {}

  settle(message: Incoming, why: number, payload: Uint8Array, now: number): void {
    const { end } = this.channel
    if (message.kind === laneKind.request && end.finSent === 0) end.reply(message.request, why, payload)
    if (message.number > 0) end.settle(message.number, message.payload.length, now)
    this.actor.host.touch(this)
  }

  refused(item: Item, number: number, why: number): void {
    const { actor, session } = this
    const { onRefused } = actor.service.definition
    if (onRefused === undefined) return
    const payload = actor.host.decoded(item.payload)
    const refused = { session, number, route: item.route, payload, code: why, name: codeName(why) }
    actor.hook('onRefused', this, (context) => onRefused(context, refused))
  }

  outcome(request: number, outcome: Outcome): void {
    const done = this.#calls.get(request)
    this.#calls.delete(request)
    done?.(outcome)
  }

  finished(): void {}

  reset(ending: Ending): void {
    this.#tell(ending)
  }

  ended(ending: Ending): void {
    const { actor } = this
    this.#forget()
    actor.host.channels.delete(this)
    actor.host.schedule.remove(this)
    this.#release()
    this.#tell(ending)
    actor.considerIdle(actor.host.now)
  }

  #tell(ending: Ending): void {
    const { actor } = this
    const { onEnd } = actor.service.definition
    if (onEnd === undefined || actor.isStopped || this.#isLeaving) return
    const told = endingOf(ending.code, actor.values(ending.unknown), false)
    actor.hook('onEnd', this, (context) => onEnd(context, told))
  }

  // ---- turns and time ----

  flush(now: number): void {
    const link = this.#link
    const handle = this.#handle
    if (link !== undefined && handle !== undefined && this.channel.state === 'attached') {
      if (!link.hasRoom) link.wait(this)
      else if (this.channel.end.needsTransmit(now)) this.channel.end.transmit(link.writer, handle.number, link, now)
      // The ACK of the other end's FIN may be what was missing (X4).
      if (this.channel.considerClosed()) return
    }
    this.arm()
  }

  due(now: number): void {
    const { channel } = this
    if (channel.state === 'attaching' && now - channel.attachSentAt >= ANSWER_MS) {
      this.#release()
      channel.lost(now)
    }
    if (this.actor.host.isGrace(now) && channel.state !== 'attached') channel.end.tick(now)
    else channel.tick(now)
    // `tick` may have ended it.
    if (this.#isEnded) return
    if (!this.#isLeaving && this.#quietUntil <= now) this.#leave()
    this.#attach(now)
    this.actor.host.touch(this)
  }

  get #isEnded(): boolean {
    return this.channel.state === 'ended'
  }

  /** A channel that nobody uses is closed like an idle actor is, or two actors would keep each other alive for ever. */
  get #quietUntil(): number {
    return this.isQuiet ? this.#usedAt + this.actor.service.idleMs : Infinity
  }

  #leave(): void {
    this.#isLeaving = true
    this.#forget()
    if (this.channel.state === 'attached') this.channel.end.fin(code.closed)
    else this.channel.endWith(code.closed)
  }

  #forget(): void {
    const name = this.session.slice(2)
    if (this.actor.channels.get(name) === this) this.actor.channels.delete(name)
  }

  arm(): void {
    const { channel, actor } = this
    const { host } = actor
    if (channel.state === 'ended') return
    let at = channel.deadline()
    if (!this.#isLeaving) at = Math.min(at, this.#quietUntil)
    if (channel.state === 'attaching') at = Math.min(at, channel.attachSentAt + ANSWER_MS)
    else if (channel.state === 'apart' && host.freshLinks().length > 0) at = Math.min(at, channel.retryAt)
    if (at <= host.now)
      at = host.isGrace(host.now) ? host.graceUntil : host.now + (this.isWaiting ? BLOCKED_MS : DUE_MS)
    host.schedule.set(this, at)
  }

  /** The actor stops: what it has sent is through, or its host goes away and the rest is unknown to nobody left. */
  close(now: number): void {
    const link = this.#link
    const handle = this.#handle
    if (link !== undefined && handle !== undefined && this.channel.state === 'attached') {
      this.channel.end.fin(code.closed)
      this.channel.end.transmit(link.writer, handle.number, link, now)
      this.channel.end.writeAck(link.writer, handle.number)
    }
    this.channel.endWith(code.closed)
  }
}
