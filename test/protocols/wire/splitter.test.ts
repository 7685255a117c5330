// A stream cut into frames, however it is cut into chunks; and what a peer can make the splitter hold: no more than it
// sent, and no more than the largest frame (WIRE-3).
import fc from 'fast-check'
import t from 'tap'
import { FrameSplitter, splitResult } from '../../../protocols/wire/splitter.ts'
import { varintSize, Writer } from '../../../protocols/wire/writer.ts'

const NAMES = Object.keys(splitResult)

class Collected {
  readonly frames: string[] = []
  stopAt = Infinity
  frame(bytes: Uint8Array, start: number, end: number): boolean {
    this.frames.push(Buffer.from(bytes.subarray(start, end)).toString('hex'))
    return this.frames.length < this.stopAt
  }
}

/** Hands `stream` over in chunks that end at `cuts`. */
function feed(splitter: FrameSplitter, stream: Uint8Array, cuts: readonly number[], sink: Collected): string {
  let from = 0
  for (const cut of [...cuts, stream.length]) {
    // Each chunk in memory of its own, overwritten at once: a splitter that kept a view would show it.
    const chunk = stream.slice(from, cut)
    const result = splitter.receive(chunk, sink)
    chunk.fill(0xee)
    if (result !== splitResult.ok) return NAMES[result]
    from = cut
  }
  return 'ok'
}

function streamOf(payloads: readonly Uint8Array[]): Uint8Array {
  const w = new Writer()
  for (const payload of payloads) w.varint(payload.length).raw(payload)
  return w.drain()
}

t.test('every way to cut a short stream in three gives the same frames', async (t) => {
  const payloads = [1, 2, 127, 128, 129, 3].map((length, i) => new Uint8Array(length).fill(i + 1))
  const stream = streamOf(payloads)
  const want = payloads.map((payload) => Buffer.from(payload).toString('hex'))
  let differ = 0
  for (let a = 0; a <= stream.length; a++) {
    for (let b = a; b <= stream.length; b += 1 + (a % 3)) {
      const sink = new Collected()
      const result = feed(new FrameSplitter(200), stream, [a, b], sink)
      if (result !== 'ok' || sink.frames.join() !== want.join()) differ++
    }
  }
  t.equal(differ, 0)
})

t.test('arbitrary frames in arbitrary chunks', async () => {
  const payload = fc.oneof(
    fc.uint8Array({ minLength: 1, maxLength: 20 }),
    fc.integer({ min: 120, max: 400 }).map((length) => new Uint8Array(length).fill(length)),
  )
  fc.assert(
    fc.property(fc.array(payload, { maxLength: 12 }), fc.array(fc.nat(1500), { maxLength: 30 }), (payloads, at) => {
      const stream = streamOf(payloads)
      const cuts = at.filter((cut) => cut <= stream.length).sort((a, b) => a - b)
      const sink = new Collected()
      const splitter = new FrameSplitter(400)
      const result = feed(splitter, stream, cuts, sink)
      return (
        result === 'ok' &&
        splitter.heldBytes === 0 &&
        sink.frames.join() === payloads.map((p) => Buffer.from(p).toString('hex')).join()
      )
    }),
  )
})

t.test('garbage ends the same in all chunks', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.array(fc.nat(60), { maxLength: 10 }), (stream, at) => {
      const cuts = at.filter((cut) => cut <= stream.length).sort((a, b) => a - b)
      const once = new Collected()
      const often = new Collected()
      return (
        feed(new FrameSplitter(16), stream, [], once) === feed(new FrameSplitter(16), stream, cuts, often) &&
        once.frames.join() === often.frames.join()
      )
    }),
    { numRuns: 2000 },
  )
})

t.test('lengths that are zero, padded, of five bytes or too large end the stream', async (t) => {
  const cases: [string, string][] = [
    ['00', 'malformed'],
    ['8000', 'malformed'],
    ['818000', 'malformed'],
    ['ffffff00', 'malformed'],
    ['80808080', 'malformed'],
    ['8080808001', 'malformed'],
    ['65', 'tooLarge'],
    ['e400', 'malformed'],
    ['8001', 'tooLarge'],
    ['ffffff7f', 'tooLarge'],
  ]
  for (const [hex, want] of cases) {
    const stream = new Uint8Array(Buffer.from(hex, 'hex'))
    t.equal(feed(new FrameSplitter(100), stream, [], new Collected()), want, `${hex} whole`)
    const each = Array.from(stream, (_, i) => i)
    t.equal(feed(new FrameSplitter(100), stream, each, new Collected()), want, `${hex} byte by byte`)
  }
})

t.test('the largest frame is taken, one byte more is not', async (t) => {
  for (const max of [1, 127, 128, 20_000]) {
    const sink = new Collected()
    t.equal(feed(new FrameSplitter(max), streamOf([new Uint8Array(max)]), [], sink), 'ok')
    t.equal(sink.frames.length, 1)
    t.equal(feed(new FrameSplitter(max), streamOf([new Uint8Array(max + 1)]), [], sink), 'tooLarge')
  }
})

t.test('the limit may rise between two frames of one chunk', async (t) => {
  const splitter = new FrameSplitter(4)
  const stream = streamOf([new Uint8Array(4), new Uint8Array(100)])
  let frames = 0
  const sink = {
    frame(): boolean {
      splitter.frameBytesMax = 100
      return ++frames > 0
    },
  }
  t.equal(splitter.receive(stream, sink), splitResult.ok)
  t.equal(frames, 2)
})

t.test('a sink that has enough gets no further frame', async (t) => {
  for (const cuts of [[], [1], [2]]) {
    const sink = new Collected()
    sink.stopAt = 1
    t.equal(feed(new FrameSplitter(9), streamOf([new Uint8Array(2), new Uint8Array(2)]), cuts, sink), 'stopped')
    t.equal(sink.frames.length, 1)
  }
})

t.test('memory follows what was received, not what was announced', async (t) => {
  const splitter = new FrameSplitter(16 << 20)
  const sink = new Collected()
  const prefix = new Writer().varint(16 << 20).drain()
  splitter.receive(prefix, sink)
  t.ok(splitter.reservedBytes <= 64, 'a length alone reserves nothing')
  let worst = 0
  let sent = prefix.length
  let held = true
  for (let i = 0; i < 3000; i++) {
    const chunk = new Uint8Array(1 + ((i * 37) % 200))
    splitter.receive(chunk, sink)
    sent += chunk.length
    held = held && splitter.heldBytes === sent
    worst = Math.max(worst, splitter.reservedBytes / Math.max(sent, 32))
  }
  t.ok(held, 'heldBytes is what came')
  t.ok(worst <= 2, `at most twice what came, was ${worst}`)
})

t.test('no more is reserved than the frame is long', async (t) => {
  const splitter = new FrameSplitter(1 << 20)
  const sink = new Collected()
  const stream = streamOf([new Uint8Array(100_000)])
  let most = 0
  for (let at = 0; at < stream.length - 1; at += 999) {
    splitter.receive(stream.subarray(at, Math.min(at + 999, stream.length - 1)), sink)
    most = Math.max(most, splitter.reservedBytes)
  }
  t.ok(most <= stream.length, `${most}`)
  splitter.receive(stream.subarray(stream.length - 1), sink)
  t.equal(sink.frames.length, 1)
  t.ok(splitter.reservedBytes <= 1024, 'and it is given back once the frame is out')
})

t.test('a million tiny frames are taken in place', async (t) => {
  const chunk = new Uint8Array(2 * 100_000)
  for (let i = 0; i < chunk.length; i += 2) {
    chunk[i] = 1
    chunk[i + 1] = 0x80
  }
  const splitter = new FrameSplitter(64)
  let frames = 0
  let most = 0
  const sink = {
    frame(): boolean {
      frames++
      return true
    },
  }
  // An odd first byte makes every chunk end in the middle of a frame.
  splitter.receive(chunk.subarray(0, 1), sink)
  for (let i = 0; i < 10; i++) {
    splitter.receive(chunk.subarray(1), sink)
    splitter.receive(chunk.subarray(0, 1), sink)
    most = Math.max(most, splitter.reservedBytes)
  }
  t.equal(frames, 1_000_000)
  t.ok(most <= 64, `${most} bytes reserved`)
})

t.test('the length prefix of a frame is what varintSize says', async (t) => {
  for (const length of [1, 127, 128, 16383, 16384]) {
    t.equal(streamOf([new Uint8Array(length)]).length, varintSize(length) + length)
  }
})
