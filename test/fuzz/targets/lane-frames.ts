// One frame of a channel, as a gateway reads and forwards it and as the end behind the gateway reads it then.
import {
  forwardLane,
  forwardRequest,
  LaneFrame,
  laneKind,
  readLaneBody,
  readLaneHeader,
} from '../../../protocols/wire/lane-frames.ts'
import { varintSize, Writer } from '../../../protocols/wire/writer.ts'
import { behindLength, frameSeeds } from '../frames.ts'

const frame = new LaneFrame()
const forwarded = new LaneFrame()
const w = new Writer()

export function fuzz(bytes: Uint8Array): void {
  if (!readLaneHeader(frame, bytes, 0, bytes.length)) return
  if (frame.bodyStart > bytes.length || frame.extensionEnd > frame.bodyStart)
    throw new Error('a header beyond its frame')
  w.clear()
  forwardLane(w, frame, frame.channel, frame.route)
  const prefix = varintSize(bytes.length)
  if (w.at !== prefix + bytes.length) throw new Error('forwarding changed the length')
  // The first byte may lose the skip flag, which means nothing on a known kind.
  for (let i = 1; i < bytes.length; i++) {
    if (w.bytes[prefix + i] !== bytes[i]) throw new Error('forwarding changed a byte')
  }
  w.clear()
  forwardLane(w, frame, 70_000, 70_000)
  const view = w.view()
  if (!readLaneHeader(forwarded, view, behindLength(view), view.length)) throw new Error('forwarding broke the frame')
  const isWhole = readLaneBody(frame)
  if (isWhole !== readLaneBody(forwarded)) throw new Error('forwarding changed the body')
  if (isWhole && Buffer.compare(frame.payload(), forwarded.payload()) !== 0) throw new Error('another payload')
  if (!isWhole || frame.kind !== laneKind.request) return
  w.clear()
  forwardRequest(w, frame, 70_000, 70_000, 1)
  const shortened = w.view()
  const isRead = readLaneHeader(forwarded, shortened, behindLength(shortened), shortened.length)
  if (!isRead || !readLaneBody(forwarded) || forwarded.deadlineMs !== 1) throw new Error('shortening broke the frame')
  if (Buffer.compare(frame.payload(), forwarded.payload()) !== 0) throw new Error('another payload')
}

export const seeds = (): Uint8Array[] => frameSeeds('lane')
