// `skewer bench`: runs the load tool and prints what it found. 1 where a promise was not kept.
import fs from 'node:fs'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { type Cell, cells, type Row as BarRow, rivalsOfCell, rowsOf, tableOf } from '../../bench/bars.ts'
import { remarksOf, runBench } from '../../bench/bench.ts'
import { compareReports } from '../../bench/compare.ts'
import { type BarRun, htmlBars, merged } from '../../bench/html-bars.ts'
import { htmlReport } from '../../bench/html-report.ts'
import { type BenchOptions, planNames, rivalsOf, type ScenarioName } from '../../bench/options.ts'
import { type Plan, scaledPlan } from '../../bench/play/plan.ts'
import type { Report, Subject } from '../../bench/report.ts'
import { Failure, exitCode } from '../failure.ts'
import { printJson, printProblems, printTable, type Row } from '../output.ts'
import { readScenario } from '../scenario-file.ts'
import { readTarget, type TargetFlags } from '../bench-target.ts'

export type BenchFlags = Partial<Omit<BenchOptions, 'payloadBytes' | 'warmupSeconds' | 'linkFlushDelayMs' | 'target'>> &
  TargetFlags & {
    linkFlushDelay?: number
    payload?: number
    warmup?: number
    json?: boolean
    /** Where the report goes as a page. */
    html?: string
  }

/** What means nothing where a plan says how much is sent. */
const notOfPlans = ['depth', 'payload', 'rate', 'warmup', 'against', 'over'] as const

/** What only some scenarios know. */
const onlyOf = { restart: ['storm'], slowPercent: ['slow-readers'], over: ['idle', 'broadcast'] } as const

/** A scenario's name, or a file with one. */
export async function bench(scenario: string, flags: BenchFlags): Promise<number> {
  const plan = planOf(scenario, flags)
  const { payload, warmup, linkFlushDelay, json, html, ...rest } = flags
  for (const [name, scenarios] of Object.entries(onlyOf)) {
    const isKnown = scenarios.some((one) => one === scenario)
    if (flags[name as keyof typeof onlyOf] === undefined || isKnown) continue
    const option = name.replace(/[A-Z]/, (letter) => `-${letter.toLowerCase()}`)
    throw new Failure(`--${option} is of ${scenarios.join(', ')}: ${scenario} does not know it`, exitCode.usage)
  }
  const target = readTarget(scenario, flags, plan)
  const rivals = rivalsOf[scenario as ScenarioName] ?? []
  const strangers = (flags.against ?? []).filter((name) => !rivals.includes(name))
  if (strangers.length > 0) {
    const whom = rivals.length === 0 ? 'nobody' : rivals.join(', ')
    throw new Failure(`${scenario} can be compared with ${whom}, not with ${strangers.join(', ')}`, exitCode.usage)
  }
  if (target !== undefined && flags.against !== undefined) {
    throw new Failure("--against is beside a gateway of the run's own, not beside --target", exitCode.usage)
  }
  const given = { ...rest, payloadBytes: payload, warmupSeconds: warmup, linkFlushDelayMs: linkFlushDelay, target }
  if (plan !== undefined) given.rounds ??= 1
  const launcher = process.argv[1]
  const report = await runBench({ scenario: plan?.name ?? scenario, plan, given, launcher, say }).catch(
    (error: Error) => {
      throw error.constructor === Error ? new Failure(error.message) : error
    },
  )
  if (html !== undefined) writePage(html, report)
  if (json) printJson(report)
  else print(report)
  for (const remark of remarksOf(report)) say(remark)
  for (const violation of report.violations) say(`violated: ${violation}`)
  return report.violations.length > 0 ? exitCode.failed : exitCode.ok
}

/** The plan of a scenario that is one, at the size that was asked for. */
function planOf(scenario: string, flags: BenchFlags): Plan | undefined {
  const isOurs = planNames.some((name) => name === scenario)
  if (!isOurs && !/\.ya?ml$/.test(scenario)) return undefined
  const file = isOurs ? fileURLToPath(new URL(`../../bench/plans/${scenario}.yaml`, import.meta.url)) : scenario
  const read = readScenario(file)
  if ('problems' in read) {
    printProblems(read.problems)
    throw new Failure(`${scenario} cannot be used`, exitCode.usage)
  }
  const given = notOfPlans.filter((name) => flags[name] !== undefined)
  if (given.length > 0) {
    const options = given.map((name) => `--${name}`).join(', ')
    throw new Failure(`${scenario} has phases: ${options} would mean nothing, the file says it`, exitCode.usage)
  }
  return scaledPlan(read.plan, flags)
}

function writePage(file: string, report: Report): void {
  const words = process.argv
    .slice(2)
    .filter((word, i, all) => word !== '--json' && word !== '--html' && all[i - 1] !== '--html')
    .map((word, i, all) => (all[i - 1] === '--token' ? '...' : word.replace(/^(--token=).*/, '$1...')))
  fs.writeFileSync(file, htmlReport(report, `skewer ${words.join(' ')}`))
  say(`the report is in ${file}`)
}

/** Two reports that `--json` wrote: what changed, and 1 where a ratio to a rival is worse. */
export function compare(before: string, after: string, flags: { json?: boolean }): number {
  const comparison = compareReports(readReport(before), readReport(after))
  if (flags.json) printJson(comparison)
  else printTable(comparison.rows)
  for (const regression of comparison.regressions) say(`regression: ${regression}`)
  return comparison.regressions.length > 0 ? exitCode.failed : exitCode.ok
}

function readReport(file: string): Report {
  try {
    const report = JSON.parse(fs.readFileSync(file, 'utf8')) as Report
    if (Array.isArray(report.subjects) && Array.isArray(report.ratios)) return report
  } catch (error) {
    throw new Failure(`${file} cannot be read: ${(error as Error).message}`, exitCode.usage)
  }
  throw new Failure(`${file} is not a report of \`skewer bench --json\``, exitCode.usage)
}

function print({ subjects, ratios, phases = [] }: Report): void {
  printTable(subjects.map(subjectRow))
  if (phases.length > 0) {
    process.stdout.write('\n')
    printTable(phases)
  }
  if (ratios.length === 0) return
  process.stdout.write('\n')
  printTable(ratios.map(({ name, of, median, min, max }) => ({ ratio: `${name} / skewer`, of, median, min, max })))
}

/** What is for charts is not for a table. */
function subjectRow({ figures, latency: _l, throughput: _t, cpuUsPerMessageByRound: _c, ...subject }: Subject): Row {
  return { ...subject, ...figures }
}

function say(text: string): void {
  process.stderr.write(`skewer: ${text}\n`)
}

export type AllFlags = {
  seconds?: number
  rounds?: number
  warmup?: number
  only?: string
  json?: boolean
  /** A page of all bars; runs that it has from before and that are not run now stay in it. */
  html?: string
}

/** Every bar, one run after the other; what has been measured is printed also where a run fails. */
export async function all({ seconds = 2, rounds = 3, warmup = 1, only = '', json, html }: AllFlags): Promise<number> {
  const runs: BarRun[] = []
  for (const cell of cells.filter(({ scenario }) => scenario.includes(only))) {
    const given = { seconds, rounds, warmupSeconds: warmup, ...cell.given, against: rivalsOfCell(cell) }
    const { scenario } = cell
    say(`${scenario} ${JSON.stringify(cell.given)}`)
    try {
      const report = await runBench({ scenario, given, launcher: process.argv[1], say: () => {} })
      runs.push({ id: idOf(cell, report.accelerator), rows: rowsOf(cell, report), report })
    } catch (error) {
      say(`it failed: ${(error as Error).message}`)
      continue
    }
    for (const { what, against, ours, bar } of runs.at(-1)!.rows) say(`${what} ${against} ${ours}, bar ${bar}`)
    // After each run, since a later one may be interrupted.
    if (html !== undefined) writeBars(html, runs, { seconds, rounds, warmup })
  }
  if (html !== undefined) {
    writeBars(html, runs, { seconds, rounds, warmup })
    say(`the report is in ${html}`)
  }
  const rows: BarRow[] = runs.flatMap((run) => run.rows)
  if (json) printJson(rows)
  else process.stdout.write(`${tableOf(rows)}\n`)
  return exitCode.ok
}

/** A gateway with the accelerator has runs of its own. */
const idOf = ({ scenario, given }: Cell, isAccelerated = false): string =>
  JSON.stringify([scenario, given, ...(isAccelerated ? ['accelerator'] : [])])

function writeBars(file: string, runs: readonly BarRun[], given: Record<string, number>): void {
  const before = fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : ''
  const cellOf = new Map(cells.flatMap((cell) => [false, true].map((isOn) => [idOf(cell, isOn), cell] as const)))
  const kept = merged(before, runs, [...cellOf.keys()])
  // Also those of before are held against the bars of today.
  const inOrder = kept.map((run) => ({
    ...run,
    rows: rowsOf(cellOf.get(run.id)!, run.report),
  }))
  const options = Object.entries(given).map(([name, value]) => `--${name} ${value}`)
  fs.writeFileSync(file, htmlBars(inOrder, `skewer bench all ${options.join(' ')}`))
}
