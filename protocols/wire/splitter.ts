// Cuts a byte stream into frames: `length varint | frame`. Borrows each chunk for the length of the call and copies only
// the unfinished tail, which is bounded by the largest frame allowed at that time (WIRE-3). Whole frames inside a chunk
// are handed out in place, as (bytes, start, end). After any result but `ok` the stream has no more frames: the caller
// ends the connection and this splitter with it.

export type FrameSink = {
  /** One whole frame without its length; the bytes are lent for the call. Returns false to stop (the peer was closed). */
  frame(bytes: Uint8Array, start: number, end: number): boolean
}

export const splitResult = { ok: 0, stopped: 1, tooLarge: 2, malformed: 3 } as const
export type SplitResult = (typeof splitResult)[keyof typeof splitResult]

/** Enough for 256 MiB, more than any limit; a fifth byte is malformed whatever it holds (WIRE-3.2). */
const LENGTH_BYTES_MAX = 4
const FIRST_TAIL_BYTES = 64
/** A larger tail is given back once its frame is out, so that idle connections hold none. */
const KEPT_TAIL_BYTES = 1024
const SHORT_COPY_BYTES = 64
const NO_BYTES = new Uint8Array(0)

// What `prefix` says of a frame's length besides how long the whole is.
const UNFINISHED = 0
const MALFORMED = -1
const TOO_LARGE = -2

export class FrameSplitter {
  /** Largest frame taken, in bytes without its length; may be raised after authentication. */
  frameBytesMax: number
  #tail: Uint8Array = NO_BYTES
  #tailLength = 0

  constructor(frameBytesMax: number) {
    this.frameBytesMax = frameBytesMax
  }

  /** Bytes kept of an unfinished frame. */
  get heldBytes(): number {
    return this.#tailLength
  }

  /** Memory reserved for them; at most twice what was received of the frame, or 1 KiB. */
  get reservedBytes(): number {
    return this.#tail.length
  }

  receive(chunk: Uint8Array, sink: FrameSink): SplitResult {
    const end = chunk.length
    let at = 0
    while (this.#tailLength > 0 && at < end) {
      // Byte by byte until the length is whole, then all the frame still wants.
      const known = this.#prefix(this.#tail, 0, this.#tailLength)
      const wanted = known > 0 ? known - this.#tailLength : 1
      const copied = Math.min(wanted, end - at)
      this.#keep(chunk, at, at + copied, known > 0 ? known : FIRST_TAIL_BYTES)
      at += copied
      const whole = known > 0 ? known : this.#prefix(this.#tail, 0, this.#tailLength)
      if (whole < 0) return whole === TOO_LARGE ? splitResult.tooLarge : splitResult.malformed
      if (whole === this.#tailLength) {
        const bytes = this.#tail
        this.#tailLength = 0
        if (bytes.length > KEPT_TAIL_BYTES) this.#tail = NO_BYTES
        if (!sink.frame(bytes, prefixSize(bytes, 0), whole)) return splitResult.stopped
      }
    }
    while (at < end) {
      const first = chunk[at]
      const whole = first > 0 && first < 0x80 && first <= this.frameBytesMax ? 1 + first : this.#prefix(chunk, at, end)
      if (whole < 0) return whole === TOO_LARGE ? splitResult.tooLarge : splitResult.malformed
      if (whole === UNFINISHED || whole > end - at) {
        this.#keep(chunk, at, end, whole === UNFINISHED ? FIRST_TAIL_BYTES : whole)
        return splitResult.ok
      }
      const next = at + whole
      if (!sink.frame(chunk, at + (first < 0x80 ? 1 : prefixSize(chunk, at)), next)) return splitResult.stopped
      at = next
    }
    return splitResult.ok
  }

  /** How long the frame that begins at `start` is with its length; UNFINISHED while that is not known. */
  #prefix(bytes: Uint8Array, start: number, end: number): number {
    let length = 0
    for (let size = 0; size < LENGTH_BYTES_MAX; size++) {
      if (start + size >= end) return UNFINISHED
      const byte = bytes[start + size]
      length |= (byte & 0x7f) << (7 * size)
      if (byte < 0x80) {
        if (byte === 0) return MALFORMED
        return length > this.frameBytesMax ? TOO_LARGE : size + 1 + length
      }
    }
    return MALFORMED
  }

  /** Grown with what has come, not with what the length announces: a peer cannot reserve memory it did not send. */
  #keep(from: Uint8Array, start: number, end: number, wanted: number): void {
    const held = this.#tailLength
    const needed = held + end - start
    if (this.#tail.length < needed) {
      const doubled = Math.max(needed * 2, FIRST_TAIL_BYTES)
      const grown = new Uint8Array(Math.min(doubled, Math.max(wanted, needed)))
      grown.set(this.#tail.subarray(0, held))
      this.#tail = grown
    }
    if (end - start <= SHORT_COPY_BYTES) {
      const to = this.#tail
      for (let i = start, at = held; i < end; i++) to[at++] = from[i]
    } else {
      this.#tail.set(from.subarray(start, end), held)
    }
    this.#tailLength = needed
  }
}

function prefixSize(bytes: Uint8Array, start: number): number {
  let size = 1
  while (bytes[start + size - 1] >= 0x80) size++
  return size
}
