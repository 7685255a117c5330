// The load of one turn in as many processes as were asked for: clients and rate are shared out among them, and what they
// measured at the same time is added up as if one had. Each is gone, with its connections, when the turn is over.
import type { Worker } from './crew.ts'
import { Histogram } from './histogram.ts'
import type { LoadPlan, Measured, ToLoad } from './processes/load.ts'
import type { SplitUsage, Usage } from './process-usage.ts'
import type { Stage } from './stage.ts'

const CONNECT_MS = 120_000
const ANSWER_MS = 30_000

/** How the processes are called in `Measured.used`: the first one's name has no number. */
export const generatorName = (i: number): string => (i === 0 ? 'generator' : `generator ${i + 1}`)

export class Generators {
  readonly #workers: Worker[]
  readonly #plan: LoadPlan

  constructor(stage: Stage, plan: LoadPlan, count: number) {
    this.#plan = plan
    this.#workers = Array.from({ length: Math.min(count, plan.clients) }, (_, i) =>
      stage.crew.work(`the ${generatorName(i)}`, new URL('./processes/load.ts', import.meta.url)),
    )
  }

  /** Resolves when all clients are attached. */
  async connect(): Promise<void> {
    const plans = sharesOf(this.#plan, this.#workers.length)
    const asks = this.#workers.map((worker, i) => {
      const message: ToLoad = { kind: 'connect', plan: plans[i] }
      return worker.ask(message, CONNECT_MS)
    })
    await Promise.all(asks)
  }

  /** `pids`: what else is to be watched; the first process looks at it. */
  async measure(warmupMs: number, forMs: number, pids: Record<string, number>): Promise<Measured> {
    const asks = this.#workers.map((worker, i) => {
      const message: ToLoad = { kind: 'measure', warmupMs, forMs, pids: i === 0 ? pids : {} }
      return worker.ask<Measured>(message, warmupMs + forMs + ANSWER_MS)
    })
    return sumOf(await Promise.all(asks))
  }

  async end(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.end()))
  }
}

/** What each of `count` processes does of a load: the first ones take what is left over. */
export function sharesOf(plan: LoadPlan, count: number): LoadPlan[] {
  return Array.from({ length: count }, (_, i) => {
    const clients = Math.floor(plan.clients / count) + (i < plan.clients % count ? 1 : 0)
    return { ...plan, clients, rate: (plan.rate * clients) / plan.clients }
  })
}

export function sumOf(parts: readonly Measured[]): Measured {
  const [first] = parts
  const latencies = new Histogram()
  const used: Record<string, SplitUsage> = {}
  for (const [i, part] of parts.entries()) {
    latencies.add(part.latencies)
    for (const [name, usage] of Object.entries(part.used)) used[name === 'generator' ? generatorName(i) : name] = usage
  }
  const sum = (figure: (part: Measured) => number): number => parts.reduce((total, part) => total + figure(part), 0)
  return {
    messages: sum(({ messages }) => messages),
    elapsedUs: first.elapsedUs,
    latencies: latencies.counts(),
    samples: first.samples.map((_, at) => sum(({ samples }) => samples[at] ?? 0)),
    resent: sum(({ resent }) => resent),
    leftOut: sum(({ leftOut }) => leftOut),
    closed: sum(({ closed }) => closed),
    used,
  }
}

/** CPU time of the generator that had most: it alone can be the limit. */
export function busiestUs(used: Record<string, Usage>): number {
  const times = Object.entries(used).filter(([name]) => name.startsWith('generator'))
  return Math.max(0, ...times.map(([, { cpuUs }]) => cpuUs))
}
