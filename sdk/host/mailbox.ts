// An actor's mailbox: jobs in order of arrival, one at a time. A handler that returns a thenable holds it until that has
// settled, or until the handler deadline cuts it (W2); what it does later changes nothing here any more. `then` is called
// on what the handler returned, never `await`, so that virtual time stays exact.
import type { HostCore } from './core.ts'
import type { Timed } from './schedule.ts'

/** One thing for the actor to do. Exactly one of finish, fail and cut is called, once. */
export interface Job {
  /** Runs the handler; may throw, may return a thenable. */
  start(now: number): unknown
  finish(value: unknown, now: number): void
  fail(error: unknown, now: number): void
  /** The handler deadline has passed while its thenable was pending. */
  cut(now: number): void
}

type Thenable = { then(resolved: (value: unknown) => void, rejected: (error: unknown) => void): unknown }

export const isThenable = (value: unknown): value is Thenable =>
  (typeof value === 'object' || typeof value === 'function') &&
  value !== null &&
  typeof (value as Thenable).then === 'function'

export class Mailbox implements Timed {
  dueAt = Infinity
  place = -1
  isReady = false
  readonly #host: HostCore
  #queue: Job[] = []
  #head = 0
  #running: Job | undefined
  #run = 0
  #isClosed = false
  readonly #emptied: (now: number) => void

  /** @param emptied called when the last job has finished */
  constructor(host: HostCore, emptied: (now: number) => void) {
    this.#host = host
    this.#emptied = emptied
  }

  get length(): number {
    return this.#queue.length - this.#head
  }

  get isIdle(): boolean {
    return this.#running === undefined && this.length === 0
  }

  get isBusy(): boolean {
    return this.#running !== undefined
  }

  push(job: Job): void {
    if (this.#isClosed) return
    this.#queue.push(job)
    if (this.#running === undefined) this.#host.ready(this)
  }

  /** Drops what waits and lets go of what runs: the actor is gone. */
  close(): void {
    this.#isClosed = true
    this.#queue = []
    this.#head = 0
    this.#running = undefined
    this.#run++
    this.#host.schedule.remove(this)
  }

  /** Runs the next job; false when there is none or one is running. */
  step(now: number): boolean {
    if (this.#running !== undefined || this.#head >= this.#queue.length) return false
    const job = this.#queue[this.#head++]
    if (this.#head === this.#queue.length || this.#head > 1024) {
      this.#queue = this.#head === this.#queue.length ? [] : this.#queue.slice(this.#head)
      this.#head = 0
    }
    const run = ++this.#run
    this.#running = job
    try {
      const value = job.start(now)
      if (isThenable(value)) {
        this.#host.schedule.set(this, now + this.#host.settings.handlerDeadlineMs)
        value.then(
          (result) => this.#settled(run, result, undefined, false),
          (error) => this.#settled(run, undefined, error, true),
        )
        return true
      }
      if (run !== this.#run) return true
      this.#running = undefined
      job.finish(value, now)
    } catch (error) {
      // Thrown by the handler, or by the `then` of what it returned.
      if (run !== this.#run || this.#running !== job) return true
      this.#running = undefined
      this.#host.schedule.remove(this)
      job.fail(error, now)
    }
    if (this.isIdle) this.#emptied(now)
    return true
  }

  #settled(run: number, value: unknown, error: unknown, failed: boolean): void {
    const job = this.#running
    if (run !== this.#run || job === undefined) return
    this.#running = undefined
    this.#host.schedule.remove(this)
    const now = this.#host.now
    if (failed) job.fail(error, now)
    else job.finish(value, now)
    this.#next(now)
  }

  /** The handler deadline. */
  due(now: number): void {
    const job = this.#running
    if (job === undefined) return
    this.#run++
    this.#running = undefined
    job.cut(now)
    this.#next(now)
  }

  #next(now: number): void {
    if (this.isIdle) this.#emptied(now)
    else this.#host.ready(this)
    this.#host.wake()
  }
}
