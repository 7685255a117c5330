// Payloads in MessagePack: what is read, what is refused and why, byte by byte; and that what is only announced costs nothing.
import { Buffer } from 'node:buffer'
import { encode } from '@msgpack/msgpack'
import fc from 'fast-check'
import t from 'tap'
import { MsgpackReader } from '../../policies/msgpack-payload.ts'

const reader = new MsgpackReader()
const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'))

t.test('each form of the format is read', async (t) => {
  for (const [bytes, value] of [
    ['c0', null],
    ['c2', false],
    ['c3', true],
    ['7f', 127],
    ['e0', -32],
    ['cc ff', 255],
    ['cd ffff', 65_535],
    ['ce ffffffff', 2 ** 32 - 1],
    ['cf 0000000100000000', 2 ** 32],
    ['d0 80', -128],
    ['d1 8000', -32_768],
    ['d2 80000000', -(2 ** 31)],
    ['d3 ffffffff00000000', -(2 ** 32)],
    ['ca 3fc00000', 1.5],
    ['cb 3ff8000000000000', 1.5],
    ['a0', ''],
    ['a2 c3a9', 'é'],
    ['d9 01 61', 'a'],
    ['da 0001 61', 'a'],
    ['db 00000001 61', 'a'],
    ['90', []],
    ['92 01 91 02', [1, [2]]],
    ['dc 0001 01', [1]],
    ['dc 0000', []],
    ['d9 00', ''],
    ['de 0000', {}],
    ['dd 00000001 01', [1]],
    ['80', {}],
    ['82 a161 01 a162 81 a163 90', { a: 1, b: { c: [] } }],
    ['de 0001 a161 01', { a: 1 }],
    ['df 00000001 d90161 01', { a: 1 }],
    ['81 db 00000001 61 01', { a: 1 }],
    ['82 a161 91 01 a162 81 a163 02', { a: [1], b: { c: 2 } }],
  ] as const) {
    t.equal(reader.faultOf(hex(bytes)), undefined, bytes)
    t.same(reader.read(hex(bytes)), value, bytes)
    for (let end = 1; end < hex(bytes).length; end++) {
      t.equal(reader.faultOf(hex(bytes).subarray(0, end)), 'truncated', `${bytes}, ${end} bytes of it`)
    }
    t.equal(reader.faultOf(hex(`${bytes} c0`)), 'trailing_bytes', `${bytes} c0`)
  }
})

t.test('what is refused says why', async (t) => {
  for (const [bytes, fault] of [
    ['', 'empty'],
    ['c1', 'reserved_byte'],
    ['92 01 c1', 'reserved_byte'],
    ['c4 00', 'binary'],
    ['91 c5 0001 00', 'binary'],
    ['c6 00000000', 'binary'],
    ['c7 00 01', 'extension'],
    ['c8 0000 01', 'extension'],
    ['c9 00000000 01', 'extension'],
    ['d4 01 00', 'extension'],
    ['d6 ff 00000000', 'extension'],
    ['81 a174 d7 ff 0000000000000000', 'extension'],
    ['d8 01', 'extension'],
    ['81 01 02', 'map_key'],
    ['81 c0 02', 'map_key'],
    ['81 90 02', 'map_key'],
    ['82 a161 01 02 03', 'map_key'],
    ['81 a9 5f5f70726f746f5f5f 80', 'map_key'],
    ['91 81 d909 5f5f70726f746f5f5f 80', 'map_key'],
    ['de 0001 01 02', 'map_key'],
    ['df 00000001 c0 02', 'map_key'],
    ['82 a161 91 01 02 03', 'map_key'],
    ['82 a161 81 a162 01 02 03', 'map_key'],
    ['a1 ff', 'not_utf8'],
    ['a1 80', 'not_utf8'],
    ['d9 01 ff', 'not_utf8'],
    ['da 0001 ff', 'not_utf8'],
    ['db 00000001 ff', 'not_utf8'],
    ['a3 eda080', 'not_utf8'],
    ['a2 c080', 'not_utf8'],
    ['81 a1 ff 01', 'not_utf8'],
    ['a2 c3', 'truncated'],
    ['91', 'truncated'],
    ['81 a161', 'truncated'],
    ['92 91 01', 'truncated'],
    ['dd ffffffff 01', 'truncated'],
    ['df ffffffff a161', 'truncated'],
    ['df 80000000 a161 01', 'truncated'],
    ['db ffffffff 61', 'truncated'],
    ['db 80000000 61', 'truncated'],
  ] as const) {
    t.equal(reader.faultOf(hex(bytes)), fault, bytes)
  }
  t.equal(reader.faultOf(hex('a9 5f5f70726f746f5f5f')), undefined, '__proto__ as a value is a text')
  for (const key of ['6f5f70726f746f5f5f', '5f5f70726f746f5f6f']) {
    t.equal(reader.faultOf(hex(`81 a9 ${key} 01`)), undefined, 'a key that differs from __proto__ in one letter')
  }
  t.same(reader.read(hex('81 a1 61 81 ab 636f6e7374727563746f72 01')), { a: { constructor: 1 } })
})

t.test('lengths of two and four bytes are read whole', async (t) => {
  for (const length of [0x0102, 0x010203]) {
    const head = length < 0x10000 ? ['da', 'dc', 'de'] : ['db', 'dd', 'df']
    const digits = length.toString(16).padStart(length < 0x10000 ? 4 : 8, '0')
    const [text, list, map] = head.map((byte) => hex(byte + digits))
    const letters = new Uint8Array(length).fill(0x61)
    const pairs = new Uint8Array(2 * length)
    for (let i = 0; i < pairs.length; i += 2) pairs.set([0xa0, 0x01], i)
    for (const bytes of [Buffer.concat([text, letters]), Buffer.concat([list, letters]), Buffer.concat([map, pairs])]) {
      t.equal(reader.faultOf(bytes), undefined)
      t.equal(reader.faultOf(bytes.subarray(0, -1)), 'truncated')
      t.equal(reader.faultOf(Buffer.concat([bytes, hex('01')])), 'trailing_bytes')
    }
  }
})

t.test('a depth of 64 is read, a depth of 65 is refused, and what was open before is forgotten', async (t) => {
  const nested = (depth: number): Uint8Array => Uint8Array.of(...Array(depth - 1).fill(0x91), 0x91, 0xc0)
  t.equal(reader.faultOf(nested(64)), undefined)
  t.equal(reader.faultOf(nested(65)), 'too_deep')
  t.equal(reader.faultOf(nested(16_000)), 'too_deep')
  t.equal(reader.faultOf(Uint8Array.of(...Array(64).fill(0x91), 0x90)), undefined, 'an empty one opens nothing')
  t.same(reader.read(nested(2)), [[null]])
  const besides = Uint8Array.of(0x92, 0x91, 0xc0, ...nested(64))
  t.equal(reader.faultOf(besides), 'too_deep', 'also behind a list that has ended')
})

t.test('lists that are announced inside each other cost no memory', async (t) => {
  // Each announces as much as still follows: a decoder that believes them takes 16,384 places for each of 60 levels.
  const lies = new Uint8Array(16_384).fill(0xc0)
  for (let i = 0; i < 60; i++) lies.set([0xdc, 0x3f, 0x00], i * 3)
  t.equal(reader.faultOf(lies), 'truncated', 'all levels together owe more than there is')
  const before = process.memoryUsage().heapUsed
  const announced = hex('dd 01ffffff c0')
  for (let i = 0; i < 1000; i++) reader.faultOf(announced)
  t.ok(process.memoryUsage().heapUsed - before < 8 * 1024 * 1024, 'a list of 33 million, a thousand times')
})

t.test('whatever JSON has, encoded, is read as what it was', async (t) => {
  const values = fc.jsonValue({ maxDepth: 8 }).filter((value) => !JSON.stringify(value).includes('__proto__'))
  fc.assert(
    fc.property(values, (value) => {
      const bytes = Uint8Array.from(encode(value))
      const fault = reader.faultOf(bytes)
      if (fault !== undefined) throw new Error(fault)
      t.strictSame(JSON.stringify(reader.read(bytes)), JSON.stringify(value))
    }),
    { numRuns: 300, seed: 1 },
  )
})
