// One host as this gateway knows it: configured or met, linked or not, draining, gone. Hosts are known by name; a lost link
// is not a lost host (P3). Of several links the newest serial of the newest instance takes new channels (L1).
import type { HostSettings } from '../config/settings.ts'
import type { ServiceOffer } from '../protocols/link/frames.ts'
import type { Expiring } from './deadlines.ts'
import { Deadline } from './deadlines.ts'
import type { Gateway } from './gateway.ts'
import type { Link } from './link.ts'
import { ParkingLot } from './parking.ts'
import { hashName } from './placement.ts'

export class Host implements Expiring {
  readonly name: string
  readonly nameHash: number
  settings: HostSettings | undefined
  /** What it serves, as its last HELLO said; undefined: never linked, so it might serve anything (P2). */
  offers: Map<string, ServiceOffer> | undefined = undefined
  readonly links: Link[] = []
  /** The link that takes new channels. */
  current: Link | undefined = undefined
  isGone = false
  /** It says so itself (LINK_DRAIN), until its next link. */
  isDraining = false
  /** The operator says so. */
  isAside = false
  /** No longer configured: drained, then gone (P3). */
  isRemoved = false
  isDialing = false
  /** What its last dial went by. */
  dialledAs: HostSettings | undefined = undefined
  attempts = 0
  awaySince: number
  channels = 0
  busyThousandths = 0
  readonly lot: ParkingLot
  readonly dialAt = new Deadline(this)
  readonly goneAt = new Deadline(this)
  readonly removedAt = new Deadline(this)
  readonly #gateway: Gateway

  constructor(gateway: Gateway, name: string, settings: HostSettings | undefined, now: number) {
    this.#gateway = gateway
    this.name = name
    this.nameHash = hashName(name)
    this.settings = settings
    this.awaySince = now
    this.lot = new ParkingLot(gateway)
  }

  /** How much of a service's new actors it takes; 0: none. `assumed` is what a host that was never linked will offer. */
  weightFor(service: string, assumed: number): number {
    if (this.isGone || this.isDraining || this.isAside || this.isRemoved) return 0
    const weight = this.settings?.weight ?? 1
    if (this.offers === undefined) {
      const mayRun = this.settings !== undefined && (this.settings.services?.includes(service) ?? true)
      return mayRun ? weight * assumed : 0
    }
    const offer = this.offers.get(service)
    return offer === undefined ? 0 : weight * offer.weight
  }

  expired(deadline: Deadline, now: number): void {
    const hosts = this.#gateway.hostTable
    if (deadline === this.dialAt) hosts.dial(this)
    else if (deadline === this.goneAt) hosts.declareGone(this, 'no link for longer than goneAfter', now)
    else hosts.finishRemoval(this, now)
  }
}
