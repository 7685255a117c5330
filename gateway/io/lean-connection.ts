// A connection whose calls are read by lean-request.ts and answered in one write, for as long as that can be: node:http costs
// more than all that a gateway does for a call. The first bytes that are not one whole call end that: once the answer under
// way is out, the socket goes to node:http with all that was not served, for good. So there is nothing here that waits for
// the rest of a request, and one call at a time.
//
//   idle -> busy (a call is under way) -> idle ...        -> given away, or closed
import { STATUS_CODES } from 'node:http'
import type net from 'node:net'
import type { HttpSettings } from '../../config/settings.ts'
import type { BodySink } from './http-body.ts'
import { type Closing, HttpExchange } from './http-exchange.ts'
import type { IoCounters } from './io-counters.ts'
import { type LeanRequest, readLean } from './lean-request.ts'
import { addressOf } from './client-address.ts'
import { NativeStream } from './native-stream.ts'
import { type Accepted, type ByteSocket, goOn, hold, readAccepted, type SocketSink, unlisten } from './onread-socket.ts'
import { StreamDuplex } from './stream-duplex.ts'
import { note } from './socket-notes.ts'
import { endSoon } from './stream-carrier.ts'
import type { WriteSlab } from './write-slab.ts'

/** What a connection needs of its listener. */
export type LeanHome = {
  counters: IoCounters
  clientSlab: WriteSlab
  now(): number
  /** Undefined: nothing is answered here at the moment. */
  settings(): HttpSettings | undefined
  /** Answers a call of whoever is at the other end. */
  call(exchange: HttpExchange, peer: string): void
  /** Takes the socket over; what is not served lies in it to be read. */
  giveAway(socket: net.Socket | StreamDuplex, released: Released): void
}

/** To be called once, when the socket is closed; undefined where that is seen to elsewhere. */
export type Released = (() => void) | undefined

/** Answers that a caller does not read end its connection past this. */
const UNREAD_BYTES_MAX = 1024 * 1024

export class LeanConnection implements SocketSink {
  readonly socket: ByteSocket
  /** When an idle connection is closed. */
  idleUntil: number
  isBusy = false
  readonly #home: LeanHome
  /** Its address. */
  readonly #peer: string
  readonly #closing: Closing
  readonly #released: Released
  readonly #gone: (connection: LeanConnection) => void
  #served = 0
  /** What came behind a call and is for node:http, once that is answered. */
  #rest: Buffer | undefined

  /** `gone` is called once, when the socket is closed or given away. */
  constructor(
    accepted: Accepted,
    released: Released,
    home: LeanHome,
    closing: Closing,
    idleUntil: number,
    gone: (connection: LeanConnection) => void,
  ) {
    this.#home = home
    this.#closing = closing
    this.#released = released
    this.#gone = gone
    this.idleUntil = idleUntil
    this.#peer = addressOf(accepted)
    this.socket = readAccepted(accepted, this)
  }

  read(lent: Uint8Array): void {
    if (!this.isBusy && this.#rest === undefined) this.#serve(lent as Buffer)
    else this.#keep(lent)
  }

  socketDrained(): void {
    if (!this.isBusy && this.#rest !== undefined) this.#giveAway()
  }

  /** Who has gone waits for no answer. */
  socketEnded(): void {
    endSoon(this.socket)
  }

  socketFailed(): void {
    this.#home.counters.socketErrors++
  }

  socketClosed(): void {
    this.#rest = undefined
    this.#gone(this)
    this.#released?.()
  }

  #serve(lent: Buffer): void {
    const settings = this.#home.settings()
    const request = settings?.calls ? readLean(lent) : undefined
    if (request === undefined) {
      this.#keep(lent)
      this.#giveAway()
      return
    }
    if (this.socket.writableLength > UNREAD_BYTES_MAX) {
      this.socket.destroy()
      return
    }
    if (request.end < lent.length) this.#keep(lent.subarray(request.end))
    this.isBusy = true
    // The limit may have come down below what was served already.
    const { requestsPerConnection: most } = settings!
    const isLast = ++this.#served >= most && most > 0
    const closing = isLast ? { isLast } : this.#closing
    this.#home.call(new LeanExchange(this, request, settings!, this.#home, closing), this.#peer)
  }

  /** The answer is written: what waits behind it is not for us. */
  answered(isLast: boolean, keepAliveMs: number): void {
    this.isBusy = false
    this.idleUntil = this.#home.now() + keepAliveMs
    if (isLast) endSoon(this.socket)
    else if (this.#rest !== undefined) this.#giveAway()
  }

  #keep(lent: Uint8Array): void {
    this.#rest = this.#rest === undefined ? Buffer.from(lent) : Buffer.concat([this.#rest, lent])
    hold(this.socket)
  }

  /** What is still to be written must be gone first: it goes by this socket's own queue. */
  #giveAway(): void {
    const { socket } = this
    if (socket.destroyed || socket.writableLength > 0) return
    const rest = this.#rest
    this.#rest = undefined
    const given = this.#forNode()
    this.#gone(this)
    if (rest !== undefined) given.unshift(rest)
    this.#home.giveAway(given, this.#released)
    goOn(socket)
  }

  #forNode(): net.Socket | StreamDuplex {
    if (this.socket instanceof NativeStream) {
      const given = new StreamDuplex(this.socket, this.#peer)
      if (this.#released !== undefined) note(given, { release: this.#released })
      return given
    }
    const socket = this.socket as net.Socket
    unlisten(socket)
    return socket
  }
}

class LeanExchange extends HttpExchange {
  readonly hasBody: boolean
  readonly #connection: LeanConnection
  readonly #home: LeanHome
  readonly #body: Uint8Array
  #isAnswered = false

  constructor(
    connection: LeanConnection,
    request: LeanRequest,
    settings: HttpSettings,
    home: LeanHome,
    closing: Closing,
  ) {
    super('POST', request.path, request.headers, settings, home.counters, closing)
    this.#connection = connection
    this.#home = home
    this.#body = request.body
    this.hasBody = request.body.length > 0
  }

  get isAnswered(): boolean {
    return this.#isAnswered || this.#connection.socket.destroyed
  }

  readBody(bytesMax: number, sink: BodySink): void {
    if (this.#body.length > bytesMax) sink.bodyTooLarge()
    else sink.bodyRead(this.#body)
  }

  endConnection(): void {
    endSoon(this.#connection.socket)
  }

  protected write(status: number, raw: string[], body: Uint8Array | string | undefined): void {
    this.#isAnswered = true
    const { socket } = this.#connection
    const slab = this.#home.clientSlab
    const bytes = typeof body === 'string' ? Buffer.from(body) : body
    const isPlain = status === 200 && raw.length === 4
    const head = isPlain ? goodHead(raw[1]) : Buffer.from(headOf(status, raw), 'latin1')
    const tail = isPlain ? `${raw[3]}\r\n\r\n` : ''
    const length = head.length + tail.length + (bytes?.length ?? 0)
    slab.reserve(length)
    let at = slab.at
    slab.bytes.set(head, at)
    at += head.length
    for (let i = 0; i < tail.length; i++) slab.bytes[at++] = tail.charCodeAt(i)
    if (bytes !== undefined) slab.bytes.set(bytes, at)
    slab.send(socket, length)
    this.#connection.answered(!isPlain && raw.includes('close'), this.settings.keepAliveMs)
  }
}

function headOf(status: number, raw: readonly string[]): string {
  let head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nDate: ${date()}\r\n`
  for (let i = 0; i < raw.length; i += 2) head += `${raw[i]}: ${raw[i + 1]}\r\n`
  return `${head}\r\n`
}

let goodSecond = 0
let goodType = ''
let good: Buffer = Buffer.alloc(0)

/** The head of the answer that nearly all calls get, up to its length: the same bytes for a second. */
function goodHead(contentType: string): Buffer {
  const second = Math.floor(Date.now() / 1000)
  if (second !== goodSecond || contentType !== goodType) {
    goodSecond = second
    goodType = contentType
    good = Buffer.from(
      `HTTP/1.1 200 OK\r\nDate: ${date()}\r\nContent-Type: ${contentType}\r\nContent-Length: `,
      'latin1',
    )
  }
  return good
}

let dateSecond = 0
let dateText = ''

/** As HTTP writes it, made once a second. */
function date(): string {
  const second = Math.floor(Date.now() / 1000)
  if (second !== dateSecond) {
    dateSecond = second
    dateText = new Date(second * 1000).toUTCString()
  }
  return dateText
}
