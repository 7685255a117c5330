// Loose calls: requests outside all channels, at most once (H1, P6). Placed by the hash, never parked, never sent again
// once written to a link; what is not answered in time, or when the link ends, is answered `unknown`. Callers are client
// connections, hosts, and the HTTP listener. Broadcasts to all hosts of a service are here too: no answer at all.
import type { CallSettings } from '../config/settings.ts'
import type { Pass } from '../policies/circuit-breaker.ts'
import { pass } from '../policies/circuit-breaker.ts'
import { code } from '../protocols/codes.ts'
import type { Pipeline, Verdict } from '../policies/pipeline.ts'
import { verdict } from '../policies/pipeline.ts'
import type { Subject } from '../policies/subject.ts'
import type { Broadcast, LinkLoose } from '../protocols/link/frames.ts'
import { writeBroadcast, writeLinkLoose } from '../protocols/link/frames.ts'
import { cell, drop } from './counters.ts'
import type { Expiring } from './deadlines.ts'
import { Deadline } from './deadlines.ts'
import type { Gateway } from './gateway.ts'
import type { Guard } from './guard.ts'
import { hasFailed, hasFallenSilent } from './guards.ts'
import type { Host } from './host.ts'
import type { Link } from './link.ts'
import { hashName } from './placement.ts'
import { Numbered } from './numbered.ts'
import { copyOf } from '../protocols/wire/reader.ts'
import { RetryBudget } from './retry-budget.ts'
import type { Rule } from './route-table.ts'

const OPEN_MAX = 65_536
const DEADLINE_DEFAULT_MS = 10_000
const DEADLINE_MAX_MS = 120_000
/** How often it is looked for a host that a call could be sent to again. */
const AGAIN_MS = 100
const RETRY_MS = 1000
const EMPTY = new Uint8Array(0)

export interface LooseCaller {
  /** Exactly once for each call. The payload is the caller's to keep. `retryMs`: a hint with a refusal, 0 for none. */
  looseReplied(request: number, code: number, payload: Uint8Array, retryMs: number): void
}

/** A call on a route, as a client or the HTTP listener makes it. */
export type LooseCall = {
  request: number
  session: string
  user: string
  address: string
  /** The name of the one that it came in by, where that is not its connection's. */
  listener?: string
  route: string
  /** Empty: the user's own actor. */
  key: string
  deadlineMs: number
  idempotencyKey: string
  payload: Uint8Array
}

/** What judged a call and is to be told what became of it. */
type Judged = { guard: Guard; as: Pass }

class OpenCall implements Expiring {
  readonly id: number
  readonly link: Link
  readonly caller: LooseCaller
  readonly request: number
  readonly until = new Deadline(this)
  readonly sentAt: number
  readonly endsAt: number
  /** Who calls, for the share that one client has in a breaker. */
  readonly client: number
  readonly judged: readonly Judged[]
  /** What may be sent again should the link be lost: the route is idempotent, and this is the first time. */
  readonly again: { call: LinkLoose; rule: Rule } | undefined
  readonly #calls: LooseCalls

  constructor(
    calls: LooseCalls,
    id: number,
    link: Link,
    caller: LooseCaller,
    request: number,
    client: number,
    judged: readonly Judged[],
    again: { call: LinkLoose; rule: Rule } | undefined,
    sentAt: number,
    endsAt: number,
  ) {
    this.#calls = calls
    this.id = id
    this.link = link
    this.caller = caller
    this.request = request
    this.client = client
    this.judged = judged
    this.again = again
    this.sentAt = sentAt
    this.endsAt = endsAt
  }

  expired(_deadline: Deadline, now: number): void {
    this.#calls.settle(this, code.unknown, EMPTY, now)
  }
}

/** A call that is sent again as soon as its actor's host is linked, within its deadline. */
class WaitingCall implements Expiring {
  readonly open: OpenCall
  readonly next = new Deadline(this)
  readonly #calls: LooseCalls

  constructor(calls: LooseCalls, open: OpenCall) {
    this.#calls = calls
    this.open = open
  }

  expired(_deadline: Deadline, now: number): void {
    this.#calls.again(this, now)
  }
}

export class LooseCalls {
  readonly #gateway: Gateway
  readonly #open = new Numbered<OpenCall>()
  readonly #retries = new RetryBudget()

  constructor(gateway: Gateway) {
    this.#gateway = gateway
  }

  /**
   * A call by route name (H1): judged by the policies of its rule, sent to `service(route)`, actor `key`. Returns what was
   * said of it: after `close` and `ban` the caller's connection is to be ended.
   */
  call(call: LooseCall, caller: LooseCaller, subject: Subject, pipelines: readonly Pipeline[], now: number): Verdict {
    const gateway = this.#gateway
    const rule = gateway.routes.ruleOf(call.route)
    const service = rule === undefined ? undefined : gateway.services.get(rule.service)
    const key = call.key === '' ? call.user : call.key
    let refusal: number = code.ok
    if (rule === undefined || service === undefined) refusal = code.no_route
    else if (service.keys === 'user' && key !== call.user) refusal = code.not_allowed
    if (refusal !== code.ok) {
      caller.looseReplied(call.request, refusal, EMPTY, 0)
      return verdict.pass
    }
    const said = this.#police(call.payload, pipelines[rule!.index + 1], subject, now)
    if (said !== verdict.pass) {
      const { judgement } = gateway.policing
      if (said === verdict.drop) caller.looseReplied(call.request, code.dropped, EMPTY, 0)
      else caller.looseReplied(call.request, judgement.code, EMPTY, judgement.retryMs)
      return said
    }
    const { calls } = rule!
    const deadlineMs = calls === undefined ? call.deadlineMs : deadlineOf(calls, call.deadlineMs)
    if (calls?.isIdempotent) this.#retries.earn(rule!, calls.retryBudget)
    this.#send({ ...call, key, service: rule!.service, deadlineMs }, undefined, caller, rule, 'first', now)
    return said
  }

  #police(payload: Uint8Array, pipeline: Pipeline, subject: Subject, now: number): Verdict {
    if (pipeline.isEmpty) return verdict.pass
    const { judgement } = this.#gateway.policing
    judgement.subject = subject
    judgement.messageBytes = payload.length
    judgement.bytes = payload
    judgement.payloadStart = 0
    judgement.payloadEnd = payload.length
    judgement.credit = undefined
    return pipeline.judge(judgement, now)
  }

  /** A call of the gateway itself, about somebody whom it does not know yet. */
  ask(a: LinkLoose, caller: LooseCaller, now: number): void {
    if (this.#gateway.services.has(a.service)) this.#send(a, undefined, caller, undefined, 'first', now)
    else caller.looseReplied(a.request, code.no_service, EMPTY, 0)
  }

  /** A call of a host's actor to another actor. */
  fromHost(link: Link, a: LinkLoose, now: number): void {
    if (this.#gateway.services.has(a.service)) this.#send(a, link, link, undefined, 'first', now)
    else link.looseReplied(a.request, code.no_service, EMPTY)
  }

  #send(
    a: LinkLoose,
    from: Link | undefined,
    caller: LooseCaller,
    rule: Rule | undefined,
    attempt: 'first' | 'second',
    now: number,
  ): void {
    const gateway = this.#gateway
    gateway.counters.cells[cell.looseCalls]++
    let host = gateway.hostTable.choose(a.service, a.key)
    const fallback = gateway.services.get(a.service)?.fallback
    if (fallback !== undefined && this.#isTurnedAway(a.service, host, now) && gateway.services.has(fallback)) {
      // R5: another service may take it; an actor of the same name there, once.
      a = { ...a, service: fallback }
      host = gateway.hostTable.choose(a.service, a.key)
    }
    const link = host?.current
    let refusal: number = code.ok
    if (link === undefined) refusal = code.host_away
    else if (link.isFull || link.outlet.held > link.bytesMax) refusal = code.busy
    else if (this.#open.size >= OPEN_MAX) refusal = code.overloaded
    const judged: Judged[] = []
    if (refusal === code.ok) refusal = this.#judge(judged, rule, a.service, host!.name, now)
    if (refusal !== code.ok) {
      // The first attempt may have run: nobody may take this for "it did not".
      const answer = attempt === 'first' ? refusal : code.unknown
      caller.looseReplied(a.request, answer, EMPTY, answer === refusal && refusal < 500 ? RETRY_MS : 0)
      return
    }
    const deadlineMs = Math.min(a.deadlineMs === 0 ? DEADLINE_DEFAULT_MS : a.deadlineMs, DEADLINE_MAX_MS)
    const endsAt = now + deadlineMs
    const client = hashName(from === undefined ? a.user || a.address : a.session)
    // The payload is lent for the call only.
    const again =
      attempt === 'first' && rule?.calls?.isIdempotent
        ? { call: { ...a, payload: copyOf(a.payload, 0, a.payload.length) }, rule }
        : undefined
    const id = this.#open.nextId()
    const open = new OpenCall(this, id, link!, caller, a.request, client, judged, again, now, endsAt)
    this.#open.add(open)
    gateway.counters.cells[cell.looseOpen] = this.#open.size
    gateway.deadlines.set(open.until, endsAt)
    const session = from === undefined ? a.session : `a:${a.session}`
    writeLinkLoose(link!.outlet.writer, { ...a, session, request: open.id, deadlineMs })
    link!.outlet.touch()
  }

  /** R5: whether a service has no host for an actor now, or a breaker refuses it. */
  #isTurnedAway(service: string, host: Host | undefined, now: number): boolean {
    const { guards } = this.#gateway
    if (host?.current === undefined || guards.service(service)?.isOpen(now)) return true
    return guards.host(host.name)?.isOpen(now) ?? false
  }

  /** The breakers and limits of route, service and host: all of them let it pass, or none has counted it. */
  #judge(judged: Judged[], rule: Rule | undefined, service: string, host: string, now: number): number {
    const { guards } = this.#gateway
    const ofRoute = rule === undefined || rule.index === -1 ? undefined : guards.ofRule[rule.index]
    for (const guard of [ofRoute, guards.service(service), guards.host(host)]) {
      if (guard === undefined) continue
      const as = guard.ask(now)
      if (as === pass.refused) {
        for (const earlier of judged) earlier.guard.giveBack(earlier.as)
        return guard.refusal
      }
      judged.push({ guard, as })
    }
    return code.ok
  }

  replied(link: Link, a: { request: number; code: number; payload: Uint8Array }, now: number): void {
    const open = this.#open.get(a.request)
    if (open === undefined || open.link !== link) {
      this.#gateway.counters.drops[drop.lateReply]++
      return
    }
    const isTooLarge = a.payload.length > this.#gateway.limits.looseReplyBytesMax
    this.settle(open, isTooLarge ? code.too_large : a.code, isTooLarge ? EMPTY : a.payload, now)
  }

  settle(open: OpenCall, answer: number, payload: Uint8Array, now: number): void {
    this.#forget(open, answer, now)
    open.caller.looseReplied(open.request, answer, payload, 0)
  }

  #forget(open: OpenCall, answer: number, now: number): void {
    this.#open.delete(open)
    this.#gateway.deadlines.clear(open.until)
    this.#gateway.counters.cells[cell.looseOpen] = this.#open.size
    for (const { guard, as } of open.judged) {
      const isFailed = guard.level === 'host' ? hasFallenSilent(answer) : hasFailed(answer)
      guard.settled(as, isFailed, now - open.sentAt, open.client, now)
    }
  }

  /** What was written to a link that is gone may have run; where that does no harm, another host gets it, once (H1). */
  linkGone(link: Link, now: number): void {
    for (const open of this.#open.all()) {
      if (open.link !== link) continue
      const { again } = open
      if (again === undefined || now >= open.endsAt || !this.#retries.take(again.rule)) {
        this.settle(open, code.unknown, EMPTY, now)
        continue
      }
      this.#forget(open, code.unknown, now)
      this.again(new WaitingCall(this, open), now)
    }
  }

  /** Sends it once more, or waits for a host to send it to; past its deadline nobody knows what became of it. */
  again(waiting: WaitingCall, now: number): void {
    const { open } = waiting
    const { call, rule } = open.again!
    const hasHost = this.#gateway.hostTable.choose(call.service, call.key)?.current !== undefined
    if (now >= open.endsAt) {
      open.caller.looseReplied(open.request, code.unknown, EMPTY, 0)
    } else if (hasHost) {
      const deadlineMs = Math.max(1, Math.floor(open.endsAt - now))
      this.#send({ ...call, deadlineMs }, undefined, open.caller, rule, 'second', now)
    } else {
      this.#gateway.deadlines.set(waiting.next, Math.min(now + AGAIN_MS, open.endsAt))
    }
  }

  /** To all other linked hosts of the service, at most once, unordered (P6). */
  broadcast(link: Link, a: Broadcast): void {
    for (const host of this.#gateway.hostTable.all()) {
      const other = host.current
      if (other === undefined || host === link.host || !host.offers?.has(a.service)) continue
      if (other.isFull || other.outlet.held > other.bytesMax) {
        this.#gateway.counters.drops[drop.fullLink]++
        continue
      }
      writeBroadcast(other.outlet.writer, a)
      other.outlet.touch()
    }
  }
}

/** What a caller named, within what the route allows; 0 names none. */
const deadlineOf = (calls: CallSettings, deadlineMs: number): number =>
  deadlineMs === 0 ? calls.deadlineMs : Math.min(deadlineMs, calls.deadlineMsMax)
