// The mailbox of a client's channel: what came, handled one at a time and in order (W2). A handler that returns a thenable
// holds the next message back until it has settled, or until the handler deadline cuts it. What is numbered is bounded by
// the host's window; of everything else at most 1,024 messages wait, and a waiting `latest` takes its newer value.
import type { ChannelEnd, Incoming } from '../../protocols/session/channel-end.ts'
import { laneKind } from '../../protocols/wire/lane-frames.ts'

export type Delivery = { message: Incoming; end: ChannelEnd }

/** Who handles messages. Of `finished`, `failed` and `cut` exactly one is called for each message that was handled. */
export interface Handling {
  /** May throw, may return a thenable. */
  handle(message: Incoming): unknown
  finished(delivery: Delivery, value: unknown): void
  failed(delivery: Delivery, error: unknown): void
  cut(delivery: Delivery): void
}

type Thenable = { then(resolved: (value: unknown) => void, rejected: (error: unknown) => void): unknown }

const isThenable = (value: unknown): value is Thenable =>
  value !== null && typeof value === 'object' && typeof (value as Thenable).then === 'function'

/** Unnumbered messages that may wait. */
export const UNNUMBERED_MAX = 1024

export class Deliveries {
  dropped = 0
  readonly #handling: Handling
  readonly #deadlineMs: number
  #queue: Delivery[] = []
  #head = 0
  #unnumbered = 0
  #isStarted = false
  #isRunning = false
  /** The message whose handler has not settled yet. */
  #pending: Delivery | undefined
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(handling: Handling, deadlineMs: number) {
    this.#handling = handling
    this.#deadlineMs = deadlineMs
  }

  /** Handlers begin to run (A11). */
  start(): void {
    this.#isStarted = true
    this.#run()
  }

  /** False: there is no room for it, and it is dropped. Numbered messages are always taken. */
  push(message: Incoming, end: ChannelEnd): boolean {
    if (message.number === 0) {
      if (message.kind === laneKind.latest && this.#replaceLatest(message)) return true
      if (this.#unnumbered >= UNNUMBERED_MAX) {
        this.dropped++
        return false
      }
      this.#unnumbered++
    }
    this.#queue.push({ message, end })
    this.#run()
    return true
  }

  /** Forgets what waits: this life of the channel is over (X1). A handler that runs still holds back what comes next. */
  clear(): void {
    this.#queue = []
    this.#head = 0
    this.#unnumbered = 0
  }

  #replaceLatest(message: Incoming): boolean {
    for (let i = this.#head; i < this.#queue.length; i++) {
      const waiting = this.#queue[i].message
      if (waiting.kind !== laneKind.latest || waiting.key !== message.key || waiting.route !== message.route) continue
      waiting.payload = message.payload
      return true
    }
    return false
  }

  #run(): void {
    if (this.#isRunning || !this.#isStarted) return
    this.#isRunning = true
    while (this.#pending === undefined && this.#head < this.#queue.length) this.#step(this.#next())
    this.#isRunning = false
  }

  #next(): Delivery {
    const delivery = this.#queue[this.#head++]
    if (delivery.message.number === 0) this.#unnumbered--
    if (this.#head === this.#queue.length) {
      this.#queue = []
      this.#head = 0
    } else if (this.#head > 1024) {
      this.#queue = this.#queue.slice(this.#head)
      this.#head = 0
    }
    return delivery
  }

  #step(delivery: Delivery): void {
    this.#pending = delivery
    try {
      const value = this.#handling.handle(delivery.message)
      if (!isThenable(value)) {
        if (this.#release(delivery)) this.#handling.finished(delivery, value)
        return
      }
      this.#timer = setTimeout(() => {
        if (this.#release(delivery)) this.#handling.cut(delivery)
        this.#run()
      }, this.#deadlineMs)
      value.then(
        (result) => {
          if (this.#release(delivery)) this.#handling.finished(delivery, result)
          this.#run()
        },
        (error) => {
          if (this.#release(delivery)) this.#handling.failed(delivery, error)
          this.#run()
        },
      )
    } catch (error) {
      if (this.#release(delivery)) this.#handling.failed(delivery, error)
    }
  }

  /** False: it was cut before. */
  #release(delivery: Delivery): boolean {
    if (this.#pending !== delivery) return false
    this.#pending = undefined
    clearTimeout(this.#timer)
    this.#timer = undefined
    return true
  }
}
