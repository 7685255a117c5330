// A client's connection over datagrams: KCP in an envelope (plain or sealed), frames beside it, and an end (docs/spec/kcp.md,
// section 7). Sans-IO: the socket under it gives datagrams and time, and sends what the sink is handed.
//
//   verbs   receive, write, sendBare, moved, close: any order; then `pump`, at the end of the turn and at `deadline()`
//
//   shaking -> open -> closing -> closed        closed from everywhere
import { clientKind, writePair } from '../../protocols/client/frames.ts'
import type { KcpSettings } from '../../protocols/kcp/settings.ts'
import { Writer } from '../../protocols/wire/writer.ts'
import type { Envelope } from './envelope.ts'
import { KcpStream } from './kcp-stream.ts'

export interface KcpLineSink {
  /** One datagram to the gateway, lent for the call. */
  send(datagram: Uint8Array): void
  /**
   * Ready for bytes; `binding` is what the line is bound to, empty where it has nothing. `isTicketTaken`: what there was to
   * resume was shown in the handshake, and taken.
   */
  opened(binding: Uint8Array, isTicketTaken: boolean): void
  /** Bytes of the stream, lent for the call. */
  received(bytes: Uint8Array): void
  /** One frame that came beside the stream, lent for the call. */
  bare(frame: Uint8Array): void
  drained(): void
  /**
   * Something is unconfirmed and nothing was heard for a while, or the gateway does not know the line any more (DGM-9.3); told
   * again after as long a while.
   */
  stalled(): void
  /** Over; nothing is told any more. */
  closed(text: string): void
}

/** How long a line that was closed waits for what it wrote to be confirmed (KCP-7.4). */
export const LINGER_MS = 1000
/** Something is unconfirmed and nothing was heard for so long: the way is blocked, or the gateway gone. */
export const STALL_MS = 2000
const KCP_HEADER_ROOM = 24

export class KcpLine {
  readonly #envelope: Envelope
  readonly #stream: KcpStream
  readonly #sink: KcpLineSink
  #state: 'shaking' | 'open' | 'closing' | 'closed' = 'shaking'
  #closesAt = Infinity
  #owedSince = Infinity
  /** RESETs until then are one. */
  #resetUntil = -Infinity

  /** @throws RangeError for settings that are out of range. */
  constructor(conv: number, settings: Readonly<KcpSettings>, envelope: Envelope, sink: KcpLineSink, now: number) {
    this.#envelope = envelope
    this.#sink = sink
    const mtu = Math.max(KCP_HEADER_ROOM, Math.min(settings.mtu, envelope.contentBytesMax))
    this.#stream = new KcpStream(
      conv,
      { ...settings, mtu, stream: true },
      {
        segments: (bytes, start, end) => this.#send(bytes.subarray(start, end)),
        received: (bytes) => this.#received(bytes),
        drained: () => this.#state === 'open' && sink.drained(),
      },
    )
    // KCP has no handshake: where the envelope has none either, a PING tells the gateway that we are here (KCP-7.3).
    if (!envelope.isReady) return
    const hello = new Writer()
    writePair(hello, clientKind.ping, 0, 0)
    this.#stream.write(hello.view(), now)
  }

  get isClosed(): boolean {
    return this.#state === 'closed'
  }

  /** Whether it goes on from another address of ours; plain KCP is known by its address. */
  get canMove(): boolean {
    return this.#state === 'open' && this.#envelope.canMove
  }

  get queuedBytes(): number {
    return this.#stream.queuedBytes
  }

  get rttMs(): number {
    return this.#stream.rttMs
  }

  /** Takes a datagram from the socket, lent for the call. Whatever it is, it never throws; false: it was nothing of ours. */
  receive(datagram: Uint8Array, now: number): boolean {
    if (this.#state === 'closed') return false
    const wasReady = this.#envelope.isReady
    const opened = this.#envelope.receive(datagram, now)
    if (!wasReady && this.#envelope.isReady) this.#open()
    switch (opened.kind) {
      case 'segments':
        if (!this.#stream.receive(opened.bytes, now)) return false
        break
      case 'bare':
        if (this.#state === 'open') this.#sink.bare(opened.bytes)
        break
      case 'closed':
        this.#end(opened.text)
        return true
      case 'dropped':
        return false
      case 'reset':
        this.#reset(now)
        return true
    }
    this.#owedSince = this.#stream.queuedBytes > 0 ? now : Infinity
    return true
  }

  /** Bytes of the stream, lent for the call; nothing before it is open. */
  write(bytes: Uint8Array, now: number): void {
    if (this.#state !== 'open') return
    this.#stream.write(bytes, now)
    if (this.#owedSince === Infinity) this.#owedSince = now
  }

  /** One frame beside the stream; false: it is to go in the stream. */
  sendBare(frame: Uint8Array): boolean {
    if (this.#state !== 'open' || !this.#envelope.hasBare || frame.length > this.#envelope.contentBytesMax) return false
    const datagram = this.#envelope.wrap('bare', frame)
    if (datagram !== undefined) this.#sink.send(datagram)
    return datagram !== undefined
  }

  /** Our own address has changed: the conversation goes on, under a fresh connection id. */
  moved(now: number): void {
    if (this.#state !== 'closed') this.#envelope.moved(now)
  }

  /** Ends it behind what was written, for LINGER_MS at most. */
  close(now: number): void {
    if (this.#state === 'shaking') this.#closesAt = now
    else if (this.#state === 'open') this.#closesAt = now + LINGER_MS
    else return
    this.#state = 'closing'
  }

  /** Sends what is due; to be called at the end of each turn with another verb in it, and at `deadline()`. */
  pump(now: number): void {
    if (this.#state === 'closed') return
    const envelope = this.#envelope
    envelope.tick(now)
    this.#drainEnvelope(now)
    if (envelope.isReady) this.#stream.tick(now)
    if (this.#state === 'closing' && (this.#stream.queuedBytes === 0 || now >= this.#closesAt)) {
      envelope.close()
      this.#drainEnvelope(now)
      this.#end('')
      return
    }
    const failure = this.#stream.isDead ? 'the gateway does not answer' : envelope.failure(now)
    if (failure !== undefined) {
      this.#end(failure)
    } else if (this.#state === 'open' && now >= this.#stallsAt) {
      this.#owedSince = now
      this.#sink.stalled()
    }
  }

  deadline(): number {
    if (this.#state === 'closed') return Infinity
    const stream = this.#envelope.isReady ? this.#stream.deadline() : Infinity
    return Math.min(
      stream,
      this.#envelope.deadline(),
      this.#closesAt,
      this.#state === 'open' ? this.#stallsAt : Infinity,
    )
  }

  get #stallsAt(): number {
    return this.#owedSince + STALL_MS
  }

  #open(): void {
    if (this.#state !== 'shaking') return
    this.#state = 'open'
    this.#sink.opened(this.#envelope.binding, this.#envelope.isTicketTaken)
  }

  /** Looked for elsewhere, and not ended: what lives is heard again, whoever says that it does not (DGM-9.4). */
  #reset(now: number): void {
    if (this.#state === 'closing') this.#end('')
    if (this.#state !== 'open' || now < this.#resetUntil) return
    this.#resetUntil = now + STALL_MS
    this.#sink.stalled()
  }

  #received(bytes: Uint8Array): void {
    // Without a handshake the first bytes are what says that the gateway is there.
    this.#open()
    if (this.#state === 'open') this.#sink.received(bytes)
  }

  #send(segments: Uint8Array): void {
    const datagram = this.#envelope.wrap('segments', segments)
    if (datagram !== undefined) this.#sink.send(datagram)
  }

  #drainEnvelope(now: number): void {
    for (let next = this.#envelope.next(now); next !== undefined; next = this.#envelope.next(now)) this.#sink.send(next)
  }

  #end(text: string): void {
    this.#state = 'closed'
    this.#stream.release()
    this.#sink.closed(text)
  }
}
