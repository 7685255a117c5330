// All hosts: which are known (P3), which one a new actor goes to (P2), when to dial again, when one is declared gone.
//
//   configured ---dial---> linked ---link lost---> away ---goneAfter | GOODBYE | removed---> gone
//        ^                    ^----------- redial -----|                                      |
//        '---------------------------------- a new link makes it known again ----------------'
import type { CanarySettings, HostSettings } from '../config/settings.ts'
import { code } from '../protocols/codes.ts'
import type { Labels } from '../protocols/link/frames.ts'
import type { Gateway } from './gateway.ts'
import { Host } from './host.ts'
import type { Link } from './link.ts'
import type { ParkingLot } from './parking.ts'
import { hashName, placementScore, placementShare } from './placement.ts'

const FIRST_BACKOFF_MS = 100

/** Services have no slash in their names, so this is unambiguous. */
export const channelName = (service: string, key: string): string => `${service}/${key}`

export class Hosts {
  readonly #gateway: Gateway
  readonly #byName = new Map<string, Host>()
  #startedAt: number

  constructor(gateway: Gateway, now: number) {
    this.#gateway = gateway
    this.#startedAt = now
  }

  all(): IterableIterator<Host> {
    return this.#byName.values()
  }

  /** Takes the list of configuration or discovery: dials new hosts, drains and forgets those that are no longer in it. */
  set(list: readonly HostSettings[], now: number): void {
    const names = new Set<string>()
    for (const settings of list) {
      names.add(settings.name)
      const host = this.#byName.get(settings.name)
      if (host === undefined) this.#add(settings.name, settings, now)
      else this.#update(host, settings, now)
    }
    for (const host of this.#byName.values()) {
      if (host.settings !== undefined && !names.has(host.name)) this.#remove(host, now)
    }
  }

  #add(name: string, settings: HostSettings | undefined, now: number): Host {
    const host = new Host(this.#gateway, name, settings, now)
    this.#byName.set(name, host)
    this.#gateway.deadlines.set(host.goneAt, now + this.#gateway.times.goneAfterMs)
    if (settings !== undefined) this.dial(host)
    return host
  }

  #update(host: Host, settings: HostSettings, now: number): void {
    host.settings = settings
    if (host.isRemoved) {
      host.isRemoved = false
      this.#gateway.deadlines.clear(host.removedAt)
    }
    // One that was taken away and is named again as it was keeps its link.
    if (this.isOutdated(host)) {
      for (const link of host.links.slice()) link.close(code.going_away, 'the way to the host changed', now)
    }
    if (host.links.length === 0 && host.dialAt.slot === -1) this.dial(host)
  }

  /** P3: its channels go on until it is drained; then its pins are given up. */
  #remove(host: Host, now: number): void {
    host.settings = undefined
    host.isRemoved = true
    this.#gateway.deadlines.clear(host.dialAt)
    const wait = host.current === undefined ? 0 : this.#gateway.times.drainMs
    this.#gateway.deadlines.set(host.removedAt, now + wait)
  }

  finishRemoval(host: Host, now: number): void {
    this.declareGone(host, 'removed', now)
    for (const link of host.links.slice()) link.close(code.going_away, 'the host was removed', now)
  }

  setAside(name: string, isAside: boolean): boolean {
    const host = this.#byName.get(name)
    if (host !== undefined) host.isAside = isAside
    return host !== undefined
  }

  /** Asks the process for a link, unless one is there or on its way. */
  dial(host: Host): void {
    if (host.settings === undefined || host.isDialing || host.current !== undefined) return
    host.isDialing = true
    host.dialledAs = host.settings
    this.#gateway.env.dial(host.name)
  }

  /** Whether what was dialled last is not what the host is now: settings changed meanwhile. */
  isOutdated({ dialledAs, settings }: Host): boolean {
    return dialledAs !== undefined && settings !== undefined && !isSameWay(dialledAs, settings)
  }

  /** A dial did not succeed, or a link ended: again after a while that doubles, with jitter. */
  redial(host: Host, now: number): void {
    host.isDialing = false
    if (host.settings === undefined || host.current !== undefined) return
    const longest = Math.min(this.#gateway.times.backoffMaxMs, FIRST_BACKOFF_MS * 2 ** Math.min(host.attempts, 16))
    host.attempts++
    this.#gateway.deadlines.set(host.dialAt, now + longest * (0.5 + 0.5 * this.#gateway.random()))
  }

  /** The host of a link that was opened, whether configured or not. */
  forLink(name: string, now: number): Host {
    return this.#byName.get(name) ?? this.#add(name, undefined, now)
  }

  /**
   * The host that a pin or a NOT_HERE names; undefined: it is gone. A gateway that has not been up for `goneAfter` cannot
   * know that a host it never met is gone: such a host is waited for (P3).
   */
  named(name: string, now: number): Host | undefined {
    const host = this.#byName.get(name)
    if (host !== undefined) return host.isGone ? undefined : host
    const goneAt = this.#startedAt + this.#gateway.times.goneAfterMs
    if (now >= goneAt) return undefined
    const unmet = this.#add(name, undefined, now)
    this.#gateway.deadlines.set(unmet.goneAt, goneAt)
    return unmet
  }

  /**
   * P2: over all known hosts, linked here or not. One that was never linked counts as much as the others of its service:
   * a gateway that has just started must come to the same answer as one that knows them all. Where the service has a
   * canary, its hosts take their share of the actors and the others the rest; a group without any host gives it up.
   * `labels` are those of the session that asks.
   */
  choose(service: string, key: string, labels?: Labels): Host | undefined {
    const actorHash = hashName(channelName(service, key))
    const canary = this.#gateway.services.get(service)?.canary
    if (canary === undefined) return this.#best(service, actorHash, undefined, false)
    const isForced = labels !== undefined && hasLabels(labels, canary.labels)
    const isCanary = isForced || placementShare(actorHash) < canary.share
    return (
      this.#best(service, actorHash, canary, isCanary) ??
      this.#best(service, actorHash, canary, !isCanary) ??
      this.#best(service, actorHash, undefined, false)
    )
  }

  /** The best host by the hash, among the canaries or the others where there is a canary. */
  #best(service: string, actorHash: number, canary: CanarySettings | undefined, isCanary: boolean): Host | undefined {
    let assumed = 0
    for (const { offers } of this.#byName.values()) {
      const weight = offers?.get(service)?.weight ?? 0
      if (weight > assumed) assumed = weight
    }
    if (assumed === 0) assumed = 1
    let best: Host | undefined
    let bestScore = 0
    for (const host of this.#byName.values()) {
      const weight = host.weightFor(service, assumed)
      if (weight === 0 || (canary !== undefined && this.#isCanary(host, canary) !== isCanary)) continue
      const score = placementScore(host.nameHash, actorHash, weight)
      if (score > bestScore || (score === bestScore && best !== undefined && host.name < best.name)) {
        best = host
        bestScore = score
      }
    }
    return best
  }

  /** A canary whose breaker has opened is neither a canary nor another: no new actor goes there. */
  #isCanary(host: Host, canary: CanarySettings): boolean | undefined {
    if (!hasLabels(host.settings?.labels ?? {}, canary.labels)) return false
    const hasFailed = canary.rollsBack && (this.#gateway.guards.host(host.name)?.hasOpened ?? false)
    return hasFailed ? undefined : true
  }

  /** A link has proved itself: its host is known, and what waited for it goes on. */
  linked(link: Link, now: number): void {
    const host = link.host
    host.isDialing = false
    host.attempts = 0
    const deadlines = this.#gateway.deadlines
    deadlines.clear(host.dialAt)
    deadlines.clear(host.goneAt)
    host.isGone = false
    host.isDraining = false
    host.offers = new Map(link.offers.map((offer) => [offer.name, offer]))
    host.links.push(link)
    // L1: another instance of the same name is a restart; what its predecessor held is lost.
    for (const older of host.links.slice()) {
      if (older.instance !== link.instance) older.close(code.host_lost, 'the host has restarted', now)
    }
    this.#choose(host)
    this.#gateway.env.observe({ event: 'host_known', host: host.name, services: [...host.offers.keys()] })
    host.lot.release(now)
    this.#gateway.parking.nowhere.release(now)
  }

  unlinked(link: Link, now: number): void {
    const host = link.host
    const at = host.links.indexOf(link)
    if (at !== -1) host.links.splice(at, 1)
    this.#choose(host)
    if (host.current !== undefined) return
    host.awaySince = now
    if (host.isGone) this.#forget(host, now)
    else this.#gateway.deadlines.set(host.goneAt, now + this.#gateway.times.goneAfterMs)
    this.redial(host, now)
  }

  #choose(host: Host): void {
    let newest: Link | undefined
    for (const link of host.links) if (newest === undefined || link.serial >= newest.serial) newest = link
    host.current = newest
  }

  /** P3: no longer known, its pins are given up; what waited for it is placed anew. */
  declareGone(host: Host, reason: string, now: number): void {
    const gateway = this.#gateway
    gateway.deadlines.clear(host.goneAt)
    gateway.deadlines.clear(host.removedAt)
    if (!host.isGone) {
      host.isGone = true
      gateway.env.observe({ event: 'host_gone', host: host.name, reason })
      host.lot.release(now)
    }
    this.#forget(host, now)
  }

  /** A gone host that nobody configures is forgotten as soon as "never met" does not mean "wait for it" any more. */
  #forget(host: Host, now: number): void {
    if (host.settings !== undefined || host.links.length > 0) return
    const at = this.#startedAt + this.#gateway.times.goneAfterMs
    if (now >= at) this.#byName.delete(host.name)
    else this.#gateway.deadlines.set(host.goneAt, at)
  }

  /** Whether what waits in this lot could get further now. */
  canRelease(lot: ParkingLot): boolean {
    if (lot === this.#gateway.parking.nowhere) return false
    for (const host of this.#byName.values()) if (host.lot === lot) return host.isGone || host.current !== undefined
    return true
  }
}

/** The same address, reached and proved in the same way. */
function isSameWay(a: HostSettings, b: HostSettings): boolean {
  return (
    a.address === b.address &&
    a.security === b.security &&
    a.publicKey === b.publicKey &&
    a.tls?.caFile === b.tls?.caFile &&
    a.tls?.certFile === b.tls?.certFile &&
    a.tls?.keyFile === b.tls?.keyFile &&
    a.tls?.serverName === b.tls?.serverName
  )
}

function hasLabels(labels: Labels, wanted: Labels): boolean {
  for (const name in wanted) if (labels[name] !== wanted[name]) return false
  return true
}
