// A UDP socket of the accelerator: a batch of what came is one call, a turn's datagrams are one system call, and no
// datagram makes an object. Addresses are words in arrays that native/datagrams.c reads and writes; their texts are made for a
// peer that was not heard lately, and kept.
//
//   heard(count) -> each -> sink          send* -> slots -> flush, or the slots are full
import net from 'node:net'
import { ByteCopier } from '../../protocols/wire/byte-copy.ts'
import type { DatagramCounters } from '../datagram-counters.ts'
import { listenError } from './acceptor.ts'
import { batch } from './batch.ts'
import { type DatagramSink, SOCKET_BUFFER_BYTES, type UdpPlace, type UdpSocket } from './udp-socket.ts'

/** One socket of the module. */
export type NativeSocket = { readonly isNativeSocket: never }

/** What native/datagrams.c exports; it says what lies where in the arrays. */
export interface NativeDatagrams {
  /** Slots that one call reads or writes. */
  readonly batch: number
  readonly slotBytes: number
  /** Throws errors with the kernel's names in `code`. */
  open(
    host: string,
    isV6: boolean,
    port: number,
    bufferBytes: number,
    incoming: ArrayBuffer,
    incomingMeta: ArrayBuffer,
    outgoing: ArrayBuffer,
    outgoingMeta: ArrayBuffer,
    heard: (count: number, errors: number) => void,
  ): NativeSocket
  port(socket: NativeSocket): number
  /** The address that what came in this slot came from. */
  text(socket: NativeSocket, slot: number): string
  /** Writes the address into the meta of this slot to send; false when it is none. */
  address(socket: NativeSocket, slot: number, ip: string): boolean
  /** Sends the first slots; how many the kernel took. */
  flush(socket: NativeSocket, count: number): number
  /** Nothing is heard any more. */
  close(socket: NativeSocket): void
}

const WORDS = 8
const LENGTH = 0
const PORT = 1
const ADDRESS = 2
/** Four of an address and its scope. */
const ADDRESS_WORDS = 5
/** Addresses whose texts are kept, each way. */
const PEERS_MAX = 4096
const PEER_BITS = 12

export class NativeUdpSocket implements UdpSocket {
  readonly kind = 'accelerator'
  readonly #native: NativeDatagrams
  readonly #counters: DatagramCounters
  readonly #sink: DatagramSink
  readonly #in: Uint8Array
  readonly #inMeta: Int32Array
  readonly #out: Uint8Array
  readonly #outView: DataView
  readonly #outMeta: Int32Array
  readonly #copier = new ByteCopier()
  readonly #texts: (string | undefined)[] = new Array(PEERS_MAX).fill(undefined)
  readonly #textWords = new Int32Array(PEERS_MAX * ADDRESS_WORDS)
  readonly #wordsOf = new Map<string, number>()
  readonly #words = new Int32Array(PEERS_MAX * ADDRESS_WORDS)
  readonly #socket: NativeSocket
  #held = 0
  #isClosed = false

  private constructor(native: NativeDatagrams, place: UdpPlace, counters: DatagramCounters, sink: DatagramSink) {
    const { batch: slots, slotBytes } = native
    this.#native = native
    this.#counters = counters
    this.#sink = sink
    this.#in = new Uint8Array((slots + 1) * slotBytes)
    this.#out = new Uint8Array((slots + 1) * slotBytes)
    this.#outView = new DataView(this.#out.buffer)
    this.#inMeta = new Int32Array((slots + 1) * WORDS)
    this.#outMeta = new Int32Array((slots + 1) * WORDS)
    this.#socket = native.open(
      place.host,
      net.isIPv6(place.host),
      place.port,
      SOCKET_BUFFER_BYTES,
      this.#in.buffer as ArrayBuffer,
      this.#inMeta.buffer as ArrayBuffer,
      this.#out.buffer as ArrayBuffer,
      this.#outMeta.buffer as ArrayBuffer,
      (count, errors) => this.#heard(count, errors),
    )
  }

  /** Throws an error that names the listener and what is wrong. */
  static open(
    native: NativeDatagrams,
    place: UdpPlace,
    counters: DatagramCounters,
    sink: DatagramSink,
  ): NativeUdpSocket {
    try {
      return new NativeUdpSocket(native, place, counters, sink)
    } catch (error) {
      throw new Error(listenError(place.name, place.host, place.port, error as NodeJS.ErrnoException))
    }
  }

  get port(): number {
    return this.#native.port(this.#socket)
  }

  get isHolding(): boolean {
    return this.#held > 0
  }

  send(bytes: Uint8Array, start: number, end: number, ip: string, port: number): void {
    if (this.#isClosed) return
    const { batch: slots, slotBytes } = this.#native
    const length = end - start
    if (length > slotBytes) {
      this.#counters.drop('too_large')
      return
    }
    const slot = this.#held
    const meta = this.#outMeta
    const at = slot * WORDS
    if (!this.#address(slot, ip)) {
      this.#counters.socketErrors++
      return
    }
    meta[at + LENGTH] = length
    meta[at + PORT] = port
    this.#copier.copy(bytes, start, end, this.#out, this.#outView, slot * slotBytes)
    this.#counters.sent++
    this.#counters.sentBytes += length
    this.#held = slot + 1
    if (this.#held === slots) this.flush()
  }

  flush(): void {
    const count = this.#held
    if (count === 0 || this.#isClosed) return
    this.#held = 0
    if (this.#native.flush(this.#socket, count) === count) return
    const meta = this.#outMeta
    const result = this.#native.batch * WORDS
    this.#counters.socketErrors += meta[result + 1]
    // Those at the end: the kernel takes them in order.
    for (let slot = count - meta[result]; slot < count; slot++) {
      this.#counters.drop('send_buffer_full')
      this.#counters.sent--
      this.#counters.sentBytes -= meta[slot * WORDS + LENGTH]
    }
  }

  close(): void {
    if (this.#isClosed) return
    this.flush()
    this.#isClosed = true
    this.#native.close(this.#socket)
  }

  #heard(count: number, errors: number): void {
    this.#counters.socketErrors += errors
    // They were all there at one time.
    batch.date()
    this.#deliver(count)
    batch.undate()
  }

  #deliver(count: number): void {
    const { slotBytes } = this.#native
    const meta = this.#inMeta
    for (let slot = 1; slot <= count; slot++) {
      if (this.#isClosed) return
      const length = meta[slot * WORDS + LENGTH]
      if (length > slotBytes) {
        this.#counters.received++
        this.#counters.receivedBytes += length
        this.#counters.drop('too_large')
        continue
      }
      const start = slot * slotBytes
      this.#sink.datagram(this.#in, start, start + length, this.#text(slot), meta[slot * WORDS + PORT])
    }
  }

  /** The address that what came in a slot came from: mostly one that was heard lately. */
  #text(slot: number): string {
    const meta = this.#inMeta
    const words = this.#textWords
    const from = slot * WORDS + ADDRESS
    const mixed = meta[from] ^ meta[from + 1] ^ meta[from + 2] ^ meta[from + 3]
    const place = Math.imul(mixed ^ (mixed >>> 15), 0x9e3779b1) >>> (32 - PEER_BITS)
    const at = place * ADDRESS_WORDS
    const known = this.#texts[place]
    if (known !== undefined && isSame(meta, from, words, at)) return known
    for (let i = 0; i < ADDRESS_WORDS; i++) words[at + i] = meta[from + i]
    return (this.#texts[place] = this.#native.text(this.#socket, slot))
  }

  /** Writes an address into the meta of a slot to send; false when it is none. */
  #address(slot: number, ip: string): boolean {
    const meta = this.#outMeta
    const words = this.#words
    const to = slot * WORDS + ADDRESS
    const known = this.#wordsOf.get(ip)
    if (known !== undefined) {
      for (let i = 0; i < ADDRESS_WORDS; i++) meta[to + i] = words[known + i]
      return true
    }
    if (!this.#native.address(this.#socket, slot, ip)) return false
    if (this.#wordsOf.size === PEERS_MAX) this.#wordsOf.clear()
    const at = this.#wordsOf.size * ADDRESS_WORDS
    for (let i = 0; i < ADDRESS_WORDS; i++) words[at + i] = meta[to + i]
    this.#wordsOf.set(ip, at)
    return true
  }
}

function isSame(a: Int32Array, aAt: number, b: Int32Array, bAt: number): boolean {
  for (let i = 0; i < ADDRESS_WORDS; i++) if (a[aAt + i] !== b[bAt + i]) return false
  return true
}
