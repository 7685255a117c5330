// Payloads in MessagePack: what has no fault is decoded without throwing to a value no larger than its bytes, and what the
// library decodes has only faults that are about more than its form.
import { decode, encode } from '@msgpack/msgpack'
import { MsgpackReader } from '../../../policies/msgpack-payload.ts'

/** Faults of payloads that a decoder may well read. */
const strict = new Set<string | undefined>(['extension', 'binary', 'map_key', 'not_utf8', 'too_deep', undefined])
const reader = new MsgpackReader()

export function fuzz(bytes: Uint8Array): void {
  const fault = reader.faultOf(bytes)
  if (fault === undefined) {
    const size = sizeOf(reader.read(bytes))
    if (size > bytes.length) throw new Error(`${bytes.length} bytes became ${size} values and characters`)
  } else if (!strict.has(fault) && isDecoded(bytes)) throw new Error(`the library reads what is ${fault}`)
}

/** Values, and characters of texts. */
function sizeOf(value: unknown): number {
  if (typeof value === 'string') return Math.max(1, value.length)
  if (Array.isArray(value)) return value.reduce((sum, item) => sum + sizeOf(item), 1)
  if (value === null || typeof value !== 'object') return 1
  return Object.values(value).reduce((sum, item) => sum + sizeOf(item), 1)
}

function isDecoded(bytes: Uint8Array): boolean {
  // A list that is announced costs the library memory at once.
  if (bytes.length > 1024 || bytes.some((byte) => byte === 0xdd || byte === 0xdf)) return false
  try {
    decode(bytes)
    return true
  } catch {
    return false
  }
}

export function seeds(): Uint8Array[] {
  const values = [
    { x: 1, y: -1, name: 'ann', on: true, off: null },
    [1.5, 1e300, -32, 127, 128, 65_536, 2 ** 40, -(2 ** 40), 'é'.repeat(40), 'a'.repeat(300)],
    { list: [[], [[]], {}], deep: { deep: { deep: [{}] } } },
    Array.from({ length: 70 }, (_, i) => i),
    Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`key ${i}`, i])),
    { bin: new Uint8Array(5), at: new Date(0) },
  ]
  return [...values.map((value) => Uint8Array.from(encode(value))), Uint8Array.of(0xdd, 0xff, 0xff, 0xff, 0xff)]
}
