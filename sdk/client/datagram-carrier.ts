// A carrier over a UDP socket of Node: one KCP line, one connected socket, one timer. What arrives in a turn is answered at
// its end, so that acknowledgements share datagrams with data. When nothing is heard for a while, another socket may get
// through where the old one's way is gone (a NAT that forgot, another network): the line goes on there (DGM-7).
import dgram from 'node:dgram'
import dns from 'node:dns'
import type { KcpSettings } from '../../protocols/kcp/settings.ts'
import type { Envelope } from './envelope.ts'
import { KcpLine, type KcpLineSink } from './kcp-line.ts'
import type { Carrier, CarrierEvents } from './transports.ts'

export type DatagramTarget = {
  host: string
  port: number
  conv: number
  settings: Readonly<KcpSettings>
  /** An address of this machine to send from; whichever fits unless given. */
  localAddress?: string
  /** Time until it must stand, in milliseconds. */
  openMs: number
  envelope(now: number): Envelope
}

/** The kernel says so often in a row, without a word from the gateway between, that nobody listens: believed then. */
const REFUSALS_MAX = 3
const RECEIVE_BUFFER_BYTES = 1024 * 1024
const TIMER_MS_MAX = 2 ** 31 - 1

export class DatagramCarrier implements Carrier, KcpLineSink {
  readonly #target: DatagramTarget
  readonly #events: CarrierEvents
  #socket: dgram.Socket | undefined
  /** The one that takes its place, until it is connected. */
  #nextSocket: dgram.Socket | undefined
  #line: KcpLine | undefined
  /** Of the gateway's name; the first is in use, the others follow while nothing is open. */
  #addresses: readonly string[] = []
  #isOpen = false
  #isGone = false
  #refusals = 0
  #cause: unknown
  #isPumpScheduled = false
  #timer: ReturnType<typeof setTimeout> | undefined
  #armedAt = Infinity
  readonly #tooLate: ReturnType<typeof setTimeout>

  constructor(target: DatagramTarget, events: CarrierEvents) {
    this.#target = target
    this.#events = events
    this.#tooLate = setTimeout(() => this.#gone(new Error(SILENCE)), target.openMs)
    dns.lookup(target.host, { all: true }, (error, addresses) => {
      if (this.#isGone) return
      if (error) {
        this.#gone(error)
        return
      }
      this.#addresses = addresses.map(({ address }) => address)
      this.#listen()
    })
  }

  // ---- for the driver ----

  write(bytes: Uint8Array): void {
    this.#line?.write(bytes, performance.now())
    this.#schedulePump()
  }

  writeDatagram(frame: Uint8Array): boolean {
    return this.#line?.sendBare(frame) ?? false
  }

  queuedBytes(): number {
    return this.#line?.queuedBytes ?? 0
  }

  close(): void {
    if (this.#line === undefined) {
      this.#gone()
      return
    }
    this.#line.close(performance.now())
    this.#schedulePump()
  }

  destroy(): void {
    this.#gone()
  }

  /** Goes on from another socket, as a client does whose network has changed. */
  rebind(): void {
    if (!this.#isGone && this.#line?.canMove) this.#listen()
  }

  // ---- what the line tells ----

  send(datagram: Uint8Array): void {
    const socket = this.#socket
    if (socket === undefined) return
    try {
      // What the network does not take now is lost, as any datagram may be.
      socket.send(Buffer.from(datagram), this.#sent)
    } catch (cause) {
      // A socket that is not connected any more; the line finds out that nobody answers.
      this.#cause = cause
    }
  }

  opened(binding: Uint8Array, isTicketTaken: boolean): void {
    this.#isOpen = true
    clearTimeout(this.#tooLate)
    this.#events.opened(binding, isTicketTaken)
  }

  received(bytes: Uint8Array): void {
    this.#events.received(bytes)
  }

  bare(frame: Uint8Array): void {
    this.#events.receivedDatagram?.(frame)
  }

  drained(): void {
    this.#events.drained()
  }

  stalled(): void {
    this.rebind()
    this.#events.stalled?.()
  }

  closed(text: string): void {
    this.#gone(text === '' ? undefined : new Error(text))
  }

  // ---- socket and time ----

  #listen(): void {
    this.#nextSocket?.close()
    const [address] = this.#addresses
    const socket = dgram.createSocket({
      type: address.includes(':') ? 'udp6' : 'udp4',
      recvBufferSize: RECEIVE_BUFFER_BYTES,
    })
    socket.on('message', (datagram) => this.#arrived(socket, datagram))
    socket.on('error', (cause: NodeJS.ErrnoException) => this.#failed(socket, cause))
    socket.on('connect', () => this.#connected(socket))
    this.#nextSocket = socket
    const { port, localAddress } = this.#target
    if (localAddress === undefined) socket.connect(port, address)
    else socket.bind({ address: localAddress }, () => socket.connect(port, address))
  }

  #connected(socket: dgram.Socket): void {
    if (this.#isGone || socket !== this.#nextSocket) return
    const now = performance.now()
    this.#socket?.close()
    this.#socket = socket
    this.#nextSocket = undefined
    if (this.#line === undefined) {
      const { conv, settings, envelope } = this.#target
      this.#line = new KcpLine(conv, settings, envelope(now), this, now)
    } else {
      this.#line.moved(now)
    }
    this.#pump()
  }

  #arrived(socket: dgram.Socket, datagram: Buffer): void {
    if (this.#isGone || socket !== this.#socket) return
    if (this.#line!.receive(datagram, performance.now())) this.#refusals = 0
    this.#schedulePump()
  }

  readonly #sent = (cause: Error | null): void => {
    if (cause !== null && this.#socket !== undefined) this.#failed(this.#socket, cause)
  }

  /**
   * A line that stands outlives a network of ours that is away for a moment; and a refusal is what an ICMP message says,
   * which is a hint from anybody.
   */
  #failed(socket: dgram.Socket, cause: NodeJS.ErrnoException): void {
    if (this.#isGone) return
    this.#cause = cause
    if (!this.#isOpen) {
      if (socket === this.#socket) this.#socket = undefined
      else if (socket === this.#nextSocket) this.#nextSocket = undefined
      else return
      socket.close()
      this.#addresses = this.#addresses.slice(1)
      if (this.#addresses.length > 0) this.#listen()
      else this.#gone(cause)
    } else if (socket === this.#nextSocket) {
      this.#nextSocket = undefined
      socket.close()
    } else if (socket === this.#socket && cause.code === 'ECONNREFUSED' && ++this.#refusals >= REFUSALS_MAX) {
      this.#gone(cause)
    }
  }

  #schedulePump(): void {
    if (this.#isPumpScheduled || this.#isGone) return
    this.#isPumpScheduled = true
    setImmediate(this.#pump)
  }

  readonly #pump = (): void => {
    this.#isPumpScheduled = false
    if (this.#isGone || this.#line === undefined) return
    this.#line.pump(performance.now())
    if (!this.#isGone) this.#arm()
  }

  readonly #tick = (): void => {
    this.#armedAt = Infinity
    this.#pump()
  }

  #arm(): void {
    const at = this.#line!.deadline()
    if (at >= this.#armedAt) return
    clearTimeout(this.#timer)
    this.#armedAt = at
    const waitMs = Math.max(0, Math.ceil(at - performance.now()))
    this.#timer = setTimeout(this.#tick, Math.min(TIMER_MS_MAX, waitMs))
  }

  #gone(cause?: unknown): void {
    if (this.#isGone) return
    this.#isGone = true
    clearTimeout(this.#tooLate)
    clearTimeout(this.#timer)
    this.#socket?.close()
    this.#nextSocket?.close()
    this.#socket = this.#nextSocket = undefined
    this.#events.closed(cause ?? this.#cause)
  }
}

const SILENCE = 'no answer: nothing listens there, UDP is blocked, or the gateway has another key'
