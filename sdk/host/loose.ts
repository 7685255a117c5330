// Loose calls: requests outside all channels, at most once and in no order (P6, H1). Those that come in run at their actor
// like any request; those that an actor makes end with a reply, or unknown when the deadline or the link ends first.
import { writeLooseReply } from '../../protocols/client/frames.ts'
import { code } from '../../protocols/codes.ts'
import type { Labels, LinkLoose } from '../../protocols/link/frames.ts'
import { linkKind, writeLinkLoose } from '../../protocols/link/frames.ts'
import type { Incoming, Outcome } from '../../protocols/session/channel-end.ts'
import { laneKind } from '../../protocols/wire/lane-frames.ts'
import { SkewerError } from '../error.ts'
import type { Actor } from './actor.ts'
import type { Answer } from './answers.ts'
import { KeptAnswers } from './answers.ts'
import type { HostCore } from './core.ts'
import type { MessageSource } from './jobs.ts'
import { MessageJob } from './jobs.ts'
import type { HostLink } from './link.ts'
import type { Timed } from './schedule.ts'

/** Loose calls that wait or run on this host: no window bounds them. */
const RUNNING_MAX = 16_384
/** And at one actor. */
const PER_ACTOR_MAX = 256
const MADE_MAX = 16_384
const EMPTY: Uint8Array = new Uint8Array(0)
const NO_LABELS: Labels = {}

/** One call that came in. */
export class LooseCall implements MessageSource {
  readonly actor: Actor
  readonly isKicked = false
  readonly session: string
  readonly user: string
  readonly address: string
  readonly labels = NO_LABELS
  readonly idempotencyKey: string
  readonly #answer: (code: number, payload: Uint8Array, hasRun: boolean, now: number) => void
  #hasRun = false

  constructor(
    actor: Actor,
    a: LinkLoose,
    answer: (code: number, payload: Uint8Array, hasRun: boolean, now: number) => void,
  ) {
    this.actor = actor
    this.session = a.session
    this.user = a.user
    this.address = a.address
    this.idempotencyKey = a.idempotencyKey
    this.#answer = answer
  }

  started(): void {}

  running(): void {
    this.#hasRun = true
  }

  settle(_message: Incoming, why: number, payload: Uint8Array, now: number): void {
    this.actor.loose.delete(this)
    const isTooLarge = payload.length > this.actor.host.settings.looseReplyBytesMax
    this.#answer(isTooLarge ? code.too_large : why, isTooLarge ? EMPTY : payload, this.#hasRun, now)
  }

  /** The actor is gone: what waits has certainly not run, what was running may have. */
  actorStopped(now: number): void {
    this.#answer(this.#hasRun ? code.unknown : code.busy, EMPTY, this.#hasRun, now)
  }
}

/** One call that an actor here has made. */
class MadeCall implements Timed {
  dueAt = Infinity
  place = -1
  readonly id: number
  readonly link: HostLink
  readonly done: (outcome: Outcome) => void
  readonly #loose: Loose

  constructor(loose: Loose, id: number, link: HostLink, done: (outcome: Outcome) => void) {
    this.#loose = loose
    this.id = id
    this.link = link
    this.done = done
  }

  due(): void {
    this.#loose.end(this, { code: code.unknown, payload: EMPTY, ran: 'unknown', retryMs: 0 })
  }
}

export class Loose {
  readonly #host: HostCore
  #running = 0
  #made: Map<number, MadeCall> = new Map()
  #nextId = 1

  constructor(host: HostCore) {
    this.#host = host
  }

  /** A call of a client, of HTTP, or of an actor elsewhere. */
  receive(link: HostLink, a: LinkLoose, now: number): void {
    const answer = (why: number, payload: Uint8Array) => {
      if (!link.isReady) return
      writeLooseReply(link.writer, linkKind.looseReply, { request: a.request, code: why, payload })
      this.#host.wake()
    }
    this.#run(a, answer, now)
  }

  #run(a: LinkLoose, answer: Answer, now: number): void {
    const host = this.#host
    const service = host.services.get(a.service)
    host.counters.loose++
    if (service === undefined) {
      answer(code.no_service, EMPTY)
      return
    }
    if (this.#running >= RUNNING_MAX) {
      answer(code.busy, EMPTY)
      return
    }
    const deadlineAt = a.deadlineMs > 0 ? now + a.deadlineMs : Infinity
    this.#running++
    const settled: Answer = (why, payload) => {
      this.#running--
      answer(why, payload)
    }
    const actor = host.actor(a.service, a.key)
    if (actor !== undefined) {
      this.#enter(actor, a, deadlineAt, settled)
      return
    }
    const found = (hostName: string | undefined, at: number) => {
      if (hostName === undefined) settled(code.busy, EMPTY)
      else if (hostName !== '') settled(code.not_here, EMPTY)
      else this.#enter(host.activate(service, a.key, at), a, deadlineAt, settled)
    }
    if (host.isDraining || !host.locates.ask(a.service, a.key, found, now)) settled(code.busy, EMPTY)
  }

  #enter(actor: Actor, a: LinkLoose, deadlineAt: number, answer: Answer): void {
    if (a.idempotencyKey === '') {
      this.#push(actor, a, deadlineAt, answer)
      return
    }
    actor.answers ??= new KeptAnswers(actor)
    const { answers } = actor
    const kept = answers.take(a, answer)
    if (kept === undefined) return
    this.#push(actor, a, deadlineAt, (why, payload, hasRun, now) => {
      kept.hasRun = hasRun
      answers.settle(kept, why, payload, now)
    })
  }

  #push(
    actor: Actor,
    a: LinkLoose,
    deadlineAt: number,
    answer: (code: number, payload: Uint8Array, hasRun: boolean, now: number) => void,
  ): void {
    if (actor.loose.size >= PER_ACTOR_MAX) {
      answer(code.busy, EMPTY, false, this.#host.now)
      return
    }
    const message: Incoming = {
      kind: laneKind.request,
      number: 0,
      route: a.route,
      request: a.request,
      deadlineAt,
      key: '',
      group: '',
      life: 0n,
      offset: 0,
      payload: a.payload,
    }
    const call = new LooseCall(actor, a, answer)
    actor.loose.add(call)
    actor.mailbox.push(new MessageJob(call, message))
  }

  /** Makes a call for an actor; throws where it cannot even leave. `done` is called once. */
  call(
    from: Actor,
    service: string,
    key: string,
    route: string,
    payload: Uint8Array,
    timeoutMs: number,
    done: (outcome: Outcome) => void,
    now: number,
  ): void {
    const host = this.#host
    const a: LinkLoose = {
      request: 0,
      session: from.address,
      user: '',
      address: '',
      service,
      key,
      route,
      deadlineMs: Math.ceil(timeoutMs),
      idempotencyKey: '',
      payload,
    }
    if (host.actor(service, key) !== undefined) {
      const answer: Answer = (why, reply) => done({ code: why, payload: reply, ran: 'yes', retryMs: 0 })
      this.#run({ ...a, session: `a:${from.address}` }, answer, now)
      return
    }
    const link = host.freshLinks()[0]
    if (link === undefined) throw new SkewerError(code.host_away, 'no gateway is linked')
    if (this.#made.size >= MADE_MAX) throw new SkewerError(code.too_many_requests)
    const made = new MadeCall(this, this.#nextId++, link, done)
    this.#made.set(made.id, made)
    writeLinkLoose(link.writer, { ...a, request: made.id })
    host.schedule.set(made, now + timeoutMs)
    host.wake()
  }

  replied(link: HostLink, a: { request: number; code: number; payload: Uint8Array }): void {
    const made = this.#made.get(a.request)
    if (made === undefined || made.link !== link) return
    const ran = a.code === code.unknown ? 'unknown' : didRun(a.code) ? 'yes' : 'no'
    this.end(made, { code: a.code, payload: a.payload, ran, retryMs: 0 })
  }

  linkGone(link: HostLink): void {
    for (const made of [...this.#made.values()]) if (made.link === link) made.due()
  }

  end(made: MadeCall, outcome: Outcome): void {
    this.#made.delete(made.id)
    this.#host.schedule.remove(made)
    made.done(outcome)
  }
}

/** Codes that say that no handler was reached. */
const NOT_RUN: readonly number[] = [
  code.busy,
  code.host_away,
  code.overloaded,
  code.expired,
  code.not_here,
  code.not_found,
  code.no_route,
  code.no_service,
  code.not_allowed,
  code.rate_limited,
  code.invalid_payload,
]
const didRun = (why: number): boolean => !NOT_RUN.includes(why)
