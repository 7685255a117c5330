// One end of a KCP conversation: a reliable, ordered lane over datagrams, the same bytes as ikcp (docs/spec/kcp.md). Pure:
// bytes and time come as arguments, datagrams and messages leave through the sink. Does not seal, does not know addresses,
// and believes nothing that the check of a datagram refuses. Verbs, in the order of a turn:
//
//   receive(datagram, now)*   -> sink.message(...)*      what came, in order, unless paused
//   send(bytes, now)*                                    accepted or refused, never half
//   tick(now)                 -> sink.packet(...)*       if deadline() has come: acknowledgements, probes, data
//   deadline()                                           when to tick again; Infinity while nothing is due
//
// `now` is monotonic milliseconds, never less than before, and its low 32 bits travel as ts. Ownership: `send` and
// `receive` copy what they keep; sink methods borrow the bytes for the call, and `packet` may also overwrite the
// headroom before and the room after (it is one buffer for all conversations of a pool). A sink must not throw. Inside
// `message` it may call `send`, `pause` and `release` of the same conversation; inside `packet`, nothing of it.
import { AckList } from './ack-list.ts'
import { DatagramCheck, type KcpVerdict, kcpVerdict } from './datagram-check.ts'
import { type PacketSink, PacketWriter } from './packet-writer.ts'
import { type MessageSink, Reader } from './reader.ts'
import { command, field, headerBytes, readInt32 } from './segment.ts'
import { SegmentPool } from './segment-pool.ts'
import { checkKcpSettings, type KcpSettings } from './settings.ts'
import { neverMs, peerWindowFirst, Transmitter } from './transmitter.ts'

export type KcpSink = PacketSink & MessageSink

/** Fewer fragments than any peer's window has segments, or a message could never be whole there (KCP-3.2). */
const FRAGMENTS_MAX = peerWindowFirst - 1
/** Acknowledgements kept between two flushes, for each segment of the window: a path that doubles and doubles again. */
const ACKS_PER_SEGMENT = 4

export class Kcp {
  /** 32 bits, the same at both ends. */
  readonly conv: number
  readonly settings: Readonly<KcpSettings>
  /** Longest message that `send` takes, in bytes; a stream takes any length for which there is room. */
  readonly messageBytesMax: number
  /** One segment was sent `deadLinkCount` times, or `release` was called: nothing is sent or taken any more. */
  isDead = false
  readonly #transmitter: Transmitter
  readonly #reader: Reader
  readonly #acks: AckList
  readonly #check: DatagramCheck
  readonly #writer: PacketWriter
  readonly #mss: number
  readonly #isStream: boolean
  readonly #isImmediate: boolean
  readonly #intervalMs: number
  /** Latest `now`. */
  #now = 0
  /** Earliest time of the next flush where not immediate. */
  #flushAt = 0

  /**
   * A pool shared by many conversations keeps the idle ones small. Every conversation of KCP starts at segment 0; a test
   * of what happens after four thousand million segments starts at `firstSn`, at both ends.
   * @throws RangeError that names the argument or setting that is out of range.
   */
  constructor(conv: number, settings: Readonly<KcpSettings>, sink: KcpSink, pool = new SegmentPool(), firstSn = 0) {
    if (!Number.isInteger(conv) || conv < 0 || conv > 0xffffffff) {
      throw new RangeError(`conv: expected an integer of 32 bits, got ${conv}`)
    }
    checkKcpSettings(settings)
    const { mtu, peerMtu, receiveWindow, sendBytesMax, sendCountMax } = settings
    this.conv = conv
    this.settings = settings
    this.#mss = mtu - headerBytes
    this.#isStream = settings.stream
    this.#isImmediate = settings.immediate
    this.#intervalMs = settings.intervalMs
    this.messageBytesMax = Math.min(Math.min(FRAGMENTS_MAX, sendCountMax) * this.#mss, sendBytesMax)
    this.#transmitter = new Transmitter(settings, pool)
    this.#reader = new Reader(receiveWindow, sink, pool)
    this.#acks = new AckList(ACKS_PER_SEGMENT * receiveWindow)
    this.#check = new DatagramCheck(conv | 0, peerMtu, this.#transmitter.window, this.#reader.window, this.#acks)
    this.#writer = new PacketWriter(conv, mtu, sink, pool)
    this.#transmitter.window.begin(firstSn | 0)
    this.#reader.window.begin(firstSn | 0)
  }

  /**
   * Takes a datagram; what it completes goes to `sink.message` before this returns. Never throws, whatever the bytes
   * are; with any verdict but `accepted` nothing has changed.
   */
  receive(datagram: Uint8Array, now: number): KcpVerdict {
    return this.receiveIn(datagram, 0, datagram.length, now)
  }

  /** As `receive`, of `bytes[start, end)`. */
  receiveIn(bytes: Uint8Array, start: number, end: number, now: number): KcpVerdict {
    if (this.isDead) return kcpVerdict.dead
    const clock = now | 0
    const verdict = this.#check.judge(bytes, start, end, clock)
    if (verdict === kcpVerdict.accepted) {
      this.#now = now
      this.#apply(bytes, start, end, clock)
    }
    return verdict
  }

  /**
   * Queues one message (or bytes of the stream). False when the queue has no room for all of it or the conversation is
   * dead: nothing was queued then. Copies.
   * @throws RangeError when a message is longer than `messageBytesMax`.
   */
  send(bytes: Uint8Array, now: number): boolean {
    if (this.isDead) return false
    this.#now = now
    if (this.#isStream) return this.#sendStream(bytes)
    const mss = this.#mss
    const { window } = this.#transmitter
    const length = bytes.length
    if (length <= mss) {
      if (!window.fits(length, 1)) return false
      window.append(bytes, 0, length, 0)
      return true
    }
    if (length > this.messageBytesMax) {
      throw new RangeError(`bytes: a message has at most ${this.messageBytesMax} bytes, got ${length}`)
    }
    let following = Math.ceil(length / mss)
    if (!window.fits(length, following)) return false
    for (let at = 0; at < length; at += mss) window.append(bytes, at, Math.min(at + mss, length), --following)
    return true
  }

  /** Flushes if something is due; cheap to call when nothing is. */
  tick(now: number): void {
    if (this.deadline() <= now) this.flush(now)
  }

  /** When `tick` has something to do, in the time of `now`; Infinity while only `send` and `receive` can change that. */
  deadline(): number {
    if (this.isDead) return Infinity
    if (this.#acks.count > 0 || this.#reader.isTelling || this.#transmitter.isReady) {
      return this.#isImmediate ? this.#now : this.#flushAt
    }
    const waitMs = this.#transmitter.waitMs(this.#now | 0)
    if (waitMs === neverMs) return Infinity
    const at = Math.floor(this.#now) + waitMs
    return this.#isImmediate ? at : Math.max(at, this.#flushAt)
  }

  /** Sends all that may be sent now, due or not: acknowledgements, probes, data. `tick` calls it when it is due. */
  flush(now: number): void {
    if (this.isDead) return
    this.#now = now
    this.#flushAt = now + this.#intervalMs
    const clock = now | 0
    const { window } = this.#reader
    this.#writer.begin(window.unused, window.next)
    this.#writeControl(clock)
    this.#transmitter.write(this.#writer, clock)
    this.#writer.finish()
    if (this.#transmitter.isExhausted) this.isDead = true
  }

  get isPaused(): boolean {
    return this.#reader.isPaused
  }

  /** Keeps messages back until `resume`; the peer sees the window close. At most two windows of segments are held. */
  pause(): void {
    this.#reader.isPaused = true
  }

  /** Hands on what was kept back, until the sink pauses again. */
  resume(now: number): void {
    this.#now = now
    this.#reader.isPaused = false
    this.#reader.deliver()
  }

  /** Ends this conversation, says nothing to the peer and gives its memory back to the pool. */
  release(): void {
    this.isDead = true
    this.#transmitter.window.clear()
    this.#reader.window.clear()
  }

  /** Payload bytes accepted and not yet on the wire. */
  get queuedBytes(): number {
    return this.#transmitter.window.waitingBytes
  }

  /** Payload bytes accepted and not yet written, which means passed by the peer's una; includes `queuedBytes`. */
  get unackedBytes(): number {
    const { window } = this.#transmitter
    return window.waitingBytes + window.flightBytes
  }

  /** Payload bytes that the peer's una has passed since the beginning. */
  get ackedBytes(): number {
    return this.#transmitter.window.ackedBytes
  }

  /** Payload bytes that came and wait for `resume`, or for what is missing before them. */
  get heldBytes(): number {
    return this.#reader.window.heldBytes
  }

  /** Smoothed, in milliseconds; 0 before the first sample. */
  get rttMs(): number {
    return this.#transmitter.roundTrip.meanMs
  }

  get rttDeviationMs(): number {
    return this.#transmitter.roundTrip.deviationMs
  }

  /** What a new segment waits for its acknowledgement before it is sent again. */
  get rtoMs(): number {
    return this.#transmitter.roundTrip.rtoMs
  }

  /** Segments sent again after a timeout. */
  get timedOut(): number {
    return this.#transmitter.timedOut
  }

  /** Segments sent again because they had been overtaken. */
  get fastResent(): number {
    return this.#transmitter.fastResent
  }

  /** How often the oldest segment in flight was sent, if it has more bytes than that with its header; else 0. */
  sendsOfLonger(bytes: number): number {
    const { window } = this.#transmitter
    if (window.una === window.next) return 0
    const { length, transmits } = window.slots[window.una & window.mask]
    return length + headerBytes > bytes ? transmits : 0
  }

  /** Segments that came again. */
  get duplicates(): number {
    return this.#reader.window.duplicates
  }

  /** Applies a datagram that was checked as a whole. */
  #apply(bytes: Uint8Array, start: number, end: number, clock: number): void {
    const transmitter = this.#transmitter
    const { window } = transmitter
    const unaBefore = window.una
    let hasAck = false
    let ackedSn = 0
    let ackedTs = 0
    let at = start
    // A message handler may have released the conversation.
    while (at < end && !this.isDead) {
      const kind = bytes[at + field.command]
      const ts = readInt32(bytes, at + field.ts)
      const sn = readInt32(bytes, at + field.sn)
      transmitter.peerWindow = bytes[at + field.window] | (bytes[at + field.window + 1] << 8)
      window.passUna(readInt32(bytes, at + field.una))
      const payload = at + headerBytes
      const next = payload + readInt32(bytes, at + field.length)
      if (kind === command.push) {
        this.#acks.add(sn, ts)
        this.#reader.take(sn, bytes[at + field.fragment], bytes, payload, next)
      } else if (kind === command.ack) {
        transmitter.roundTrip.sample((clock - ts) | 0)
        window.acknowledge(sn)
        // The latest segment that arrived is later in number and in time of sending.
        if (!hasAck || (((sn - ackedSn) | 0) > 0 && ((ts - ackedTs) | 0) > 0)) {
          hasAck = true
          ackedSn = sn
          ackedTs = ts
        }
      } else if (kind === command.ask) {
        this.#reader.isTelling = true
      }
      at = next
    }
    if (hasAck) transmitter.overtake(ackedSn, ackedTs)
    if (window.una !== unaBefore) transmitter.advanced()
    this.#reader.deliver()
  }

  #writeControl(clock: number): void {
    const acks = this.#acks
    // The numbers of the last acknowledgement stay in the probes behind it, as ikcp has it.
    let sn = 0
    let ts = 0
    for (let i = 0; i < acks.count; i++) {
      sn = acks.pairs[2 * i]
      ts = acks.pairs[2 * i + 1]
      this.#writer.control(command.ack, sn, ts)
    }
    acks.clear()
    if (this.#transmitter.probe(clock)) this.#writer.control(command.ask, sn, ts)
    if (this.#reader.isTelling) this.#writer.control(command.tell, sn, ts)
    this.#reader.isTelling = false
  }

  #sendStream(bytes: Uint8Array): boolean {
    const mss = this.#mss
    const { window } = this.#transmitter
    const length = bytes.length
    const joined = Math.min(length, window.tailRoom)
    if (!window.fits(length, Math.ceil((length - joined) / mss))) return false
    if (joined > 0) window.extend(bytes, 0, joined)
    for (let at = joined; at < length; at += mss) window.append(bytes, at, Math.min(at + mss, length), 0)
    return true
  }
}
