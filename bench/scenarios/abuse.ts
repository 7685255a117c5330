// abuse: players send at their rate, first alone, then as long beside one abuser on TCP and one on WebSocket, against the
// limits of a gateway without policies of its own. What counts is the players' p99 in both, and what each abuser's actor got.
import { Histogram, type HistogramCounts } from '../histogram.ts'
import { monotonicUs } from '../clock.ts'
import type { AbuserState, ToAbuser } from '../processes/abuser.ts'
import type { StormState, ToStorm } from '../processes/storm-clients.ts'
import { usageOf } from '../process-usage.ts'
import type { Round } from '../report.ts'
import { type Outcome, type Scenario, startEchoHost, startGateway } from '../stage.ts'
import { until, violationsOf, wait } from '../storm-players.ts'

const ANSWER_MS = 30_000
const ATTACH_MS = 120_000
const ABUSE_PER_SECOND = 20_000
/** The gateway's own default (config/resolve-policies.ts). */
const LIMIT = { perSecond: 1000, burst: 2000 }

export const abuse: Scenario = async (stage, options): Promise<Outcome> => {
  const { clients, rate, payloadBytes, seconds, warmupSeconds } = options
  const host = await startEchoHost(stage, options)
  const gateway = await startGateway(stage, 'gateway', host.address, { hasDefaultLimits: true })
  const urls = { tcp: `tcp://127.0.0.1:${gateway.tcpPort}`, websocket: `ws://127.0.0.1:${gateway.websocketPort}/` }
  const players = stage.crew.work('the players', new URL('../processes/storm-clients.ts', import.meta.url))
  const ask = (message: ToStorm) => players.ask<StormState>(message, ANSWER_MS)
  await ask({ kind: 'connect', plan: { gateways: [urls.tcp], clients, rate, payloadBytes } })
  await until(ask, (s) => s.attachedAtUs.every((at) => at > 0), ATTACH_MS, 'not all players were attached')
  await ask({ kind: 'begin' })
  await wait(warmupSeconds * 1000)
  const rounds: Round[] = []
  const violations: string[] = []
  for (let i = 0; i < options.rounds; i++) {
    await ask({ kind: 'mark' })
    await wait(seconds * 1000)
    const calm = await ask({ kind: 'state' })
    const abusers = Object.entries(urls).map(([transport, url]) => {
      const worker = stage.crew.work(`the abuser on ${transport}`, new URL('../processes/abuser.ts', import.meta.url))
      return { transport, url, worker, tell: (message: ToAbuser) => worker.ask<AbuserState>(message, ANSWER_MS) }
    })
    for (const { transport, url, tell } of abusers) {
      const plan = { url, name: `abuser-${transport}-${i}`, rate: ABUSE_PER_SECOND, payloadBytes }
      await tell({ kind: 'connect', plan })
    }
    await ask({ kind: 'mark' })
    const before = usageOf(gateway.pid)
    const fromUs = monotonicUs()
    for (const { tell } of abusers) await tell({ kind: 'begin' })
    await wait(seconds * 1000)
    const busy = await ask({ kind: 'state' })
    const after = usageOf(gateway.pid)
    const elapsedUs = monotonicUs() - fromUs
    const got: Record<string, number> = {}
    for (const { transport, tell, worker } of abusers) {
      const { heard } = await tell({ kind: 'quiet' })
      const allowed = (LIMIT.perSecond * (monotonicUs() - fromUs)) / 1e6 + LIMIT.burst
      if (heard > allowed) violations.push(`round ${i + 1}: ${transport}: ${heard} of ${Math.floor(allowed)} allowed`)
      got[`${transport}PerSecond`] = (heard * 1e6) / elapsedUs
      await worker.end()
    }
    const p99 = { calm: p99Of(calm.latencies), abused: p99Of(busy.latencies) }
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
      figures: { calmP99Ms: p99.calm / 1000, abusedP99Ms: p99.abused / 1000, p99Ratio: p99.abused / p99.calm, ...got },
    })
  }
  await ask({ kind: 'quiet' })
  const state = await until(ask, ({ lost }) => lost <= 0, 60_000).catch(() => ask({ kind: 'state' }))
  return { rounds: { skewer: rounds }, violations: [...violations, ...violationsOf(state)] }
}

const p99Of = (counts: HistogramCounts) => percentileOf(counts, 0.99)

function percentileOf(counts: HistogramCounts, share: number): number {
  const all = new Histogram()
  all.add(counts)
  return all.percentile(share)
}
