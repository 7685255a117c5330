import * as library from '@msgpack/msgpack'
import t from 'tap'
import type { Codec } from '../../sdk/codec.ts'
import { bytes, json, messagePack } from '../../sdk/codec.ts'

const utf8 = (text: string) => new TextEncoder().encode(text)

t.test('no value is no bytes, in every codec', async (t) => {
  const msgpack = messagePack({ encode: () => [0xc0], decode: () => null })
  for (const codec of [bytes, json, msgpack] satisfies Codec[]) {
    t.equal(codec.encode(undefined).length, 0)
    if (codec !== bytes) t.equal(codec.decode(new Uint8Array(0)), undefined)
  }
})

t.test('bytes are copied, strings are UTF-8, all else is refused (S3)', async (t) => {
  const own = utf8('abc')
  const encoded = bytes.encode(own)
  own[0] = 0
  t.same(encoded, utf8('abc'))
  t.same(bytes.encode('žluť'), utf8('žluť'))
  t.throws(() => bytes.encode({}), { name: 'TypeError' })
  const part = Buffer.from('xabcx').subarray(1, 4)
  t.equal(bytes.encode(part).buffer.byteLength, 3, 'a copy of the part, not of its buffer')
})

t.test('JSON, and what is none', async (t) => {
  t.same(json.decode(json.encode({ a: [1, null, 'x'] })), { a: [1, null, 'x'] })
  t.equal(json.decode(json.encode(null)), null)
  t.throws(() => json.decode(utf8('{')))
  t.throws(() => json.decode(Uint8Array.of(0x22, 0xff, 0x22)), 'bytes that are no UTF-8')
  t.throws(() => json.encode(1n))
})

t.test('a MessagePack library may fill its buffer again', async (t) => {
  const shared = new Uint8Array(16)
  const library = {
    encode: (value: unknown) => {
      shared[0] = value as number
      return shared.subarray(0, 1)
    },
    decode: (payload: Uint8Array) => payload[0],
  }
  const codec = messagePack(library)
  const one = codec.encode(1)
  const two = codec.encode(2)
  t.same([codec.decode(one), codec.decode(two)], [1, 2])
  t.equal(one.buffer.byteLength, 1)
})

t.test('MessagePack is what its library makes of it', async (t) => {
  const codec = messagePack(library)
  const value = { name: 'ana', at: [1, 2.5, -3], bytes: new Uint8Array([1, 2]), nothing: null }
  t.same(codec.decode(codec.encode(value)), value)
  t.equal(codec.decode(codec.encode(undefined)), undefined)
})
