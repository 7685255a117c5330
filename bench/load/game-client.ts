// Clients of the game servers that skewer is compared with, as cheap as the lane client: over WebSocket, by a dialect
// each that knows the frames of one of them. A message is a text of the payload's length; the time is its first sixteen
// digits. What came in one read is answered in one write.
import { WebSocket } from 'ws'
import type { LoadClient, LoadEvents } from './client.ts'

export const STAMP_DIGITS = 16
const ZERO = 48

export interface Dialect {
  /** Where the WebSocket is: some servers are asked over HTTP first. */
  address(port: number): string | Promise<string>
  /** What is said as soon as the WebSocket is open. */
  hello?: string | Buffer
  /** Whether frames are text. */
  isText: boolean
  /** Reads a frame: the message's text begins at the offset that is returned; or -1 where it is another frame. */
  textAt(frame: Buffer): number
  /** What to answer to another frame; `ready` where the client may send from now on. */
  answer(frame: Buffer): { says?: string | Buffer; ready?: boolean; failed?: string }
  /** A message's frame; its text begins at `at`. */
  message(text: string, n: number): { frame: Buffer; at: number }
}

export class GameClient implements LoadClient {
  readonly #dialect: Dialect
  readonly #events: LoadEvents
  readonly #text: string
  readonly #frames: Buffer[] = []
  #socket: WebSocket | undefined
  #sent = 0
  #isReady = false
  #isClosed = false
  #isInTurn = false
  readonly #endTurn = () => {
    this.#isInTurn = false
    if (!this.#isClosed) this.#events.turnEnded(this)
  }

  constructor(dialect: Dialect, port: number, payloadBytes: number, events: LoadEvents) {
    this.#dialect = dialect
    this.#events = events
    this.#text = ''.padEnd(Math.max(STAMP_DIGITS, payloadBytes), '0')
    this.#open(port).catch((error: Error) => this.#fail(error.message))
  }

  async #open(port: number): Promise<void> {
    const socket = new WebSocket(await this.#dialect.address(port), { perMessageDeflate: false })
    this.#socket = socket
    const { hello } = this.#dialect
    socket.on('open', () => {
      if (hello !== undefined) socket.send(hello)
    })
    socket.on('message', (frame: Buffer) => this.#receive(frame))
    socket.on('error', (error) => this.#fail(error.message))
    socket.on('close', () => this.#fail('a connection was closed by the other end'))
  }

  #receive(frame: Buffer): void {
    const at = this.#dialect.textAt(frame)
    if (at >= 0 && at + this.#text.length <= frame.length) {
      this.#events.heard(this, readDigits(frame, at))
      if (this.#isInTurn) return
      // Frames of one read are handed out one after the other, and then come microtasks.
      this.#isInTurn = true
      queueMicrotask(this.#endTurn)
      return
    }
    const { says, ready = false, failed } = this.#dialect.answer(frame)
    if (failed !== undefined) this.#fail(failed)
    if (says !== undefined) this.#socket?.send(says)
    if (!ready || this.#isReady) return
    this.#isReady = true
    this.#events.ready(this)
  }

  room(): number {
    return this.#isReady ? Infinity : 0
  }

  send(stampUs: number): void {
    const { frame, at } = this.#dialect.message(this.#text, ++this.#sent)
    writeDigits(frame, at, stampUs)
    this.#frames.push(frame)
  }

  flush(): void {
    if (this.#frames.length === 0) return
    const socket = this.#socket!
    const wire = socketOf(socket)
    wire?.cork()
    for (const frame of this.#frames) socket.send(frame, { binary: !this.#dialect.isText })
    wire?.uncork()
    this.#frames.length = 0
  }

  tick(): void {}

  close(): void {
    this.#isClosed = true
    this.#socket?.terminate()
  }

  #fail(why: string): void {
    if (this.#isClosed) return
    this.close()
    this.#events.failed(why)
  }
}

/** ws gives no access to the socket; without it each frame is a write of its own. */
const socketOf = (socket: WebSocket) => (socket as unknown as { _socket?: { cork(): void; uncork(): void } })._socket

/** Whole microseconds, highest digit first. */
export function writeDigits(bytes: Uint8Array, at: number, us: number): void {
  let rest = Math.max(0, Math.round(us))
  for (let i = at + STAMP_DIGITS - 1; i >= at; i--) {
    bytes[i] = ZERO + (rest % 10)
    rest = Math.floor(rest / 10)
  }
}

export function readDigits(bytes: Uint8Array, at: number): number {
  let us = 0
  for (let i = at; i < at + STAMP_DIGITS; i++) us = us * 10 + (bytes[i] - ZERO)
  return us
}
