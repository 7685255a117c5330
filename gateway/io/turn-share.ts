// What connections may cost one turn of the event loop. One look at the sockets finds up to thousands that can be read
// (libuv hands them over one by one, up to 49,152 before it looks at a timer), and each may bring 64 KiB. So:
//
//   a connection   is read in portions (portions.ts); past its time what is left of a read waits for the next turn
//   a turn         past its time everything that still comes waits: what was read is copied, its socket is stopped
//   who waits      is served first in the next turn, in the order in which they came, before the sockets are looked at
//
// Clients, links and those who have just been accepted have a share each, so that none keeps another waiting. Nothing is
// refused here and nothing is lost: a socket that is not read fills the kernel's buffer, and that stops its sender. That
// timers come on time says little of the load then; how long the first has waited says it (`waitedMs`), and shedding is told.

export type ShareTimes = {
  /** Of a turn, for all of them. What their reads lead to is written behind it. */
  turnMs: number
  /** For one of which more than a portion was read. */
  eachMs: number
}
const CLIENTS: ShareTimes = { turnMs: 8, eachMs: 1 }
/** What a link carries is for many clients. */
const LINKS: ShareTimes = { turnMs: 6, eachMs: 3 }
const NEWCOMERS: ShareTimes = { turnMs: 3, eachMs: 1 }
/**
 * What all that wait may have kept. Beyond, who brings more is served at once: rather a late timer than no memory. Whom an
 * owner holds may keep more: two reads, as every one.
 */
export const KEPT_BYTES_MAX = 64 * 1024 * 1024
/** The clock is asked once in so many reads: asking costs as much as judging a message. */
const READS_PER_LOOK = 8

/** Who is served in a later turn. */
export interface Waiting {
  /** Set when it begins to wait, to the last time at which the clock was asked. */
  waitsSince: number
  turnCame(): void
}

export class TurnShare {
  /** Of those who wait, and of those whose owners hold them. */
  keptBytes = 0
  readonly #times: ShareTimes
  readonly #now: () => number
  readonly #afterReads: (then: () => void) => unknown
  readonly #queue: Waiting[] = []
  #isOpen = false
  #isSpent = false
  #endsAt = 0
  #lookedAt = 0
  #reads = 0
  readonly #ended = (): void => this.#end()

  /** `now`: monotonic milliseconds; `afterReads` calls back once when the sockets of this turn were all looked at. */
  constructor(times: ShareTimes, now: () => number, afterReads: (then: () => void) => unknown) {
    this.#times = times
    this.#now = now
    this.#afterReads = afterReads
  }

  /** Whether whoever comes now has to wait. To be asked for each read. */
  isSpent(): boolean {
    if (this.#isSpent) return true
    if (!this.#isOpen) this.#open()
    else if (++this.#reads % READS_PER_LOOK === 0) this.#isSpent = this.#look() >= this.#endsAt
    return this.#isSpent
  }

  /** Until when one connection may go on. */
  allowance(): number {
    return this.#look() + this.#times.eachMs
  }

  /** Whether its time or the turn's is used up. */
  isOver(allowance: number): boolean {
    const now = this.#look()
    this.#isSpent ||= now >= this.#endsAt
    return this.#isSpent || now >= allowance
  }

  wait(waiting: Waiting): void {
    if (!this.#isOpen) this.#open()
    waiting.waitsSince = this.#lookedAt
    this.#queue.push(waiting)
  }

  /** How long the first has waited; 0 where nobody does. */
  waitedMs(now: number): number {
    return this.#queue.length === 0 ? 0 : Math.max(0, now - this.#queue[0].waitsSince)
  }

  #look(): number {
    return (this.#lookedAt = this.#now())
  }

  #open(): void {
    this.#isOpen = true
    this.#isSpent = false
    this.#reads = 0
    this.#endsAt = this.#look() + this.#times.turnMs
    this.#afterReads(this.#ended)
  }

  /** Serves who waits out of the next turn's time, each once: one that has more left waits behind the others. */
  #end(): void {
    this.#isOpen = this.#isSpent = false
    const queue = this.#queue
    const count = queue.length
    if (count === 0) return
    this.#open()
    let served = 0
    try {
      while (served < count && !this.isSpent()) queue[served++].turnCame()
    } finally {
      queue.splice(0, served)
    }
  }
}

const monotonicNow = (): number => performance.now()
/** Of this process: accepted connections, links to hosts, and accepted sockets that nobody has looked at yet. */
export const clientShare = new TurnShare(CLIENTS, monotonicNow, setImmediate)
export const linkShare = new TurnShare(LINKS, monotonicNow, setImmediate)
export const newcomerShare = new TurnShare(NEWCOMERS, monotonicNow, setImmediate)
