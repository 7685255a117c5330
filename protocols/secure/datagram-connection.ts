// One sealed conversation over datagrams, either end (docs/spec/datagram.md, sections 5 to 8). Sans-IO: `receive` opens
// what came, `seal` makes what is to be sent, `nextDatagram` gives what the layer itself wants to send, `tick` at
// `deadline`. Lost, doubled, reordered and forged datagrams are its daily bread: it never throws for them and never ends
// because of them. Reliability is KCP's, inside.
//
//   after every call: nextDatagram until there is none; before every send: `address`
import { code } from '../codes.ts'
import { type CryptoProvider, NO_BYTES } from './crypto.ts'
import { ClientPath } from './client-path.ts'
import { DATAGRAM_BYTES_MAX, SEALED_CONTENT_AT, SEALED_OVERHEAD_BYTES, sealedKind } from './datagram-codec.ts'
import { DatagramOpener, DatagramSealer, type OpenFailure } from './datagram-keys.ts'
import type { DatagramRoute } from './datagram-route.ts'
import type { Established } from './handshakes.ts'
import { ViewCache } from './view-cache.ts'

export type DatagramDrop = OpenFailure | 'short' | 'malformed' | 'closed'

/** What a datagram was; lent, with its bytes, until the next datagram is opened, of whatever connection. */
export type DatagramReceived =
  /** The bytes are those of `opened` from OPENED_AT, too. */
  | { readonly kind: 'data' | 'bare'; readonly bytes: Uint8Array }
  | { readonly kind: 'control' }
  | { readonly kind: 'closed'; readonly code: number }
  /** The gateway that it came to does not know this conversation: a hint, nothing has ended ([DGM-9.3]). */
  | { readonly kind: 'reset' }
  | { readonly kind: 'dropped'; readonly why: DatagramDrop }

/** Lent with what they hold. */
const receivedData: { kind: 'data'; bytes: Uint8Array } = { kind: 'data', bytes: NO_BYTES }
const receivedBare: { kind: 'bare'; bytes: Uint8Array } = { kind: 'bare', bytes: NO_BYTES }

/** Longest content of one datagram. */
export const CONTENT_BYTES_MAX = DATAGRAM_BYTES_MAX - SEALED_OVERHEAD_BYTES

/** What was opened: kind and content. One serves all connections. */
export const opened = new Uint8Array(DATAGRAM_BYTES_MAX)
export const OPENED_AT = 1
const openedContent = new ViewCache(opened, OPENED_AT)

export class SecureDatagramConnection {
  /** What the handshake came to; the keys are those of `seal` and `receive` now. */
  readonly established: Omit<Established, 'send' | 'receive'>
  /** Whoever drives it, for whom it is not looked up. */
  owner: object | undefined = undefined
  readonly #route: DatagramRoute
  readonly #sealer: DatagramSealer
  readonly #opener: DatagramOpener
  #isConfirmed = false
  #closing: number | undefined
  #isClosed = false

  constructor(crypto: CryptoProvider, established: Established, route: DatagramRoute, datagramsPerKey?: number) {
    const { binding, code: told, extra, ticket, peer } = established
    this.established = { binding, code: told, extra, ticket, peer }
    this.#route = route
    this.#sealer = new DatagramSealer(crypto.aead, established.send.key, datagramsPerKey)
    this.#opener = new DatagramOpener(crypto.aead, established.receive.key, datagramsPerKey)
  }

  /** Where to send what is sealed now. */
  get address(): string {
    return this.#route.address
  }

  /** The peer has shown that it holds the keys, and with a ticket its secret ([SEC-3.6]). */
  get isConfirmed(): boolean {
    return this.#isConfirmed
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** `nextDatagram` has nothing to give, and `tick` nothing to do at any time. */
  get isQuiet(): boolean {
    return this.#closing === undefined && this.#route.isQuiet
  }

  /**
   * Seals content (`data` or `bare`) into the front of `out`, which has SEALED_OVERHEAD_BYTES more than it. Returns the
   * datagram's length; 0 when the connection is closed. Throws for content that no datagram can hold.
   */
  seal(kind: 'data' | 'bare', content: Uint8Array, out: Uint8Array): number {
    if (content.length > CONTENT_BYTES_MAX) throw tooLong()
    out.set(content, SEALED_CONTENT_AT)
    return this.sealIn(kind, out, SEALED_CONTENT_AT, SEALED_CONTENT_AT + content.length)
  }

  /**
   * Seals the content bytes[at, end) in place: the datagram begins SEALED_CONTENT_AT before it, where there is room, as there
   * is for a tag behind it. Returns where it ends; 0 when the connection is closed. Throws as `seal`.
   */
  sealIn(kind: 'data' | 'bare', bytes: Uint8Array, at: number, end: number): number {
    if (this.#isClosed || this.#closing !== undefined) return 0
    return this.#seal(kind === 'data' ? sealedKind.data : sealedKind.bare, this.#route.id, bytes, at, end)
  }

  /** Takes a datagram, borrowed for the call. */
  receive(address: string, datagram: Uint8Array, now: number): DatagramReceived {
    return this.receiveIn(address, datagram, 0, datagram.length, now)
  }

  /** As `receive`, of bytes[start, end). */
  receiveIn(address: string, bytes: Uint8Array, start: number, end: number, now: number): DatagramReceived {
    if (this.#isClosed) return dropped('closed')
    const length = end - start
    if (length < SEALED_OVERHEAD_BYTES) return this.#route.isReset(bytes, start, end) ? RESET : dropped('short')
    if (length > DATAGRAM_BYTES_MAX) return dropped('malformed')
    const why = this.#opener.open(bytes, start, end, opened)
    if (why !== undefined) return dropped(why)
    this.#isConfirmed = true
    this.#route.arrived(address, bytes, start, end, this.#opener.wasHighest, now)
    return this.#takeContent(opened[0], openedContent.of(length - SEALED_OVERHEAD_BYTES), address, now)
  }

  /** Ends the conversation: CLOSE is the last thing that `nextDatagram` gives. It may be lost: the other end has time-outs. */
  close(why: number): void {
    if (!this.#isClosed) this.#closing ??= why
  }

  /** The next datagram of the layer itself, in memory of its own. */
  nextDatagram(): { readonly address: string; readonly bytes: Uint8Array } | undefined {
    if (this.#isClosed) return undefined
    const control = this.#route.next()
    if (control !== undefined) return this.#wrap(control.kind, control.content, control.id, control.address)
    if (this.#closing === undefined) return undefined
    const content = Uint8Array.of(this.#closing, this.#closing >>> 8)
    const datagram = this.#wrap(sealedKind.close, content, this.#route.id, this.#route.address)
    this.#isClosed = true
    return datagram
  }

  deadline(): number {
    return this.#isClosed ? Infinity : this.#route.deadline()
  }

  tick(now: number): void {
    if (!this.#isClosed) this.#route.tick(now)
  }

  /** At a client whose own address changes: goes on with a fresh connection id. False when none is left. */
  migrate(now: number): boolean {
    if (!(this.#route instanceof ClientPath)) throw new Error('only a client migrates')
    return this.#route.migrate(now)
  }

  #takeContent(kind: number, content: Uint8Array, address: string, now: number): DatagramReceived {
    if (kind === sealedKind.data || kind === sealedKind.bare) {
      const received = kind === sealedKind.data ? receivedData : receivedBare
      received.bytes = content
      return received
    }
    if (kind === sealedKind.close) {
      this.#isClosed = true
      return { kind: 'closed', code: content.length < 2 ? code.protocol : content[0] | (content[1] << 8) }
    }
    return this.#route.control(kind, content, address, now) ? CONTROL : dropped('malformed')
  }

  #wrap(kind: number, content: Uint8Array, id: Uint8Array, address: string) {
    const bytes = new Uint8Array(content.length + SEALED_OVERHEAD_BYTES)
    const end = SEALED_CONTENT_AT + content.length
    bytes.set(content, SEALED_CONTENT_AT)
    return this.#seal(kind, id, bytes, SEALED_CONTENT_AT, end) === 0 ? undefined : { address, bytes }
  }

  #seal(kind: number, id: Uint8Array, bytes: Uint8Array, at: number, end: number): number {
    if (end - at > CONTENT_BYTES_MAX) throw tooLong()
    bytes[at - 1] = kind
    return this.#sealer.seal(id, bytes, at - 1, end)
  }
}

const tooLong = (): Error => new Error(`a datagram holds at most ${CONTENT_BYTES_MAX} bytes`)
export const CONTROL: DatagramReceived = { kind: 'control' }
const RESET: DatagramReceived = { kind: 'reset' }
const drops: Record<DatagramDrop, DatagramReceived> = {
  replayed: { kind: 'dropped', why: 'replayed' },
  forged: { kind: 'dropped', why: 'forged' },
  short: { kind: 'dropped', why: 'short' },
  malformed: { kind: 'dropped', why: 'malformed' },
  closed: { kind: 'dropped', why: 'closed' },
}
const dropped = (why: DatagramDrop): DatagramReceived => drops[why]
