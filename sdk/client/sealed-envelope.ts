// KCP and bare frames in sealed datagrams, at the client (docs/spec/datagram.md): the handshake with the gateway's key, then
// the connection that it makes. A gateway that has another key than ours is silent, as one is that is not there.
import { code, codeName } from '../../protocols/codes.ts'
import type { CryptoProvider } from '../../protocols/secure/crypto.ts'
import { SEALED_OVERHEAD_BYTES } from '../../protocols/secure/datagram-codec.ts'
import type { SecureDatagramConnection } from '../../protocols/secure/datagram-connection.ts'
import { DatagramInitiator } from '../../protocols/secure/datagram-initiator.ts'
import type { Envelope, Opened } from './envelope.ts'

/** What fits every path that carries IPv6 (DGM: path MTU). */
const DATAGRAM_BYTES = 1200
const NO_BYTES = new Uint8Array(0)
const DROPPED: Opened = { kind: 'dropped' }
const CONTROL: Opened = { kind: 'control' }
const RESET: Opened = { kind: 'reset' }

export type SealedOptions = {
  crypto: CryptoProvider
  /** The gateway's static key. */
  gatewayKey: Uint8Array
  random(length: number): Uint8Array
  /** Shown in the first message, so that the gateway and nobody else sees it (A1). */
  resume?: { readonly ticket: Uint8Array; readonly secret: Uint8Array }
  /** Keeps the newest cookie of this gateway for the next connection, which it spares a round trip (DGM-4.3). */
  jar?: CookieJar
}

export type CookieJar = { cookie?: Uint8Array }

export class SealedEnvelope implements Envelope {
  readonly hasBare = true
  readonly canMove = true
  readonly contentBytesMax = DATAGRAM_BYTES - SEALED_OVERHEAD_BYTES
  readonly #initiator: DatagramInitiator
  readonly #out = new Uint8Array(DATAGRAM_BYTES)
  readonly #jar: CookieJar
  readonly #hasTicket: boolean
  #connection: SecureDatagramConnection | undefined

  constructor({ crypto, gatewayKey, random, resume, jar = {} }: SealedOptions, now: number) {
    this.#jar = jar
    this.#hasTicket = resume !== undefined
    const ephemeralSecret = random(32)
    const echo = random(8)
    // The socket knows the gateway's address: the name of it here is never looked at.
    const address = 'gateway'
    const o = { crypto, gatewayKey, ephemeralSecret, echo, address, resume, cookie: jar.cookie }
    this.#initiator = new DatagramInitiator(o, now)
  }

  get isReady(): boolean {
    return this.#connection !== undefined
  }

  get binding(): Uint8Array {
    return this.#connection?.established.binding ?? NO_BYTES
  }

  get isTicketTaken(): boolean {
    return this.#hasTicket && this.#connection?.established.code === code.ok
  }

  receive(datagram: Uint8Array, now: number): Opened {
    const connection = this.#connection
    if (connection === undefined) {
      this.#connection = this.#initiator.receive(datagram, now)
      if (this.#connection === undefined) return DROPPED
      this.#jar.cookie = this.#initiator.cookie
      return CONTROL
    }
    const received = connection.receive(connection.address, datagram, now)
    if (received.kind === 'data') return { kind: 'segments', bytes: received.bytes }
    // The frame goes to the game, which may keep it.
    if (received.kind === 'bare') return { kind: 'bare', bytes: received.bytes.slice() }
    if (received.kind === 'closed') return { kind: 'closed', text: `closed by the gateway: ${codeName(received.code)}` }
    if (received.kind === 'reset') return RESET
    return received.kind === 'dropped' ? DROPPED : CONTROL
  }

  wrap(kind: 'segments' | 'bare', content: Uint8Array): Uint8Array | undefined {
    const length = this.#connection?.seal(kind === 'bare' ? 'bare' : 'data', content, this.#out) ?? 0
    return length === 0 ? undefined : this.#out.subarray(0, length)
  }

  next(now: number): Uint8Array | undefined {
    if (this.#connection !== undefined) return this.#connection.nextDatagram()?.bytes
    return this.#initiator.nextDatagram(now)
  }

  failure(now: number): string | undefined {
    if (!this.#initiator.isFailed(now)) return undefined
    return 'no answer: nothing listens there, UDP is blocked, or the gateway has another key'
  }

  moved(now: number): void {
    this.#connection?.migrate(now)
  }

  close(): void {
    this.#connection?.close(0)
  }

  tick(now: number): void {
    this.#connection?.tick(now)
  }

  deadline(): number {
    return this.#connection?.deadline() ?? this.#initiator.deadline()
  }
}
