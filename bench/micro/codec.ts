// What frames cost: written, cut out of a stream, read; one-way messages of 64 bytes in reads of eight, as busy clients send
// them, the frame that attaches a channel, and the same stream in WebSocket frames. `node bench/micro/codec.ts`.
import { opcode, WebSocketReader, writeFrameHead } from '../../gateway/io/websocket-frames.ts'
import { openFrame, readAttach, writeAttach } from '../../protocols/client/frames.ts'
import {
  forwardLane,
  LaneFrame,
  readLaneBody,
  readLaneHeader,
  writeAck,
  writeOneway,
} from '../../protocols/wire/lane-frames.ts'
import { FrameSplitter } from '../../protocols/wire/splitter.ts'
import { Writer } from '../../protocols/wire/writer.ts'
import { measure } from './measure.ts'

const FRAMES = 8
const FRAME_BYTES_MAX = 64 * 1024
const payload = new Uint8Array(64).fill(7)
const writer = new Writer()
const lane = new LaneFrame()

function batchOf(frames: number): Uint8Array {
  const w = new Writer()
  for (let i = 0; i < frames; i++) writeOneway(w, 3, i, 1, payload)
  return w.drain()
}

const batch = batchOf(FRAMES)
const one = batchOf(1)
/** Behind the length. */
const frame = one.subarray(1)
const splitter = new FrameSplitter(FRAME_BYTES_MAX)
/** What is read is summed up, so that it is read, in a number that V8 keeps without an object of its own. */
const SMALL = 0xffffff
let seen = 1
const sink = {
  frame(bytes: Uint8Array, start: number, end: number): boolean {
    seen = (seen + end - start + bytes[start]) & SMALL
    return true
  },
}

const none = new Uint8Array(0)
const attach = {
  ...{ alias: 0, epoch: 1, ticketGeneration: 1, service: 'arena', key: 'room-17', pin: none, groups: [] },
  ...{ end: 1n, life: 2n, received: 10, settled: 10, acked: 9, sent: 12 },
}
writeAttach(writer, attach)
const attachBytes = writer.drain()

const MASK = [0x12, 0x34, 0x56, 0x78]
const masked = new Uint8Array(8 + batch.length)
masked.set([0x80 | opcode.binary, 0x80 | 126, batch.length >> 8, batch.length & 0xff, ...MASK])
for (let i = 0; i < batch.length; i++) masked[8 + i] = batch[i] ^ MASK[i & 3]
const reader = new WebSocketReader()
const webSocketSink = {
  data: (lent: Uint8Array) => void (seen = (seen + lent.length) & SMALL),
  pinged() {},
  ended() {},
}
const arrived = masked.slice()

await measure(`codec, by frame of ${payload.length} bytes`, [
  {
    what: 'one-way message written',
    run(count) {
      for (let i = 0; i < count; i++) {
        if ((i & (FRAMES - 1)) === 0) writer.clear()
        writeOneway(writer, 3, i & 0xffff, 1, payload)
      }
    },
  },
  {
    what: `cut out of a read of ${FRAMES}`,
    run(count) {
      for (let i = 0; i < count; i += FRAMES) splitter.receive(batch, sink)
    },
  },
  {
    what: 'header read',
    run(count) {
      for (let i = 0; i < count; i++)
        if (readLaneHeader(lane, frame, 0, frame.length)) seen = (seen + lane.number) & SMALL
    },
  },
  {
    what: 'header and body read',
    run(count) {
      for (let i = 0; i < count; i++) {
        if (readLaneHeader(lane, frame, 0, frame.length) && readLaneBody(lane))
          seen = (seen + lane.payloadStart) & SMALL
      }
    },
  },
  {
    what: 'forwarded under another number',
    run(count) {
      readLaneHeader(lane, frame, 0, frame.length)
      for (let i = 0; i < count; i++) {
        if ((i & (FRAMES - 1)) === 0) writer.clear()
        forwardLane(writer, lane, 77, 5)
      }
    },
  },
  {
    what: 'acknowledgement written',
    run(count) {
      for (let i = 0; i < count; i++) {
        if ((i & (FRAMES - 1)) === 0) writer.clear()
        writeAck(writer, 3, i & 0xffff)
      }
    },
  },
  {
    what: 'ATTACH written and read',
    run(count) {
      for (let i = 0; i < count; i++) {
        writer.clear()
        writeAttach(writer, attach)
        if (readAttach(openFrame(attachBytes, 1, attachBytes.length)!) === undefined) throw new Error('not read')
      }
    },
  },
  {
    what: `unmasked out of a WebSocket message of ${FRAMES}`,
    run(count) {
      for (let i = 0; i < count; i += FRAMES) {
        // What was read is unmasked in place: it has to come again.
        arrived.set(masked)
        reader.receive(arrived, webSocketSink)
      }
    },
  },
  {
    what: 'head of a WebSocket message written',
    run(count) {
      for (let i = 0; i < count; i++) seen = (seen + writeFrameHead(arrived, 0, opcode.binary, 64 + (i & 511))) & SMALL
    },
  },
])
if (seen === 0) throw new Error('nothing was read')
