// The load tool: starts processes of its own in a temporary folder, runs a scenario in rounds, ends them and reports.
// docs/performance.md says what the figures mean.
import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, loadavg, tmpdir } from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { Crew } from './crew.ts'
import { missingGameServer } from './game-servers.ts'
import {
  type BenchOptions,
  isGameServer,
  optionsOf,
  type PlanName,
  type RivalName,
  type ScenarioName,
} from './options.ts'
import { missingRival } from './rival-process.ts'
import { ratiosOf, roundedRow, type Report, type Subject, subjectOf } from './report.ts'
import { abuse } from './scenarios/abuse.ts'
import { broadcast, httpCall, kcpEcho, noiseEcho, push, tcpEcho, tlsEcho, wsEcho } from './scenarios/echo.ts'
import { growth } from './scenarios/growth.ts'
import { idle } from './scenarios/idle.ts'
import { play } from './scenarios/play.ts'
import { latency } from './scenarios/latency.ts'
import { reload } from './scenarios/reload.ts'
import { slowReaders } from './scenarios/slow-readers.ts'
import { storm } from './scenarios/storm.ts'
import type { Plan } from './play/plan.ts'
import type { Scenario, Stage } from './stage.ts'

/** Those that are not plans. */
type FixedScenario = Exclude<ScenarioName, PlanName>

const scenarios: Record<FixedScenario, Scenario> = {
  'tcp-echo': tcpEcho,
  'ws-echo': wsEcho,
  'tls-echo': tlsEcho,
  'noise-echo': noiseEcho,
  'kcp-echo': kcpEcho,
  'http-call': httpCall,
  latency,
  push,
  broadcast,
  idle,
  storm,
  reload,
  abuse,
  'slow-readers': slowReaders,
  growth,
}

export type BenchRun = {
  /** A scenario, or how a plan is called. */
  scenario: ScenarioName | string
  plan?: Plan
  given: Partial<BenchOptions>
  /** bin/skewer, which starts the gateways. */
  launcher: string
  say(text: string): void
}

/** @throws Error where there is no /proc, or where a process could not do its part */
export async function runBench({ scenario, plan, given, launcher, say }: BenchRun): Promise<Report> {
  if (process.platform !== 'linux') throw new Error('the load tool reads /proc: it runs on Linux only')
  const asked = optionsOf(scenario, given)
  const missing = asked.against.flatMap((name) => missingOf(name) ?? [])
  const isMissing = (name: string) => missing.some((line) => line.startsWith(`${name} `))
  const options = { ...asked, against: asked.against.filter((name) => !isMissing(name)) }
  for (const line of missing) say(line)
  const folder = mkdtempSync(path.join(tmpdir(), 'skewer-bench-'))
  const crew = new Crew()
  // Also where a signal ends this process: after the crew, whose programs write into it.
  const clear = () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
  process.once('exit', clear)
  const loadAverage = Math.round(loadavg()[0] * 100) / 100
  try {
    const run = plan === undefined ? scenarios[scenario as FixedScenario] : play(plan)
    const stage: Stage = { crew, folder, launcher, say }
    const { rounds, violations, phases = [], options: own } = await run(stage, options)
    const ratios = Object.entries(rounds)
      .filter(([name]) => name !== 'skewer')
      .flatMap(([name, rival]) => ratiosOf(name, rival, rounds.skewer))
    return {
      scenario,
      options: own ?? options,
      machine: { cpus: availableParallelism(), loadAverage, node: process.versions.node },
      accelerator: stage.isAccelerated,
      subjects: Object.entries(rounds).map(([name, own]) => subjectOf(name, own)),
      ratios,
      ...(phases.length > 0 ? { phases: phases.map(roundedRow) } : {}),
      missing,
      violations,
    }
  } finally {
    await crew.stop()
    process.off('exit', clear)
    clear()
  }
}

/** One datagram in so many messages may be lost in a round without a word about it. */
const RESENT_TRIFLE = 1000

function missingOf(name: RivalName): string | undefined {
  if (name === 'raw') return undefined
  return isGameServer(name) ? missingGameServer(name) : missingRival(name)
}

/** What should be known beside the table: what limited the load where it was not what is measured. */
export function remarksOf({ subjects, machine, options, accelerator }: Report): string[] {
  const remarks = subjects
    .filter(({ limitedBy }) => limitedBy === 'generator' || limitedBy === 'host')
    .map(({ name, limitedBy }: Subject) => `${name}: the ${limitedBy} was the limit; its messages/s are a lower bound`)
  for (const { name, figures, messages } of subjects) {
    const { resent = 0 } = figures
    if (resent * RESENT_TRIFLE <= messages / Number(options.rounds)) continue
    remarks.push(`${name}: ${resent} datagrams a round were sent again: its figures are of a lossy or late network`)
  }
  if (accelerator) remarks.push('the gateway ran with the accelerator')
  if (machine.loadAverage > machine.cpus / 2) {
    remarks.push(`the machine was busy (load ${machine.loadAverage} on ${machine.cpus} cores): trust only ratios`)
  }
  return remarks
}
