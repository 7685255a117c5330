// Loose calls: requests outside all channels, at most once (H1, P6). Placed by the hash, never parked, never sent again
// once written to a link; what is not answered in time, or when the link ends, is answered `unknown`. Callers are client
// connections, hosts, and the HTTP listener. Broadcasts to all hosts of a service are here too: no answer at all.
import { code } from '../protocols/codes.ts'
import type { Broadcast, LinkLoose } from '../protocols/link/frames.ts'
import { writeBroadcast, writeLinkLoose } from '../protocols/link/frames.ts'
import { cell, drop } from './counters.ts'
import type { Expiring } from './deadlines.ts'
import { Deadline } from './deadlines.ts'
import type { Gateway } from './gateway.ts'
import type { Link } from './link.ts'
import type { Session } from './session.ts'

const OPEN_MAX = 65_536
const DEADLINE_DEFAULT_MS = 10_000
const DEADLINE_MAX_MS = 120_000
const EMPTY = new Uint8Array(0)

export interface LooseCaller {
  /** Exactly once for each call. The payload is the caller's to keep. */
  looseReplied(request: number, code: number, payload: Uint8Array): void
}

/** A call on a route, as a client or the HTTP listener makes it. */
export type LooseCall = {
  request: number
  session: string
  user: string
  address: string
  route: string
  /** Empty: the user's own actor. */
  key: string
  deadlineMs: number
  idempotencyKey: string
  payload: Uint8Array
}

class OpenCall implements Expiring {
  readonly id: number
  readonly link: Link
  readonly caller: LooseCaller
  readonly request: number
  readonly until = new Deadline(this)
  readonly #calls: LooseCalls

  constructor(calls: LooseCalls, id: number, link: Link, caller: LooseCaller, request: number) {
    this.#calls = calls
    this.id = id
    this.link = link
    this.caller = caller
    this.request = request
  }

  expired(): void {
    this.#calls.settle(this, code.unknown, EMPTY)
  }
}

export class LooseCalls {
  readonly #gateway: Gateway
  readonly #open = new Map<number, OpenCall>()
  #lastId = 0

  constructor(gateway: Gateway) {
    this.#gateway = gateway
  }

  /** A call by route name (H1): judged by its rule, sent to `service(route)`, actor `key`. */
  call(call: LooseCall, caller: LooseCaller, session: Session | undefined, now: number): void {
    const gateway = this.#gateway
    const rule = gateway.routes.ruleOf(call.route)
    const service = rule === undefined ? undefined : gateway.services.get(rule.service)
    const key = call.key === '' ? call.user : call.key
    let refusal: number = code.ok
    if (rule === undefined || service === undefined) refusal = code.no_route
    else if (service.keys === 'user' && key !== call.user) refusal = code.not_allowed
    else if (call.payload.length > rule.payloadBytesMax) refusal = code.too_large
    else if (rule.rate !== undefined && session !== undefined) {
      const isTaken = session.buckets(gateway.routes).take(rule.index, rule.rate.perSecond, rule.rate.burst, 1, now)
      if (!isTaken) refusal = code.rate_limited
    }
    if (refusal !== code.ok) {
      caller.looseReplied(call.request, refusal, EMPTY)
      return
    }
    this.#send({ ...call, key, service: rule!.service }, undefined, caller, now)
  }

  /** A call of a host's actor to another actor. */
  fromHost(link: Link, a: LinkLoose, now: number): void {
    if (this.#gateway.services.has(a.service)) this.#send(a, link, link, now)
    else link.looseReplied(a.request, code.no_service, EMPTY)
  }

  #send(a: LinkLoose, from: Link | undefined, caller: LooseCaller, now: number): void {
    const gateway = this.#gateway
    gateway.counters.cells[cell.looseCalls]++
    const link = gateway.hostTable.choose(a.service, a.key)?.current
    let refusal: number = code.ok
    if (link === undefined) refusal = code.host_away
    else if (link.isFull || link.outlet.held > link.bytesMax) refusal = code.busy
    else if (this.#open.size >= OPEN_MAX) refusal = code.overloaded
    if (refusal !== code.ok) {
      caller.looseReplied(a.request, refusal, EMPTY)
      return
    }
    const deadlineMs = Math.min(a.deadlineMs === 0 ? DEADLINE_DEFAULT_MS : a.deadlineMs, DEADLINE_MAX_MS)
    const open = new OpenCall(this, ++this.#lastId, link!, caller, a.request)
    this.#open.set(open.id, open)
    gateway.counters.cells[cell.looseOpen] = this.#open.size
    gateway.deadlines.set(open.until, now + deadlineMs)
    const session = from === undefined ? a.session : `a:${a.session}`
    writeLinkLoose(link!.outlet.writer, { ...a, session, request: open.id, deadlineMs })
    link!.outlet.touch()
  }

  replied(link: Link, a: { request: number; code: number; payload: Uint8Array }): void {
    const open = this.#open.get(a.request)
    if (open === undefined || open.link !== link) {
      this.#gateway.counters.drops[drop.lateReply]++
      return
    }
    const isTooLarge = a.payload.length > this.#gateway.limits.looseReplyBytesMax
    this.settle(open, isTooLarge ? code.too_large : a.code, isTooLarge ? EMPTY : a.payload)
  }

  settle(open: OpenCall, answer: number, payload: Uint8Array): void {
    this.#open.delete(open.id)
    this.#gateway.deadlines.clear(open.until)
    this.#gateway.counters.cells[cell.looseOpen] = this.#open.size
    open.caller.looseReplied(open.request, answer, payload)
  }

  /** What was written to a link that is gone may have run. */
  linkGone(link: Link): void {
    for (const open of this.#open.values()) if (open.link === link) this.settle(open, code.unknown, EMPTY)
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
