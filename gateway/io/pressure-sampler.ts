// How strained the process is, ten times a second: how late its own timer comes, and its memory against what it may have
// (of the machine, of its container, and of V8). Told to the core, which adds what waits on its links and sheds
// (policies/shedding.ts). Where reads wait for later turns (turn-share.ts) timers come on time all the same: how long they
// have waited is told as well, and counts as the age of what waits for a host.
import os from 'node:os'
import { getHeapStatistics } from 'node:v8'
import { clientShare, linkShare } from './turn-share.ts'

const SAMPLE_MS = 100

/** What is told. */
export type Strain = { eventLoopDelayMs: number; memoryShare: number; readWaitMs: number }

export class PressureSampler {
  readonly #tell: (strain: Strain, now: number) => void
  readonly #now: () => number
  readonly #memoryBytes: number
  readonly #heapBytes: number
  #timer: NodeJS.Timeout | undefined
  #dueAt = 0
  #lastResidentBytes = 0

  constructor(tell: (strain: Strain, now: number) => void, now: () => number) {
    this.#tell = tell
    this.#now = now
    const ofContainer = process.constrainedMemory()
    this.#memoryBytes = ofContainer > 0 ? Math.min(ofContainer, os.totalmem()) : os.totalmem()
    this.#heapBytes = getHeapStatistics().heap_size_limit
  }

  start(): void {
    this.#dueAt = this.#now() + SAMPLE_MS
    this.#timer = setInterval(() => this.#sample(), SAMPLE_MS).unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** Without a free file descriptor the kernel cannot be asked: the last answer holds. */
  #residentBytes(): number {
    try {
      this.#lastResidentBytes = process.memoryUsage.rss()
    } catch {
      // EMFILE, ENFILE: no measurement, which is no reason to end.
    }
    return this.#lastResidentBytes
  }

  #sample(): void {
    const now = this.#now()
    const eventLoopDelayMs = Math.max(0, now - this.#dueAt)
    this.#dueAt = now + SAMPLE_MS
    const { used_heap_size: heapUsed } = getHeapStatistics()
    const memoryShare = Math.max(this.#residentBytes() / this.#memoryBytes, heapUsed / this.#heapBytes)
    const readWaitMs = Math.max(clientShare.waitedMs(now), linkShare.waitedMs(now))
    this.#tell({ eventLoopDelayMs, memoryShare, readWaitMs }, now)
  }
}
