// Noise between a carrier of bytes (a socket, or the messages of a WebSocket) and the core: towards the carrier it takes
// events, towards the core it is the carrier (docs/spec/secure.md, section 5). The core hears of it when the handshake is
// done, so that nothing is kept for a stranger but this and 1,160 bytes at most. One record a flush.
//
// Life: handshake -> open (the core's) -> gone
import { code, codeName } from '../../protocols/codes.ts'
import type { Established } from '../../protocols/secure/handshakes.ts'
import { codeOfFailure, type SecureStream, type StreamFailure } from '../../protocols/secure/secure-stream.ts'
import { type Spoken, sniff } from '../../protocols/secure/sniff.ts'
import type { Carrier, CarrierEvents } from '../seams.ts'
import { farewell } from './wrong-security.ts'

const NO_BYTES = new Uint8Array(0)

/** What a carrier tells whoever made it, beside what the core gets. */
export interface NoiseHome {
  /** The handshake is done: gives the carrier to the core, and says whom its events are for. */
  noiseOpened(carrier: NoiseCarrier, now: number): CarrierEvents
  /** Before `noiseOpened`: this peer is none of ours. */
  noiseFailed(carrier: NoiseCarrier, why: StreamFailure, spoken: Spoken | undefined): void
  /** A record did not open. */
  noiseBroken(carrier: NoiseCarrier, why: number, what: string): void
  /** It is closed; once. */
  noiseGone(carrier: NoiseCarrier): void
}

export class NoiseCarrier implements Carrier, CarrierEvents {
  readonly transport: string
  readonly address: string
  /** The handshake's hash, once it is done. */
  binding: Uint8Array = NO_BYTES
  ticket: Uint8Array | undefined
  readonly #home: NoiseHome
  readonly #inner: Carrier
  readonly #stream: SecureStream
  #events: CarrierEvents | undefined
  #isOver = false
  #now = 0

  constructor(home: NoiseHome, inner: Carrier, stream: SecureStream) {
    this.transport = `${inner.transport}-noise`
    this.address = inner.address
    this.#home = home
    this.#inner = inner
    this.#stream = stream
  }

  get holdsUnread(): boolean {
    return this.#inner.holdsUnread === true
  }

  /** Sends what the stream has to say first: a dialler's message. */
  begin(): void {
    this.#inner.write(this.#stream.drain())
  }

  // ---- what the carrier tells ----

  receive(lent: Uint8Array, now: number): void {
    if (this.#isOver) return
    this.#now = now
    const why = this.#stream.receive(lent, this)
    if (this.#stream.hasOutput && !this.#isOver) this.#inner.write(this.#stream.drain())
    if (why !== undefined && !this.#isOver) this.#fail(why, lent)
  }

  drained(now: number): void {
    this.#events?.drained(now)
  }

  closed(now: number): void {
    this.#isOver = true
    this.#home.noiseGone(this)
    this.#events?.closed(now)
  }

  // ---- what the stream tells ----

  opened(established: Established): void {
    this.binding = established.binding
    this.ticket = established.ticket
    this.#events = this.#home.noiseOpened(this, this.#now)
  }

  /** What comes next is from one who holds the keys, and with a ticket its secret: RESUME can only come behind this. */
  confirmed(): void {}

  received(plain: Uint8Array): void {
    if (!this.#isOver) this.#events!.receive(plain, this.#now)
  }

  // ---- what the core asks for ----

  write(batch: Uint8Array): void {
    if (this.#isOver) return
    const records = this.#stream.sealed(batch)
    if (records.length > 0) this.#inner.write(records)
    if (this.#stream.failure !== undefined) this.#fail(this.#stream.failure, NO_BYTES)
  }

  queuedBytes(): number {
    return this.#inner.queuedBytes()
  }

  pause(): void {
    this.#inner.pause()
  }

  resume(): void {
    this.#inner.resume()
  }

  /** The text stays inside: where it went with a WebSocket's close frame, it could be read on the way. */
  close(why: number, _text: string): void {
    this.#isOver = true
    this.#inner.close(why, '')
  }

  destroy(): void {
    this.#isOver = true
    this.#inner.destroy()
  }

  #fail(why: StreamFailure, lent: Uint8Array): void {
    this.#isOver = true
    if (this.#events !== undefined) {
      // SEC-5.4: at once, and without an answer.
      this.#home.noiseBroken(this, codeOfFailure(why), `a Noise record that is ${why}`)
      this.#inner.destroy()
      return
    }
    const spoken = why === 'wrong_security' ? (sniff(lent) ?? 'unknown') : undefined
    this.#home.noiseFailed(this, why, spoken)
    if (spoken !== undefined) this.#inner.write(farewell(spoken))
    this.#inner.close(codeOfFailure(why), codeName(codeOfFailure(why)))
  }

  /** The handshake takes too long. */
  giveUp(): void {
    this.#isOver = true
    this.#inner.close(code.handshake_timeout, codeName(code.handshake_timeout))
  }
}
