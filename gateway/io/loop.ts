// The core's place in the event loop: one flush at the end of a turn that asked for it, one timer for all deadlines. The
// timer is set again only when something is due earlier than it fires; when it fires early it just looks again. An idle
// gateway has no timer, and one with idle connections wakes when their next heartbeat is due.
//
// Measured against flushing in a microtask or behind each read: setImmediate costs 1.3 to 2 times less per message, since
// everything that one poll of the kernel brought shares its writes. Where few messages come a turn, links may wait for those
// of the next turns too (`times.linkFlushDelay`); clients never do: each has a write of its own anyway.

import { batch } from './batch.ts'

/** What is driven: gateway/gateway.ts, and what comes behind it: listeners of datagrams (gateway/kcp-carriers.ts). */
export type Machine = { deadline(): number; tick(now: number): void; flush(now: number): void }

/** The event loop counts whole milliseconds: a timer set for a moment would fire just before it, for nothing. */
const GRAIN_MS = 1
/** setTimeout takes no more; the timer then looks again. */
const LATEST_MS = 2 ** 31 - 1

export const monotonicNow = (): number => (batch.isDated ? batch.beganAt : performance.now())

/** gateway/gateway.ts, with its links. */
export type Core = Machine & { flushLinks(now: number): void }

export class Loop {
  /** The core is the first: what it writes in a flush leaves in the same one. */
  #machines: readonly Machine[] = []
  /** A reload changes it. */
  linkFlushDelayMs: number
  #core: Core | undefined
  #timer: NodeJS.Timeout | undefined
  /** When the timer fires; Infinity while there is none. */
  #firesAt = Infinity
  #isFlushAsked = false
  wakeups = 0
  readonly #fire = (): void => {
    this.#firesAt = Infinity
    this.wakeups++
    for (const machine of this.#machines) {
      const now = monotonicNow()
      if (machine.deadline() <= now) machine.tick(now)
    }
    this.poke()
  }
  readonly #flush = (): void => {
    this.#isFlushAsked = false
    // Each at a time of its own: what the first wrote has a time that may not be later than the flush of the second.
    for (const machine of this.#machines) {
      machine.flush(batch.date())
      batch.undate()
    }
    this.poke()
  }

  readonly #flushLinks = (): void => {
    this.#core?.flushLinks(monotonicNow())
    this.poke()
  }

  constructor(linkFlushDelayMs: number) {
    this.linkFlushDelayMs = linkFlushDelayMs
  }

  /** Drives the core. */
  start(machine: Core): void {
    this.#core = machine
    this.#machines = [machine, ...this.#machines]
    this.poke()
  }

  /** Drives something behind the core as well. */
  add(machine: Machine): void {
    this.#machines = [...this.#machines, machine]
  }

  /** Drives this one no longer. */
  remove(machine: Machine): void {
    this.#machines = this.#machines.filter((other) => other !== machine)
    if (machine === this.#core) this.#core = undefined
    if (this.#machines.length > 0) return
    clearTimeout(this.#timer)
    this.#firesAt = Infinity
  }

  /** The next deadline may be earlier than it was. */
  poke(): void {
    let at = Infinity
    for (const machine of this.#machines) at = Math.min(at, machine.deadline())
    if (at >= this.#firesAt || at === Infinity) return
    clearTimeout(this.#timer)
    const inMs = Math.min(Math.max(Math.ceil(at - monotonicNow()), 0) + GRAIN_MS, LATEST_MS)
    this.#firesAt = at
    this.#timer = setTimeout(this.#fire, inMs)
  }

  /** Something has to be written at the end of this turn. */
  scheduleFlush(): void {
    if (this.#isFlushAsked) return
    this.#isFlushAsked = true
    if (batch.isOpen) batch.atEnd(this.#flush)
    else setImmediate(this.#flush)
  }

  /** Links have something to say, which may gather for a while. */
  scheduleLinkFlush(): void {
    setTimeout(this.#flushLinks, this.linkFlushDelayMs)
  }
}
