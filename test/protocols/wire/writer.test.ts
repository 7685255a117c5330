// Frames into one growing buffer: lengths filled in behind the fact, nothing lost when it grows, our own mistakes thrown.
import fc from 'fast-check'
import t from 'tap'
import { varintSize, Writer } from '../../../protocols/wire/writer.ts'

const hex = (w: Writer): string => Buffer.from(w.view()).toString('hex')

t.test('a frame gets the length of what was written into it', async (t) => {
  const w = new Writer()
  w.begin(7).varint(1).u16(0x2e).end()
  w.begin(0x80).end()
  t.equal(hex(w), '0407012e00' + '0180')
})

t.test('lengths of one, two and three bytes, in a buffer that has to grow', async (t) => {
  for (const payload of [0, 126, 127, 128, 16382, 16383, 16384]) {
    const w = new Writer(8)
    w.begin(1).raw(new Uint8Array(payload).fill(0xab)).end()
    w.begin(2).end()
    const size = varintSize(payload + 1)
    t.equal(w.at, size + 1 + payload + 2, `${payload}`)
    const view = w.view()
    t.ok(
      view.subarray(size + 1, size + 1 + payload).every((byte) => byte === 0xab),
      `${payload}: payload moved whole`,
    )
    t.strictSame([...view.subarray(size + 1 + payload)], [1, 2], `${payload}: what follows stands behind it`)
  }
})

t.test('varints out of range throw, fractions are cut', async (t) => {
  const w = new Writer()
  for (const wrong of [-1, -0.5, Number.NaN, Infinity, 2 ** 53]) t.throws(() => w.varint(wrong), RangeError)
  w.varint(0.9).varint(127.5).varint(128.5).varint(16383.999)
  t.equal(hex(w), '007f8001ff7f')
})

t.test('fixed integers take the low bits (N2)', async (t) => {
  const w = new Writer()
  w.u8(0x1ff)
    .u16(0x12345)
    .u16(2 ** 40 + 7)
    .u64(2n ** 64n + 5n)
  t.equal(hex(w), 'ff' + '4523' + '0700' + '0500000000000000')
})

t.test('text is UTF-8 whatever its length, a lone surrogate U+FFFD', async (t) => {
  for (const text of ['', 'a', 'é', 'x'.repeat(63), 'x'.repeat(64), 'x'.repeat(62) + '😀', 'ä'.repeat(100)]) {
    const w = new Writer(4)
    w.text(text)
    const encoded = Buffer.from(text)
    t.equal(hex(w), Buffer.concat([Buffer.from(new Writer().varint(encoded.length).view()), encoded]).toString('hex'))
  }
  t.equal(hex(new Writer().text('\ud800')), '03efbfbd')
})

t.test('view lends, drain copies and clears', async (t) => {
  const w = new Writer(4)
  w.u8(1).u8(2)
  const lent = w.view()
  const kept = w.drain()
  t.equal(w.at, 0)
  w.u8(9)
  t.strictSame([...kept], [1, 2])
  t.equal(lent[0], 9, 'what was lent is overwritten by the next use')
})

t.test('varintSize says what varint writes', async () => {
  fc.assert(fc.property(fc.maxSafeNat(), (value) => new Writer(1).varint(value).at === varintSize(value)))
})
