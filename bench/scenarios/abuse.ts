// abuse: players send at their rate, first alone, then as long beside one abuser of each kind that was asked for, against the
// limits of a gateway without policies of its own. What counts is the players' p99 in both, and what each abuser's actor
// has run: more than its limit gives for the time, and one burst, is a violation, however often it logs in.
import { Histogram, type HistogramCounts } from '../histogram.ts'
import { monotonicUs } from '../clock.ts'
import type { Worker } from '../crew.ts'
import type { GatewayProcess } from '../gateway-process.ts'
import type { AbuserKind, BenchOptions } from '../options.ts'
import type { AbuserState, ToAbuser } from '../processes/abuser.ts'
import type { EchoHostGot, ToEchoHost } from '../processes/echo-host.ts'
import type { StormState, ToStorm } from '../processes/storm-clients.ts'
import { usageOf } from '../process-usage.ts'
import type { Round } from '../report.ts'
import { type Outcome, type Scenario, type Stage, startEchoHost, startGateway } from '../stage.ts'
import { isQuiet, until, violationsOf, wait } from '../storm-players.ts'

/** What the keys of the abusers' actors begin with. */
const COUNTED = 'abuser-'
const ANSWER_MS = 30_000
const ATTACH_MS = 120_000

type Abuser = { kind: AbuserKind; name: string; worker: Worker; tell(message: ToAbuser): Promise<AbuserState> }

export const abuse: Scenario = async (stage, options): Promise<Outcome> => {
  const { clients, rate, payloadBytes, seconds, warmupSeconds } = options
  const host = await startEchoHost(stage, options, { counted: COUNTED })
  const extras = ['udp', 'http'] as const
  const gateway = await startGateway(stage, 'gateway', host.address, { hasDefaultLimits: true, extras })
  const limit = await gateway.messageLimit()
  const players = stage.crew.work('the players', new URL('../processes/storm-clients.ts', import.meta.url))
  const ask = (message: ToStorm) => players.ask<StormState>(message, ANSWER_MS)
  const gateways = [`tcp://127.0.0.1:${gateway.tcpPort}`]
  await ask({ kind: 'connect', plan: { gateways, clients, rate, payloadBytes } })
  await until(ask, (s) => s.attachedAtUs.every((at) => at > 0), ATTACH_MS, 'not all players were attached')
  await ask({ kind: 'begin' })
  await wait(warmupSeconds * 1000)
  const rounds: Round[] = []
  const violations: string[] = []
  for (let i = 0; i < options.rounds; i++) {
    await ask({ kind: 'mark' })
    const calmBefore = usageOf(gateway.pid)
    await wait(seconds * 1000)
    const calm = await ask({ kind: 'state' })
    const calmCpuUs = usageOf(gateway.pid).cpuUs - calmBefore.cpuUs
    const abusers = await abusersOf(stage, options, gateway, i)
    await ask({ kind: 'mark' })
    const before = usageOf(gateway.pid)
    const fromUs = monotonicUs()
    for (const { tell } of abusers) await tell({ kind: 'begin' })
    await wait(seconds * 1000)
    const busy = await ask({ kind: 'state' })
    const after = usageOf(gateway.pid)
    const elapsedUs = monotonicUs() - fromUs
    const states = await Promise.all(abusers.map(({ tell }) => tell({ kind: 'quiet' })))
    const { got } = await host.worker.ask<EchoHostGot>({ kind: 'got' } satisfies ToEchoHost, ANSWER_MS)
    const endedUs = monotonicUs() - fromUs
    const figures: Record<string, number> = {}
    for (const [at, { kind, name, worker }] of abusers.entries()) {
      const { tried, logins, ends } = states[at]
      for (const [why, count] of Object.entries(ends)) stage.say(`round ${i + 1}: ${kind}: ${count} times: ${why}`)
      const ran = got[name] ?? 0
      const allowed = Math.floor((limit.perSecond * endedUs) / 1e6 + limit.burst)
      if (ran > allowed) violations.push(`round ${i + 1}: ${kind}: ${ran} ran of ${allowed} allowed`)
      figures[`${kind}TriedPerSecond`] = (tried * 1e6) / elapsedUs
      if (logins > 0)
        Object.assign(figures, { [`${kind}RanPerSecond`]: (ran * 1e6) / elapsedUs, [`${kind}Logins`]: logins })
      await worker.end()
    }
    const p99 = { calm: percentileOf(calm.latencies, 0.99), abused: percentileOf(busy.latencies, 0.99) }
    const shares = {
      calmGatewayShare: calmCpuUs / (seconds * 1e6),
      gatewayShare: (after.cpuUs - before.cpuUs) / elapsedUs,
    }
    rounds.push({
      messages: busy.heard - calm.heard,
      elapsedUs,
      cpuUs: after.cpuUs - before.cpuUs,
      rssBytes: after.rssBytes,
      p50Us: percentileOf(busy.latencies, 0.5),
      p99Us: p99.abused,
      limitedBy: 'rate',
      latencies: busy.latencies,
      generatorShare: (busy.cpuUs - calm.cpuUs) / elapsedUs,
      figures: {
        calmP50Ms: percentileOf(calm.latencies, 0.5) / 1000,
        abusedP50Ms: percentileOf(busy.latencies, 0.5) / 1000,
        calmP99Ms: p99.calm / 1000,
        abusedP99Ms: p99.abused / 1000,
        p99Ratio: p99.abused / p99.calm,
        ...shares,
        ...figures,
      },
    })
    stage.say(
      `round ${i + 1}: p99 ${(p99.calm / 1000).toFixed(1)} ms alone, ${(p99.abused / 1000).toFixed(1)} ms abused`,
    )
  }
  await ask({ kind: 'quiet' })
  const state = await until(ask, isQuiet, 60_000).catch(() => ask({ kind: 'state' }))
  return { rounds: { skewer: rounds }, violations: [...violations, ...violationsOf(state)] }
}

/** Started and connected; another name in each round. */
async function abusersOf(
  stage: Stage,
  { abusers, abuseRate, payloadBytes }: BenchOptions,
  gateway: GatewayProcess,
  round: number,
): Promise<Abuser[]> {
  const started: Abuser[] = []
  for (const kind of abusers) {
    const worker = stage.crew.work(`the abuser ${kind}`, new URL('../processes/abuser.ts', import.meta.url))
    const name = `${COUNTED}${kind}-${round}`
    const tell = (message: ToAbuser) => worker.ask<AbuserState>(message, ANSWER_MS)
    const { gatewayKey } = gateway
    const plan = { abuser: kind, port: portOf(kind, gateway), gatewayKey, name, rate: abuseRate, payloadBytes }
    await tell({ kind: 'connect', plan })
    started.push({ kind, name, worker, tell })
  }
  return started
}

function portOf(kind: AbuserKind, gateway: GatewayProcess): number {
  switch (kind) {
    case 'websocket':
    case 'websocket-flood':
      return gateway.websocketPort
    case 'kcp':
    case 'kcp-flood':
    case 'datagrams':
      return gateway.portOf('udp')
    case 'http':
      return gateway.portOf('http')
    default:
      return gateway.tcpPort
  }
}

function percentileOf(counts: HistogramCounts, share: number): number {
  const all = new Histogram()
  all.add(counts)
  return all.percentile(share)
}
