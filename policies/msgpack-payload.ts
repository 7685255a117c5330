// Payloads in MessagePack as values for a schema. What players send is walked once before anything is decoded, so that
// nothing is allocated for what is only announced: each element that a list or map still owes is at least one byte, and
// one that owes more than there is has lied. What comes through is decoded by @msgpack/msgpack.
//
// A schema knows JSON's values and no others, and the host must get what was judged. So these are refused: extension types
// (also the timestamp), binaries, keys that are not text, the key `__proto__`, text that is not UTF-8, bytes behind the
// value, and what is nested deeper than DEPTH_MAX. docs/policies/payload-schema.md.
import { isUtf8 } from 'node:buffer'
import { createRequire } from 'node:module'

/** Why a payload was not read. */
export type MsgpackFault =
  | 'empty'
  | 'truncated'
  | 'trailing_bytes'
  | 'too_deep'
  | 'extension'
  | 'binary'
  | 'map_key'
  | 'not_utf8'
  | 'reserved_byte'

const DEPTH_MAX = 64
const PROTO = new TextEncoder().encode('__proto__')
/** Loaded for configurations that read MessagePack. */
const require = createRequire(import.meta.url)

/** Bytes of the length behind the heads 0xc4 to 0xdf that have one, by head - 0xc4. */
const lengthBytes = Uint8Array.of(1, 2, 4, 1, 2, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 4, 2, 4, 2, 4)
/** Bytes of the value behind the heads 0xca (float 32) to 0xd3 (int 64), by head - 0xca. */
const numberBytes = Uint8Array.of(4, 8, 1, 2, 4, 8, 1, 2, 4, 8)

export class MsgpackReader {
  readonly #decode: (bytes: Uint8Array) => unknown
  /** Of each list or map that is open: elements that are still to come (a map's keys and values), and whether it is a map. */
  readonly #left = new Float64Array(DEPTH_MAX)
  readonly #isMap = new Uint8Array(DEPTH_MAX)

  constructor() {
    const { Decoder } = require('@msgpack/msgpack') as typeof import('@msgpack/msgpack')
    // Its cache of keys decides by chance what it forgets.
    const decoder = new Decoder({ keyDecoder: null })
    this.#decode = (bytes) => decoder.decode(bytes)
  }

  /** The value of bytes that have no fault; they are lent, and the value keeps nothing of them. */
  read(bytes: Uint8Array): unknown {
    return this.#decode(bytes)
  }

  /** What keeps bytes from being read. Allocates nothing but for text beyond ASCII. */
  faultOf(bytes: Uint8Array): MsgpackFault | undefined {
    const end = bytes.length
    if (end === 0) return 'empty'
    const left = this.#left
    const isMap = this.#isMap
    let at = 0
    let depth = 0
    /** Values that are still to come, at all depths: never more than there are bytes. */
    let owed = 1
    while (owed > 0) {
      const isKey = depth > 0 && isMap[depth - 1] === 1 && (left[depth - 1] & 1) === 0
      if (depth > 0) left[depth - 1]--
      owed--
      const head = bytes[at++]
      if (isKey && !isText(head)) return 'map_key'
      let items = 0
      let isItsMap = 0
      let skipped = 0
      if (head < 0x80 || head >= 0xe0) skipped = 0
      else if (head < 0x90) {
        items = 2 * (head & 0x0f)
        isItsMap = 1
      } else if (head < 0xa0) items = head & 0x0f
      else if (head < 0xc0) skipped = head & 0x1f
      else if (head === 0xc1) return 'reserved_byte'
      else if (head >= 0xc4) {
        if (head <= 0xc6) return 'binary'
        if (head <= 0xc9 || (head >= 0xd4 && head <= 0xd8)) return 'extension'
        const size = lengthBytes[head - 0xc4]
        if (size > end - at) return 'truncated'
        const length = size === 0 ? 0 : lengthAt(bytes, at, size)
        at += size
        if (head >= 0xde) {
          items = 2 * length
          isItsMap = 1
        } else if (head >= 0xdc) items = length
        else skipped = head >= 0xd9 ? length : numberBytes[head - 0xca]
      }
      if (skipped > end - at) return 'truncated'
      if (isText(head)) {
        if (!isUtf8At(bytes, at, at + skipped)) return 'not_utf8'
        if (isKey && isProto(bytes, at, skipped)) return 'map_key'
      }
      at += skipped
      owed += items
      if (owed > end - at) return 'truncated'
      if (items > 0) {
        if (depth === DEPTH_MAX) return 'too_deep'
        left[depth] = items
        isMap[depth] = isItsMap
        depth++
      }
      while (depth > 0 && left[depth - 1] === 0) depth--
    }
    return at < end ? 'trailing_bytes' : undefined
  }
}

const isText = (head: number): boolean => (head >= 0xa0 && head < 0xc0) || (head >= 0xd9 && head <= 0xdb)

function lengthAt(bytes: Uint8Array, at: number, size: number): number {
  if (size === 1) return bytes[at]
  if (size === 2) return (bytes[at] << 8) | bytes[at + 1]
  return bytes[at] * 0x1000000 + ((bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3])
}

function isUtf8At(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (bytes[at] >= 0x80) return isUtf8(bytes.subarray(at, end))
  return true
}

function isProto(bytes: Uint8Array, start: number, length: number): boolean {
  if (length !== PROTO.length) return false
  for (let i = 0; i < length; i++) if (bytes[start + i] !== PROTO[i]) return false
  return true
}
