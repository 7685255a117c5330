// What a simulated player's core writes to: a stream of bytes through pipes, or a KCP line over the datagram network (the
// SDK's own, sealed or plain). Both can be broken from outside.
import type { KcpSettings } from '../../protocols/kcp/settings.ts'
import type { Envelope } from '../../sdk/client/envelope.ts'
import { KcpLine, type KcpLineSink } from '../../sdk/client/kcp-line.ts'
import type { Due } from './clock.ts'
import type { NatSocket } from './datagram-network.ts'
import type { Connection } from './network.ts'
import type { UdpWorld } from './udp-faults.ts'

export interface ClientWire {
  write(bytes: Uint8Array): void
  /** False: there is no way beside the stream. */
  writeDatagram(frame: Uint8Array): boolean
  queuedBytes(): number
  close(): void
  /** The network takes it away; `lostClose` is the chance that this side is not told. */
  cut(lostClose: number): void
  /** This side reads nothing for a while. */
  stall(ms: number): void
}

/** What a wire tells its player; nothing after `closed`. */
export interface WireEvents {
  /** Ready; whether the ticket that was shown in the handshake was taken. */
  opened(binding: Uint8Array, isTicketTaken: boolean): void
  receive(bytes: Uint8Array): void
  receiveDatagram(frame: Uint8Array): void
  drained(): void
  /** Something is owed and nothing is heard. */
  stalled(): void
  closed(): void
}

export class StreamWire implements ClientWire {
  readonly #world: UdpWorld
  readonly #connection: Connection

  constructor(world: UdpWorld, connection: Connection, events: WireEvents) {
    this.#world = world
    this.#connection = connection
    connection.toA.side = {
      receive: (bytes) => events.receive(bytes),
      drained: () => events.drained(),
      closed: () => events.closed(),
    }
    connection.toA.wake()
  }

  write(bytes: Uint8Array): void {
    this.#connection.toB.write(bytes)
  }
  writeDatagram(): boolean {
    return false
  }
  queuedBytes(): number {
    return this.#connection.toB.queuedBytes()
  }
  close(): void {
    this.#connection.end(this.#connection.toB, this.#connection.toA)
  }
  cut(lostClose: number): void {
    this.#connection.cut(lostClose)
  }
  stall(ms: number): void {
    this.#connection.toA.isPaused = true
    this.#world.clock.after(ms, () => {
      this.#connection.toA.isPaused = false
      this.#connection.toA.wake()
    })
  }
}

export type LineOptions = { gateway: string; conv: number; settings: KcpSettings; envelope: Envelope }

export class DatagramWire implements ClientWire, KcpLineSink {
  readonly #world: UdpWorld
  readonly #gateway: string
  readonly #events: WireEvents
  readonly #socket: NatSocket
  readonly #line: KcpLine
  #timer: Due | undefined
  #isPumpScheduled = false
  #isOver = false

  constructor(world: UdpWorld, { gateway, conv, settings, envelope }: LineOptions, events: WireEvents) {
    this.#world = world
    this.#gateway = gateway
    this.#events = events
    this.#socket = world.datagrams.socket((_from, bytes) => {
      this.#line.receive(bytes, this.#now)
      this.#schedulePump()
    })
    this.#line = new KcpLine(conv, settings, envelope, this, this.#now)
    this.#schedulePump()
  }

  // ---- for the core ----

  write(bytes: Uint8Array): void {
    this.#line.write(bytes, this.#now)
    this.#schedulePump()
  }
  writeDatagram(frame: Uint8Array): boolean {
    return this.#line.sendBare(frame)
  }
  queuedBytes(): number {
    return this.#line.queuedBytes
  }
  close(): void {
    this.#line.close(this.#now)
    this.#schedulePump()
  }

  // ---- trouble ----

  /** The way ends for good; a socket that fails is told, a network that swallows everything is not. */
  cut(lostClose: number): void {
    this.#socket.isBlocked = true
    const isTold = !this.#world.random.chance(Math.max(lostClose, 0.5))
    if (isTold) this.#world.clock.after(this.#world.random.unit() * 50, () => this.#end())
  }

  stall(ms: number): void {
    if (this.#socket.isBlocked) return
    this.#socket.isBlocked = true
    this.#world.clock.after(ms, () => {
      this.#socket.isBlocked = this.#isOver
    })
  }

  /** A NAT that forgot, which nobody tells the player of. */
  rebind(): void {
    if (!this.#isOver) this.#socket.rebind()
  }

  /** Another network, which the player knows of. */
  move(): void {
    this.rebind()
    this.#line.moved(this.#now)
    this.#schedulePump()
  }

  // ---- what the line tells ----

  send(datagram: Uint8Array): void {
    this.#socket.send(this.#gateway, datagram)
  }
  opened(binding: Uint8Array, isTicketTaken: boolean): void {
    if (!this.#isOver) this.#events.opened(binding, isTicketTaken)
  }
  received(bytes: Uint8Array): void {
    if (!this.#isOver) this.#events.receive(bytes)
  }
  bare(frame: Uint8Array): void {
    if (!this.#isOver) this.#events.receiveDatagram(frame)
  }
  drained(): void {
    if (!this.#isOver) this.#events.drained()
  }
  /** As the SDK's carrier does: another socket may get through. */
  stalled(): void {
    if (this.#isOver) return
    if (!this.#socket.isBlocked && this.#line.canMove) {
      this.#socket.rebind()
      this.#line.moved(this.#now)
    }
    this.#events.stalled()
  }
  closed(): void {
    this.#end()
  }

  // ---- turns and time ----

  get #now(): number {
    return this.#world.clock.now
  }

  #end(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#socket.close()
    this.#world.clock.cancel(this.#timer)
    this.#events.closed()
  }

  #schedulePump(): void {
    if (this.#isPumpScheduled || this.#isOver) return
    this.#isPumpScheduled = true
    this.#world.clock.at(this.#now, () => {
      this.#isPumpScheduled = false
      if (!this.#isOver) this.#pump()
    })
  }

  #pump(): void {
    this.#line.pump(this.#now)
    if (this.#isOver) return
    const at = this.#line.deadline()
    if (this.#timer !== undefined && !this.#timer.dead && this.#timer.at <= at) return
    this.#world.clock.cancel(this.#timer)
    this.#timer = undefined
    if (at === Infinity) return
    this.#timer = this.#world.clock.at(at, () => {
      this.#timer = undefined
      if (!this.#isOver) this.#pump()
    })
  }
}
