// A client of a few lines, made of the codec alone, on whatever carries bytes: a socket, a TLS socket or a WebSocket. It
// logs in, attaches one channel and sends numbered messages; what comes is collected.
import type net from 'node:net'
import type { WebSocket } from 'ws'
import {
  type Close,
  clientKind,
  openFrame,
  readAttached,
  readClose,
  readHello,
  readTicket,
  readWelcome,
  type Welcome,
  writeAttach,
  writeLogin,
  writeRoute,
} from '../../../protocols/client/frames.ts'
import {
  KIND_MASK,
  LaneFrame,
  laneKind,
  readLaneBody,
  readLaneHeader,
  writeAck,
  writeOneway,
} from '../../../protocols/wire/lane-frames.ts'
import { type FrameSink, FrameSplitter } from '../../../protocols/wire/splitter.ts'
import { Writer } from '../../../protocols/wire/writer.ts'

export type Pipe = { write(bytes: Uint8Array): void; destroy(): void; pause(): void; resume(): void }

const DEADLINE_MS = 5000

export class ScriptedClient implements FrameSink {
  readonly pipe: Pipe
  welcome: Welcome | undefined
  /** Of HELLO. */
  nonce: Uint8Array | undefined
  attached = false
  closedWith: Close | undefined
  isGone = false
  /** Payloads of the one-way messages that came, in order. */
  readonly received: Uint8Array[] = []
  acks = true
  sent = 0
  readonly #splitter = new FrameSplitter(16 * 1024 * 1024)
  readonly #writer = new Writer(1024)
  readonly #frame = new LaneFrame()
  #isAnnounced = false
  #changed: () => void = () => {}

  constructor(pipe: Pipe) {
    this.pipe = pipe
  }

  get isGreeted(): boolean {
    return this.nonce !== undefined
  }

  take(bytes: Uint8Array): void {
    this.#splitter.receive(bytes, this)
    this.#changed()
  }

  gone(): void {
    this.isGone = true
    this.#changed()
  }

  frame(bytes: Uint8Array, start: number, end: number): boolean {
    const kind = bytes[start] & KIND_MASK
    if (kind >= laneKind.oneway && kind <= laneKind.unreliable) {
      const frame = this.#frame
      readLaneHeader(frame, bytes, start, end)
      readLaneBody(frame)
      if (kind !== laneKind.oneway) return true
      this.received.push(frame.payload())
      if (this.acks) {
        writeAck(this.#writer, 0, frame.number)
        this.flush()
      }
      return true
    }
    const r = openFrame(bytes, start, end)!
    if (kind === clientKind.hello) this.nonce = readHello(r)?.nonce.slice()
    else if (kind === clientKind.welcome) this.welcome = readWelcome(r)
    else if (kind === clientKind.attached) this.attached = readAttached(r) !== undefined
    else if (kind === clientKind.close) this.closedWith = readClose(r)
    else if (kind === clientKind.ticket) readTicket(r)
    return true
  }

  login(user: string): Promise<void> {
    this.#sendLogin(user)
    return this.until(() => this.welcome !== undefined, 'WELCOME')
  }

  /** The same where it may be refused: the code, or undefined. */
  async tryLogin(user: string): Promise<Close | undefined> {
    this.#sendLogin(user)
    await this.until(() => this.welcome !== undefined || this.closedWith !== undefined, 'WELCOME or CLOSE')
    return this.closedWith
  }

  #sendLogin(user: string): void {
    writeLogin(this.#writer, { version: 1, token: new TextEncoder().encode(user), agent: 'test' })
    this.flush()
  }

  attach(service: string, key: string, epoch = 1): Promise<void> {
    writeAttach(this.#writer, {
      alias: 0,
      epoch,
      ticketGeneration: 1,
      service,
      key,
      pin: new Uint8Array(0),
      end: 77n,
      life: 0n,
      received: 0,
      settled: 0,
      acked: 0,
      sent: 0,
      groups: [],
    })
    if (!this.#isAnnounced) writeRoute(this.#writer, clientKind.route, 0, 'arena.echo')
    this.#isAnnounced = true
    this.flush()
    return this.until(() => this.attached, 'ATTACHED')
  }

  send(payload: Uint8Array): void {
    writeOneway(this.#writer, 0, ++this.sent & 0xffff, 0, payload)
    this.flush()
  }

  flush(): void {
    const bytes = this.#writer.drain()
    if (bytes.length > 0) this.pipe.write(bytes)
  }

  /** Waits, at most five seconds, until what came makes it true. */
  until(isSo: () => boolean, what: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`waited in vain for ${what}`)), DEADLINE_MS)
      this.#changed = () => {
        if (!isSo()) return
        clearTimeout(timer)
        this.#changed = () => {}
        resolve()
      }
      this.#changed()
    })
  }
}

export function overSocket(socket: net.Socket): ScriptedClient {
  const client = new ScriptedClient({
    write: (bytes) => void socket.write(bytes),
    destroy: () => void socket.destroy(),
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
  })
  socket.on('data', (bytes) => client.take(bytes as Buffer))
  socket.on('error', () => {})
  socket.on('close', () => client.gone())
  return client
}

export function overWebSocket(socket: WebSocket): ScriptedClient {
  const client = new ScriptedClient({
    write: (bytes) => socket.send(bytes),
    destroy: () => socket.terminate(),
    pause: () => socket.pause(),
    resume: () => socket.resume(),
  })
  socket.on('message', (data) => client.take(data as Buffer))
  socket.on('error', () => {})
  socket.on('close', () => client.gone())
  return client
}
