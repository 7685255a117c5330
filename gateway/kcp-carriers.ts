// All KCP conversations of one listener, and when each has something to do: those that were touched get one flush at the
// end of the turn, so that everything of a turn shares datagrams; the others wait in one heap, an idle one not even there.
// Sans-IO: the process and the simulator drive it.
//
//   touch(carrier)* -> flush(now)                     at the end of the turn, behind the core's
//   tick(now)       at deadline(): what is to be sent again
import { headerBytes } from '../protocols/kcp/segment.ts'
import { SegmentPool } from '../protocols/kcp/segment-pool.ts'
import { opened, OPENED_AT } from '../protocols/secure/datagram-connection.ts'
import { ViewCache } from '../protocols/secure/view-cache.ts'
import type { DatagramCounters } from './datagram-counters.ts'
import { Deadlines } from './deadlines.ts'
import type { KcpCarrier } from './kcp-carrier.ts'
import type { Carrier, CarrierEvents } from './seams.ts'

/** What a listener of datagrams asks of the world. */
export interface DatagramEnvironment {
  /** Monotonic milliseconds. */
  now(): number
  randomBytes(length: number): Uint8Array
  /** Sends one datagram, now or never; lent for the call. */
  send(bytes: Uint8Array, start: number, end: number, ip: string, port: number): void
  /** Asks for one call of `flush` at the end of this turn, behind the core's. */
  scheduleFlush(): void
  /** Whether there is room for one connection more; it is taken then, until `left`. */
  enter(): boolean
  left(carrier: Carrier): void
  /** Gives a new client to the core. */
  accept(carrier: Carrier, now: number): CarrierEvents
}

/** A message behind so many headers in its datagram, its own and those of acknowledgements, has a view that is kept. */
const VIEWED_HEADERS_MAX = 8

export class KcpCarriers {
  readonly env: DatagramEnvironment
  readonly counters: DatagramCounters
  readonly pool: SegmentPool
  readonly open = new Set<KcpCarrier>()
  readonly #deadlines = new Deadlines()
  #dirty: KcpCarrier[] = []
  #spare: KcpCarrier[] = []
  /** By the headers before them. */
  readonly #views: (ViewCache | undefined)[] = new Array(VIEWED_HEADERS_MAX + 1).fill(undefined)
  #isScheduled = false

  constructor(env: DatagramEnvironment, counters: DatagramCounters, pool = new SegmentPool()) {
    this.env = env
    this.counters = counters
    this.pool = pool
  }

  /** Gives a new carrier to the core. */
  start(carrier: KcpCarrier, now: number): void {
    this.open.add(carrier)
    carrier.start(this.env.accept(carrier, now))
    this.touch(carrier)
  }

  /** It has something to do at the end of this turn. */
  touch(carrier: KcpCarrier): void {
    if (carrier.isDirty) return
    carrier.isDirty = true
    this.#dirty.push(carrier)
    this.schedule()
  }

  /** What is due may have changed: it is looked at at the end of this turn. */
  schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    this.env.scheduleFlush()
  }

  /**
   * A carrier that waits less long than it thought looks again in vain, once; that is cheaper than moving it each turn. Whether
   * it is earlier now.
   */
  wakeAt(carrier: KcpCarrier, at: number): boolean {
    const { deadline } = carrier
    if (at >= deadline.at) return false
    this.#deadlines.set(deadline, at)
    return true
  }

  /** A view of bytes[start, end): the same one again for what was opened, which is where all that is sealed comes from. */
  viewOf(bytes: Uint8Array, start: number, end: number): Uint8Array {
    const headers = (start - OPENED_AT) / headerBytes
    if (bytes !== opened || headers > VIEWED_HEADERS_MAX || !Number.isInteger(headers))
      return bytes.subarray(start, end)
    return (this.#views[headers] ??= new ViewCache(opened, start)).of(end - start)
  }

  remove(carrier: KcpCarrier): void {
    if (!this.open.delete(carrier)) return
    this.#deadlines.clear(carrier.deadline)
    this.env.left(carrier)
  }

  flush(now: number): void {
    this.#isScheduled = false
    const batch = this.#dirty
    if (batch.length === 0) return
    this.#dirty = this.#spare
    this.#spare = batch
    for (let i = 0; i < batch.length; i++) {
      batch[i].isDirty = false
      batch[i].turn(now)
    }
    batch.length = 0
  }

  deadline(): number {
    return this.#deadlines.next()
  }

  tick(now: number): void {
    this.#deadlines.expire(now)
  }
}
