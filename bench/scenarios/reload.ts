// reload: players send at their rate while the gateway reads another configuration, again and again. What counts is the
// longest that any message took meanwhile beside the longest of a calm time as long before it, and that every message is
// heard exactly once and in order.
import { monotonicUs } from '../clock.ts'
import { Histogram } from '../histogram.ts'
import type { StormState } from '../processes/storm-clients.ts'
import { usageOf } from '../process-usage.ts'
import type { Round } from '../report.ts'
import { type Outcome, type Scenario, startEchoHost, startGateway } from '../stage.ts'
import { roundBetween, StormPlayers, violationsOf, wait } from '../storm-players.ts'

const PAUSE_MS = 500

export const reload: Scenario = async (stage, options): Promise<Outcome> => {
  const { clients, seconds } = options
  const host = await startEchoHost(stage, options)
  const gateway = await startGateway(stage, 'gateway', host.address)
  const players = new StormPlayers(stage)
  await players.begin([`tcp://127.0.0.1:${gateway.tcpPort}`], options)

  const rounds: Round[] = []
  for (let i = 0; i < options.rounds; i++) {
    await players.ask({ kind: 'mark' })
    await wait(seconds * 1000)
    const calm = await players.ask({ kind: 'state' })
    const before = usageOf(gateway.pid)
    const fromUs = monotonicUs()
    await players.ask({ kind: 'mark' })
    let reloads = 0
    let reloadMaxMs = 0
    while (monotonicUs() - fromUs < seconds * 1e6) {
      const askedUs = monotonicUs()
      await gateway.reload()
      reloads++
      reloadMaxMs = Math.max(reloadMaxMs, (monotonicUs() - askedUs) / 1000)
      await wait(PAUSE_MS)
    }
    const busy = await players.ask({ kind: 'state' })
    const [calmTimes, times] = [timesOf(calm), timesOf(busy)]
    const figures = {
      reloads,
      reloadMaxMs,
      longestMs: times.max / 1000,
      calmLongestMs: calmTimes.max / 1000,
      calmP99Ms: calmTimes.percentile(0.99) / 1000,
    }
    rounds.push(roundBetween([calm, busy], [before, usageOf(gateway.pid)], monotonicUs() - fromUs, figures))
    stage.say(`round ${i + 1}: ${reloads} reloads, the longest message took ${(times.max / 1000).toFixed(1)} ms`)
  }
  const state = await players.quiet()
  const moved = state.attachedAtUs.some((at, i) => at === 0 || i >= clients)
  return {
    rounds: { skewer: rounds },
    violations: [...violationsOf(state), ...(moved ? ['a channel was detached'] : [])],
  }
}

function timesOf({ latencies }: StormState): Histogram {
  const times = new Histogram()
  times.add(latencies)
  return times
}
