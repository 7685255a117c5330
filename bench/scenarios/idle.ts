// idle: what a session costs while nothing is said on it. A fresh gateway for each round: its memory before the first
// session, and after the last one once it has come to rest.
import type { BenchOptions } from '../options.ts'
import { busiestUs, Generators } from '../generators.ts'
import { usageOf } from '../process-usage.ts'
import { median, type Round } from '../report.ts'
import { type Outcome, type Scenario, type Stage, startEchoHost, startGateway } from '../stage.ts'
import { portOf, type Way, ways } from './echo.ts'

const LOOKS = 10

export const idle: Scenario = async (stage, options): Promise<Outcome> => {
  const rounds: Round[] = []
  for (let i = 0; i < options.rounds; i++) {
    const round = await measure(stage, options, i)
    rounds.push(round)
    stage.say(`round ${i + 1}: ${Math.round(round.figures!.rssBytesPerSession)} bytes a session`)
  }
  return { rounds: { skewer: rounds }, violations: [] }
}

async function measure(stage: Stage, options: BenchOptions, i: number): Promise<Round> {
  const { clients, payloadBytes, seconds, warmupSeconds, workers } = options
  const host = await startEchoHost(stage, options)
  const way: Way = ways[options.over]
  const extras = way.extra === undefined ? [] : [way.extra]
  const gateway = await startGateway(stage, `gateway-${i + 1}`, host.address, { extras })
  const warmupMs = warmupSeconds * 1000
  await new Promise((resolve) => setTimeout(resolve, warmupMs))
  const before = await restingBytes(gateway.pid)
  const plan = {
    speaks: 'lanes' as const,
    over: options.over,
    port: portOf(gateway, way),
    gatewayKey: gateway.gatewayKey,
    clients,
    payloadBytes,
    depth: 1,
    rate: 0,
    sends: false,
  }
  const generators = new Generators(stage, plan, workers)
  await generators.connect()
  const { elapsedUs, used } = await generators.measure(warmupMs, seconds * 1000, { middle: gateway.pid })
  const after = await restingBytes(gateway.pid)
  await Promise.all([generators.end(), gateway.kill(), host.worker.end()])
  return {
    messages: 0,
    elapsedUs,
    cpuUs: used.middle.cpuUs,
    rssBytes: after,
    p50Us: 0,
    p99Us: 0,
    limitedBy: 'none',
    generatorShare: busiestUs(used) / elapsedUs,
    figures: {
      sessions: clients,
      rssBytesBefore: before,
      rssBytesPerSession: (after - before) / clients,
      cpuUsPerSessionSecond: (used.middle.cpuUs / clients) * (1e6 / elapsedUs),
    },
  }
}

/** Memory goes up and down with the garbage collector: the median of some looks. */
async function restingBytes(pid: number): Promise<number> {
  const looks: number[] = []
  for (let i = 0; i < LOOKS; i++) {
    looks.push(usageOf(pid).rssBytes)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return median(looks)
}
