// A stream of bytes both ways over KCP, as the client's core wants one (docs/spec/kcp.md, section 7): what KCP has no room
// for waits here in order. Sans-IO. What is queued is bounded by the core, which adds nothing to lanes past its `queuedBytesMax`.
//
//   write -> [waiting] -> Kcp -> sink.segments        receive -> Kcp -> sink.received
import { kcpVerdict } from '../../protocols/kcp/datagram-check.ts'
import { Kcp } from '../../protocols/kcp/kcp.ts'
import { SegmentPool } from '../../protocols/kcp/segment-pool.ts'
import type { KcpSettings } from '../../protocols/kcp/settings.ts'
import { copyOf } from '../../protocols/wire/reader.ts'

export interface KcpStreamSink {
  /** KCP segments for one datagram: `bytes[start, end)`, lent for the call. */
  segments(bytes: Uint8Array, start: number, end: number): void
  /** Bytes of the stream, lent for the call. */
  received(bytes: Uint8Array): void
  /** There is room again after much was queued. */
  drained(): void
}

/** Of all conversations of this process: idle ones hold nothing. */
const pool = new SegmentPool()
/** KCP takes a piece whole or not at all. */
const PIECE_BYTES = 8 * 1024
const HIGH_BYTES = 256 * 1024
const LOW_BYTES = 64 * 1024

export class KcpStream {
  readonly #kcp: Kcp
  readonly #sink: KcpStreamSink
  #waiting: Uint8Array[] = []
  #waitingBytes = 0
  #wasFull = false

  constructor(conv: number, settings: Readonly<KcpSettings>, sink: KcpStreamSink) {
    this.#sink = sink
    this.#kcp = new Kcp(
      conv,
      settings,
      {
        packet: (bytes, start, end) => sink.segments(bytes, start, end),
        message: (bytes, start, end) => sink.received(bytes.subarray(start, end)),
      },
      pool,
    )
  }

  /** Bytes accepted and not yet confirmed by the peer. */
  get queuedBytes(): number {
    return this.#waitingBytes + this.#kcp.unackedBytes
  }

  get isDead(): boolean {
    return this.#kcp.isDead
  }

  get rttMs(): number {
    return this.#kcp.rttMs
  }

  /** Takes all of it, lent for the call. */
  write(bytes: Uint8Array, now: number): void {
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
      const piece = bytes.subarray(at, Math.min(at + PIECE_BYTES, bytes.length))
      if (this.#waiting.length > 0 || !this.#kcp.send(piece, now)) {
        this.#waiting.push(copyOf(piece, 0, piece.length))
        this.#waitingBytes += piece.length
      }
    }
    if (this.queuedBytes > HIGH_BYTES) this.#wasFull = true
  }

  /** Takes the segments of one datagram; false: they were none, and changed nothing. */
  receive(segments: Uint8Array, now: number): boolean {
    if (this.#kcp.receive(segments, now) !== kcpVerdict.accepted) return false
    this.#feed(now)
    return true
  }

  deadline(): number {
    return this.#kcp.deadline()
  }

  /** Sends what is due. */
  tick(now: number): void {
    this.#kcp.tick(now)
  }

  release(): void {
    this.#kcp.release()
    this.#waiting = []
    this.#waitingBytes = 0
  }

  #feed(now: number): void {
    let taken = 0
    while (taken < this.#waiting.length && this.#kcp.send(this.#waiting[taken], now)) {
      this.#waitingBytes -= this.#waiting[taken++].length
    }
    if (taken > 0) this.#waiting.splice(0, taken)
    if (!this.#wasFull || this.queuedBytes > LOW_BYTES) return
    this.#wasFull = false
    this.#sink.drained()
  }
}
