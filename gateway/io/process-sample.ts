// What the process itself costs, sampled when somebody asks: CPU, memory, and how late the event loop is. The delay is
// measured by a timer of 50 ms that no connection waits for, so an idle gateway wakes 20 times a second for it.
import { type EventLoopUtilization, monitorEventLoopDelay, performance } from 'node:perf_hooks'

const RESOLUTION_MS = 50
const NS_PER_MS = 1e6

export type ProcessSample = {
  uptimeSeconds: number
  cpuSeconds: number
  rssBytes: number
  heapUsedBytes: number
  externalBytes: number
  /** Since the sampler began, or since `reset`. */
  delayMs: { p50: number; p99: number; max: number }
  /** Share of the time in which the event loop was busy, since the last sample. */
  utilization: number
}

export class ProcessSampler {
  readonly #delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  #last: EventLoopUtilization = performance.eventLoopUtilization()

  constructor() {
    this.#delay.enable()
  }

  /** Begins anew: what came before is not told, as the delay of loading a program. */
  reset(): void {
    this.#delay.reset()
    this.#last = performance.eventLoopUtilization()
  }

  sample(): ProcessSample {
    const cpu = process.cpuUsage()
    const memory = process.memoryUsage()
    const now = performance.eventLoopUtilization()
    const { utilization } = performance.eventLoopUtilization(now, this.#last)
    this.#last = now
    const delay = this.#delay
    const lateMs = (ns: number) => (delay.count === 0 ? 0 : Math.max(0, ns / NS_PER_MS - RESOLUTION_MS))
    return {
      uptimeSeconds: process.uptime(),
      cpuSeconds: (cpu.user + cpu.system) / 1e6,
      rssBytes: memory.rss,
      heapUsedBytes: memory.heapUsed,
      externalBytes: memory.external,
      delayMs: { p50: lateMs(delay.percentile(50)), p99: lateMs(delay.percentile(99)), max: lateMs(delay.max) },
      utilization,
    }
  }

  stop(): void {
    this.#delay.disable()
  }
}
