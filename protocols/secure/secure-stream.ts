// Noise over a byte stream: TCP, WebSocket (each message a piece of the stream) or a link (docs/spec/secure.md, section 5).
// Sans-IO: `receive` takes what came, `send` seals a batch of frames once, `drain` gives what is to be written. Any bytes
// of the peer end in frames or in a failure, never in an exception; what is held of an unfinished record is at most twice
// what came of it.
//
//   life: handshake -> open (both may send) -> confirmed (the peer has shown that it holds the keys) | failed, for good
import { code } from '../codes.ts'
import { NO_BYTES, TAG_BYTES } from './crypto.ts'
import {
  answerKind,
  type Established,
  type HandshakeFailure,
  Initiator,
  type InitiatorOptions,
  MESSAGE_BYTES_MAX,
  type Responder,
} from './handshakes.ts'
import { ScratchBuffer } from './scratch-buffer.ts'
import { ANSWER_HEAD_BYTES, FIRST_HEAD_BYTES, PREAMBLE, RECORD_HEAD_BYTES } from './stream-preamble.ts'
import { ViewCache } from './view-cache.ts'

/** A record is at most this long, sealed, without its length. */
export const RECORD_BYTES_MAX = 65_535
export const RECORD_PLAIN_BYTES_MAX = RECORD_BYTES_MAX - TAG_BYTES
/** More than this must not wait for `drain`: the owner of the connection bounds its queue far below (W5). */
export const UNDRAINED_BYTES_MAX = 2 * 2 ** 20
/** Larger buffers are given back when they are empty, so that idle connections hold none. */
const KEPT_BYTES = 1024
const FIRST_TAIL_BYTES = 64

export type StreamFailure = HandshakeFailure | 'wrong_security' | 'exhausted'

/** Told by `receive`, in the order of the bytes. */
export interface SecureStreamSink {
  /** The handshake is done: from now on both ends may send. A ticket is not proved yet. */
  opened(established: Established): void
  /** The peer's first record: it holds the keys, and with a ticket its secret ([SEC-3.6]). */
  confirmed(): void
  /** What one record held; lent for the call. */
  received(plain: Uint8Array): void
}

const scratch = new ScratchBuffer(RECORD_PLAIN_BYTES_MAX)
/** One record that is written at once; with 64 bytes before its text a cipher may need one run instead of two. */
const RECORD_AT = 64 - RECORD_HEAD_BYTES
const record = new Uint8Array(RECORD_AT + RECORD_HEAD_BYTES + RECORD_BYTES_MAX)
const recordViews = new ViewCache(record, RECORD_AT)

export class SecureStream {
  readonly #initiator: Initiator | undefined
  readonly #responder: Responder | undefined
  #ephemeralSecret: Uint8Array | undefined
  #established: Established | undefined
  #isConfirmed = false
  #failure: StreamFailure | undefined
  #tail: Uint8Array = NO_BYTES
  #tailLength = 0
  #out: Uint8Array = NO_BYTES
  #outLength = 0

  /** The end that dials; its first message waits to be drained. */
  static initiator(options: InitiatorOptions): SecureStream {
    return new SecureStream(new Initiator(options), undefined, undefined)
  }

  /** The end that listens. `ephemeralSecret`: 32 random bytes for this connection alone. */
  static responder(responder: Responder, ephemeralSecret: Uint8Array): SecureStream {
    return new SecureStream(undefined, responder, ephemeralSecret)
  }

  private constructor(initiator?: Initiator, responder?: Responder, ephemeralSecret?: Uint8Array) {
    this.#initiator = initiator
    this.#responder = responder
    this.#ephemeralSecret = ephemeralSecret
    if (initiator === undefined) return
    const { kind, versionMin, versionMax, message } = initiator
    const at = this.#reserve(FIRST_HEAD_BYTES + message.length)
    this.#out.set(PREAMBLE, at)
    this.#out.set([kind, versionMin, versionMax, message.length & 0xff, message.length >>> 8], at + PREAMBLE.length)
    this.#out.set(message, at + FIRST_HEAD_BYTES)
  }

  get isOpen(): boolean {
    return this.#established !== undefined && this.#failure === undefined
  }

  get isConfirmed(): boolean {
    return this.#isConfirmed
  }

  get failure(): StreamFailure | undefined {
    return this.#failure
  }

  /** Whether something waits for `drain`. */
  get hasOutput(): boolean {
    return this.#outLength > 0
  }

  /** Bytes kept of an unfinished record. */
  get heldBytes(): number {
    return this.#tailLength
  }

  /** Takes a piece of the stream, borrowed for the call. Returns why the stream has failed, if it has. */
  receive(chunk: Uint8Array, sink: SecureStreamSink): StreamFailure | undefined {
    let at = 0
    while (this.#failure === undefined && at < chunk.length) {
      if (this.#tailLength === 0) {
        const end = at + this.#unitLength(chunk, at, chunk.length)
        if (this.#failure !== undefined) break
        if (end > at && end <= chunk.length) {
          this.#takeUnit(chunk, at, end, sink)
          at = end
          continue
        }
      }
      at = this.#continueTail(chunk, at, sink)
    }
    return this.#failure
  }

  /** Seals a batch into records. Throws before the stream is open and when nobody drains; nothing is sent once failed. */
  send(batch: Uint8Array): void {
    if (this.#failure !== undefined) return
    if (this.#established === undefined) throw new Error('the stream is not open yet')
    if (this.#outLength > UNDRAINED_BYTES_MAX) throw new Error('what was sealed before has not been drained')
    for (let start = 0; start < batch.length; start += RECORD_PLAIN_BYTES_MAX) {
      this.#seal(batch.subarray(start, Math.min(batch.length, start + RECORD_PLAIN_BYTES_MAX)))
    }
  }

  /**
   * `send` and `drain` in one, for who writes at once: nothing is allocated for a batch of one record. Lent until the next
   * call of any stream.
   */
  sealed(batch: Uint8Array): Uint8Array {
    const isOne = batch.length > 0 && batch.length <= RECORD_PLAIN_BYTES_MAX
    if (!this.isOpen || !isOne || this.#outLength > 0) {
      this.send(batch)
      return this.drain()
    }
    if (!this.#writeRecord(batch, record, RECORD_AT)) return NO_BYTES
    return recordViews.of(RECORD_HEAD_BYTES + batch.length + TAG_BYTES)
  }

  /** What is to be written now; empty when there is nothing. Lent until the next call of any method. */
  drain(): Uint8Array {
    const bytes = this.#out.subarray(0, this.#outLength)
    this.#outLength = 0
    if (this.#out.length > KEPT_BYTES) this.#out = NO_BYTES
    return bytes
  }

  /** Fills the tail up to the next thing that can be known: the head of a unit, then the whole of it. */
  #continueTail(chunk: Uint8Array, at: number, sink: SecureStreamSink): number {
    const known = this.#unitLength(this.#tail, 0, this.#tailLength)
    const wanted = known > 0 ? known : this.#headBytes()
    // A head is looked at byte by byte: what cannot become right fails at once.
    const step = known > 0 ? Math.min(wanted - this.#tailLength, chunk.length - at) : 1
    this.#keep(chunk.subarray(at, at + step), wanted)
    const whole = this.#unitLength(this.#tail, 0, this.#tailLength)
    if (this.#failure === undefined && whole > 0 && whole === this.#tailLength) {
      const unit = this.#tail
      this.#tailLength = 0
      if (unit.length > KEPT_BYTES) this.#tail = NO_BYTES
      this.#takeUnit(unit, 0, whole, sink)
    }
    return at + step
  }

  #headBytes(): number {
    if (this.#established !== undefined) return RECORD_HEAD_BYTES
    return this.#initiator === undefined ? FIRST_HEAD_BYTES : ANSWER_HEAD_BYTES
  }

  /** Length of the unit that begins at `start`, head included; 0 while that is not known. May fail the stream. */
  #unitLength(bytes: Uint8Array, start: number, end: number): number {
    const isFirst = this.#established === undefined && this.#initiator === undefined
    if (isFirst) {
      for (let i = 0; i < PREAMBLE.length && start + i < end; i++) {
        if (bytes[start + i] !== PREAMBLE[i]) return this.#fail('wrong_security')
      }
    }
    const isAnswer = this.#established === undefined && this.#initiator !== undefined
    if (isAnswer && start < end && bytes[start] !== answerKind.accepted && bytes[start] !== answerKind.refused) {
      return this.#fail('wrong_security')
    }
    const head = this.#headBytes()
    if (end - start < head) return 0
    const length = bytes[start + head - 2] | (bytes[start + head - 1] << 8)
    if (this.#established === undefined && length > MESSAGE_BYTES_MAX) return this.#fail('too_large')
    if (length < TAG_BYTES) return this.#fail('truncated')
    return head + length
  }

  #takeUnit(bytes: Uint8Array, start: number, end: number, sink: SecureStreamSink): void {
    if (this.#established !== undefined) this.#takeRecord(bytes, start + RECORD_HEAD_BYTES, end, sink)
    else if (this.#initiator !== undefined) this.#takeAnswer(bytes, start, end, sink)
    else this.#takeFirst(bytes, start, end, sink)
  }

  #takeFirst(bytes: Uint8Array, start: number, end: number, sink: SecureStreamSink): void {
    const at = start + PREAMBLE.length
    const message = bytes.subarray(start + FIRST_HEAD_BYTES, end)
    const read = this.#responder!.read(bytes[at], bytes[at + 1], bytes[at + 2], message)
    if (!read.ok) {
      this.#fail(read.why)
      return
    }
    const answer = read.first.answer(this.#ephemeralSecret!)
    this.#ephemeralSecret = undefined
    const { length } = answer.message
    const place = this.#reserve(ANSWER_HEAD_BYTES + length)
    this.#out.set([answer.kind, length & 0xff, length >>> 8], place)
    this.#out.set(answer.message, place + ANSWER_HEAD_BYTES)
    this.#established = answer.established
    sink.opened(answer.established)
  }

  #takeAnswer(bytes: Uint8Array, start: number, end: number, sink: SecureStreamSink): void {
    const read = this.#initiator!.readAnswer(bytes[start], bytes.subarray(start + ANSWER_HEAD_BYTES, end))
    if (!read.ok) {
      this.#fail(read.why)
      return
    }
    this.#established = read.established
    // Proves to the responder that we hold the keys, before anybody has something to say (SEC-3.6).
    this.#seal(NO_BYTES)
    sink.opened(read.established)
  }

  #takeRecord(bytes: Uint8Array, start: number, end: number, sink: SecureStreamSink): void {
    const plain = scratch.lend(end - start - TAG_BYTES)
    try {
      if (!this.#established!.receive.openFrom(bytes, start, end, plain)) {
        this.#fail('forged')
        return
      }
      if (!this.#isConfirmed) {
        this.#isConfirmed = true
        sink.confirmed()
      }
      if (plain.length > 0) sink.received(plain)
    } finally {
      scratch.giveBack(plain)
    }
  }

  #seal(plain: Uint8Array): void {
    const at = this.#reserve(RECORD_HEAD_BYTES + plain.length + TAG_BYTES)
    if (!this.#writeRecord(plain, this.#out, at)) this.#outLength = at
  }

  /** One record to `bytes` from `at` on; false where no counter is left, which ends the stream. */
  #writeRecord(plain: Uint8Array, bytes: Uint8Array, at: number): boolean {
    const { send } = this.#established!
    if (send.isExhausted) {
      this.#fail('exhausted')
      return false
    }
    const length = plain.length + TAG_BYTES
    bytes[at] = length
    bytes[at + 1] = length >>> 8
    send.sealInto(plain, bytes, at + RECORD_HEAD_BYTES)
    return true
  }

  /** Makes room for `length` bytes to be written and returns where it begins. */
  #reserve(length: number): number {
    const at = this.#outLength
    this.#out = grown(this.#out, at, at + length, Math.max(2 * at, at + length))
    this.#outLength = at + length
    return at
  }

  /** Grown with what has come, not with what a length announces: a peer cannot reserve memory that it did not fill. */
  #keep(bytes: Uint8Array, wanted: number): void {
    const needed = this.#tailLength + bytes.length
    this.#tail = grown(this.#tail, this.#tailLength, needed, Math.min(wanted, Math.max(2 * needed, FIRST_TAIL_BYTES)))
    this.#tail.set(bytes, this.#tailLength)
    this.#tailLength = needed
  }

  #fail(why: StreamFailure): 0 {
    this.#failure ??= why
    this.#tail = NO_BYTES
    this.#tailLength = 0
    return 0
  }
}

/** The code that the connection is closed with. */
export function codeOfFailure(why: StreamFailure): number {
  if (why === 'wrong_security') return code.wrong_security
  return why === 'version' ? code.version : code.protocol
}

function grown(buffer: Uint8Array, used: number, needed: number, length: number): Uint8Array {
  if (buffer.length >= needed) return buffer
  const larger = new Uint8Array(Math.max(needed, length))
  larger.set(buffer.subarray(0, used))
  return larger
}
