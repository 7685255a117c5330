// storm: the gateway that everybody is on dies by kill -9, and all come to the other one at once while they go on sending.
// What counts is how long after the kill each channel is attached again, what that costs the gateway that takes them all,
// and that every message is heard exactly once and in order. Each round kills the gateway that took them the last time.
import { monotonicUs } from '../clock.ts'
import type { Worker } from '../crew.ts'
import type { GatewayProcess } from '../gateway-process.ts'
import { Histogram } from '../histogram.ts'
import type { BenchOptions } from '../options.ts'
import type { StormState, ToStorm } from '../processes/storm-clients.ts'
import { usageOf } from '../process-usage.ts'
import type { Round } from '../report.ts'
import { type Outcome, type Scenario, startEchoHost, startGateway } from '../stage.ts'

const ANSWER_MS = 30_000
const ATTACH_MS = 120_000
const QUIET_MS = 60_000
const LOOK_MS = 50

export const storm: Scenario = async (stage, options): Promise<Outcome> => {
  const host = await startEchoHost(stage, options)
  let on = await startGateway(stage, 'gateway-1', host.address)
  let other = await startGateway(stage, 'gateway-2', host.address)
  const rounds: Round[] = []
  const violations: string[] = []
  for (let i = 0; i < options.rounds; i++) {
    const players = stage.crew.work('the players', new URL('../processes/storm-clients.ts', import.meta.url))
    const { round, state } = await measure(players, options, on, other)
    await players.end()
    rounds.push(round)
    violations.push(...violationsOf(state).map((what) => `round ${i + 1}: ${what}`))
    stage.say(`round ${i + 1}: all attached again ${round.figures!.reattachMaxMs.toFixed(0)} ms after the kill`)
    await on.start()
    ;[on, other] = [other, on]
  }
  return { rounds: { skewer: rounds }, violations }
}

async function measure(players: Worker, options: BenchOptions, on: GatewayProcess, other: GatewayProcess) {
  const { clients, rate, payloadBytes, seconds, warmupSeconds } = options
  const ask = (message: ToStorm) => players.ask<StormState>(message, ANSWER_MS)
  const gateways = [on, other].map(({ tcpPort }) => `tcp://127.0.0.1:${tcpPort}`)
  await ask({ kind: 'connect', plan: { gateways, clients, rate, payloadBytes } })
  const isAttached = (since: number) => (state: StormState) => state.attachedAtUs.every((at) => at > since)
  await until(ask, isAttached(0), ATTACH_MS, 'not all players were attached')
  await ask({ kind: 'begin' })
  await wait(warmupSeconds * 1000)

  const first = await ask({ kind: 'state' })
  const before = usageOf(other.pid)
  const killedAtUs = monotonicUs()
  await on.kill()
  const healed = await until(ask, isAttached(killedAtUs), ATTACH_MS, 'not all players came back')
  const reattachCpuUs = usageOf(other.pid).cpuUs - before.cpuUs
  // The storm's echo: what was kept while apart is sent again, and all of it is heard.
  await wait(seconds * 1000)
  await ask({ kind: 'quiet' })
  const state = await until(ask, ({ lost }) => lost <= 0, QUIET_MS).catch(() => ask({ kind: 'state' }))
  const after = usageOf(other.pid)
  const elapsedUs = monotonicUs() - killedAtUs

  const reattach = new Histogram()
  for (const at of healed.attachedAtUs) reattach.record(at - killedAtUs)
  const latencies = new Histogram()
  latencies.add(state.latencies)
  const round: Round = {
    messages: state.heard - first.heard,
    elapsedUs,
    cpuUs: after.cpuUs - before.cpuUs,
    rssBytes: after.rssBytes,
    p50Us: latencies.percentile(0.5),
    p99Us: latencies.percentile(0.99),
    limitedBy: 'rate',
    latencies: state.latencies,
    generatorShare: (state.cpuUs - first.cpuUs) / elapsedUs,
    figures: {
      reattachP50Ms: reattach.percentile(0.5) / 1000,
      reattachP99Ms: reattach.percentile(0.99) / 1000,
      reattachMaxMs: reattach.max / 1000,
      cpuUsPerReattach: reattachCpuUs / clients,
      lost: state.lost,
      doubled: state.doubled,
      reordered: state.reordered,
    },
  }
  return { round, state }
}

/** What was promised and not kept. */
export function violationsOf(state: StormState): string[] {
  return (['lost', 'doubled', 'reordered', 'resets'] as const)
    .filter((what) => state[what] !== 0)
    .map((what) => `${state[what]} ${what}`)
}

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
