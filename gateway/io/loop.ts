// The core's place in the event loop: one flush at the end of a turn that asked for it, one timer for all deadlines. The
// timer is set again only when something is due earlier than it fires; when it fires early it just looks again. An idle
// gateway has no timer, and one with idle connections wakes when their next heartbeat is due.
//
// Measured against flushing in a microtask or behind each read: setImmediate costs 1.3 to 2 times less per message, since
// everything that one poll of the kernel brought shares its writes. A flush delay trades latency for the same when few
// messages come a turn.

/** What is driven: gateway/gateway.ts. */
export type Machine = { deadline(): number; tick(now: number): void; flush(now: number): void }

/** The event loop counts whole milliseconds: a timer set for a moment would fire just before it, for nothing. */
const GRAIN_MS = 1
/** setTimeout takes no more; the timer then looks again. */
const LATEST_MS = 2 ** 31 - 1

export const monotonicNow = (): number => performance.now()

export class Loop {
  #machine: Machine | undefined
  /** A reload changes it. */
  flushDelayMs: number
  #timer: NodeJS.Timeout | undefined
  /** When the timer fires; Infinity while there is none. */
  #firesAt = Infinity
  wakeups = 0
  readonly #fire = (): void => {
    this.#firesAt = Infinity
    this.wakeups++
    const machine = this.#machine
    if (machine === undefined) return
    const now = monotonicNow()
    if (machine.deadline() <= now) machine.tick(now)
    this.poke()
  }
  readonly #flush = (): void => {
    this.#machine?.flush(monotonicNow())
    this.poke()
  }

  constructor(flushDelayMs: number) {
    this.flushDelayMs = flushDelayMs
  }

  start(machine: Machine): void {
    this.#machine = machine
    this.poke()
  }

  stop(): void {
    this.#machine = undefined
    clearTimeout(this.#timer)
    this.#firesAt = Infinity
  }

  /** The next deadline may be earlier than it was. */
  poke(): void {
    const machine = this.#machine
    if (machine === undefined) return
    const at = machine.deadline()
    if (at >= this.#firesAt || at === Infinity) return
    clearTimeout(this.#timer)
    const inMs = Math.min(Math.max(Math.ceil(at - monotonicNow()), 0) + GRAIN_MS, LATEST_MS)
    this.#firesAt = at
    this.#timer = setTimeout(this.#fire, inMs)
  }

  /** The machine has something to write. */
  scheduleFlush(): void {
    if (this.flushDelayMs > 0) setTimeout(this.#flush, this.flushDelayMs)
    else setImmediate(this.#flush)
  }
}
