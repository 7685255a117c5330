// The receiving half of a lane: takes exactly the next number, remembers which taken ones are settled, and (at a host)
// which numbers arrived as refused. `received` and `settled` are different numbers: a message in a mailbox is received
// and not settled; only `settled` is acknowledged (W2).
//
// Invariant: settled <= received; `refused` is sorted and above what the other end knows to be acked (R2).
import type { RefusedNumber } from '../client/frames.ts'

export const taken = { next: 0, duplicate: 1, gap: 2 } as const
export type Taken = (typeof taken)[keyof typeof taken]

/** Replies and FIN do not count in a window: 64 open requests and one FIN (W4, R2). */
export const BEYOND_WINDOW = 65

export class Intake {
  received = 0
  settled = 0
  /** When a number was last taken here; monotonic (R6). */
  lastTakenAt: number
  refused: RefusedNumber[] = []
  /** Highest settled number written in an ACK on the current attach. */
  ackedOut = 0
  /** Payload bytes settled since the last ACK. */
  bytesSinceAck = 0
  /** Payload bytes of numbered messages delivered and not settled. */
  unsettledBytes = 0
  duplicates = 0
  #finished: Set<number> = new Set()

  constructor(now: number) {
    this.lastTakenAt = now
  }

  /** Judges a number: only received + 1 is taken, nobody accepts a gap (N3). */
  take(number: number, now: number): Taken {
    if (number <= this.received) {
      this.duplicates++
      return taken.duplicate
    }
    if (number !== this.received + 1) return taken.gap
    this.received = number
    this.lastTakenAt = now
    return taken.next
  }

  /** The handler of `number` has finished, or there is none to run. True if `settled` rose. */
  settle(number: number): boolean {
    if (number <= this.settled) return false
    if (number !== this.settled + 1) {
      this.#finished.add(number)
      return false
    }
    this.settled = number
    while (this.#finished.size > 0 && this.#finished.delete(this.settled + 1)) this.settled++
    return true
  }

  /** Remembers a refused number until the other end is known to know it (R2). */
  refuse(number: number, code: number, largestWindow: number): void {
    this.refused.push({ number, code })
    this.forgetRefused(this.received - largestWindow - BEYOND_WINDOW)
  }

  /** Forgets refused numbers up to `number`. */
  forgetRefused(number: number): void {
    let gone = 0
    while (gone < this.refused.length && this.refused[gone].number <= number) gone++
    if (gone > 0) this.refused.splice(0, gone)
  }

  get hasUnackedSettled(): boolean {
    return this.settled > this.ackedOut
  }

  /** Unsettled numbers held out of order: bounded by the window. */
  get finishedHeld(): number {
    return this.#finished.size
  }
}
