// The way out to one peer: a Writer that collects a turn's frames, and the carrier that gets them in one write (design 3).
// `Turn` knows which peers have something to say and asks the process for one flush at the end of the event-loop turn.
//
// Buffers: what `carrier.write` is lent is the Writer's own; the carrier copies what it cannot pass on at once. A client's
// outlet has a Writer from its first frame of a turn until the flush only: an idle client holds none, and busy ones share
// few that stay in the processor's cache. A buffer that one burst made large is not kept.
import { Writer } from '../protocols/wire/writer.ts'
import type { Counters } from './counters.ts'
import { cell } from './counters.ts'
import type { Carrier } from './seams.ts'

const FIRST_BYTES = 512
const CLIENT_KEPT_BYTES = 16 * 1024
/** Writers kept for the next turn. */
const SPARE_WRITERS_MAX = 1024
const LINK_KEPT_BYTES = 1024 * 1024

export class Outlet {
  readonly carrier: Carrier
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
  #writer: Writer | undefined

  constructor(turn: Turn, carrier: Carrier, isLink: boolean) {
    this.#turn = turn
    this.carrier = carrier
    this.#isLink = isLink
  }

  /** To be asked for at each use: it is another one after the flush. */
  get writer(): Writer {
    this.#writer ??= this.#turn.takeWriter()
    return this.#writer
  }

  /** To be called after writing: this outlet is flushed at the end of the turn. */
  touch(): void {
    if (this.#isDirty || this.#isDead) return
    this.#isDirty = true
    if (this.#isLink) this.#turn.addLink(this)
    else this.#turn.add(this)
  }

  /** What was just written (an ATTACHED, the announcement of a route) is needed to read datagrams (KCP-7.6). */
  holdDatagrams(): void {
    this.#datagramsFrom = this.#written + (this.#writer?.at ?? 0)
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
    const writer = this.#writer
    return writer === undefined ? this.queued : writer.at + this.queued
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
    this.#writer = undefined
    this.#sample(0)
  }

  flush(): void {
    this.#isDirty = false
    const writer = this.#writer
    if (this.#isDead) {
      this.#writer = undefined
      return
    }
    if (writer !== undefined && writer.at > 0) {
      const length = writer.at
      this.#turn.counters.cells[this.#isLink ? cell.linkBytesOut : cell.clientBytesOut] += length
      this.carrier.write(writer.view())
      this.#written += length
      writer.clear()
      this.#sample(this.carrier.queuedBytes())
      if (this.#isLink) {
        if (writer.bytes.length > LINK_KEPT_BYTES) writer.reset(FIRST_BYTES)
      } else {
        this.#writer = undefined
        this.#turn.giveWriter(writer)
      }
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
  readonly #writers: Writer[] = []
  #isScheduled = false
  /** What links have to say waits for `flushLinks`. */
  linksWait = false
  readonly #scheduleLinkFlush: () => void
  #waitingLinks: Outlet[] = []

  constructor(counters: Counters, scheduleFlush: () => void, scheduleLinkFlush = scheduleFlush) {
    this.counters = counters
    this.#scheduleFlush = scheduleFlush
    this.#scheduleLinkFlush = scheduleLinkFlush
  }

  takeWriter(): Writer {
    return this.#writers.pop() ?? new Writer(FIRST_BYTES)
  }

  /** Takes an empty one back, for whoever asks next. */
  giveWriter(writer: Writer): void {
    if (this.#writers.length < SPARE_WRITERS_MAX && writer.bytes.length <= CLIENT_KEPT_BYTES) this.#writers.push(writer)
  }

  add(outlet: Outlet): void {
    this.#dirty.push(outlet)
    this.schedule()
  }

  /** A link may wait to gather what several turns bring (`times.linkFlushDelay`). */
  addLink(outlet: Outlet): void {
    if (!this.linksWait) {
      this.add(outlet)
      return
    }
    this.#waitingLinks.push(outlet)
    if (this.#waitingLinks.length === 1) this.#scheduleLinkFlush()
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

  /** Writes the frames of links that waited. */
  flushLinks(): void {
    const batch = this.#waitingLinks
    this.#waitingLinks = []
    for (const outlet of batch) outlet.flush()
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
