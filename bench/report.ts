// What a run found: figures of each round, their medians, and ratios to the gateway taken within each round, since what
// else the machine does changes from one round to the next and not much within one.
import { Histogram, type HistogramCounts } from './histogram.ts'
import { isGameServer } from './options.ts'

export type Limit = 'gateway' | 'proxy' | 'generator' | 'host' | 'rate' | 'none'

/** One subject in one round. */
export type Round = {
  messages: number
  elapsedUs: number
  /** Of the process in the middle; undefined where there is none. */
  cpuUs?: number
  rssBytes?: number
  p50Us: number
  p99Us: number
  limitedBy: Limit
  /** Share of one core that the generator had. */
  generatorShare: number
  /** What only this scenario measures, by name with its unit. */
  figures?: Record<string, number>
  /** All latencies, and the messages of each stretch of SAMPLE_MS. */
  latencies?: HistogramCounts
  samples?: number[]
}

/** How often the generator counts what was heard. */
export const SAMPLE_MS = 250
/** Where a distribution is read for a chart. */
const SHARES = [0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999, 0.9995, 0.9999]

export type Subject = {
  name: string
  messages: number
  messagesPerSecond: number
  cpuUsPerMessage: number | null
  p50Us: number
  p99Us: number
  rssBytes: number | null
  limitedBy: Limit
  generatorShare: number
  figures: Record<string, number>
  /** [share of messages, microseconds] over all rounds; empty where the scenario keeps none. */
  latency: [number, number][]
  /** Messages a second in stretches of SAMPLE_MS, round by round. */
  throughput: number[][]
  /** CPU time by message, round by round. */
  cpuUsPerMessageByRound: number[]
}

export type Spread = { median: number; min: number; max: number }
/** `of` says of what: a rival's figure divided by skewer's. */
export type Ratio = Spread & {
  name: string
  of: 'cpuUsPerMessage' | 'serverCpuUsPerMessage' | 'addedP99Us' | 'messagesPerSecond'
}

/** One phase of a plan: figures by name with their units, those of each message by the message's name. */
export type PhaseRow = {
  round?: number
  phase: string
  clients: number
  messagesPerSecond: number
  cpuUsPerMessage?: number
  /** Of one core, that the gateway had. */
  cpuShare?: number
  rssBytes?: number
  logins: number
  limitedBy: Limit
  [figure: string]: string | number | undefined
}

export type Report = {
  scenario: string
  options: Record<string, unknown>
  machine: { cpus: number; loadAverage: number; node: string }
  /** Whether the gateway ran with the accelerator; missing of one that ran already. */
  accelerator?: boolean
  subjects: Subject[]
  ratios: Ratio[]
  /** Of a plan. */
  phases?: PhaseRow[]
  /** Rivals that could not take part, with what to install. */
  missing: string[]
  /** What was promised and not kept (storm). */
  violations: string[]
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >>> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

export function subjectOf(name: string, rounds: readonly Round[]): Subject {
  const middle = (figure: (round: Round) => number | undefined): number | null => {
    const values = rounds.map(figure).filter((value) => value !== undefined)
    return values.length === rounds.length ? rounded(median(values)) : null
  }
  const names = Object.keys(rounds[0].figures ?? {})
  return {
    name,
    messages: rounds.reduce((sum, round) => sum + round.messages, 0),
    messagesPerSecond: middle(perSecond)!,
    cpuUsPerMessage: middle(cpuUsPerMessage),
    p50Us: middle(({ p50Us }) => p50Us)!,
    p99Us: middle(({ p99Us }) => p99Us)!,
    rssBytes: middle(({ rssBytes }) => rssBytes),
    limitedBy: mostOften(rounds.map(({ limitedBy }) => limitedBy)),
    generatorShare: middle(({ generatorShare }) => generatorShare)!,
    figures: Object.fromEntries(names.map((key) => [key, middle(({ figures }) => figures?.[key]) ?? 0])),
    latency: distributionOf(rounds),
    throughput: rounds.flatMap(({ samples }) => (samples ? [samples.map((count) => (count * 1000) / SAMPLE_MS)] : [])),
    cpuUsPerMessageByRound: rounds
      .map(cpuUsPerMessage)
      .filter((value) => value !== undefined)
      .map(rounded),
  }
}

function distributionOf(rounds: readonly Round[]): [number, number][] {
  const all = new Histogram()
  for (const { latencies } of rounds) all.add(latencies ?? [])
  return all.total === 0 ? [] : SHARES.map((share) => [share, all.percentile(share)])
}

/**
 * A rival without a process of its own (raw) is compared by throughput. Game servers do in one process what a gateway and
 * its host do in two: they have a second ratio, to the two together.
 */
export function ratiosOf(name: string, rival: readonly Round[], own: readonly Round[]): Ratio[] {
  if (rival.some(({ cpuUs }) => cpuUs === undefined)) return ratio(name, 'messagesPerSecond', perSecond, rival, own)
  const ofFigure = (of: 'serverCpuUsPerMessage' | 'addedP99Us'): Ratio[] =>
    ratio(name, of, ({ figures }) => figures?.[of], rival, own)
  return [
    ...ratio(name, 'cpuUsPerMessage', cpuUsPerMessage, rival, own),
    ...(isGameServer(name) ? ofFigure('serverCpuUsPerMessage') : []),
    ...(rival[0].figures?.addedP99Us === undefined ? [] : ofFigure('addedP99Us')),
  ]
}

function ratio(
  name: string,
  of: Ratio['of'],
  figure: (round: Round) => number | undefined,
  rival: readonly Round[],
  own: readonly Round[],
): Ratio[] {
  const ratios = rival.map((round, i) => (figure(round) ?? 0) / (figure(own[i]) ?? 0)).filter(Number.isFinite)
  if (ratios.length === 0) return []
  const spread = { median: median(ratios), min: Math.min(...ratios), max: Math.max(...ratios) }
  return [{ name, of, median: rounded(spread.median), min: rounded(spread.min), max: rounded(spread.max) }]
}

export const perSecond = ({ messages, elapsedUs }: Round): number => (messages * 1e6) / elapsedUs

export function cpuUsPerMessage({ messages, cpuUs }: Round): number | undefined {
  return cpuUs === undefined || messages === 0 ? undefined : cpuUs / messages
}

function mostOften(limits: readonly Limit[]): Limit {
  const count = (limit: Limit): number => limits.filter((other) => other === limit).length
  return [...limits].sort((a, b) => count(b) - count(a))[0]
}

export function roundedRow(row: PhaseRow): PhaseRow {
  const entries = Object.entries(row).map(([name, value]) => [name, typeof value === 'number' ? rounded(value) : value])
  return Object.fromEntries(entries)
}

/** Three decimals are more than is known. */
const rounded = (value: number): number => Math.round(value * 1000) / 1000
