// What the frame targets have in common: the input is one frame without its length, read as an end of the protocol would
// read it; what was read must survive being written and read again. (Lengths are the splitter's.)
import { isDeepStrictEqual } from 'node:util'
import { KIND_MASK, LaneFrame, laneKind, readLaneHeader } from '../../protocols/wire/lane-frames.ts'
import { FrameSplitter, splitResult } from '../../protocols/wire/splitter.ts'
import { readFrame, writeFrame } from '../protocols/frame-codecs.ts'
import type { FrameFamily } from '../protocols/independent-encoder.ts'
import { bytesOf, frameVectors } from '../protocols/vector-files.ts'

/** Where a frame with a length in front begins. */
export const behindLength = (bytes: Uint8Array): number => bytes.findIndex((byte) => byte < 0x80) + 1

export function readOne(family: FrameFamily, bytes: Uint8Array): void {
  if (bytes.length === 0) return
  // Between bytes that are not of the frame: whoever reads beside it shows.
  const around = new Uint8Array(bytes.length + 2)
  const other = new Uint8Array(bytes.length + 2).fill(0xff)
  around.set(bytes, 1)
  other.set(bytes, 1)
  const read = readFrame(family, around, 1, bytes.length + 1)
  if (!isDeepStrictEqual(read, readFrame(family, other, 1, bytes.length + 1))) throw new Error('read beside the frame')
  if (typeof read === 'string') return
  const again = bytesOf(writeFrame(family, read.kind, read.fields))
  const twice = readFrame(family, again, behindLength(again), again.length)
  if (!isDeepStrictEqual(read, twice)) throw new Error(`${read.kind} is another when written and read again`)
}

const header = new LaneFrame()

/**
 * Throws where a stream that the gateway wrote is not whole frames that can be read. Of lane frames only the header: their
 * bodies are between the ends (WIRE-7.6).
 */
export function judgeStream(family: FrameFamily, batches: readonly Uint8Array[]): void {
  const splitter = new FrameSplitter(1 << 24)
  const sink = {
    frame(bytes: Uint8Array, start: number, end: number): boolean {
      const isLane = (bytes[start] & KIND_MASK) <= laneKind.unreliable
      const isReadable = isLane ? readLaneHeader(header, bytes, start, end) : readFrame(family, bytes, start, end)
      if (isReadable === false || isReadable === 'malformed')
        throw new Error(`wrote a malformed frame of kind ${bytes[start]}`)
      return true
    },
  }
  for (const batch of batches) {
    if (splitter.receive(batch, sink) !== splitResult.ok) throw new Error('wrote what is no stream of frames')
  }
  if (splitter.heldBytes > 0) throw new Error('wrote a cut frame')
}

export const frameSeeds = (family: FrameFamily): Uint8Array[] =>
  frameVectors(family)
    .filter(({ hex }) => hex.length < 4096)
    .map(({ hex }) => bytesOf(hex))
    .map((bytes) => bytes.subarray(behindLength(bytes)))
