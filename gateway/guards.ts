// All guards: of hosts, of services, of routes; and who tells them what became of what they let pass.
//
//   request on a lane    its route's guard may refuse it (R1); its answer is told to the guards of route, service and host
//   attach               the guards of service and host may refuse it (R5); its answer is told to the host's
//   loose call           all three may refuse it
//
// A host fails by silence only (no answer in time); that handlers throw is counted against service and route. An open host
// or service settles no number: what is attached goes on (R5).
import type { Settings } from '../config/settings.ts'
import type { Pass } from '../policies/circuit-breaker.ts'
import { pass } from '../policies/circuit-breaker.ts'
import { code } from '../protocols/codes.ts'
import type { Attachment } from './attachment.ts'
import type { Expiring } from './deadlines.ts'
import { Deadline } from './deadlines.ts'
import type { Gateway } from './gateway.ts'
import type { GuardLevel, GuardSnapshot } from './guard.ts'
import { Guard } from './guard.ts'
import { OpenRequests } from './open-requests.ts'

/** How often requests are looked for that nobody answered. */
const SWEEP_MS = 1000
/** A request that names no deadline is late after this. */
const LATE_MS = 30_000
/** An attach that a host has not answered for so long counts against it: clients go elsewhere then (A2). */
const ATTACH_LATE_MS = 3000

export class Guards implements Expiring {
  /** By the index of the rule; undefined where nothing guards it. */
  ofRule: (Guard | undefined)[] = []
  readonly #gateway: Gateway
  readonly #byName = new Map<string, Guard>()
  /** The same by the names of hosts and services alone: nothing is put together to look one up. */
  #hosts = new Map<string, Guard>()
  #services = new Map<string, Guard>()
  /** Attachments with requests that are open. */
  readonly #open = new Set<Attachment>()
  readonly #sweep = new Deadline(this)
  /** Whether any guard wants to know what becomes of requests. */
  #isFollowing = false

  constructor(gateway: Gateway) {
    this.#gateway = gateway
  }

  configure(settings: Settings, now: number): void {
    const kept = new Set<string>()
    const guard = (
      level: GuardLevel,
      name: string,
      of: Pick<Settings['services'][number], 'breaker' | 'concurrency'>,
    ) => {
      if (of.breaker === undefined && of.concurrency === undefined) return undefined
      const fullName = `${level} ${name}`
      let found = this.#byName.get(fullName)
      if (found === undefined) {
        found = new Guard(level, fullName, this.#gateway.env.observe)
        this.#byName.set(fullName, found)
      }
      found.configure(of.breaker, of.concurrency, now)
      kept.add(fullName)
      return found
    }
    this.#hosts = byName(settings.hosts, (host) => guard('host', host.name, { breaker: host.breaker }))
    this.#services = byName(settings.services, (service) => guard('service', service.name, service))
    this.ofRule = settings.routes.map((route) => guard('route', `${route.service} ${route.match}`, route))
    for (const name of this.#byName.keys()) if (!kept.has(name)) this.#byName.delete(name)
    this.#isFollowing = this.#byName.size > 0
  }

  host(name: string): Guard | undefined {
    return this.#hosts.get(name)
  }

  service(name: string): Guard | undefined {
    return this.#services.get(name)
  }

  list(now: number): GuardSnapshot[] {
    return Array.from(this.#byName.values(), (guard) => guard.snapshot(now))
  }

  /** The operator's word on a breaker; false: there is none of that name. */
  force(name: string, to: 'open' | 'closed' | 'auto', now: number): boolean {
    const guard = this.#byName.get(name)
    if (guard?.breaker === undefined) return false
    guard.hasOpened = false
    guard.breaker.force(to, now)
    return true
  }

  // ---- requests on lanes ----

  /** Follows a request that goes to the host. `as` is what its route's guard let it pass as. */
  sent(attachment: Attachment, id: number, deadlineMs: number, guard: Guard | undefined, as: Pass, now: number): void {
    if (!this.#isFollowing) return
    const requests = (attachment.requests ??= new OpenRequests())
    if (requests.count === 0) {
      requests.ofService = this.service(attachment.placedAt)?.breaker
      requests.ofHost = this.host(attachment.link!.host.name)?.breaker
    }
    const lateAt = now + (deadlineMs === 0 ? LATE_MS : deadlineMs)
    if (!requests.add(id, lateAt, guard, as, now)) {
      guard?.giveBack(as)
      return
    }
    if (requests.count > 1) return
    this.#open.add(attachment)
    if (this.#sweep.slot === -1) this.#gateway.deadlines.set(this.#sweep, now + SWEEP_MS)
  }

  /** An answer passed by on its way to the client. */
  replied(attachment: Attachment, id: number, answer: number, now: number): void {
    const requests = attachment.requests!
    const at = requests.find(id)
    if (at !== -1) this.#settle(attachment, requests, at, answer, now)
  }

  #settle(attachment: Attachment, requests: OpenRequests, at: number, answer: number, now: number): void {
    const latencyMs = now - requests.sentAt[at]
    const guard = requests.guards[at]
    const as = requests.passes[at]
    requests.remove(at)
    if (requests.count === 0) this.#open.delete(attachment)
    const client = attachment.session?.number ?? 0
    const isFailed = hasFailed(answer)
    guard?.settled(as, isFailed, latencyMs, client, now)
    requests.ofService?.recordUnasked(isFailed, latencyMs, client, now)
    requests.ofHost?.recordUnasked(hasFallenSilent(answer), latencyMs, client, now)
  }

  /** Its attachment has ended: what is open is sent again on the next attach, or never. */
  forget(attachment: Attachment): void {
    if (attachment.guard !== undefined) this.#attachAbandoned(attachment, attachment.guard)
    const { requests } = attachment
    if (requests === undefined) return
    attachment.requests = undefined
    this.#open.delete(attachment)
    for (const [i, guard] of requests.guards.entries()) guard?.giveBack(requests.passes[i])
  }

  expired(_deadline: Deadline, now: number): void {
    for (const attachment of this.#open) {
      const requests = attachment.requests!
      for (let i = requests.count - 1; i >= 0; i--) {
        if (requests.lateAt[i] <= now) this.#settle(attachment, requests, i, code.unknown, now)
      }
    }
    if (this.#open.size > 0) this.#gateway.deadlines.set(this.#sweep, now + SWEEP_MS)
  }

  // ---- attaches ----

  /** The guard that refuses this attach to this host, or undefined: then the answer is to be told (R5). */
  askAttach(attachment: Attachment, hostName: string, now: number): Guard | undefined {
    const service = this.service(attachment.placedAt)
    if (service !== undefined && !service.letsPass(now)) return service
    const host = this.host(hostName)
    if (host === undefined) return undefined
    const as = host.ask(now)
    if (as === pass.refused) return host
    attachment.guard = host
    attachment.passedAs = as
    attachment.askedAt = now
    return undefined
  }

  /** The host has answered an attach, whatever it said. */
  attachAnswered(attachment: Attachment, now: number): void {
    const { guard } = attachment
    if (guard === undefined) return
    attachment.guard = undefined
    guard.settled(attachment.passedAs, false, now - attachment.askedAt, attachment.session?.number ?? 0, now)
  }

  /** An attach ended without an answer: that counts against the host only when it had its time. */
  #attachAbandoned(attachment: Attachment, guard: Guard): void {
    attachment.guard = undefined
    const now = this.#gateway.env.now()
    const latencyMs = now - attachment.askedAt
    if (latencyMs < ATTACH_LATE_MS) guard.giveBack(attachment.passedAs)
    else guard.settled(attachment.passedAs, true, latencyMs, attachment.session?.number ?? 0, now)
  }
}

function byName<T extends { name: string }>(
  list: readonly T[],
  guardOf: (each: T) => Guard | undefined,
): Map<string, Guard> {
  const found = new Map<string, Guard>()
  for (const each of list) {
    const guard = guardOf(each)
    if (guard !== undefined) found.set(each.name, guard)
  }
  return found
}

/** Answers that count against service and route: it threw, it came too late, or nobody knows. */
export function hasFailed(answer: number): boolean {
  return answer === code.handler_failed || hasFallenSilent(answer)
}

/** Answers that count against the host: it had no time, or said nothing. */
export function hasFallenSilent(answer: number): boolean {
  return answer === code.expired || answer === code.unknown || answer === code.stalled
}
