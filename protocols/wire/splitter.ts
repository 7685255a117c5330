// Cuts a byte stream into frames: `length varint | frame`. Borrows each chunk for the length of the call and copies only
// the unfinished tail, which is bounded by the largest frame allowed at that time (WIRE-3). Whole frames inside a chunk
// are handed out in place, as (bytes, start, end).

export type FrameSink = {
  /** One whole frame without its length; the bytes are lent for the call. Returns false to stop (the peer was closed). */
  frame(bytes: Uint8Array, start: number, end: number): boolean
}

export const splitResult = { ok: 0, stopped: 1, tooLarge: 2, malformed: 3 } as const
export type SplitResult = (typeof splitResult)[keyof typeof splitResult]

const LENGTH_BYTES_MAX = 4

export class FrameSplitter {
  /** Largest frame taken, in bytes without its length; may be raised after authentication. */
  frameBytesMax: number
  #tail: Uint8Array = new Uint8Array(0)
  #tailLength = 0

  constructor(frameBytesMax: number) {
    this.frameBytesMax = frameBytesMax
  }

  /** Bytes kept of an unfinished frame. */
  get heldBytes(): number {
    return this.#tailLength
  }

  receive(chunk: Uint8Array, sink: FrameSink): SplitResult {
    let at = 0
    while (this.#tailLength > 0 && at < chunk.length) {
      const needed = this.#needed()
      if (needed < 0) return needed === -1 ? splitResult.malformed : splitResult.tooLarge
      const copied = Math.min(needed - this.#tailLength, chunk.length - at)
      this.#keep(chunk, at, at + copied, needed)
      at += copied
      const whole = this.#needed()
      if (whole < 0) return whole === -1 ? splitResult.malformed : splitResult.tooLarge
      if (this.#tailLength === whole && this.#lengthKnown()) {
        const bytes = this.#tail
        const end = this.#tailLength
        this.#tailLength = 0
        if (!sink.frame(bytes, lengthSize(bytes), end)) return splitResult.stopped
      }
    }
    const end = chunk.length
    while (at < end) {
      let length = chunk[at]
      let header = 1
      if (length >= 0x80) {
        length &= 0x7f
        let scale = 7
        let done = false
        while (at + header < end && header < LENGTH_BYTES_MAX) {
          const byte = chunk[at + header++]
          length |= (byte & 0x7f) << scale
          if (byte < 0x80) {
            if (byte === 0) return splitResult.malformed
            done = true
            break
          }
          scale += 7
        }
        if (!done) {
          if (header >= LENGTH_BYTES_MAX) return splitResult.malformed
          this.#keep(chunk, at, end, end - at)
          return splitResult.ok
        }
      }
      if (length === 0) return splitResult.malformed
      if (length > this.frameBytesMax) return splitResult.tooLarge
      const frameEnd = at + header + length
      if (frameEnd > end) {
        this.#keep(chunk, at, end, header + length)
        return splitResult.ok
      }
      if (!sink.frame(chunk, at + header, frameEnd)) return splitResult.stopped
      at = frameEnd
    }
    return splitResult.ok
  }

  /** How long the held frame is with its length, or one byte more than held while its length is not known; -1 malformed, -2 too large. */
  #needed(): number {
    let length = 0
    let scale = 0
    for (let i = 0; i < this.#tailLength; i++) {
      const byte = this.#tail[i]
      length |= (byte & 0x7f) << scale
      if (byte < 0x80) {
        if ((byte === 0 && i > 0) || length === 0) return -1
        return length > this.frameBytesMax ? -2 : i + 1 + length
      }
      if (i + 1 >= LENGTH_BYTES_MAX) return -1
      scale += 7
    }
    return this.#tailLength + 1
  }

  #lengthKnown(): boolean {
    for (let i = 0; i < this.#tailLength && i < LENGTH_BYTES_MAX; i++) if (this.#tail[i] < 0x80) return true
    return false
  }

  #keep(from: Uint8Array, start: number, end: number, capacity: number): void {
    const needed = this.#tailLength + end - start
    if (this.#tail.length < needed) {
      // Grown with what has come, not with what the length announces: a peer cannot reserve memory it did not send.
      const grown = new Uint8Array(Math.min(Math.max(needed * 2, 64), Math.max(capacity, needed)))
      grown.set(this.#tail.subarray(0, this.#tailLength))
      this.#tail = grown
    }
    for (let i = start, at = this.#tailLength; i < end; i++) this.#tail[at++] = from[i]
    this.#tailLength = needed
  }
}

function lengthSize(bytes: Uint8Array): number {
  let size = 1
  while (bytes[size - 1] >= 0x80) size++
  return size
}
