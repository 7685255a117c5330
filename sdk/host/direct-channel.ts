// From an actor to another one that is active on this same host: straight into its mailbox, in order, exactly once while
// the process lives. The window bounds what has not run, as on a lane (W1); there is nothing to acknowledge or replay.
import { code } from '../../protocols/codes.ts'
import type { Incoming, Outcome } from '../../protocols/session/channel-end.ts'
import { laneKind } from '../../protocols/wire/lane-frames.ts'
import { SkewerError } from '../error.ts'
import type { Actor } from './actor.ts'
import type { MessageSource } from './jobs.ts'
import { MessageJob } from './jobs.ts'
import type { Outgoing } from './outgoing.ts'
import type { Timed } from './schedule.ts'

type Open = { deadlineAt: number; isStarted: boolean; done: (outcome: Outcome) => void }

const EMPTY: Uint8Array = new Uint8Array(0)

export class DirectChannel implements Outgoing, MessageSource, Timed {
  dueAt = Infinity
  place = -1
  /** The target: its mailbox runs what is sent here. */
  readonly actor: Actor
  readonly isKicked = false
  readonly session: string
  readonly user = ''
  readonly address = ''
  readonly labels = {}
  readonly #from: Actor
  #sent = 0
  #unsettled = 0
  #unsettledBytes = 0
  #requests: Map<number, Open> = new Map()

  constructor(from: Actor, target: Actor) {
    this.#from = from
    this.actor = target
    this.session = `a:${from.address}`
    target.incoming.add(this)
  }

  get isQuiet(): boolean {
    return this.#unsettled === 0
  }

  send(route: string, payload: Uint8Array): number {
    return this.#enter(laneKind.oneway, route, payload, Infinity)
  }

  request(route: string, payload: Uint8Array, deadlineAt: number, done: (outcome: Outcome) => void): void {
    if (this.#requests.size >= this.actor.host.settings.limits.openRequestsMax)
      throw new SkewerError(code.too_many_requests)
    const request = this.#enter(laneKind.request, route, payload, deadlineAt)
    this.#requests.set(request, { deadlineAt, isStarted: false, done })
    if (deadlineAt < this.dueAt) this.actor.host.schedule.set(this, deadlineAt)
  }

  #enter(kind: number, route: string, payload: Uint8Array, deadlineAt: number): number {
    const { window } = this.actor.host.settings
    if (payload.length > window.bytes >>> 2) throw new SkewerError(code.too_large)
    if (this.#unsettled >= window.count || this.#unsettledBytes + payload.length > window.bytes)
      throw new SkewerError(code.window_full)
    const number = ++this.#sent
    this.#unsettled++
    this.#unsettledBytes += payload.length
    const message: Incoming = {
      kind,
      number,
      route,
      request: kind === laneKind.request ? number : 0,
      deadlineAt,
      key: '',
      group: '',
      life: 0n,
      offset: 0,
      payload,
    }
    this.actor.mailbox.push(new MessageJob(this, message))
    this.actor.host.wake()
    return number
  }

  started(job: MessageJob): void {
    const open = this.#requests.get(job.message.request)
    if (open !== undefined) open.isStarted = true
  }

  settle(message: Incoming, why: number, payload: Uint8Array, now: number): void {
    this.#unsettled--
    this.#unsettledBytes -= message.payload.length
    if (message.kind === laneKind.request) {
      const ran = why === code.expired || why === code.not_found || why === code.invalid_payload ? 'no' : 'yes'
      this.#tell(message.request, { code: why, payload, ran, retryMs: 0 })
    }
    this.#from.considerIdle(now)
  }

  /** Deadlines: what has started may still do what it does, the rest will not run (Q1, Q2). */
  due(now: number): void {
    let next = Infinity
    for (const [request, open] of [...this.#requests]) {
      if (open.deadlineAt > now) next = Math.min(next, open.deadlineAt)
      else if (open.isStarted) this.#tell(request, { code: code.unknown, payload: EMPTY, ran: 'unknown', retryMs: 0 })
      else this.#tell(request, { code: code.expired, payload: EMPTY, ran: 'no', retryMs: 0 })
    }
    this.actor.host.schedule.set(this, next)
  }

  #tell(request: number, outcome: Outcome): void {
    const open = this.#requests.get(request)
    this.#requests.delete(request)
    open?.done(outcome)
  }

  /** The target has stopped: what was under way is unknown, and the next message finds where it lives then. */
  targetStopped(): void {
    this.#forget()
    for (const [request, open] of [...this.#requests]) {
      const ran = open.isStarted ? 'unknown' : 'no'
      this.#tell(request, { code: code.unknown, payload: EMPTY, ran, retryMs: 0 })
    }
  }

  close(): void {
    this.#forget()
    this.#requests.clear()
    this.actor.considerIdle(this.actor.host.now)
  }

  #forget(): void {
    this.actor.host.schedule.remove(this)
    this.actor.incoming.delete(this)
    const { channels } = this.#from
    if (channels.get(this.actor.address) === this) channels.delete(this.actor.address)
  }
}
