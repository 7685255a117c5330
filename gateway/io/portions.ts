// The reads of one connection, handed on in portions as its share of a turn allows (turn-share.ts). A portion is lent for
// the call. What has to wait is a copy: a small read, whose turn mostly comes before its socket is looked at again, or one
// that is not small, or a second one; then the socket is not read until they are gone. So two reads are the most.
import { KEPT_BYTES_MAX, type TurnShare, type Waiting } from './turn-share.ts'

const PORTION_BYTES = 8 * 1024
const NOTHING = new Uint8Array(0)

/** The connection, which has the socket. */
export interface PortionReader {
  readonly isOpen: boolean
  /** Takes bytes that are lent for the call. */
  take(portion: Uint8Array): void
  stopReading(): void
  goOnReading(): void
}

export class Portions implements Waiting {
  waitsSince = 0
  readonly #share: TurnShare
  readonly #reader: PortionReader
  #kept: Uint8Array = NOTHING
  #isWaiting = false
  #isStopped = false
  /** Its owner does not want it read (`hold`). */
  #isHeld = false

  constructor(share: TurnShare, reader: PortionReader) {
    this.#share = share
    this.#reader = reader
  }

  /** Whether something was read and not handed on yet. */
  get holds(): boolean {
    return this.#kept.length > 0
  }

  /** Takes what was read: hands it on, now or later. */
  read(lent: Uint8Array): void {
    if (this.#isWaiting || this.#kept.length > 0 || this.#share.isSpent()) {
      if (this.#isHeld || this.#share.keptBytes + lent.length <= KEPT_BYTES_MAX) this.#keep(lent, 0)
      else this.#takeNow(lent)
    } else if (lent.length <= PORTION_BYTES) {
      this.#reader.take(lent)
    } else {
      this.#deal(lent)
    }
  }

  #takeNow(lent: Uint8Array): void {
    const kept = this.#taken()
    if (kept.length > 0) this.#reader.take(kept)
    this.#reader.take(lent)
  }

  hold(): void {
    this.#isHeld = true
    this.#stop()
  }

  goOn(): void {
    this.#isHeld = false
    if (this.#kept.length > 0) this.#wait()
    else if (!this.#isWaiting) this.#start()
  }

  /** Its peer has ended: what it had sent before is handed on now, since it will not come again. To be called at its end. */
  finish(): void {
    const kept = this.#taken()
    if (kept.length > 0 && this.#reader.isOpen) this.#reader.take(kept)
  }

  turnCame(): void {
    this.#isWaiting = false
    if (!this.#reader.isOpen) this.#taken()
    if (this.#isHeld) return
    this.#deal(this.#taken())
    if (this.#kept.length === 0 && !this.#isHeld) this.#start()
  }

  #taken(): Uint8Array {
    const kept = this.#kept
    this.#kept = NOTHING
    this.#share.keptBytes -= kept.length
    return kept
  }

  #deal(bytes: Uint8Array): void {
    const reader = this.#reader
    if (bytes.length <= PORTION_BYTES) {
      if (bytes.length > 0) reader.take(bytes)
      return
    }
    const allowance = this.#share.allowance()
    for (let at = 0; at < bytes.length && reader.isOpen; at += PORTION_BYTES) {
      if (at > 0 && (this.#isHeld || this.#share.isOver(allowance))) {
        this.#keep(bytes, at)
        return
      }
      reader.take(bytes.subarray(at, Math.min(at + PORTION_BYTES, bytes.length)))
    }
  }

  /** A socket that was stopped may still bring what it had read. */
  #keep(bytes: Uint8Array, from: number): void {
    const before = this.#kept
    // Out of the pool where it is small.
    this.#kept = Buffer.allocUnsafe(before.length + bytes.length - from)
    this.#share.keptBytes += bytes.length - from
    this.#kept.set(before)
    this.#kept.set(from === 0 ? bytes : bytes.subarray(from), before.length)
    if (before.length > 0 || this.#kept.length > PORTION_BYTES) this.#stop()
    if (!this.#isHeld) this.#wait()
  }

  #stop(): void {
    if (this.#isStopped) return
    this.#isStopped = true
    this.#reader.stopReading()
  }

  #start(): void {
    if (!this.#isStopped) return
    this.#isStopped = false
    this.#reader.goOnReading()
  }

  #wait(): void {
    if (this.#isWaiting) return
    this.#isWaiting = true
    this.#share.wait(this)
  }
}
