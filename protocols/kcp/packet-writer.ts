// Packs the segments of one flush into datagrams of at most `mtu` bytes and lends each to the sink when it is full. One
// buffer serves all conversations of a pool; it is free again when the sink returns.
//
//   | headroom 80 | segment | segment | ... | room for a tag |
//                  \________ lent __________/
import { headerBytes, type Segment, writeHeader } from './segment.ts'
import { packetHeadroom, type SegmentPool } from './segment-pool.ts'

export type PacketSink = {
  /** One datagram to send: `bytes[start, end)`. Borrows; may overwrite the room before and behind it. */
  packet(bytes: Uint8Array, start: number, end: number): void
}

export class PacketWriter {
  readonly #conv: number
  readonly #sink: PacketSink
  readonly #packet: Uint8Array
  readonly #view: DataView
  readonly #limit: number
  #at = packetHeadroom
  // The same in every segment of a flush.
  #window = 0
  #una = 0

  constructor(conv: number, mtu: number, sink: PacketSink, pool: SegmentPool) {
    this.#conv = conv | 0
    this.#sink = sink
    this.#packet = pool.packet
    this.#view = pool.packetView
    this.#limit = packetHeadroom + mtu
  }

  begin(window: number, una: number): void {
    this.#window = window
    this.#una = una
  }

  /** A segment without payload. */
  control(kind: number, sn: number, ts: number): void {
    const at = this.#room(headerBytes)
    this.#at = writeHeader(this.#packet, at, this.#conv, kind, 0, this.#window, ts, sn, this.#una, 0)
  }

  push(kind: number, sn: number, segment: Segment): void {
    const { length, fragment, ts } = segment
    const room = this.#room(headerBytes + length)
    const at = writeHeader(this.#packet, room, this.#conv, kind, fragment, this.#window, ts, sn, this.#una, length)
    segment.copyTo(this.#packet, this.#view, at)
    this.#at = at + length
  }

  /** Lends what is left. */
  finish(): void {
    const end = this.#at
    this.#at = packetHeadroom
    if (end > packetHeadroom) this.#sink.packet(this.#packet, packetHeadroom, end)
  }

  /** Where a segment of so many bytes goes: behind the others, or first in a new datagram. */
  #room(bytes: number): number {
    if (this.#at + bytes > this.#limit) this.finish()
    return this.#at
  }
}
