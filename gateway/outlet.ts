// The way out to one peer: a Writer that collects a turn's frames, and the carrier that gets them in one write (design 3).
// `Turn` knows which peers have something to say and asks the process for one flush at the end of the event-loop turn.
//
// Buffers: what `carrier.write` is lent is the Writer's own; the carrier copies what it cannot pass on at once. A buffer
// that one burst made large is not kept.
import { Writer } from '../protocols/wire/writer.ts'
import type { Counters } from './counters.ts'
import { cell } from './counters.ts'
import type { Carrier } from './seams.ts'

const FIRST_BYTES = 256
const CLIENT_KEPT_BYTES = 16 * 1024
const LINK_KEPT_BYTES = 1024 * 1024

export class Outlet {
  readonly carrier: Carrier
  readonly writer: Writer
  /** Bytes that the carrier held when last asked: never less than now, unless written to since. */
  queued = 0
  readonly #turn: Turn
  readonly #isLink: boolean
  /** Bytes given to the carrier since the beginning. */
  #written = 0
  /** How many of them the peer must have before datagrams beside them mean anything to it. */
  #datagramsFrom = 0
  #isDirty = false
  #isDead = false
  #end: { code: number; text: string } | undefined

  constructor(turn: Turn, carrier: Carrier, isLink: boolean) {
    this.#turn = turn
    this.carrier = carrier
    this.#isLink = isLink
    this.writer = new Writer(FIRST_BYTES)
  }

  /** To be called after writing: this outlet is flushed at the end of the turn. */
  touch(): void {
    if (this.#isDirty || this.#isDead) return
    this.#isDirty = true
    this.#turn.add(this)
  }

  /** What was just written (an ATTACHED, the announcement of a route) is needed to read datagrams (KCP-7.6). */
  holdDatagrams(): void {
    this.#datagramsFrom = this.#written + this.writer.at
  }

  /** Whether there is a path for datagrams, and the peer has all that it needs to read them. */
  get takesDatagrams(): boolean {
    const carrier = this.carrier
    return carrier.datagram !== undefined && this.#written - carrier.queuedBytes() >= this.#datagramsFrom
  }

  /** Bytes given to the carrier so far. */
  get written(): number {
    return this.#written
  }

  /** What is held for this peer, by our own count (W5). */
  get held(): number {
    return this.writer.at + this.queued
  }

  /** The same, having asked the carrier. */
  heldNow(): number {
    if (!this.#isDead) this.#sample(this.carrier.queuedBytes())
    return this.held
  }

  /** Ends the carrier at once; nothing more is sent. */
  destroy(): void {
    this.forget()
    this.carrier.destroy()
  }

  /** Ends the carrier behind what is written by the end of this turn. */
  endAfterFlush(code: number, text: string): void {
    this.#end ??= { code, text }
    this.touch()
  }

  /** The carrier is gone: nothing more is written or counted. */
  forget(): void {
    this.#isDead = true
    this.writer.clear()
    this.#sample(0)
  }

  flush(): void {
    this.#isDirty = false
    const writer = this.writer
    if (this.#isDead) {
      writer.clear()
      return
    }
    const length = writer.at
    if (length > 0) {
      this.#turn.counters.cells[this.#isLink ? cell.linkBytesOut : cell.clientBytesOut] += length
      this.carrier.write(writer.view())
      this.#written += length
      writer.clear()
      if (writer.bytes.length > (this.#isLink ? LINK_KEPT_BYTES : CLIENT_KEPT_BYTES)) {
        writer.bytes = new Uint8Array(FIRST_BYTES)
      }
      this.#sample(this.carrier.queuedBytes())
    }
    const end = this.#end
    if (end === undefined) return
    this.#isDead = true
    this.carrier.close(end.code, end.text)
  }

  #sample(queued: number): void {
    this.#turn.counters.cells[this.#isLink ? cell.linkQueueBytes : cell.clientQueueBytes] += queued - this.queued
    this.queued = queued
  }
}

export class Turn {
  readonly counters: Counters
  readonly #scheduleFlush: () => void
  #dirty: Outlet[] = []
  #spare: Outlet[] = []
  #isScheduled = false

  constructor(counters: Counters, scheduleFlush: () => void) {
    this.counters = counters
    this.#scheduleFlush = scheduleFlush
  }

  add(outlet: Outlet): void {
    this.#dirty.push(outlet)
    this.schedule()
  }

  schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    this.#scheduleFlush()
  }

  /** The flush that was asked for has begun. */
  begin(): void {
    this.#isScheduled = false
  }

  /** Writes each peer's frames, once. Peers touched while this runs wait for the next turn. */
  flush(): void {
    const batch = this.#dirty
    if (batch.length === 0) return
    this.#dirty = this.#spare
    this.#spare = batch
    this.counters.cells[cell.flushes]++
    for (let i = 0; i < batch.length; i++) batch[i].flush()
    batch.length = 0
  }
}
