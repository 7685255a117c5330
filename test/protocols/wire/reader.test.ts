// Fields out of borrowed bytes: what fits is read, what does not makes the whole frame malformed, and nothing throws
// (WIRE-1, WIRE-2).
import fc from 'fast-check'
import t from 'tap'
import { copyOf, Reader, whole } from '../../../protocols/wire/reader.ts'
import { decodeText } from '../../../protocols/wire/text.ts'
import { Writer } from '../../../protocols/wire/writer.ts'

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'))
const over = (hex: string): Reader => new Reader().over(bytes(hex), 0, hex.length / 2)

t.test('fixed integers are little endian', async (t) => {
  const r = over('ff' + '3412' + 'efcdab8967452301')
  t.equal(r.u8(), 255)
  t.equal(r.u16(), 0x1234)
  t.equal(r.u64(), 0x0123456789abcdefn)
  t.ok(r.ok)
  t.equal(r.rest, 0)
})

t.test('a varint has one encoding (WIRE-2.3)', async (t) => {
  const right: [string, number][] = [
    ['00', 0],
    ['7f', 127],
    ['8001', 128],
    ['ff7f', 16383],
    ['808001', 16384],
    ['ffffffff0f', 2 ** 32 - 1],
    ['8080808010', 2 ** 32],
    ['ffffffffffffff0f', Number.MAX_SAFE_INTEGER],
  ]
  for (const [hex, value] of right) {
    const r = over(hex)
    t.equal(r.varint(), value, hex)
    t.ok(r.ok && r.rest === 0, hex)
  }
  const wrong = [
    '',
    '80',
    '8000',
    '818000',
    'ffffffffffffff',
    'ffffffffffffff10',
    '8080808080808010',
    'ffffffffffffffff01',
  ]
  for (const hex of wrong) {
    const r = over(hex)
    t.equal(r.varint(), 0, hex)
    t.notOk(r.ok, hex)
  }
})

t.test('after a field that does not fit everything is zero and nothing is left', async (t) => {
  const r = over('010203')
  t.equal(r.u64(), 0n)
  t.notOk(r.ok)
  t.equal(r.rest, 0)
  t.strictSame([r.u8(), r.u16(), r.varint(), r.text(10), r.blob(10).length, r.take(1).length], [0, 0, 0, '', 0, 0])
  t.notOk(r.ok)
  t.equal(whole(r, 'something'), undefined)
})

t.test('a reader stays inside its frame', async (t) => {
  const r = new Reader().over(bytes('05616263646566'), 0, 3)
  t.equal(r.text(10), '', 'the text runs past the end of the frame, though not of the buffer')
  t.notOk(r.ok)
  t.equal(new Reader().over(bytes('aabbcc'), 1, 2).u16(), 0)
})

t.test('strings longer than their bound are malformed, at the bound they are not', async (t) => {
  t.equal(over('03616263').text(3), 'abc')
  t.equal(over('03616263').text(2), '')
  t.equal(over('03616263').blob(3).length, 3)
  t.equal(over('03616263').blob(2).length, 0)
})

t.test('what is taken is a copy, also out of a Buffer', async (t) => {
  // A Buffer's slice is a view: this was a payload that changed when the socket read on.
  const received = Buffer.from('0361626303646566', 'hex')
  const r = new Reader().over(received, 0, received.length)
  const first = r.blob(8)
  const rest = r.restCopy()
  received.fill(0)
  t.strictSame([...first], [0x61, 0x62, 0x63])
  t.strictSame([...rest], [0x03, 0x64, 0x65, 0x66])
  t.equal(first.buffer.byteLength, 3, 'and holds on to nothing else')
  t.strictSame([...copyOf(Buffer.from('abc'), 1, 2)], [0x62])
})

t.test('text is well-formed UTF-8 or malformed (WIRE-2.5)', async (t) => {
  const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  const platform = (b: Uint8Array): string | undefined => {
    try {
      return strict.decode(b)
    } catch {
      return undefined
    }
  }
  t.test('as the platform judges it, for all short strings of telling bytes', async (t) => {
    const telling = [
      0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xed, 0xee, 0xef,
    ]
    telling.push(0xf0, 0xf1, 0xf4, 0xf5, 0xff)
    let differ = 0
    for (const a of telling) {
      for (const b of telling) {
        for (const c of telling) {
          const four = new Uint8Array([a, b, c, 0x80])
          for (let length = 1; length <= 4; length++) {
            const part = four.subarray(0, length)
            if (decodeText(part, 0, length) !== platform(part)) differ++
          }
        }
      }
    }
    t.equal(differ, 0)
  })
  t.test('and for arbitrary ones', async () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 60 }),
          fc.string({ unit: 'grapheme' }).map((s) => new TextEncoder().encode(s)),
        ),
        (b) => {
          return decodeText(b, 0, b.length) === platform(b)
        },
      ),
    )
  })
  t.equal(decodeText(bytes('efbbbf61'), 0, 4), '\ufeffa', 'a byte order mark is a character like any other')
})

t.test('what a writer wrote a reader reads', async () => {
  const fields = fc.array(
    fc.oneof(
      fc.record({ type: fc.constant('u8' as const), value: fc.integer({ min: 0, max: 255 }) }),
      fc.record({ type: fc.constant('u16' as const), value: fc.integer({ min: 0, max: 65535 }) }),
      fc.record({ type: fc.constant('u64' as const), value: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) }),
      fc.record({ type: fc.constant('varint' as const), value: fc.maxSafeNat() }),
      fc.record({ type: fc.constant('text' as const), value: fc.string({ unit: 'grapheme', maxLength: 80 }) }),
      fc.record({ type: fc.constant('blob' as const), value: fc.uint8Array({ maxLength: 200 }) }),
    ),
    { maxLength: 12 },
  )
  fc.assert(
    fc.property(fields, (list) => {
      const w = new Writer(16)
      for (const { type, value } of list) (w[type] as (v: unknown) => void).call(w, value)
      const written = w.view()
      const r = new Reader().over(written, 0, written.length)
      const read = list.map(({ type }) => (type === 'text' || type === 'blob' ? r[type](1000) : r[type]()))
      const same = list.every(({ value }, i) =>
        value instanceof Uint8Array ? Buffer.compare(value, read[i] as Uint8Array) === 0 : value === read[i],
      )
      return same && r.ok && r.rest === 0
    }),
  )
})

t.test('any bytes, read as anything, never throw and never leave the frame', async () => {
  const reads = ['u8', 'u16', 'u64', 'varint', 'text', 'blob'] as const
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.array(fc.constantFrom(...reads)), fc.nat(40), (b, order, from) => {
      const r = new Reader().over(b, Math.min(from, b.length), b.length)
      for (const type of order) {
        if (type === 'text' || type === 'blob') r[type](16)
        else r[type]()
        if (r.at > r.end || r.end !== b.length) return false
      }
      return true
    }),
  )
})
