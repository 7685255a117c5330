// Reads the fields of one frame out of a borrowed buffer. A peer's bytes never make it throw: a field that does not fit
// returns zero or empty and turns `ok` false, and the caller asks `ok` once, after the last field (WIRE-1.3).
import { decodeText } from './text.ts'

const EMPTY = new Uint8Array(0)

export class Reader {
  bytes: Uint8Array = EMPTY
  at = 0
  end = 0
  ok = true

  /** Points the reader at bytes[start, end). The bytes are borrowed until the next call. */
  over(bytes: Uint8Array, start: number, end: number): this {
    this.bytes = bytes
    this.at = start
    this.end = end
    this.ok = true
    return this
  }

  get rest(): number {
    return this.end - this.at
  }

  u8(): number {
    if (this.at >= this.end) return this.#short()
    return this.bytes[this.at++]
  }

  u16(): number {
    if (this.at + 2 > this.end) return this.#short()
    const value = this.bytes[this.at] | (this.bytes[this.at + 1] << 8)
    this.at += 2
    return value
  }

  u64(): bigint {
    if (this.at + 8 > this.end) {
      this.#short()
      return 0n
    }
    const view = new DataView(this.bytes.buffer, this.bytes.byteOffset + this.at, 8)
    this.at += 8
    return view.getBigUint64(0, true)
  }

  /** Unsigned LEB128 below 2^53, at most 8 bytes, no padding: each value has one encoding (WIRE-2.3). */
  varint(): number {
    const bytes = this.bytes
    if (this.at >= this.end) return this.#short()
    let byte = bytes[this.at++]
    if (byte < 0x80) return byte
    let value = byte & 0x7f
    let scale = 128
    for (let i = 1; i < 8; i++) {
      if (this.at >= this.end) return this.#short()
      byte = bytes[this.at++]
      value += (byte & 0x7f) * scale
      if (byte < 0x80) {
        if (byte === 0 || value > Number.MAX_SAFE_INTEGER) return this.#short()
        return value
      }
      scale *= 128
    }
    return this.#short()
  }

  /** A copy of the next `length` bytes. */
  take(length: number): Uint8Array {
    if (length > this.end - this.at) {
      this.#short()
      return EMPTY
    }
    const copy = copyOf(this.bytes, this.at, this.at + length)
    this.at += length
    return copy
  }

  /** A length-prefixed byte string, copied; longer than `max` is malformed. */
  blob(max: number): Uint8Array {
    const length = this.varint()
    if (length > max) {
      this.#short()
      return EMPTY
    }
    return this.take(length)
  }

  /** A length-prefixed UTF-8 string; longer than `max` bytes is malformed. */
  text(max: number): string {
    const length = this.varint()
    if (length > max || length > this.end - this.at) {
      this.#short()
      return ''
    }
    const text = decodeText(this.bytes, this.at, this.at + length)
    if (text === undefined) {
      this.#short()
      return ''
    }
    this.at += length
    return text
  }

  /** All that is left, copied. */
  restCopy(): Uint8Array {
    return this.take(this.end - this.at)
  }

  #short(): number {
    this.ok = false
    this.at = this.end
    return 0
  }
}

/** A frame's fields if they fit and nothing is left over; what a later version adds goes into extensions (WIRE-1.4). */
export const whole = <T>(r: Reader, value: T): T | undefined => (r.ok && r.rest === 0 ? value : undefined)

/**
 * A copy of bytes[start, end) that shares nothing with them. Not `slice`: what a socket delivers is a Buffer, and a
 * Buffer's `slice` is a view of the buffer that the next read overwrites.
 */
export function copyOf(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const copy = new Uint8Array(end - start)
  copy.set(bytes.subarray(start, end))
  return copy
}
