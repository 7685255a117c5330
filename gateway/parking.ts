// Attaches that wait for their host (A4): pinned or hashed to one that is known but not linked here, or to none at all.
// Bounded in number and in time; released at a rate when the host comes, so that its start is not a storm (A11).
import { code } from '../protocols/codes.ts'
import type { Attachment } from './attachment.ts'
import { cell } from './counters.ts'
import type { Expiring } from './deadlines.ts'
import { Deadline } from './deadlines.ts'
import type { Gateway } from './gateway.ts'

/** Parked attaches are released in batches: 20 every 10 ms, 2,000 a second a host. */
const RELEASE_BATCH = 20
const RELEASE_EVERY_MS = 10

/** Where one attachment waits, and until when. */
export class ParkingPlace implements Expiring {
  readonly until = new Deadline(this)
  lot: ParkingLot
  readonly #attachment: Attachment
  readonly #parking: Parking

  constructor(attachment: Attachment, lot: ParkingLot, parking: Parking) {
    this.#attachment = attachment
    this.lot = lot
    this.#parking = parking
  }

  expired(_deadline: Deadline, now: number): void {
    this.#parking.tooLong(this.#attachment, now)
  }
}

/** All that waits for one host. */
export class ParkingLot implements Expiring {
  readonly waiting = new Set<Attachment>()
  readonly next = new Deadline(this)
  readonly #gateway: Gateway

  constructor(gateway: Gateway) {
    this.#gateway = gateway
  }

  /** Begins to place anew what waits here. */
  release(now: number): void {
    if (this.waiting.size > 0 && this.next.slot === -1) this.#gateway.deadlines.set(this.next, now)
  }

  expired(_deadline: Deadline, now: number): void {
    // What cannot be placed comes back to the end of the set: count, not emptiness, ends the loop.
    let left = Math.min(RELEASE_BATCH, this.waiting.size)
    for (const attachment of this.waiting) {
      if (left-- <= 0) break
      this.#gateway.attaches.place(attachment, now)
    }
    if (this.waiting.size > 0 && this.#gateway.hostTable.canRelease(this)) {
      this.#gateway.deadlines.set(this.next, now + RELEASE_EVERY_MS)
    }
  }
}

export class Parking {
  /** Waits for any host of its service. */
  readonly nowhere: ParkingLot
  readonly #gateway: Gateway
  #count = 0

  constructor(gateway: Gateway) {
    this.#gateway = gateway
    this.nowhere = new ParkingLot(gateway)
  }

  get count(): number {
    return this.#count
  }

  /** Lets an attachment wait for its host; another code than ok: there is no room. */
  park(attachment: Attachment, now: number): number {
    const lot = attachment.host?.lot ?? this.nowhere
    const place = attachment.parking
    if (place !== undefined) {
      place.lot.waiting.delete(attachment)
      place.lot = lot
      lot.waiting.add(attachment)
      return code.ok
    }
    if (this.#count >= this.#gateway.limits.parkedMax) return code.park_full
    this.#count++
    this.#gateway.counters.cells[cell.parked] = this.#count
    this.#gateway.counters.cells[cell.parkedTotal]++
    attachment.parking = new ParkingPlace(attachment, lot, this)
    this.#gateway.deadlines.set(attachment.parking.until, now + this.#gateway.times.parkMaxMs)
    lot.waiting.add(attachment)
    return code.ok
  }

  /** The attachment no longer waits. */
  leave(attachment: Attachment): void {
    const place = attachment.parking
    if (place === undefined) return
    attachment.parking = undefined
    place.lot.waiting.delete(attachment)
    this.#gateway.deadlines.clear(place.until)
    this.#count--
    this.#gateway.counters.cells[cell.parked] = this.#count
  }

  tooLong(attachment: Attachment, now: number): void {
    this.#gateway.attaches.parkedTooLong(attachment, now)
  }
}
