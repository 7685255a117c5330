// Drives a client core in real time: carriers for its connections, one timer for its deadlines, one flush a turn.
import { hmac } from '@noble/hashes/hmac.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { ClientCore } from './core.ts'
import type { ClientEnvironment, ClientOptions, ClientSink } from './options.ts'
import type { Carrier, TransportOptions, Transports } from './transports.ts'
import { transportOf } from './transports.ts'

/** What differs between Node and a browser. */
export type Platform = {
  transports: Transports
  /** Runs something at the end of this turn: what is sent meanwhile goes out in one write. */
  atTurnEnd(run: () => void): void
}

/** What all transports are told, and the key of gateways whose address names none. */
export type DriverOptions = Pick<TransportOptions, 'tls' | 'kcp'> & { gatewayKey?: string | Uint8Array }

const TIMER_MS_MAX = 2 ** 31 - 1

export class Driver implements ClientEnvironment {
  readonly core: ClientCore
  readonly #platform: Platform
  readonly #transports: Transports
  readonly #transportOptions: TransportOptions
  readonly #carriers: Map<number, Carrier> = new Map()
  readonly #gatewayKey: string | Uint8Array | undefined
  /** Addresses at which the next handshake shows no ticket. */
  readonly #ticketKeepers: Set<string> = new Set()
  #timer: ReturnType<typeof setTimeout> | undefined
  #armedAt = Infinity
  #interruptedUntil = -Infinity

  /** Throws a RangeError for an address that cannot be dialed. */
  constructor(
    platform: Platform,
    transports: Transports,
    { gatewayKey, ...options }: DriverOptions,
    o: ClientOptions,
    sink: ClientSink,
  ) {
    this.#platform = platform
    this.#transports = transports
    this.core = new ClientCore(o, this, sink)
    // The carrier knows better than the core why it does not stand in time, and is to speak first.
    this.#transportOptions = { ...options, openMs: 0.9 * this.core.settings.handshakeMs }
    this.#gatewayKey = gatewayKey
    for (const address of this.core.settings.addresses) transportOf(address, transports, gatewayKey)
  }

  now(): number {
    return performance.now()
  }

  /** Ends the session here, and every timer with it. */
  close(): void {
    this.core.close(this.now())
    this.core.flush(this.now())
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#armedAt = -Infinity
  }

  /** Cuts all connections as a lost network would, and makes none for so long. */
  interrupt(ms: number): void {
    this.#interruptedUntil = this.now() + ms
    for (const [connection, carrier] of [...this.#carriers]) {
      this.#carriers.delete(connection)
      carrier.destroy()
      this.core.lost(connection, this.now(), 'interrupted')
    }
  }

  /** The connections that can go on from another address do. */
  rebind(): void {
    for (const carrier of this.#carriers.values()) carrier.rebind?.()
  }

  // ---- what the core asks for ----

  random(): number {
    return Math.random()
  }

  hmac(key: Uint8Array, ...parts: Uint8Array[]): Uint8Array {
    const mac = hmac.create(sha256, key)
    for (const part of parts) mac.update(part)
    return mac.digest()
  }

  dial(connection: number, address: string): void {
    const { url, gatewayKey, transport } = transportOf(address, this.#transports, this.#gatewayKey)
    // A handshake with a ticket that came to nothing is followed by one without: RESUME can show it as well.
    const resume = gatewayKey === undefined || this.#ticketKeepers.delete(address) ? undefined : this.core.ticket
    let isOpened = false
    const lost = (text: string) => {
      this.#carriers.delete(connection)
      if (!isOpened && resume !== undefined) this.#ticketKeepers.add(address)
      this.core.lost(connection, this.now(), text)
    }
    if (this.now() < this.#interruptedUntil) {
      queueMicrotask(() => lost('interrupted'))
      return
    }
    const isOurs = () => this.#carriers.has(connection)
    const carrier = transport(
      url,
      {
        opened: (binding, isTicketTaken) => {
          isOpened = true
          if (isOurs()) this.core.opened(connection, binding, this.now(), isTicketTaken ? resume : undefined)
        },
        received: (bytes) => isOurs() && this.core.receive(connection, bytes, this.now()),
        receivedDatagram: (frame) => isOurs() && this.core.receiveDatagram(connection, frame, this.now()),
        stalled: () => isOurs() && this.core.stalled(connection, this.now()),
        drained: () => isOurs() && this.core.drained(connection, this.now()),
        closed: (cause) => isOurs() && lost(cause instanceof Error ? cause.message : ''),
      },
      { ...this.#transportOptions, gatewayKey, resume },
    )
    this.#carriers.set(connection, carrier)
  }

  write(connection: number, bytes: Uint8Array): void {
    this.#carriers.get(connection)?.write(bytes)
  }

  writeDatagram(connection: number, frame: Uint8Array): boolean {
    return this.#carriers.get(connection)?.writeDatagram?.(frame) ?? false
  }

  closeConnection(connection: number): void {
    this.#carriers.get(connection)?.close()
    this.#carriers.delete(connection)
  }

  queuedBytes(connection: number): number {
    return this.#carriers.get(connection)?.queuedBytes() ?? 0
  }

  scheduleFlush(): void {
    this.#platform.atTurnEnd(this.#flush)
  }

  // ---- turns and time ----

  readonly #flush = (): void => {
    this.core.flush(this.now())
    this.#arm()
  }

  readonly #tick = (): void => {
    this.#armedAt = Infinity
    this.core.tick(this.now())
    this.#arm()
  }

  /** A timer that comes too early only looks again; one that would come too late is set anew. */
  #arm(): void {
    const at = this.core.deadline()
    if (at >= this.#armedAt) return
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#armedAt = at
    this.#timer = setTimeout(this.#tick, Math.min(TIMER_MS_MAX, Math.max(0, Math.ceil(at - this.now()))))
  }
}
