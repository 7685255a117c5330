// The host end of skewer, without IO: bytes and time come in, bytes go out through the environment, at most one write a
// link and turn. It keeps the host's half of the session rules: records of channels (S2), attach and fence (A5, A6),
// lanes, mailboxes, groups, invites. One core is one host.
//
// Calling order: `service(...)` for each service, then `linkOpened` once a link, `receive` with its bytes, `drained` when
// queued bytes have gone, `linkClosed` at its end; `flush` after `scheduleFlush` was called, `tick` at `deadline()`,
// which is to be read again after each of these calls.
import { writeClose } from '../../protocols/client/frames.ts'
import { code } from '../../protocols/codes.ts'
import type { Broadcast, ServiceOffer } from '../../protocols/link/frames.ts'
import { keysAllowed, linkKind, writeBroadcast, writeKick } from '../../protocols/link/frames.ts'
import { SkewerError } from '../error.ts'
import { Actor } from './actor.ts'
import { Attaches } from './attaches.ts'
import type { Binding } from './binding.ts'
import { Channels } from './channels.ts'
import { HostCounters } from './events.ts'
import { Invites } from './invites.ts'
import { Kicks } from './kicks.ts'
import type { Flushable } from './link.ts'
import { HostLink } from './link.ts'
import { Locates } from './locates.ts'
import { Loose } from './loose.ts'
import type { Mailbox } from './mailbox.ts'
import { isThenable } from './mailbox.ts'
import type { HostEnvironment, HostOptions, HostSettings } from './options.ts'
import { hostSettings } from './options.ts'
import { Routes } from './routes.ts'
import { Schedule } from './schedule.ts'
import type { Service } from './service.ts'
import { ServiceContext } from './service-context.ts'

/** Jobs run in one go before what they have written leaves; the rest goes on in the next turn. */
const JOBS_PER_TURN = 4096
/** A tick so much later than asked for is a stall of this process (O1). */
const STALL_MS = 1000
/** Closed channels whose records still answer an end that missed the last ACK (X4). */
const LINGERING_MAX = 4096
const EMPTY: Uint8Array = new Uint8Array(0)

export class HostCore {
  readonly settings: HostSettings
  readonly env: HostEnvironment
  readonly schedule = new Schedule()
  readonly counters = new HostCounters()
  readonly routes = new Routes()
  readonly services: Map<string, Service> = new Map()
  readonly kicks: Kicks
  readonly locates: Locates
  readonly invites: Invites
  readonly attaches: Attaches
  readonly channels = new Channels()
  readonly loose: Loose
  /** One start of this host (L1). */
  readonly instance: bigint
  isDraining = false
  isClosed = false
  /** After a stall nobody is given up before this time (O1). */
  graceUntil = -Infinity
  #links: Map<number, HostLink> = new Map()
  #serial = 0
  #actors: Map<string, Map<string, Actor>> = new Map()
  #sessions: Map<string, Set<Binding>> = new Map()
  #lingering: Binding[] = []
  #dirty: Flushable[] = []
  #ready: Mailbox[] = []
  #isRunning = false
  #isFlushAsked = false
  #now = 0

  constructor(options: HostOptions, env: HostEnvironment) {
    this.settings = hostSettings(options)
    this.env = env
    this.instance = this.mintLife()
    this.kicks = new Kicks(this.settings.authUntilMs)
    this.locates = new Locates(this)
    this.invites = new Invites(this)
    this.attaches = new Attaches(this)
    this.loose = new Loose(this)
  }

  // ---- driven from outside ----

  /** Offers a service to the gateways that link from now on. */
  service(service: Service): void {
    this.services.set(service.name, service)
    if (!this.#actors.has(service.name)) this.#actors.set(service.name, new Map())
  }

  /** A gateway has dialled in; `link` is any number that no open link has. */
  linkOpened(link: number, now: number): void {
    this.#enter(now)
    this.#links.set(link, new HostLink(link, ++this.#serial, this, now))
  }

  /** Bytes of a link, lent for the call. */
  receive(link: number, bytes: Uint8Array, now: number): void {
    this.#enter(now)
    this.counters.bytesIn += bytes.length
    this.#links.get(link)?.receive(bytes, now)
    this.runReady(now)
  }

  linkClosed(link: number, now: number): void {
    this.#enter(now)
    const closed = this.#links.get(link)
    if (closed !== undefined) this.linkEnded(closed, code.link_lost, '')
    this.runReady(now)
  }

  /** What was queued on a link has gone. */
  drained(link: number, now: number): void {
    this.#enter(now)
    const drained = this.#links.get(link)
    if (drained === undefined) return
    drained.queuedBytes = this.env.queuedBytes(link)
    drained.release()
  }

  /** Writes what this turn has brought, at most one write a link. */
  flush(now: number): void {
    this.#enter(now)
    this.#isFlushAsked = false
    for (const link of this.#links.values()) link.queuedBytes = this.env.queuedBytes(link.id)
    this.runReady(now)
    const dirty = this.#dirty
    this.#dirty = []
    for (const flushable of dirty) {
      flushable.isDirty = false
      flushable.flush(now)
    }
    for (const link of this.#links.values()) {
      this.writeOut(link)
      if (!link.hasWaiting) continue
      link.queuedBytes = this.env.queuedBytes(link.id)
      if (link.hasRoom) link.release()
    }
  }

  /** Does what is due. To be called at `deadline()`, or at any time before. */
  tick(now: number): void {
    const late = now - this.schedule.nextAt
    this.#enter(now)
    if (late > STALL_MS) {
      this.graceUntil = now + this.settings.heartbeatMs
      this.settings.onEvent({ event: 'stalled', ms: late })
    }
    this.schedule.run(now)
    this.runReady(now)
  }

  /** When `tick` is to be called; Infinity while nothing waits for a time. */
  deadline(): number {
    return this.schedule.nextAt
  }

  /** Tells the gateways to place nothing new here (O1); what is here goes on. */
  drain(now: number): void {
    this.#enter(now)
    this.isDraining = true
    for (const link of this.#links.values())
      if (link.isReady) writeClose(link.writer, linkKind.drain, { code: code.going_away, retryMs: 0, text: '' })
    this.wake()
  }

  /** Lets every actor run its onStop behind what waits in its mailbox; `done` is called once all have stopped. */
  stopActors(now: number, done: () => void): void {
    this.#enter(now)
    this.isDraining = true
    const actors = this.actors()
    let left = actors.length
    if (left === 0) done()
    for (const actor of actors) {
      actor.leave(now, () => {
        if (--left === 0) done()
      })
    }
    this.runReady(now)
  }

  /** Says GOODBYE on every link, so that pins to this host are given up at once (P3), and ends it. */
  close(now: number): void {
    this.#enter(now)
    for (const actor of this.actors()) actor.stop(code.host_lost, now)
    this.flush(now)
    this.isClosed = true
    for (const link of [...this.#links.values()]) {
      if (link.isReady) writeClose(link.writer, linkKind.goodbye, { code: code.going_away, retryMs: 0, text: '' })
      this.writeOut(link)
      this.env.closeLink(link.id)
      this.linkEnded(link, code.going_away, '')
    }
  }

  /** Monotonic ms: of the call under way, or where the environment knows it, of right now. */
  get now(): number {
    return this.env.now === undefined ? this.#now : this.env.now()
  }

  #enter(now: number): void {
    this.#now = now
  }

  // ---- actors ----

  actor(service: string, key: string): Actor | undefined {
    return this.#actors.get(service)?.get(`k${key}`)
  }

  actorsOf(service: string): Actor[] {
    return [...(this.#actors.get(service)?.values() ?? [])]
  }

  actors(): Actor[] {
    return [...this.#actors.values()].flatMap((actors) => [...actors.values()])
  }

  /** Makes an actor active here; the caller has made sure that it is nowhere else (P2). */
  activate(service: Service, key: string, now: number): Actor {
    const there = this.actor(service.name, key)
    if (there !== undefined) return there
    const actor = new Actor(this, service, key)
    this.#actors.get(service.name)!.set(`k${key}`, actor)
    actor.considerIdle(now)
    return actor
  }

  actorStopped(actor: Actor): void {
    this.#actors.get(actor.service.name)?.delete(`k${actor.key}`)
  }

  /**
   * The actor of this host with that address, activated where it is not: for what does not begin with a message of a
   * client, as a match that is made here. Its program answers for it that no other host has the actor.
   *
   * @throws SkewerError no_service
   */
  actorHere(service: string, key: string, now: number): Actor {
    const found = this.services.get(service)
    if (found === undefined) throw new SkewerError(code.no_service, `no service ${service} on this host`)
    return this.activate(found, key, now)
  }

  // ---- sessions ----

  bound(binding: Binding): void {
    const name = `s${binding.session}`
    const bindings = this.#sessions.get(name)
    if (bindings === undefined) this.#sessions.set(name, new Set([binding]))
    else bindings.add(binding)
  }

  unbound(binding: Binding): void {
    const bindings = this.#sessions.get(`s${binding.session}`)
    if (bindings?.delete(binding) && bindings.size === 0) this.#sessions.delete(`s${binding.session}`)
  }

  /** Keeps the record of a closed channel for a while, within bounds. */
  linger(binding: Binding): void {
    this.#lingering.push(binding)
    if (this.#lingering.length <= LINGERING_MAX) return
    const oldest = this.#lingering.shift()!
    if (!oldest.isAttached) oldest.forget()
  }

  /** X4: marks the session, ends its channels here, and tells the gateways where the kick began here. */
  kick(session: string, why: number, now: number, isOurs = false): void {
    this.kicks.mark(session, why, now)
    this.settings.onEvent({ event: 'kicked', session, code: why })
    for (const binding of [...(this.#sessions.get(`s${session}`) ?? [])]) binding.kick(why, now)
    if (!isOurs) return
    for (const link of this.freshLinks()) writeKick(link.writer, { session, code: why })
    this.wake()
  }

  // ---- broadcasts ----

  /** One gateway fans it out to the other hosts: over two of them it would arrive twice. */
  broadcast(from: Actor, service: string, route: string, payload: Uint8Array): void {
    const broadcast = { from: from.address, service, route, payload }
    const link = this.freshLinks()[0]
    if (link !== undefined) writeBroadcast(link.writer, broadcast)
    this.wake()
    this.receiveBroadcast(broadcast)
  }

  receiveBroadcast(a: Broadcast): void {
    const handler = this.services.get(a.service)?.broadcasts.get(a.route)
    this.counters.broadcasts++
    if (handler === undefined) {
      this.counters.routesNotFound++
      return
    }
    const failed = (error: unknown) => {
      this.counters.handlersFailed++
      this.settings.onEvent({ event: 'handler_failed', service: a.service, key: '', route: a.route, error })
    }
    try {
      const result = handler(new ServiceContext(this, a.service, a.from), this.decoded(a.payload))
      if (isThenable(result)) result.then(() => {}, failed)
    } catch (error) {
      failed(error)
    }
  }

  // ---- links ----

  /** Links for what is new: one for each gateway, its newest, and none that drains (L1). */
  freshLinks(): HostLink[] {
    const fresh: HostLink[] = []
    for (const link of this.#links.values())
      if (link.isReady && !link.isSuperseded && !link.isDraining) fresh.push(link)
    return fresh
  }

  /** Links for a question to every gateway, also to those that drain: one of them may know the answer (P2). */
  askedLinks(): HostLink[] {
    const asked: HostLink[] = []
    for (const link of this.#links.values()) if (link.isReady && !link.isSuperseded) asked.push(link)
    return asked
  }

  linkReady(link: HostLink, now: number): void {
    for (const other of this.#links.values()) {
      if (other === link || !other.isReady || other.instance !== link.instance) continue
      if (other.serial < link.serial) other.isSuperseded = true
      else link.isSuperseded = true
    }
    const { id, gateway, instance, serial } = link
    this.settings.onEvent({ event: 'link_ready', link: id, gateway, instance, serial })
    if (this.isDraining) writeClose(link.writer, linkKind.drain, { code: code.going_away, retryMs: 0, text: '' })
    this.invites.linkReady(link)
    this.channels.linkReady(now)
  }

  /** The end of a link detaches its handles (L1). */
  linkEnded(link: HostLink, why: number, text: string): void {
    if (link.state === 'closed') return
    link.state = 'closed'
    const { now } = this
    this.schedule.remove(link)
    this.#links.delete(link.id)
    this.invites.linkGone(link)
    this.locates.linkGone(link, now)
    this.loose.linkGone(link)
    link.handles.forEachOpen((handle) => {
      const { owner } = handle
      handle.owner = undefined
      owner?.handleClosed(handle, code.link_lost, 0, now)
    })
    // Lanes that waited for room here are attached to nothing now, or to another link.
    link.release()
    this.settings.onEvent({ event: 'link_closed', link: link.id, gateway: link.gateway, code: why, text })
  }

  offers(): ServiceOffer[] {
    const offers: ServiceOffer[] = []
    for (const { name, weight, keys, park } of this.services.values())
      offers.push({ name, weight, keys: keysAllowed[keys], park })
    return offers
  }

  get linkCount(): number {
    return this.#links.size
  }

  /** Sessions with a channel to an actor here, attached or apart. */
  get sessionCount(): number {
    return this.#sessions.size
  }

  busyThousandths(): number {
    return Math.min(1000, Math.max(0, Math.round((this.env.busy?.() ?? 0) * 1000)))
  }

  writeOut(link: HostLink): void {
    if (link.writer.at === 0) return
    this.counters.writes++
    this.counters.bytesOut += link.writer.at
    this.env.write(link.id, link.writer.view())
    link.writer.clear()
  }

  // ---- turns ----

  /** Something of it is to be written at the end of the turn, or its time has changed. */
  touch(flushable: Flushable): void {
    if (flushable.isDirty) return
    flushable.isDirty = true
    this.#dirty.push(flushable)
    this.wake()
  }

  wake(): void {
    if (this.#isFlushAsked || this.isClosed) return
    this.#isFlushAsked = true
    this.env.scheduleFlush()
  }

  ready(mailbox: Mailbox): void {
    if (mailbox.isReady) return
    mailbox.isReady = true
    this.#ready.push(mailbox)
    this.wake()
  }

  /** Runs the mailboxes in turn, one job each; never inside itself, so that handlers cannot nest. */
  runReady(now: number): void {
    if (this.#isRunning) return
    this.#isRunning = true
    let left = JOBS_PER_TURN
    for (let i = 0; i < this.#ready.length; i++) {
      const mailbox = this.#ready[i]
      mailbox.isReady = false
      if (left-- > 0) mailbox.step(now)
      if (mailbox.length > 0 && !mailbox.isBusy) {
        if (left <= 0) {
          this.#ready = this.#ready.slice(i + 1)
          mailbox.isReady = true
          this.#ready.push(mailbox)
          this.#isRunning = false
          this.wake()
          return
        }
        mailbox.isReady = true
        this.#ready.push(mailbox)
      }
    }
    this.#ready = []
    this.#isRunning = false
  }

  /** Whether a stall is so recent that silence of others proves nothing (O1). */
  isGrace(now: number): boolean {
    return now < this.graceUntil
  }

  // ---- values ----

  mintLife(): bigint {
    const bytes = this.env.randomBytes(8)
    const life = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true)
    return life === 0n ? 1n : life
  }

  encoded(value: unknown): Uint8Array {
    return value === undefined ? EMPTY : this.settings.codec.encode(value)
  }

  /** The value of a payload of ours; undefined where it cannot be one. */
  decoded(payload: Uint8Array): unknown {
    if (payload.length === 0) return undefined
    try {
      return this.settings.codec.decode(payload)
    } catch {
      return undefined
    }
  }
}
