// What came and was not handed on: one ring of segments. Below `next` they are in order and wait for the reader or for
// the rest of their message; above it they wait for what is missing.
//
//      head                next                  next + size
//   ----|---- in order -----|-- some may be here ---|
//
// Bounded: at most `size` segments on each side of `next`, none longer than the check lets through; the ring grows with
// what is used of it. Does not check the peer's numbers (datagram-check.ts) and does not own the datagrams it copies from.
import { copyBytes, type Segment } from './segment.ts'
import { noSegment, type SegmentPool } from './segment-pool.ts'

const FIRST_SLOTS = 8
const ANY_FRAGMENT = -1

export class ReceiveWindow {
  readonly size: number
  head = 0
  next = 0
  slots: Segment[] = new Array<Segment>(FIRST_SLOTS).fill(noSegment)
  mask = FIRST_SLOTS - 1
  /** Segments above `next`. */
  aheadCount = 0
  heldBytes = 0
  /** Segments that came again. */
  duplicates = 0
  /** What segment `next` must say of its place in the message; ANY_FRAGMENT where a message begins. */
  expectedFragment = ANY_FRAGMENT
  readonly #pool: SegmentPool

  constructor(pool: SegmentPool, size: number) {
    this.#pool = pool
    this.size = size
  }

  /** Once, before anything else. */
  begin(firstSn: number): void {
    this.head = this.next = firstSn
  }

  /** Segments the reader could still be sent: what travels as `wnd` (KCP-3.1). */
  get unused(): number {
    return this.size - ((this.next - this.head) | 0)
  }

  get isFull(): boolean {
    return ((this.next - this.head) | 0) >= this.size
  }

  /** Nothing is held, on either side of `next`. */
  get isEmpty(): boolean {
    return this.head === this.next && this.aheadCount === 0
  }

  /** True where a message of several segments would be whole: its segments count down to 0 (KCP-2.10). */
  agrees(sn: number, fragment: number): boolean {
    if (sn === this.next) {
      if (this.expectedFragment !== ANY_FRAGMENT && fragment !== this.expectedFragment) return false
    } else {
      const before = this.#at((sn - 1) | 0)
      if (before !== noSegment && before.fragment !== 0 && fragment !== before.fragment - 1) return false
    }
    return fragment === 0 || this.aheadCount === 0 || this.#precedes(fragment, this.#at((sn + 1) | 0))
  }

  /** Segment `next` was handed on straight from its datagram: possible when the window is empty. */
  pass(): void {
    this.head = this.next = (this.next + 1) | 0
  }

  /** Keeps a segment of the window [next, next + size), unless it is here. Copies. */
  store(sn: number, fragment: number, bytes: Uint8Array, start: number, end: number): void {
    while (((sn - this.head) | 0) > this.mask) this.#grow()
    const slot = sn & this.mask
    if (this.slots[slot] !== noSegment) {
      this.duplicates++
      return
    }
    const segment = this.#pool.take(end - start)
    copyBytes(bytes, start, end, segment.bytes, 0)
    segment.length = end - start
    segment.fragment = fragment
    this.slots[slot] = segment
    this.heldBytes += segment.length
    this.aheadCount++
    this.advance()
  }

  /** Moves `next` over what is no longer waiting for something missing. */
  advance(): void {
    while (this.aheadCount > 0 && !this.isFull) {
      const segment = this.slots[this.next & this.mask]
      if (segment === noSegment) return
      this.expectedFragment = segment.fragment === 0 ? ANY_FRAGMENT : segment.fragment - 1
      this.next = (this.next + 1) | 0
      this.aheadCount--
    }
  }

  /** Segments of the first message, 0 when it is not whole. */
  get readable(): number {
    const inOrder = (this.next - this.head) | 0
    if (inOrder === 0) return 0
    const count = this.slots[this.head & this.mask].fragment + 1
    return count <= inOrder ? count : 0
  }

  /** Takes the first segment out; the caller gives it back to the pool. */
  shift(): Segment {
    const slot = this.head & this.mask
    const segment = this.slots[slot]
    this.slots[slot] = noSegment
    this.head = (this.head + 1) | 0
    this.heldBytes -= segment.length
    return segment
  }

  /** Gives everything back; the window is not used again. */
  clear(): void {
    for (let slot = 0; slot < this.slots.length; slot++) {
      if (this.slots[slot] !== noSegment) this.#pool.giveBack(this.slots[slot])
      this.slots[slot] = noSegment
    }
    this.head = this.next
    this.aheadCount = this.heldBytes = 0
  }

  /** The segment held as `sn`; noSegment for any number, however far outside. */
  #at(sn: number): Segment {
    const offset = (sn - this.head) | 0
    return offset >= 0 && offset <= this.mask ? this.slots[sn & this.mask] : noSegment
  }

  #precedes(fragment: number, after: Segment): boolean {
    return after === noSegment || after.fragment === fragment - 1
  }

  #grow(): void {
    const slots = new Array<Segment>(2 * this.slots.length).fill(noSegment)
    const mask = slots.length - 1
    for (let i = 0; i <= this.mask; i++) {
      const sn = (this.head + i) | 0
      slots[sn & mask] = this.slots[sn & this.mask]
    }
    this.slots = slots
    this.mask = mask
  }
}
