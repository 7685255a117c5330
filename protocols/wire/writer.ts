// Appends frames to one growing buffer, so that a peer gets one write a turn. A varint that is negative, not a number or
// above 2^53 - 1 throws: that is a mistake of ours, and whoever writes here has checked what came from a peer. u8, u16 and
// u64 write the low bits of what they get (N2). The buffer is kept and reused: what `view()` lends is valid until the
// next `begin` after `clear` (HACKING: who owns a buffer).

const textEncoder = new TextEncoder()
const SHORT_BYTES = 64
const NO_BYTES = new Uint8Array(0)

export class Writer {
  bytes: Uint8Array
  /** Of all of `bytes`. */
  dataView: DataView
  at = 0
  #start = 0
  #view: Uint8Array = NO_BYTES

  constructor(capacityBytes = 512) {
    this.bytes = new Uint8Array(capacityBytes)
    this.dataView = new DataView(this.bytes.buffer)
  }

  /** Takes another buffer of this size; what was written is gone. */
  reset(capacityBytes: number): void {
    this.bytes = new Uint8Array(capacityBytes)
    this.dataView = new DataView(this.bytes.buffer)
    this.#view = NO_BYTES
    this.at = 0
  }

  clear(): void {
    this.at = 0
  }

  /** Lends what was written so far. */
  view(): Uint8Array {
    // Batches of one length are common, and making a view costs as much as writing a short frame.
    if (this.#view.length !== this.at) this.#view = this.bytes.subarray(0, this.at)
    return this.#view
  }

  /** A copy of what was written so far; clears the writer. */
  drain(): Uint8Array {
    const copy = this.bytes.slice(0, this.at)
    this.at = 0
    return copy
  }

  ensure(more: number): void {
    const needed = this.at + more
    if (needed <= this.bytes.length) return
    let capacity = this.bytes.length * 2
    while (capacity < needed) capacity *= 2
    const grown = new Uint8Array(capacity)
    grown.set(this.bytes.subarray(0, this.at))
    this.bytes = grown
    this.dataView = new DataView(grown.buffer)
    this.#view = NO_BYTES
  }

  /** Starts a frame of yet unknown length; `end()` fills the length in. */
  begin(kind: number): this {
    this.ensure(16)
    this.#start = this.at
    this.at += 1
    this.bytes[this.at++] = kind
    return this
  }

  /** Ends the frame that `begin` started; lengths of 128 and more move the frame up to make room for their prefix. */
  end(): void {
    const length = this.at - this.#start - 1
    if (length < 0x80) {
      this.bytes[this.#start] = length
      return
    }
    const extra = varintSize(length) - 1
    this.ensure(extra)
    this.bytes.copyWithin(this.#start + 1 + extra, this.#start + 1, this.at)
    const end = this.at + extra
    this.at = this.#start
    this.varint(length)
    this.at = end
  }

  u8(value: number): this {
    this.ensure(1)
    this.bytes[this.at++] = value
    return this
  }

  u16(value: number): this {
    this.ensure(2)
    this.bytes[this.at] = value
    this.bytes[this.at + 1] = value >>> 8
    this.at += 2
    return this
  }

  u64(value: bigint): this {
    this.ensure(8)
    this.dataView.setBigUint64(this.at, value, true)
    this.at += 8
    return this
  }

  /** Fractions are cut: what is measured in milliseconds may have them. */
  varint(value: number): this {
    this.ensure(8)
    if (!(value >= 0 && value <= Number.MAX_SAFE_INTEGER)) throw new RangeError(`varint out of range: ${value}`)
    while (value >= 0x80) {
      this.bytes[this.at++] = (value % 128) | 0x80
      value = Math.floor(value / 128)
    }
    this.bytes[this.at++] = value
    return this
  }

  /** Appends bytes[start, end) as they are. */
  copy(bytes: Uint8Array, start: number, end: number): this {
    const length = end - start
    this.ensure(length)
    if (length <= SHORT_BYTES) {
      const to = this.bytes
      let at = this.at
      for (let i = start; i < end; i++) to[at++] = bytes[i]
    } else {
      this.bytes.set(bytes.subarray(start, end), this.at)
    }
    this.at += length
    return this
  }

  raw(bytes: Uint8Array): this {
    return this.copy(bytes, 0, bytes.length)
  }

  blob(bytes: Uint8Array): this {
    return this.varint(bytes.length).raw(bytes)
  }

  /** A lone surrogate is written as U+FFFD: there is no UTF-8 for it. */
  text(text: string): this {
    const length = text.length
    if (length >= SHORT_BYTES) return this.blob(textEncoder.encode(text))
    this.ensure(1 + length)
    const bytes = this.bytes
    const at = this.at + 1
    for (let i = 0; i < length; i++) {
      const unit = text.charCodeAt(i)
      if (unit >= 0x80) return this.blob(textEncoder.encode(text))
      bytes[at + i] = unit
    }
    bytes[this.at] = length
    this.at = at + length
    return this
  }
}

export function varintSize(value: number): number {
  let size = 1
  while (value >= 0x80) {
    value = Math.floor(value / 128)
    size++
  }
  return size
}
