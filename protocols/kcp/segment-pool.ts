// Segments that are not in use, by size of their memory, shared by all conversations of a process: an idle conversation
// holds none, and a busy one makes no garbage. A short payload takes short memory, so that what is held for a peer stays
// a small multiple of what it sent. Also lends the one buffer in which datagrams are built. Bounded: past
// `keptBytesMax` a given-back segment is left to the garbage collector. Does not clear memory: only `length` bytes of a
// segment are ever read.
//
//   class     0     1     2     3     4      5
//   bytes     64    128   256   512   1024   1536
import { Segment } from './segment.ts'

/**
 * Room in front of and behind a built datagram: who seals it can write its own header and tag in place, and has the block of 64
 * bytes before it that some ciphers want.
 */
export const packetHeadroom = 80
const PACKET_TAILROOM = 64
/** What an Ethernet frame carries; KCP's own implementations stop here too. */
export const mtuMax = 1500

const SMALLEST_BYTES = 64
const SMALLEST_SHIFT = 6
const LARGEST_BYTES = 1536
const CLASSES = 6
const KEPT_BYTES_DEFAULT = 4 * 1024 * 1024

/** Stands for "no segment" in the rings, so that their slots always hold one kind of object. Never written to. */
export const noSegment = new Segment(new Uint8Array(0))

export class SegmentPool {
  /** Lent to one flush at a time. */
  readonly packet = new Uint8Array(packetHeadroom + mtuMax + PACKET_TAILROOM)
  readonly packetView = new DataView(this.packet.buffer)
  readonly keptBytesMax: number
  keptBytes = 0
  /** Segments that are out; what a test of leaks looks at. */
  takenCount = 0
  readonly #free: Segment[][] = []

  constructor(keptBytesMax = KEPT_BYTES_DEFAULT) {
    this.keptBytesMax = keptBytesMax
    for (let i = 0; i < CLASSES; i++) this.#free.push([])
  }

  /** A segment with room for `length` bytes; its fields are the last user's. */
  take(length: number): Segment {
    this.takenCount++
    const size = classOf(length)
    const segment = this.#free[size].pop()
    if (segment === undefined) return new Segment(new Uint8Array(size === CLASSES - 1 ? LARGEST_BYTES : 64 << size))
    this.keptBytes -= segment.bytes.length
    return segment
  }

  giveBack(segment: Segment): void {
    this.takenCount--
    const bytes = segment.bytes.length
    if (this.keptBytes + bytes > this.keptBytesMax) return
    this.keptBytes += bytes
    this.#free[classOf(bytes)].push(segment)
  }
}

function classOf(length: number): number {
  return length <= SMALLEST_BYTES ? 0 : 32 - Math.clz32((length - 1) >> SMALLEST_SHIFT)
}
