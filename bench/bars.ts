// The bars of the gateway's costs: which runs, beside whom, and how much of a rival's figure ours may be. `skewer bench all`
// runs them one after the other and prints the table of docs/performance.md.
import { type BenchOptions, gameServerNames, type ScenarioName } from './options.ts'
import type { Report, Subject } from './report.ts'

/**
 * `of`: a figure of ours divided by the rival's in the same round, or a figure of ours alone; at most `bar`, and of a gateway
 * with the accelerator `accelerated`, where that is asked for.
 */
type Bar = { of: string; against?: string; bar: number; accelerated?: number }
export type Cell = { scenario: ScenarioName; given: Partial<BenchOptions>; bars: Bar[] }
export type Row = {
  what: string
  against: string
  ours: string
  spread: string
  bar: number
  isMet: boolean | undefined
}

const cpu = (against: string, bar: number): Bar => ({ of: 'cpuUsPerMessage', against, bar })
const both = (bar: number): Bar[] => [cpu('nginx', bar), cpu('haproxy', bar)]
const udp: Bar[] = [{ ...cpu('nginx', 1.3), accelerated: 0.85 }, cpu('kcptun', 0.8), cpu('kcptun-each', 0.8)]
const backend: Bar = { of: 'hostCpuUsPerMessage', against: 'nginx', bar: 0.6 }

/** All that is not the kernel's. */
const ownWork: Bar = { of: 'userUsPerMessage', bar: 0.5 }

const THIRD = 0.333
/** Taken within each round. */
const isRatio = (of: string): boolean => ['cpuUsPerMessage', 'serverCpuUsPerMessage', 'addedP99Us'].includes(of)
/** A game server beside the gateway and the host together, and beside the gateway alone; where it has no more to give. */
const game: Bar[] = gameServerNames.flatMap((against) => [
  { of: 'serverCpuUsPerMessage', against, bar: THIRD },
  { of: 'cpuUsPerMessage', against, bar: THIRD },
])

const echo = (scenario: ScenarioName, clients: number, depth: number, bars: Bar[]): Cell => ({
  scenario,
  given: { clients, depth },
  bars,
})
/** Open loop: whatever is under way. */
const paced = (rate: number, linkFlushDelayMs: number, bars: Bar[]): Cell => ({
  scenario: 'tcp-echo',
  given: { clients: 1000, depth: 128, rate, linkFlushDelayMs },
  bars,
})

/** At half the rate that the slower one can do; more rounds than others, since a percentile of a moment says little. */
const latencyOf = (clients: number): Cell => ({
  scenario: 'latency',
  given: { clients, seconds: 3, rounds: 5 },
  bars: [{ of: 'addedP99Us', against: 'haproxy', bar: 1.5 }],
})

export const cells: readonly Cell[] = [
  echo('tcp-echo', 100, 1, both(0.72)),
  echo('tcp-echo', 1000, 1, [...both(0.65), backend]),
  echo('tcp-echo', 100, 8, [...both(0.95), ownWork]),
  echo('tcp-echo', 1000, 8, [...both(0.95), ownWork]),
  paced(5000, 0, [cpu('nginx', 1.35)]),
  paced(20_000, 0, [cpu('nginx', 1.1)]),
  paced(5000, 1, [cpu('nginx', 0.87)]),
  echo('noise-echo', 1000, 1, [cpu('nginx', 0.8)]),
  echo('tls-echo', 100, 1, [cpu('nginx', 0.85)]),
  echo('tls-echo', 1000, 1, [cpu('nginx', 0.85)]),
  echo('tls-echo', 100, 8, [cpu('nginx', 1.1)]),
  echo('tls-echo', 1000, 8, [cpu('nginx', 1.1)]),
  echo('ws-echo', 100, 1, [cpu('nginx', 0.75)]),
  echo('ws-echo', 1000, 1, [cpu('nginx', 0.55)]),
  echo('ws-echo', 100, 8, [cpu('nginx', 1), ...game]),
  echo('ws-echo', 1000, 8, [cpu('nginx', 1), ...game]),
  echo('kcp-echo', 100, 1, udp),
  echo('kcp-echo', 1000, 1, udp),
  echo('http-call', 100, 1, [cpu('nginx', 1)]),
  echo('http-call', 1000, 1, [cpu('nginx', 1)]),
  latencyOf(100),
  latencyOf(1000),
  { scenario: 'idle', given: { clients: 8000, rounds: 1 }, bars: [{ of: 'rssBytesPerSession', bar: 6 * 1024 }] },
  {
    scenario: 'idle',
    given: { clients: 8000, rounds: 1, over: 'websocket' },
    bars: [{ of: 'rssBytesPerSession', bar: 8 * 1024 }],
  },
  {
    scenario: 'idle',
    given: { clients: 8000, rounds: 1, over: 'kcp' },
    bars: [{ of: 'rssBytesPerSession', bar: 5 * 1024 }],
  },
  {
    scenario: 'broadcast',
    // As much as socket.io can do: five publications in each tick.
    given: { clients: 2000, rate: 100 },
    // Twice the deliveries for the same CPU time.
    bars: [
      { of: 'serverCpuUsPerMessage', against: 'socket.io', bar: 0.5 },
      { of: 'cpuUsPerMessage', against: 'socket.io', bar: 0.5 },
    ],
  },
  { scenario: 'growth', given: { clients: 8000 }, bars: [{ of: 'growth', bar: 1.5 }] },
  {
    scenario: 'storm',
    given: { clients: 5000, rate: 5000, rounds: 1 },
    bars: [{ of: 'reattachMaxMs', bar: 5000 }],
  },
  {
    scenario: 'storm',
    // One moment in which another process had the core makes a round's longest delay.
    given: { clients: 5000, rate: 5000, rounds: 5, restart: true },
    bars: [
      { of: 'backMaxMs', bar: 5000 },
      { of: 'loopDelayMaxMs', bar: 50 },
    ],
  },
]

export function rivalsOfCell({ bars }: Cell): BenchOptions['against'] {
  const names = bars.flatMap(({ against }) => against ?? [])
  return [...new Set(names)] as BenchOptions['against']
}

/** One row a bar. `isMet` is undefined where the rival could not take part. */
export function rowsOf(cell: Cell, report: Report): Row[] {
  const isAccelerated = report.accelerator === true
  return cell.bars.map(({ of, against = '', bar: usual, accelerated = usual }) => {
    const bar = isAccelerated ? accelerated : usual
    const row = { what: `${nameOf(cell, of)}${isAccelerated ? ', accelerator' : ''}`, against, bar }
    const own = report.subjects.find(({ name }) => name === 'skewer')!
    const figure = (subject: Subject): number => Number(subject.figures[of] ?? 0)
    if (against === '') {
      const value = figure(own)
      return {
        ...row,
        ours: value < 100 ? value.toFixed(2) : String(Math.round(value)),
        spread: '',
        isMet: value <= bar && report.violations.length === 0,
      }
    }
    if (!isRatio(of)) {
      const rival = report.subjects.find(({ name }) => name === against)
      const value = rival === undefined ? Number.NaN : figure(own) / figure(rival)
      return { ...row, ours: value.toFixed(2), spread: '', isMet: Number.isFinite(value) ? value <= bar : undefined }
    }
    const ratio = report.ratios.find((ratio) => ratio.name === against && ratio.of === of)
    if (ratio === undefined) return { ...row, ours: '-', spread: '', isMet: undefined }
    const ours = 1 / ratio.median
    const spread = `${(1 / ratio.max).toFixed(2)}-${(1 / ratio.min).toFixed(2)}`
    return { ...row, ours: ours.toFixed(2), spread, isMet: ours <= bar }
  })
}

function nameOf({ scenario, given }: Cell, of: string): string {
  const { clients, depth, rate, linkFlushDelayMs, over } = given
  if (scenario === 'idle') return `idle, ${clients} sessions over ${over ?? 'tcp'}: bytes of memory each`
  if (scenario === 'growth') return `growth: a message over ${clients} clients by one over an eighth of them`
  if (scenario === 'storm') return `storm, ${clients} clients: ms ${stormFigures[of]}`
  if (scenario === 'broadcast') return `broadcast 1 to ${clients}, ${rate}/s${partOf[of] ?? ''}`
  if (scenario === 'latency') return `p99 latency added at half the saturating rate, ${clients} clients`
  const load = (rate ?? 0) > 0 ? `${clients} clients, ${rate}/s` : `${clients} x ${depth}`
  const delay = (linkFlushDelayMs ?? 0) > 0 ? `, link flush delay ${linkFlushDelayMs} ms` : ''
  return `${scenario} ${load}${delay}${partOf[of] ?? ''}`
}

const partOf: Record<string, string> = {
  hostCpuUsPerMessage: ': backend',
  userUsPerMessage: ': us of its own work',
  serverCpuUsPerMessage: ': gateway and host',
}

const stormFigures: Record<string, string> = {
  reattachMaxMs: 'from the kill until the last was back',
  backMaxMs: 'from the restarted gateway listening until the last was back',
  loopDelayMaxMs: 'that its event loop stood still at most, after the first second',
}

export function tableOf(rows: readonly Row[]): string {
  const verdict = (isMet: boolean | undefined): string => (isMet === undefined ? 'not measured' : isMet ? 'yes' : 'no')
  const lines = rows.map(
    ({ what, against, ours, spread, bar, isMet }) =>
      `| ${what} | ${against} | ${ours} | ${spread} | ${bar} | ${verdict(isMet)} |`,
  )
  return [
    '| run | against | ours | least-most | bar | met |',
    '| --- | --- | ---: | --- | ---: | --- |',
    ...lines,
  ].join('\n')
}
