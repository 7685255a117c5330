// A Carrier over one upgraded socket: each batch is one binary message, written with its header in one write. Codes of
// ours travel in the close frame as 4000 + code.
import { webSocketCloseCode } from '../../protocols/codes.ts'
import type { Carrier, CarrierEvents } from '../seams.ts'
import { type Accepted, type ByteSocket, goOn, hold, readAccepted, type SocketSink } from './onread-socket.ts'
import { type PortionReader, Portions } from './portions.ts'
import { type CarrierHome, endSoon } from './stream-carrier.ts'
import { clientShare } from './turn-share.ts'
import { frameHeadSize, opcode, WebSocketReader, type WebSocketSink, writeFrameHead } from './websocket-frames.ts'

const NO_BINDING = new Uint8Array(0)
const CLOSE_TEXT_BYTES_MAX = 123
const encoder = new TextEncoder()

export class WebSocketCarrier implements Carrier, SocketSink, PortionReader, WebSocketSink {
  readonly transport: string
  readonly address: string
  readonly binding: Uint8Array = NO_BINDING
  readonly #home: CarrierHome
  readonly #socket: ByteSocket
  readonly #released: (() => void) | undefined
  readonly #reader = new WebSocketReader()
  readonly #portions = new Portions(clientShare, this)
  #events: CarrierEvents | undefined
  #isOpen = true

  /** Takes over a socket with nothing unread in it, and answers its upgrade. */
  constructor(
    home: CarrierHome,
    socket: Accepted,
    isTls: boolean,
    address: string,
    answer: string,
    released: (() => void) | undefined,
  ) {
    this.#home = home
    this.#released = released
    this.transport = isTls ? 'websocket-tls' : 'websocket'
    this.address = address
    this.#socket = readAccepted(socket, this)
    this.#socket.write(encoder.encode(answer))
  }

  /** Says whom the events are for; to be called in the turn that made the carrier. */
  start(events: CarrierEvents): void {
    this.#events = events
    this.#home.carriers.add(this)
  }

  write(batch: Uint8Array): void {
    if (this.#isOpen) this.#send(opcode.binary, batch)
  }

  queuedBytes(): number {
    return this.#socket.writableLength
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  pause(): void {
    this.#portions.hold()
  }

  resume(): void {
    this.#portions.goOn()
  }

  get holdsUnread(): boolean {
    return this.#portions.holds
  }

  stopReading(): void {
    hold(this.#socket)
  }

  goOnReading(): void {
    goOn(this.#socket)
  }

  close(code: number, text: string): void {
    this.#close(webSocketCloseCode(code), text)
  }

  destroy(): void {
    this.#isOpen = false
    this.#socket.destroy()
  }

  read(lent: Uint8Array): void {
    if (this.#isOpen) this.#portions.read(lent)
  }

  take(lent: Uint8Array): void {
    if (this.#isOpen) this.#reader.receive(lent, this)
  }

  data(lent: Uint8Array): void {
    if (!this.#isOpen) return
    this.#events!.receive(lent, this.#home.now())
    this.#home.poke()
  }

  /** Who pings without reading the answers gets none. */
  pinged(payload: Uint8Array): void {
    if (this.#isOpen && this.#socket.writableLength === 0) this.#send(opcode.pong, payload)
  }

  ended(answer: number, why: string): void {
    this.#close(answer, why)
  }

  socketDrained(): void {
    if (!this.#isOpen) return
    this.#events!.drained(this.#home.now())
    this.#home.poke()
  }

  socketEnded(): void {
    this.#portions.finish()
    this.#isOpen = false
    endSoon(this.#socket)
  }

  socketFailed(): void {
    this.#home.counters.socketErrors++
  }

  socketClosed(): void {
    this.#portions.finish()
    this.#isOpen = false
    this.#home.carriers.delete(this)
    this.#released?.()
    this.#events!.closed(this.#home.now())
    this.#home.poke()
  }

  #close(closeCode: number, text: string): void {
    if (!this.#isOpen) return
    const reason = new Uint8Array(CLOSE_TEXT_BYTES_MAX)
    const length = encoder.encodeInto(text, reason).written
    const payload = new Uint8Array(2 + length)
    payload[0] = closeCode >>> 8
    payload[1] = closeCode
    payload.set(reason.subarray(0, length), 2)
    this.#send(opcode.close, payload)
    this.#isOpen = false
    endSoon(this.#socket)
  }

  #send(kind: number, payload: Uint8Array): void {
    const slab = this.#home.clientSlab
    const length = payload.length
    slab.reserve(frameHeadSize(length) + length)
    const head = writeFrameHead(slab.bytes, slab.at, kind, length)
    slab.bytes.set(payload, slab.at + head)
    slab.send(this.#socket, head + length)
  }
}
