// The JSON vectors are the contract with other languages: every frame kind both ways, with the project's codecs and with
// an encoder that shares nothing with them; whole and byte by byte; what is malformed stays malformed (WIRE-1, WIRE-7,
// CLI-3, LNK-3).
import t from 'tap'
import { FrameSplitter, splitResult } from '../../protocols/wire/splitter.ts'
import { codecs, readFrame, writeFrame } from './frame-codecs.ts'
import { encodeFrame, layoutOf, layouts } from './independent-encoder.ts'
import { bytesOf, families, frameVectors, streamVectors } from './vector-files.ts'

const LARGEST = 1 << 20

/** Frames of a stream handed over in chunks of `size` bytes, as hex, and the last result. */
function split(bytes: Uint8Array, size: number, frameBytesMax = LARGEST): { frames: string[]; result: string } {
  const splitter = new FrameSplitter(frameBytesMax)
  const frames: string[] = []
  const sink = {
    frame(lent: Uint8Array, start: number, end: number): boolean {
      frames.push(Buffer.from(lent.subarray(start, end)).toString('hex'))
      return true
    },
  }
  let result: number = splitResult.ok
  for (let at = 0; at < bytes.length && result === splitResult.ok; at += size) {
    result = splitter.receive(bytes.subarray(at, at + size), sink)
  }
  return { frames, result: Object.entries(splitResult).find(([, number]) => number === result)![0] }
}

/** What an end makes of the one frame in the stream, after any chunking. */
function read(family: (typeof families)[number], hex: string, size: number): unknown {
  const { frames } = split(bytesOf(hex), size)
  if (frames.length !== 1) return `${frames.length} frames`
  const frame = bytesOf(`ffff${frames[0]}ffff`)
  return readFrame(family, frame, 2, frame.length - 2)
}

for (const family of families) {
  t.test(`${family} frames`, async (t) => {
    const seen = new Set<string>()
    for (const vector of frameVectors(family)) {
      const want = vector.error ? 'malformed' : vector.skip ? 'skipped' : { kind: vector.kind, fields: vector.fields }
      t.strictSame(read(family, vector.hex, LARGEST), want, `${vector.name}: decoded whole`)
      if (vector.hex.length < 4096) {
        t.strictSame(read(family, vector.hex, 1), want, `${vector.name}: decoded byte by byte`)
      }
      if (vector.kind === undefined || vector.fields === undefined) continue
      seen.add(vector.kind)
      if (vector.decodeOnly) continue
      const independent = encodeFrame(layoutOf(family, vector.kind), vector.fields, vector.skippable, vector.extensions)
      t.equal(independent, vector.hex, `${vector.name}: encoded independently`)
      if (vector.skippable || vector.extensions !== undefined) continue
      t.equal(writeFrame(family, vector.kind, vector.fields), vector.hex, `${vector.name}: encoded`)
    }
    const missing = Object.keys(layouts[family]).filter((kind) => !seen.has(kind))
    t.strictSame(missing, [], 'every kind has a vector')
    t.strictSame(Object.keys(codecs[family]).sort(), Object.keys(layouts[family]).sort(), 'every kind has a codec')
    const names = frameVectors(family).map((vector) => vector.name)
    t.equal(new Set(names).size, names.length, 'no name twice')
  })

  t.test(`${family} frames cut short or with a byte too many are malformed`, async (t) => {
    for (const vector of frameVectors(family)) {
      if (vector.kind === undefined || vector.decodeOnly || vector.hex.length > 2048) continue
      const layout = layoutOf(family, vector.kind)
      const takesRest = layout.fields.at(-1)![1] === 'rest'
      const frame = bytesOf(split(bytesOf(vector.hex), LARGEST).frames[0])
      const payload = takesRest ? (vector.fields!['payload'] as string).length / 2 : 0
      const broken: number[] = []
      for (let end = 1; end < frame.length - payload; end++) {
        if (readFrame(family, frame, 0, end) !== 'malformed') broken.push(end)
      }
      t.strictSame(broken, [], `${vector.name}: cut`)
      if (takesRest || vector.kind.endsWith('HELLO')) continue
      const longer = new Uint8Array([...frame, 0])
      t.equal(readFrame(family, longer, 0, longer.length), 'malformed', `${vector.name}: a byte left over`)
    }
  })
}

t.test('streams give the same frames and the same result in all chunks', async (t) => {
  for (const vector of streamVectors()) {
    for (const size of [1, 2, 3, LARGEST]) {
      const got = split(bytesOf(vector.hex), size, vector.frameBytesMax)
      t.strictSame(got, { frames: vector.frames, result: vector.result }, `${vector.name} (${size})`)
    }
  }
})
