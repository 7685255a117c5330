// A KCP segment: 24 bytes of header, then its payload; a datagram is a row of them (docs/spec/kcp.md, KCP-1). Here are the
// wire constants, the two ends of the codec and the record of one held segment. Numbers are kept as signed 32-bit
// integers with the bits of the wire (small integers to the engine, and `(a - b) | 0` is serial arithmetic, KCP-1.4);
// what the numbers mean is known to the windows. Nothing here checks anything.
//
//    0        4     5     6       8        12       16       20       24
//   | conv   |cmd  |frg  | wnd   | ts     | sn     | una    | length | payload ...     little endian

export const headerBytes = 24

export const command = {
  /** Carries payload. */
  push: 81,
  /** Says that segment `sn` came; `ts` is what it carried. */
  ack: 82,
  /** Asks for the other end's window. */
  ask: 83,
  /** Tells the window, in the field that every segment has. */
  tell: 84,
} as const

/** Offsets of the fields inside the header. */
export const field = { conv: 0, command: 4, fragment: 5, window: 6, ts: 8, sn: 12, una: 16, length: 20 } as const

/** Up to this a loop beats `set(subarray())`, whose cost is that of the call (measured: equal near 32 bytes). */
const LOOP_BYTES_MAX = 32
/** From here on the engine's own copy is the quicker one. */
const ENGINE_BYTES_MIN = 256

/** Made by SegmentPool alone. The sending half uses all fields, the receiving half the first three. */
export class Segment {
  readonly bytes: Uint8Array
  length = 0
  /** Fragments of the same message that follow this one. */
  fragment = 0
  /** Clock of the last transmission, as it travelled. */
  ts = 0
  /** Clock at which it travels again unless acknowledged. */
  resendAt = 0
  rto = 0
  /** How often a later segment was acknowledged since the last transmission. */
  overtaken = 0
  transmits = 0
  isAcked = false
  /** It travelled again, and is to be written once more beside something else (KCP-4.10). */
  isRepeated = false

  readonly #view: DataView

  /** `bytes`: a multiple of eight. */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  }

  /**
   * Copies its payload to `to` at `at`, of which `toView` is a view. Up to seven bytes behind it are overwritten: eight at a
   * time are quicker than a call of the engine's own copy and the view that it wants.
   */
  copyTo(to: Uint8Array, toView: DataView, at: number): void {
    const { length } = this
    if (length > ENGINE_BYTES_MIN) {
      to.set(length === this.bytes.length ? this.bytes : this.bytes.subarray(0, length), at)
      return
    }
    const view = this.#view
    for (let i = 0; i < length; i += 8) toView.setBigUint64(at + i, view.getBigUint64(i, true), true)
  }
}

export function readInt32(bytes: Uint8Array, at: number): number {
  return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)
}

/** Returns where the header ends. */
export function writeHeader(
  bytes: Uint8Array,
  at: number,
  conv: number,
  kind: number,
  fragment: number,
  window: number,
  ts: number,
  sn: number,
  una: number,
  length: number,
): number {
  bytes[at] = conv
  bytes[at + 1] = conv >> 8
  bytes[at + 2] = conv >> 16
  bytes[at + 3] = conv >> 24
  bytes[at + 4] = kind
  bytes[at + 5] = fragment
  bytes[at + 6] = window
  bytes[at + 7] = window >> 8
  bytes[at + 8] = ts
  bytes[at + 9] = ts >> 8
  bytes[at + 10] = ts >> 16
  bytes[at + 11] = ts >> 24
  bytes[at + 12] = sn
  bytes[at + 13] = sn >> 8
  bytes[at + 14] = sn >> 16
  bytes[at + 15] = sn >> 24
  bytes[at + 16] = una
  bytes[at + 17] = una >> 8
  bytes[at + 18] = una >> 16
  bytes[at + 19] = una >> 24
  bytes[at + 20] = length
  bytes[at + 21] = length >> 8
  bytes[at + 22] = length >> 16
  bytes[at + 23] = length >> 24
  return at + headerBytes
}

/** Copies `from[start, end)` to `to` at `at`; the two are never the same memory. */
export function copyBytes(from: Uint8Array, start: number, end: number, to: Uint8Array, at: number): void {
  if (end - start <= LOOP_BYTES_MAX) {
    for (let i = start; i < end; i++) to[at++] = from[i]
  } else if (start === 0 && end === from.length) {
    to.set(from, at)
  } else {
    to.set(from.subarray(start, end), at)
  }
}
