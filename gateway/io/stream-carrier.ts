// A Carrier over one socket of the OS: tcp, tls or unix. One write a batch. Everything that can go wrong with a socket
// ends in `closed`, once.
//
// Life: open -> ending (close: what is queued still goes out, what comes in is not heard) -> gone.
import type net from 'node:net'
import type { Carrier, CarrierEvents } from '../seams.ts'
import { addressOf } from './client-address.ts'
import type { IoCounters } from './io-counters.ts'
import { NativeStream } from './native-stream.ts'
import {
  type Accepted,
  type ByteSocket,
  goOn,
  hold,
  listen,
  readAccepted,
  readDialled,
  type SocketSink,
} from './onread-socket.ts'
import { type PortionReader, Portions } from './portions.ts'
import { clientShare, linkShare } from './turn-share.ts'
import type { WriteSlab } from './write-slab.ts'

/** A carrier that was ended is given this long to send what is queued. */
export const LINGER_MS = 1000
const NO_BINDING = new Uint8Array(0)

/** What carriers need of the process. */
export type CarrierHome = {
  /** Monotonic milliseconds. */
  now(): number
  /** To be called after the core was told something: its next deadline may have changed. */
  poke(): void
  counters: IoCounters
  carriers: OpenCarriers
  /** The slab of all client sockets: while peers read, nothing stays in it from one write to the next. */
  clientSlab: WriteSlab
}

/** All carriers whose sockets are not closed yet. */
export class OpenCarriers {
  readonly #open = new Set<Carrier>()
  #emptied: (() => void) | undefined

  add(carrier: Carrier): void {
    this.#open.add(carrier)
  }

  delete(carrier: Carrier): void {
    this.#open.delete(carrier)
    if (this.#open.size === 0) this.#emptied?.()
  }

  /** Resolves once none is open. */
  gone(): Promise<void> {
    if (this.#open.size === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#emptied = resolve
    })
  }

  destroyAll(): void {
    for (const carrier of this.#open) carrier.destroy()
  }
}

/**
 * accepted: read into the shared buffer where that can be; dialled: made with `sharedReads`; kept: the same, and whoever
 * dialled still listens to it.
 */
export type Reading = 'accepted' | 'dialled' | 'kept'

export class StreamCarrier implements Carrier, SocketSink, PortionReader {
  readonly transport: string
  readonly address: string
  readonly binding: Uint8Array = NO_BINDING
  readonly #home: CarrierHome
  readonly #slab: WriteSlab
  readonly #socket: ByteSocket
  readonly #isAccelerated: boolean
  readonly #released: (() => void) | undefined
  readonly #portions: Portions
  #events: CarrierEvents | undefined
  #isOpen = true

  /** `released` is called once, when the socket is closed. */
  constructor(
    home: CarrierHome,
    transport: string,
    socket: Accepted,
    reading: Reading,
    slab: WriteSlab,
    released: (() => void) | undefined,
  ) {
    this.#home = home
    this.#slab = slab
    this.#released = released
    this.transport = transport
    this.address = addressOf(socket)
    const own = reading === 'accepted' ? readAccepted : reading === 'dialled' ? readDialled : listen
    this.#socket = own(socket as net.Socket, this)
    this.#isAccelerated = this.#socket instanceof NativeStream
    this.#portions = new Portions(reading === 'accepted' ? clientShare : linkShare, this)
  }

  /** Says whom the events are for; to be called in the turn that made the carrier. */
  start(events: CarrierEvents): void {
    this.#events = events
    this.#home.carriers.add(this)
  }

  write(batch: Uint8Array): void {
    if (!this.#isOpen) return
    if (this.#isAccelerated) this.#socket.write(batch)
    else this.#slab.write(this.#socket, batch)
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

  close(_code: number, _text: string): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    endSoon(this.#socket)
  }

  destroy(): void {
    this.#isOpen = false
    this.#socket.destroy()
  }

  read(lent: Uint8Array): void {
    if (this.#isOpen) this.#portions.read(lent)
  }

  take(lent: Uint8Array): void {
    if (!this.#isOpen) return
    this.#events!.receive(lent, this.#home.now())
    this.#home.poke()
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
}

/** Sends what is queued, ends, and is rid of the socket within `LINGER_MS` whatever its peer does. */
export function endSoon(socket: ByteSocket): void {
  if (socket.destroyed) return
  socket.end()
  // The end of what comes in is seen only by reading it.
  goOn(socket)
  const timer = setTimeout(destroySocket, LINGER_MS, socket)
  socket.once('close', () => clearTimeout(timer))
}

function destroySocket(socket: ByteSocket): void {
  socket.destroy()
}
