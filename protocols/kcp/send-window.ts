// What `send` accepted and the peer has not confirmed: one ring of segments, those in flight and behind them those that
// wait for the window. A segment's number is known the day it is queued, so it never moves from one list to another.
//
//      una                next               end
//   ----|---- in flight ----|---- waiting -----|        numbers are 32 bits and wrap (KCP-1.4)
//
// A segment acknowledged by its number alone stays until `una` passes it: only what una passed counts as written. Bounded
// in count and bytes by `fits`. Does not know about time or datagrams.
import { copyBytes, type Segment } from './segment.ts'
import { noSegment, type SegmentPool } from './segment-pool.ts'

const FIRST_SLOTS = 8
/** A segment sent more often than this waits for its timeout: the path is not just reordering (KCP-4.4). */
const FAST_RESENDS_MAX = 5

export class SendWindow {
  una = 0
  next = 0
  end = 0
  slots: Segment[] = new Array<Segment>(FIRST_SLOTS).fill(noSegment)
  mask = FIRST_SLOTS - 1
  /** Payload not yet on the wire. */
  waitingBytes = 0
  /** Payload on the wire that una has not passed. */
  flightBytes = 0
  /** Payload that una has passed since the beginning. */
  ackedBytes = 0
  /** Clock at which the first segment in flight is due to travel again, or earlier; kept by the transmitter. */
  firstDueAt = 0
  readonly #pool: SegmentPool
  readonly #mss: number
  readonly #bytesMax: number
  readonly #countMax: number

  constructor(pool: SegmentPool, mss: number, bytesMax: number, countMax: number) {
    this.#pool = pool
    this.#mss = mss
    this.#bytesMax = bytesMax
    this.#countMax = countMax
  }

  /** Once, before anything else. */
  begin(firstSn: number): void {
    this.una = this.next = this.end = firstSn
  }

  get flightCount(): number {
    return (this.next - this.una) | 0
  }

  fits(bytes: number, segments: number): boolean {
    return (
      this.waitingBytes + this.flightBytes + bytes <= this.#bytesMax &&
      ((this.end - this.una) | 0) + segments <= this.#countMax
    )
  }

  /** Room left in the last waiting segment: what a stream may still put there. */
  get tailRoom(): number {
    return this.end === this.next ? 0 : this.#mss - this.slots[(this.end - 1) & this.mask].length
  }

  /** Adds to the last waiting segment (streams); `end - start` is at most `tailRoom`. Copies. */
  extend(bytes: Uint8Array, start: number, end: number): void {
    const slot = (this.end - 1) & this.mask
    let tail = this.slots[slot]
    const length = tail.length + end - start
    if (length > tail.bytes.length) {
      const larger = this.#pool.take(length)
      copyBytes(tail.bytes, 0, tail.length, larger.bytes, 0)
      larger.length = tail.length
      larger.fragment = 0
      this.#pool.giveBack(tail)
      this.slots[slot] = tail = larger
    }
    copyBytes(bytes, start, end, tail.bytes, tail.length)
    tail.length = length
    this.waitingBytes += end - start
  }

  /** One more waiting segment. Copies. */
  append(bytes: Uint8Array, start: number, end: number, fragment: number): void {
    if (((this.end - this.una) | 0) > this.mask) this.#grow()
    const length = end - start
    const segment = this.#pool.take(length)
    copyBytes(bytes, start, end, segment.bytes, 0)
    segment.length = length
    segment.fragment = fragment
    this.slots[this.end & this.mask] = segment
    this.end = (this.end + 1) | 0
    this.waitingBytes += length
  }

  /** The first waiting segment goes in flight. */
  launch(): Segment {
    const segment = this.slots[this.next & this.mask]
    segment.transmits = 0
    segment.overtaken = 0
    segment.isAcked = false
    this.next = (this.next + 1) | 0
    this.waitingBytes -= segment.length
    this.flightBytes += segment.length
    return segment
  }

  /** The peer has everything below `una`; an older one changes nothing. `una` is never beyond `next` (KCP-2.6). */
  passUna(una: number): void {
    while (((una - this.una) | 0) > 0) this.#drop()
    this.#skipAcked()
  }

  /** The peer has `sn`, which is below `next` (KCP-2.7). */
  acknowledge(sn: number): void {
    if (((sn - this.una) | 0) < 0) return
    this.slots[sn & this.mask].isAcked = true
    if (sn === this.una) this.#skipAcked()
  }

  /**
   * `sn`, sent at `ts`, arrived: what was sent before it and is still missing was overtaken once more, and is due when
   * `graceMs` have passed since it was sent, if not before; `firstDueAt` moves there. True when one of them has now been
   * overtaken `resend` times.
   */
  overtake(sn: number, ts: number, resend: number, graceMs: number): boolean {
    let isDue = false
    for (let at = this.una; ((sn - at) | 0) > 0; at = (at + 1) | 0) {
      const segment = this.slots[at & this.mask]
      if (segment.isAcked || segment.transmits > FAST_RESENDS_MAX || ((ts - segment.ts) | 0) < 0) continue
      if (++segment.overtaken >= resend) isDue = true
      const dueAt = (segment.ts + graceMs) | 0
      if (segment.overtaken > 1 || ((segment.resendAt - dueAt) | 0) <= 0) continue
      segment.resendAt = dueAt
      if (((dueAt - this.firstDueAt) | 0) < 0) this.firstDueAt = dueAt
    }
    return isDue
  }

  /** Gives everything back; the window is not used again. */
  clear(): void {
    while (this.una !== this.end) {
      const slot = this.una & this.mask
      this.#pool.giveBack(this.slots[slot])
      this.slots[slot] = noSegment
      this.una = (this.una + 1) | 0
    }
    this.next = this.end
    this.waitingBytes = this.flightBytes = 0
  }

  #skipAcked(): void {
    while (this.una !== this.next && this.slots[this.una & this.mask].isAcked) this.#drop()
  }

  #drop(): void {
    const slot = this.una & this.mask
    const segment = this.slots[slot]
    this.flightBytes -= segment.length
    this.ackedBytes += segment.length
    this.slots[slot] = noSegment
    this.una = (this.una + 1) | 0
    this.#pool.giveBack(segment)
  }

  #grow(): void {
    const slots = new Array<Segment>(2 * this.slots.length).fill(noSegment)
    const mask = slots.length - 1
    for (let sn = this.una; sn !== this.end; sn = (sn + 1) | 0) slots[sn & mask] = this.slots[sn & this.mask]
    this.slots = slots
    this.mask = mask
  }
}
