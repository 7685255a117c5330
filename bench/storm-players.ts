// The players of storm and reload in their process (processes/storm-clients.ts), as scenarios drive them: all attached,
// sending from then on, asked again and again how it stands, quiet at the end until everything under way was heard.
import type { Worker } from './crew.ts'
import { Histogram } from './histogram.ts'
import type { BenchOptions } from './options.ts'
import type { StormState, ToStorm } from './processes/storm-clients.ts'
import type { Usage } from './process-usage.ts'
import type { Round } from './report.ts'
import type { Stage } from './stage.ts'

const ANSWER_MS = 30_000
const ATTACH_MS = 120_000
const QUIET_MS = 60_000
const LOOK_MS = 50
const everyone = (): boolean => true

export class StormPlayers {
  readonly #worker: Worker

  constructor(stage: Stage) {
    this.#worker = stage.crew.work('the players', new URL('./processes/storm-clients.ts', import.meta.url))
  }

  /** Resolves when all are attached and have sent for the warm-up. */
  async begin(gateways: string[], { clients, rate, payloadBytes, warmupSeconds }: BenchOptions): Promise<void> {
    await this.ask({ kind: 'connect', plan: { gateways, clients, rate, payloadBytes } })
    await this.attachedAfter(0, 'not all players were attached')
    await this.ask({ kind: 'begin' })
    await wait(warmupSeconds * 1000)
  }

  ask(message: ToStorm): Promise<StormState> {
    return this.#worker.ask<StormState>(message, ANSWER_MS)
  }

  /** Resolves when each of them, or each that `concerns` names, has been attached since then. */
  attachedAfter(us: number, otherwise: string, concerns: (player: number) => boolean = everyone): Promise<StormState> {
    const ask = (message: ToStorm) => this.ask(message)
    const isBack = (at: number, i: number): boolean => at > (concerns(i) ? us : 0)
    return until(ask, ({ attachedAtUs }) => attachedAtUs.every(isBack), ATTACH_MS, otherwise)
  }

  /** Nobody sends any more; how it stands when everything was heard, or will not be. */
  async quiet(): Promise<StormState> {
    await this.ask({ kind: 'quiet' })
    const ask = (message: ToStorm) => this.ask(message)
    return until(ask, isQuiet, QUIET_MS).catch(() => ask({ kind: 'state' }))
  }

  end(): Promise<void> {
    return this.#worker.end()
  }
}

/** What was between two states of the players, with latencies since they were marked last. */
export function roundBetween(
  [first, last]: [StormState, StormState],
  [before, after]: [Usage, Usage],
  elapsedUs: number,
  figures: Record<string, number>,
): Round {
  const latencies = new Histogram()
  latencies.add(last.latencies)
  return {
    messages: last.heard - first.heard,
    elapsedUs,
    cpuUs: after.cpuUs - before.cpuUs,
    rssBytes: after.rssBytes,
    p50Us: latencies.percentile(0.5),
    p99Us: latencies.percentile(0.99),
    limitedBy: 'rate',
    latencies: last.latencies,
    generatorShare: (last.cpuUs - first.cpuUs) / elapsedUs,
    figures,
  }
}

/** Whether of all that was sent it is known what has become of it. */
export const isQuiet = ({ lost, pending }: StormState): boolean => lost <= 0 && pending === 0

/** What was promised and not kept. A refusal is told, and so is what a reset leaves unknown: neither is lost. */
export function violationsOf(state: StormState): string[] {
  const counts = (['lost', 'pending', 'doubled', 'reordered', 'resets'] as const)
    .filter((what) => state[what] !== 0)
    .map((what) => `${state[what]} ${what}`)
  return [...counts, ...Object.entries(state.away).map(([how, count]) => `${count} away: ${how}`)]
}

/** Of what was refused, by codes: for people. */
export const refusalsOf = ({ refused }: StormState): string =>
  Object.entries(refused)
    .map(([name, count]) => `${count} ${name}`)
    .join(', ')

export async function until(
  ask: (message: ToStorm) => Promise<StormState>,
  holds: (state: StormState) => boolean,
  withinMs: number,
  otherwise = '',
): Promise<StormState> {
  const end = performance.now() + withinMs
  while (performance.now() < end) {
    const state = await ask({ kind: 'state' })
    if (holds(state)) return state
    await wait(LOOK_MS)
  }
  throw new Error(otherwise)
}

export const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
