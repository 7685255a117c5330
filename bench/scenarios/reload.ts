// reload: players send at their rate while the gateway reads another configuration, again and again. What counts is the
// longest that any message took meanwhile beside the longest of a calm time as long before it, and that every message is
// heard exactly once and in order.
import { monotonicUs } from '../clock.ts'
import { Histogram } from '../histogram.ts'
import type { StormState, ToStorm } from '../processes/storm-clients.ts'
import { usageOf } from '../process-usage.ts'
import type { Round } from '../report.ts'
import { type Outcome, type Scenario, startEchoHost, startGateway } from '../stage.ts'
import { until, violationsOf, wait } from './storm.ts'

const ANSWER_MS = 30_000
const ATTACH_MS = 120_000
const QUIET_MS = 60_000
const PAUSE_MS = 500

export const reload: Scenario = async (stage, options): Promise<Outcome> => {
  const { clients, rate, payloadBytes, seconds, warmupSeconds } = options
  const host = await startEchoHost(stage, options)
  const gateway = await startGateway(stage, 'gateway', host.address)
  const players = stage.crew.work('the players', new URL('../processes/storm-clients.ts', import.meta.url))
  const ask = (message: ToStorm) => players.ask<StormState>(message, ANSWER_MS)
  const gateways = [`tcp://127.0.0.1:${gateway.tcpPort}`]
  await ask({ kind: 'connect', plan: { gateways, clients, rate, payloadBytes } })
  const isAttached = (state: StormState) => state.attachedAtUs.every((at) => at > 0)
  await until(ask, isAttached, ATTACH_MS, 'not all players were attached')
  await ask({ kind: 'begin' })
  await wait(warmupSeconds * 1000)

  const rounds: Round[] = []
  for (let i = 0; i < options.rounds; i++) {
    await ask({ kind: 'mark' })
    await wait(seconds * 1000)
    const calm = await ask({ kind: 'state' })
    const before = usageOf(gateway.pid)
    const fromUs = monotonicUs()
    await ask({ kind: 'mark' })
    let reloads = 0
    let reloadMsMax = 0
    while (monotonicUs() - fromUs < seconds * 1e6) {
      const askedUs = monotonicUs()
      await gateway.reload()
      reloads++
      reloadMsMax = Math.max(reloadMsMax, (monotonicUs() - askedUs) / 1000)
      await wait(PAUSE_MS)
    }
    const busy = await ask({ kind: 'state' })
    const after = usageOf(gateway.pid)
    const elapsedUs = monotonicUs() - fromUs
    const calmTimes = new Histogram()
    calmTimes.add(calm.latencies)
    const times = new Histogram()
    times.add(busy.latencies)
    rounds.push({
      messages: busy.heard - calm.heard,
      elapsedUs,
      cpuUs: after.cpuUs - before.cpuUs,
      rssBytes: after.rssBytes,
      p50Us: times.percentile(0.5),
      p99Us: times.percentile(0.99),
      limitedBy: 'rate',
      latencies: busy.latencies,
      generatorShare: (busy.cpuUs - calm.cpuUs) / elapsedUs,
      figures: {
        reloads,
        reloadMaxMs: reloadMsMax,
        longestMs: times.max / 1000,
        calmLongestMs: calmTimes.max / 1000,
        calmP99Ms: calmTimes.percentile(0.99) / 1000,
      },
    })
    stage.say(`round ${i + 1}: ${reloads} reloads, the longest message took ${(times.max / 1000).toFixed(1)} ms`)
  }
  await ask({ kind: 'quiet' })
  const state = await until(ask, ({ lost }) => lost <= 0, QUIET_MS).catch(() => ask({ kind: 'state' }))
  const moved = state.attachedAtUs.some((at, i) => at === 0 || i >= clients)
  return {
    rounds: { skewer: rounds },
    violations: [...violationsOf(state), ...(moved ? ['a channel was detached'] : [])],
  }
}
