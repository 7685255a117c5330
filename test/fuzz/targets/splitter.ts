// The stream cut into frames: the first two bytes choose the limit and the chunks, the rest is the stream. Whole and in
// chunks must give the same frames and result, and hold no more than came.
import { FrameSplitter, splitResult } from '../../../protocols/wire/splitter.ts'
import { bytesOf, families, frameVectors, streamVectors } from '../../protocols/vector-files.ts'

class Digest {
  frames = 0
  hash = 0
  frame(bytes: Uint8Array, start: number, end: number): boolean {
    this.frames++
    for (let i = start; i < end; i++) this.hash = (Math.imul(this.hash, 31) + bytes[i] + 1) | 0
    return true
  }
}

export function fuzz(bytes: Uint8Array): void {
  const max = 1 + 16 * (bytes[0] ?? 0)
  const size = 1 + ((bytes[1] ?? 0) % 64)
  const stream = bytes.subarray(2)
  const whole = new Digest()
  const wholeResult = new FrameSplitter(max).receive(stream, whole)
  const cut = new Digest()
  const splitter = new FrameSplitter(max)
  let cutResult: number = splitResult.ok
  for (let at = 0; at < stream.length && cutResult === splitResult.ok; at += size) {
    cutResult = splitter.receive(stream.slice(at, at + size), cut)
    const held = splitter.heldBytes
    if (held > max + 4) throw new Error(`holds ${held} of frames of at most ${max}`)
    if (splitter.reservedBytes > Math.max(2 * held, 1024)) throw new Error(`reserves ${splitter.reservedBytes}`)
  }
  if (cutResult !== wholeResult || cut.frames !== whole.frames || cut.hash !== whole.hash) {
    throw new Error(`whole: ${whole.frames} frames, ${wholeResult}; cut: ${cut.frames} frames, ${cutResult}`)
  }
}

export function seeds(): Uint8Array[] {
  const streams = [...families.flatMap(frameVectors), ...streamVectors()]
  return streams
    .filter(({ hex }) => hex.length < 4096)
    .map(({ hex }, i) => bytesOf(`ff${(i & 0xff).toString(16).padStart(2, '0')}${hex}`))
}
