// RFC 6455 framing for a server whose messages are pieces of a byte stream: what arrives is unmasked where it lies and
// handed on as it comes, so that neither a long message nor many fragments make anything be kept but one header of 14
// bytes and one control frame. Message borders mean nothing; text messages, extensions and unmasked frames are refused.
//
//   |fin rsv opcode| mask, length 7 | length 0, 16 or 64 bits | mask 4 bytes | payload

import { frontOf } from './onread-socket.ts'

export const opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const
export const closeCode = { normal: 1000, protocol: 1002, unsupported: 1003, tooLarge: 1009 } as const

const HEAD_BYTES_MAX = 14
const CONTROL_BYTES_MAX = 125
/** From here on whole words are worth their preparation. */
const WORDS_FROM_BYTES = 16
/** Longest frame of a peer: far above what any client sends at once, low enough to count in. */
const FRAME_BYTES_MAX = 2 ** 32

export interface WebSocketSink {
  /** What data frames carried, unmasked, lent for the call. */
  data(lent: Uint8Array): void
  /** The payload is lent. */
  pinged(payload: Uint8Array): void
  /** The peer closes, or has to be closed for what it sent: `answer` is the code to close with. Nothing comes after. */
  ended(answer: number, why: string): void
}

export class WebSocketReader {
  readonly #head = new Uint8Array(HEAD_BYTES_MAX)
  #headLength = 0
  #opcode = 0
  #isInFrame = false
  #isInMessage = false
  #left = 0
  /** The mask as four numbers, and which of them is next. */
  readonly #mask = new Uint8Array(4)
  #maskAt = 0
  #control: Uint8Array | undefined
  #controlLength = 0
  #isOver = false

  /** Takes what was read. The bytes are changed: payloads are unmasked and moved together. */
  receive(bytes: Uint8Array, sink: WebSocketSink): void {
    const end = bytes.length
    let at = 0
    let out = 0
    while (at < end && !this.#isOver) {
      if (!this.#isInFrame) {
        at = this.#readHead(bytes, at, end)
        if (!this.#isInFrame) continue
        const fault = this.#begin()
        if (fault !== 0) {
          this.#isOver = true
          if (out > 0) sink.data(frontOf(bytes, out))
          sink.ended(fault, fault === closeCode.unsupported ? 'binary messages only' : 'malformed frame')
          return
        }
      }
      const stop = Math.min(end, at + this.#left)
      this.#left -= stop - at
      if (this.#opcode >= opcode.close) {
        this.#unmask(bytes, at, stop, this.#control!, this.#controlLength)
        this.#controlLength += stop - at
      } else {
        this.#unmask(bytes, at, stop, bytes, out)
        out += stop - at
      }
      at = stop
      if (this.#left > 0) continue
      this.#isInFrame = false
      if (this.#opcode < opcode.close) continue
      if (out > 0) sink.data(frontOf(bytes, out))
      out = 0
      this.#controlled(sink)
    }
    if (out > 0 && !this.#isOver) sink.data(frontOf(bytes, out))
  }

  /** Collects a header; returns where the next byte is. */
  #readHead(bytes: Uint8Array, at: number, end: number): number {
    const head = this.#head
    let length = this.#headLength
    while (at < end) {
      head[length++] = bytes[at++]
      if (length >= 2 && length === headSize(head[1])) {
        this.#headLength = 0
        this.#isInFrame = true
        return at
      }
    }
    this.#headLength = length
    return at
  }

  /** Reads the collected header; the close code where it is not acceptable, else 0. */
  #begin(): number {
    const head = this.#head
    const isFinal = (head[0] & 0x80) !== 0
    const kind = head[0] & 0x0f
    const size = headSize(head[1])
    // Bits that only extensions use, or no mask.
    if ((head[0] & 0x70) !== 0 || (head[1] & 0x80) === 0) return closeCode.protocol
    let length = head[1] & 0x7f
    if (length === 126) length = (head[2] << 8) | head[3]
    else if (length === 127) {
      length = 0
      for (let i = 2; i < 10; i++) length = length * 256 + head[i]
      if (length > FRAME_BYTES_MAX) return closeCode.tooLarge
    }
    if (kind >= opcode.close) {
      if (kind > opcode.pong || !isFinal || length > CONTROL_BYTES_MAX) return closeCode.protocol
      this.#control ??= new Uint8Array(CONTROL_BYTES_MAX)
      this.#controlLength = 0
    } else {
      if (kind === opcode.text && !this.#isInMessage) return closeCode.unsupported
      const isFitting = this.#isInMessage ? kind === opcode.continuation : kind === opcode.binary
      if (!isFitting) return closeCode.protocol
      this.#isInMessage = !isFinal
    }
    this.#opcode = kind
    this.#left = length
    for (let i = 0; i < 4; i++) this.#mask[i] = head[size - 4 + i]
    this.#maskAt = 0
    return 0
  }

  #controlled(sink: WebSocketSink): void {
    const control = this.#control!
    const length = this.#controlLength
    if (this.#opcode === opcode.ping) sink.pinged(control.subarray(0, length))
    if (this.#opcode !== opcode.close) return
    this.#isOver = true
    const said = length === 0 ? closeCode.normal : length === 1 ? 0 : (control[0] << 8) | control[1]
    sink.ended(isCloseCode(said) ? said : closeCode.protocol, '')
  }

  /** Unmasks from[at, stop) into `to`, which may be the same bytes further in front: then four at a time. */
  #unmask(from: Uint8Array, at: number, stop: number, to: Uint8Array, out: number): void {
    const mask = this.#mask
    let m = this.#maskAt
    this.#maskAt = (m + stop - at) & 3
    if (to === from && stop - at >= WORDS_FROM_BYTES) {
      const word = mask[m] | (mask[(m + 1) & 3] << 8) | (mask[(m + 2) & 3] << 16) | (mask[(m + 3) & 3] << 24)
      const view = viewOf(from.buffer)
      const start = from.byteOffset
      for (; at + 4 <= stop; at += 4, out += 4) view.setInt32(start + out, view.getInt32(start + at, true) ^ word, true)
    }
    while (at < stop) {
      to[out++] = from[at++] ^ mask[m]
      m = (m + 1) & 3
    }
  }
}

/** Of the bytes that were unmasked last: sockets are read into one buffer that all of them share. */
let view = new DataView(new ArrayBuffer(0))

function viewOf(buffer: ArrayBufferLike): DataView {
  if (view.buffer !== buffer) view = new DataView(buffer as ArrayBuffer)
  return view
}

/** Writes the header of one unmasked frame into `to` at `at`; returns its size. */
export function writeFrameHead(to: Uint8Array, at: number, kind: number, length: number): number {
  to[at] = 0x80 | kind
  if (length < 126) {
    to[at + 1] = length
    return 2
  }
  if (length < 65536) {
    to[at + 1] = 126
    to[at + 2] = length >>> 8
    to[at + 3] = length
    return 4
  }
  to[at + 1] = 127
  to.fill(0, at + 2, at + 6)
  to[at + 6] = length >>> 24
  to[at + 7] = length >>> 16
  to[at + 8] = length >>> 8
  to[at + 9] = length
  return 10
}

export const frameHeadSize = (length: number): number => (length < 126 ? 2 : length < 65536 ? 4 : 10)

const headSize = (second: number): number => {
  const length = second & 0x7f
  return (length === 126 ? 4 : length === 127 ? 10 : 2) + (second & 0x80 ? 4 : 0)
}

const isCloseCode = (said: number): boolean =>
  (said >= 1000 && said <= 1014 && said !== 1004 && said !== 1005 && said !== 1006) || (said >= 3000 && said <= 4999)
