// idle: what a session costs while nothing is said on it. A fresh gateway for each round: its memory before the first
// session, and after the last one once it has come to rest.
import type { BenchOptions } from '../options.ts'
import type { Measured, ToLoad } from '../processes/load.ts'
import { usageOf } from '../process-usage.ts'
import { median, type Round } from '../report.ts'
import { type Outcome, type Scenario, type Stage, startEchoHost, startGateway } from '../stage.ts'

const CONNECT_MS = 120_000
const ANSWER_MS = 30_000
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
  const { clients, payloadBytes, seconds, warmupSeconds } = options
  const host = await startEchoHost(stage, options)
  const gateway = await startGateway(stage, `gateway-${i + 1}`, host.address)
  const warmupMs = warmupSeconds * 1000
  await new Promise((resolve) => setTimeout(resolve, warmupMs))
  const before = await restingBytes(gateway.pid)
  const generator = stage.crew.work('the generator', new URL('../processes/load.ts', import.meta.url))
  const plan = {
    speaks: 'lanes' as const,
    over: options.over,
    port: options.over === 'websocket' ? gateway.websocketPort : gateway.tcpPort,
    clients,
    payloadBytes,
    depth: 1,
    rate: 0,
    sends: false,
  }
  await generator.ask({ kind: 'connect', plan } satisfies ToLoad, CONNECT_MS)
  const ask: ToLoad = { kind: 'measure', warmupMs, forMs: seconds * 1000, pids: { middle: gateway.pid } }
  const { elapsedUs, used } = await generator.ask<Measured>(ask, warmupMs + seconds * 1000 + ANSWER_MS)
  const after = await restingBytes(gateway.pid)
  await Promise.all([generator.end(), gateway.kill(), host.worker.end()])
  return {
    messages: 0,
    elapsedUs,
    cpuUs: used.middle.cpuUs,
    rssBytes: after,
    p50Us: 0,
    p99Us: 0,
    limitedBy: 'none',
    generatorShare: used.generator.cpuUs / elapsedUs,
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
