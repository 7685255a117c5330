// `skewer bench`: runs the load tool and prints what it found. 1 where a promise was not kept.
import process from 'node:process'
import { remarksOf, runBench } from '../../bench/bench.ts'
import type { BenchOptions, ScenarioName } from '../../bench/options.ts'
import type { Report, Subject } from '../../bench/report.ts'
import { Failure, exitCode } from '../failure.ts'
import { printJson, printTable, type Row } from '../output.ts'

export type BenchFlags = Partial<Omit<BenchOptions, 'payloadBytes' | 'warmupSeconds'>> & {
  payload?: number
  warmup?: number
  json?: boolean
}

export async function bench(scenario: ScenarioName, flags: BenchFlags): Promise<number> {
  const { payload, warmup, json, ...rest } = flags
  if (flags.against !== undefined && scenario !== 'tcp-echo') {
    throw new Failure('--against is of tcp-echo only: the rivals carry bytes, not sessions', exitCode.usage)
  }
  const given = { ...rest, payloadBytes: payload, warmupSeconds: warmup }
  const launcher = process.argv[1]
  const report = await runBench({ scenario, given, launcher, say }).catch((error: Error) => {
    throw error.constructor === Error ? new Failure(error.message) : error
  })
  if (json) printJson(report)
  else print(report)
  for (const remark of remarksOf(report)) say(remark)
  for (const violation of report.violations) say(`violated: ${violation}`)
  return report.violations.length > 0 ? exitCode.failed : exitCode.ok
}

function print({ subjects, ratios }: Report): void {
  printTable(subjects.map(subjectRow))
  if (ratios.length === 0) return
  process.stdout.write('\n')
  printTable(ratios.map(({ name, of, median, min, max }) => ({ ratio: `${name} / skewer`, of, median, min, max })))
}

function subjectRow({ figures, ...subject }: Subject): Row {
  return { ...subject, ...figures }
}

function say(text: string): void {
  process.stderr.write(`skewer: ${text}\n`)
}
