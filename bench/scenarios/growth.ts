// growth: whether a message costs more the more players there are. The same load over many clients and over an eighth of
// them, in turns on one gateway; what counts is the CPU time of a message with many divided by that with few in the same
// round.
import { busiestUs, Generators } from '../generators.ts'
import { Histogram } from '../histogram.ts'
import type { LoadPlan, Measured } from '../processes/load.ts'
import { type Limit, median, type Round } from '../report.ts'
import { type Outcome, type Scenario, startEchoHost, startGateway } from '../stage.ts'

const FEWER = 8
const BUSY_SHARE = 0.9

export const growth: Scenario = async (stage, options): Promise<Outcome> => {
  const { clients, payloadBytes, depth, rate, seconds, warmupSeconds, workers } = options
  const host = await startEchoHost(stage, options)
  const gateway = await startGateway(stage, 'gateway', host.address)
  const few = Math.max(1, Math.round(clients / FEWER))
  const pids = { middle: gateway.pid, host: host.worker.pid }
  const measure = async (count: number): Promise<Measured> => {
    const load = { speaks: 'lanes', over: 'tcp', port: gateway.tcpPort, clients: count } as const
    const plan: LoadPlan = { ...load, payloadBytes, depth, rate, sends: true }
    const generators = new Generators(stage, plan, workers)
    await generators.connect()
    const measured = await generators.measure(warmupSeconds * 1000, seconds * 1000, pids)
    await generators.end()
    return measured
  }
  const rounds: Round[] = []
  for (let i = 0; i < options.rounds; i++) {
    const isFewFirst = i % 2 === 0
    const first = await measure(isFewFirst ? few : clients)
    const second = await measure(isFewFirst ? clients : few)
    const round = roundOf(few, ...(isFewFirst ? ([first, second] as const) : ([second, first] as const)))
    rounds.push(round)
    stage.say(
      `round ${i + 1}: a message costs ${round.figures!.growth.toFixed(2)} times as much over ${clients} clients`,
    )
  }
  stage.say(`median ${median(rounds.map(({ figures }) => figures!.growth)).toFixed(2)}`)
  return { rounds: { skewer: rounds }, violations: [] }
}

function roundOf(fewClients: number, few: Measured, many: Measured): Round {
  const { messages, elapsedUs, used, latencies, samples } = many
  const times = new Histogram()
  times.add(latencies)
  const each = (measured: Measured): number => measured.used.middle.cpuUs / Math.max(1, measured.messages)
  return {
    messages,
    elapsedUs,
    cpuUs: used.middle.cpuUs,
    rssBytes: used.middle.rssBytes,
    p50Us: times.percentile(0.5),
    p99Us: times.percentile(0.99),
    limitedBy: limitOf(many),
    generatorShare: busiestUs(used) / elapsedUs,
    latencies,
    samples,
    figures: { fewClients, fewCpuUsPerMessage: each(few), growth: each(many) / each(few) },
  }
}

function limitOf({ used, elapsedUs }: Measured): Limit {
  if (used.middle.cpuUs >= elapsedUs * BUSY_SHARE) return 'gateway'
  return busiestUs(used) >= elapsedUs * BUSY_SHARE ? 'generator' : 'none'
}
