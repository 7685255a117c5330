// Frames of a channel: what a gateway reads, forwards and does not touch, and what numbers cut to 16 bits stand for.
import fc from 'fast-check'
import t from 'tap'
import {
  expandNumber,
  forwardLane,
  forwardRequest,
  hasRoute,
  isData,
  KIND_EXTENDED,
  KIND_MASK,
  LaneFrame,
  laneKind,
  readLaneBody,
  readLaneHeader,
  writeLatest,
  writeOneway,
  writeReply,
  writeRequest,
  writeUnreliable,
} from '../../../protocols/wire/lane-frames.ts'
import { Reader } from '../../../protocols/wire/reader.ts'
import { Writer } from '../../../protocols/wire/writer.ts'
import type { Fields } from '../independent-encoder.ts'
import { encodeFrame, layoutOf } from '../independent-encoder.ts'
import { bytesOf, frameVectors } from '../vector-files.ts'

const EMPTY = new Uint8Array(0)

/** Where the frame in bytes with a length in front begins. */
function frameStart(bytes: Uint8Array): number {
  const r = new Reader().over(bytes, 0, bytes.length)
  r.varint()
  return r.at
}

t.test('forwarding equals encoding anew under another channel and route', async (t) => {
  for (const vector of frameVectors('lane')) {
    if (vector.kind === undefined || vector.fields === undefined) continue
    const layout = layoutOf('lane', vector.kind)
    for (const [channel, route] of [
      [0, 0],
      [300, 5],
      [5, 70_000],
      [2 ** 40, 2 ** 53 - 1],
    ]) {
      const bytes = bytesOf(vector.hex)
      const frame = new LaneFrame()
      t.ok(readLaneHeader(frame, bytes, frameStart(bytes), bytes.length))
      const w = new Writer(8)
      forwardLane(w, frame, channel, route)
      const fields: Fields = { ...vector.fields, channel }
      if (hasRoute(layout.kind)) fields['route'] = route
      const want = encodeFrame(layout, fields, false, vector.extensions)
      t.equal(Buffer.from(w.view()).toString('hex'), want, `${vector.name}, channel ${channel}`)
    }
  }
})

t.test('Q1: a request is forwarded with another deadline, all else as it was', async (t) => {
  for (const vector of frameVectors('lane')) {
    if (vector.kind !== 'REQUEST' || vector.fields === undefined) continue
    const layout = layoutOf('lane', vector.kind)
    for (const deadlineMs of [0, 127, 128, 2 ** 40]) {
      const bytes = bytesOf(vector.hex)
      const frame = new LaneFrame()
      t.ok(readLaneHeader(frame, bytes, frameStart(bytes), bytes.length) && readLaneBody(frame))
      const w = new Writer(8)
      forwardRequest(w, frame, 300, 5, deadlineMs)
      const want = encodeFrame(
        layout,
        { ...vector.fields, channel: 300, route: 5, deadlineMs },
        false,
        vector.extensions,
      )
      t.equal(Buffer.from(w.view()).toString('hex'), want, `${vector.name}, ${deadlineMs} ms`)
    }
  }
})

t.test('a gateway forwards an extension unread, an end refuses what is critical and unknown (WIRE-6.4)', async (t) => {
  const bytes = bytesOf('41 05 03 03 aa bb cc 01 2a 00 03'.replaceAll(' ', ''))
  const frame = new LaneFrame()
  t.ok(readLaneHeader(frame, bytes, 0, bytes.length))
  const w = new Writer()
  forwardLane(w, frame, 1, 3)
  t.equal(Buffer.from(w.view().subarray(1)).toString('hex'), Buffer.from(bytes).toString('hex'))
  t.notOk(readLaneBody(frame))
})

t.test('a header is read without what is behind it', async (t) => {
  const w = new Writer()
  writeRequest(w, 200, 0xfffe, 9, 77, 1500, EMPTY)
  const frame = new LaneFrame()
  const cut = w.view().subarray(1, w.at - 2)
  t.ok(readLaneHeader(frame, cut, 0, cut.length))
  t.match(frame, { kind: laneKind.request, channel: 200, number: 0xfffe, route: 9, epoch: 0 })
  t.notOk(readLaneBody(frame), 'the body is cut')
})

t.test('a frame that is used again shows nothing of the one before in its header', async (t) => {
  const frame = new LaneFrame()
  const w = new Writer()
  writeOneway(w, 1, 500, 3, EMPTY)
  writeUnreliable(w, 1, 7, 3, EMPTY)
  const bytes = w.view()
  const second = bytes[0] + 1
  readLaneHeader(frame, bytes, 1, second)
  readLaneHeader(frame, bytes, second + 1, bytes.length)
  t.match(frame, { kind: laneKind.unreliable, number: 0, epoch: 7, extensionStart: 0, extensionEnd: 0 })
})

t.test('a payload is a copy, also out of a Buffer', async (t) => {
  const w = new Writer()
  writeOneway(w, 1, 1, 1, Buffer.from('hello'))
  const received = Buffer.from(w.view())
  const frame = new LaneFrame()
  readLaneHeader(frame, received, 1, received.length)
  readLaneBody(frame)
  const payload = frame.payload()
  received.fill(0)
  t.equal(Buffer.from(payload).toString(), 'hello')
})

t.test('kinds: which carry messages, which a route', async (t) => {
  const names = Object.entries(laneKind)
  t.strictSame(
    names.filter(([, kind]) => isData(kind)).map(([name]) => name),
    ['oneway', 'request', 'reply', 'replay', 'fin'],
  )
  for (const [name, kind] of names) {
    const routed = layoutOf('lane', name.toUpperCase()).fields.some(([field]) => field === 'route')
    t.equal(hasRoute(kind), routed, name)
    t.equal(kind & KIND_MASK, kind, name)
  }
})

t.test('any bytes are a lane frame or are not, and nothing is read beside them', async () => {
  const frame = new LaneFrame()
  const kinds = fc.constantFrom(...Object.values(laneKind), ...Object.values(laneKind).map((k) => k | KIND_EXTENDED))
  fc.assert(
    fc.property(kinds, fc.uint8Array({ maxLength: 60 }), (kind, body) => {
      const bytes = new Uint8Array([0xff, kind, ...body, 0xff, 0xff])
      const end = bytes.length - 2
      if (!readLaneHeader(frame, bytes, 1, end)) return true
      if (frame.bodyStart > end || frame.extensionEnd > frame.bodyStart) return false
      const w = new Writer(16)
      forwardLane(w, frame, frame.channel, frame.route)
      const same = Buffer.compare(w.view().subarray(frameStart(w.view())), bytes.subarray(1, end)) === 0
      return (
        same &&
        (!readLaneBody(frame) || (frame.payloadStart <= end && frame.payload().length === end - frame.payloadStart))
      )
    }),
    { numRuns: 5000 },
  )
})

t.test('the low bits of a number stand for the number nearest to what is expected (N2)', async (t) => {
  for (const bits of [5, 6, 16]) {
    const mask = 2 ** bits - 1
    const half = 2 ** (bits - 1)
    fc.assert(
      fc.property(
        fc.integer({ min: half, max: 2 ** 50 }),
        fc.integer({ min: -half + 1, max: half - 1 }),
        (near, off) => {
          const number = near + off
          return expandNumber(number % (mask + 1), near, mask) === number
        },
      ),
    )
    let wrong = 0
    for (let near = half; near < 3 * mask; near++) {
      for (let off = -half + 1; off < half; off++) {
        if (expandNumber((near + off) & mask, near, mask) !== near + off) wrong++
      }
      if (bits === 16) near += 997
    }
    t.equal(wrong, 0, `${bits} bits`)
  }
  t.equal(expandNumber(0xffff, 1, 0xffff), -1, 'below the first number: nothing that was ever sent')
})

t.test('overhead of a small message (length, kind, channel, number, route)', async (t) => {
  const size = (write: (w: Writer) => void): number => {
    const w = new Writer()
    write(w)
    return w.at
  }
  const alias = 15
  const route = 127
  const payload = new Uint8Array(32)
  const client = size((w) => writeOneway(w, alias, 0xffff, route, payload)) - payload.length
  t.equal(client, 6, `client: ${client} bytes`)
  // A link with 8,000 handles, of which a gateway opens the even ones, and 1,024 routes.
  const link = size((w) => writeOneway(w, 16_000, 0xffff, 1023, payload)) - payload.length
  t.equal(link, 8, `link: ${link} bytes`)
  const most = size((w) => writeOneway(w, 2 ** 21 - 2, 0xffff, 1023, payload)) - payload.length
  t.equal(most, 9, `link with a million handles: ${most} bytes`)
  const largest = new Uint8Array(120)
  t.equal(size((w) => writeOneway(w, alias, 1, route, largest)) - 120, 6, 'up to 122 bytes of payload')
  t.equal(
    size((w) => writeReply(w, alias, 1, 100, 0, EMPTY)),
    7,
  )
  t.equal(
    size((w) => writeRequest(w, alias, 1, route, 100, 5000, EMPTY)),
    9,
  )
  t.equal(
    size((w) => writeLatest(w, alias, 1, route, 'p1', 1, EMPTY)),
    10,
  )
})
