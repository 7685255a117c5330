// Beats for the open loop, finer than the event loop's whole milliseconds: with those, the messages of a millisecond would
// leave all at once, which clients that know nothing of each other do not, and which spares whoever is measured a wake-up
// for each. The beats come from a thread (metronome-thread.ts) that sleeps meanwhile; a beat that this one has not heard yet
// is not followed by another.
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

/** Messages that are due closer together than this leave together: each beat costs the generator some 20 us. */
const LEAST_MS = 0.1

export type ThreadData = { pending: Int32Array; everyMs: number }

export class Metronome {
  readonly #thread: Worker
  readonly #begun: Promise<unknown>

  /** `beat` is called so often a second, and at most ten thousand times, from when `begun` has resolved or a little before. */
  constructor(rate: number, beat: () => void) {
    const pending = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
    const workerData: ThreadData = { pending, everyMs: Math.max(1000 / rate, LEAST_MS) }
    this.#thread = new Worker(new URL('./metronome-thread.ts', import.meta.url), { workerData })
    this.#begun = once(this.#thread, 'online')
    this.#thread.on('message', () => {
      Atomics.store(pending, 0, 0)
      beat()
    })
  }

  /** Rejects if the thread could not be started. */
  begun(): Promise<unknown> {
    return this.#begun
  }

  /** No further beats. */
  async end(): Promise<void> {
    this.#thread.removeAllListeners('message')
    await this.#thread.terminate()
  }
}
