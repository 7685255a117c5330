// storm: the gateway that everybody is on dies by kill -9 while all go on sending. They come to a second one at once, of
// which each round kills the one that took them the last time; or, with `restart`, there is only one, and it is started
// again on its port. What counts is how long it takes until each channel is attached again, what that costs the gateway,
// how long it stood still meanwhile, and that every message is heard exactly once and in order.
import { readFileSync } from 'node:fs'
import { monotonicUs } from '../clock.ts'
import type { GatewayProcess } from '../gateway-process.ts'
import { Histogram } from '../histogram.ts'
import type { BenchOptions } from '../options.ts'
import type { StormState } from '../processes/storm-clients.ts'
import { usageOf } from '../process-usage.ts'
import type { Round } from '../report.ts'
import { type Outcome, type Scenario, type Stage, startEchoHost, startGateway } from '../stage.ts'
import { refusalsOf, roundBetween, StormPlayers, violationsOf, wait } from '../storm-players.ts'

const FIRST_US = 1_000_000

export const storm: Scenario = async (stage, options): Promise<Outcome> => {
  const host = await startEchoHost(stage, options)
  const rounds: Round[] = []
  const violations: string[] = []
  const tell = (i: number, { round, state }: Awaited<ReturnType<typeof moved>>): void => {
    const { backMaxMs, reattachMaxMs } = round.figures!
    const when = backMaxMs === undefined ? '' : `, ${backMaxMs.toFixed(0)} ms after it listened again`
    stage.say(`round ${i + 1}: all attached again ${reattachMaxMs.toFixed(0)} ms after the kill${when}`)
    const refusals = refusalsOf(state)
    if (refusals !== '') stage.say(`round ${i + 1}: refused, and told so: ${refusals}`)
    violations.push(...violationsOf(state).map((what) => `round ${i + 1}: ${what}`))
    rounds.push(round)
  }
  if (options.restart) {
    const gateway = await startGateway(stage, 'gateway', host.address, { watchesLoop: true })
    for (let i = 0; i < options.rounds; i++) tell(i, await restarted(stage, options, gateway))
    return { rounds: { skewer: rounds }, violations }
  }
  let on = await startGateway(stage, 'gateway-1', host.address)
  let other = await startGateway(stage, 'gateway-2', host.address)
  for (let i = 0; i < options.rounds; i++) {
    tell(i, await moved(stage, options, on, other))
    await on.start()
    ;[on, other] = [other, on]
  }
  return { rounds: { skewer: rounds }, violations }
}

async function moved(stage: Stage, options: BenchOptions, on: GatewayProcess, other: GatewayProcess) {
  const players = new StormPlayers(stage)
  await players.begin([addressOf(on), addressOf(other)], options)
  const first = await players.ask({ kind: 'state' })
  const before = usageOf(other.pid)
  const killedAtUs = monotonicUs()
  await on.kill()
  // Who had to wait for the first gateway when all came at once has asked the second one as well, and may be there already.
  const isOn = (player: number): boolean => first.gateway[player] === 0
  const healed = await players.attachedAfter(killedAtUs, 'not all players came back', isOn)
  const spared = first.gateway.filter((gateway) => gateway !== 0).length
  if (spared > 0) stage.say(`${spared} players were on the second gateway before the first was killed`)
  const back = usageOf(other.pid)
  // The storm's echo: what was kept while apart is sent again, and all of it is heard.
  await wait(options.seconds * 1000)
  const state = await players.quiet()
  const figures = {
    ...reattachFigures(
      healed.attachedAtUs.filter((_, player) => isOn(player)),
      killedAtUs,
    ),
    cpuUsPerReattach: (back.cpuUs - before.cpuUs) / (options.clients - spared),
    ...kept(state),
  }
  const round = roundBetween([first, state], [before, usageOf(other.pid)], monotonicUs() - killedAtUs, figures)
  await players.end()
  return { round, state }
}

async function restarted(stage: Stage, options: BenchOptions, gateway: GatewayProcess) {
  const players = new StormPlayers(stage)
  await players.begin([addressOf(gateway)], options)
  const first = await players.ask({ kind: 'state' })
  const killedAtUs = monotonicUs()
  await gateway.kill()
  await gateway.start()
  const { listenedAtUs } = gateway
  const healed = await players.attachedAfter(killedAtUs, 'not all players came back')
  const back = usageOf(gateway.pid)
  await wait(options.seconds * 1000)
  const state = await players.quiet()
  const delays = loopDelaysIn(readFileSync(gateway.loopFile, 'utf8'))
  const longest = (holds: (us: number) => boolean): number =>
    Math.max(0, ...delays.flatMap(([us, ms]) => (us >= listenedAtUs && holds(us) ? [ms] : [])))
  const figures = {
    ...reattachFigures(healed.attachedAtUs, killedAtUs),
    downMs: (listenedAtUs - killedAtUs) / 1000,
    backMaxMs: Math.max(...healed.attachedAtUs.map((at) => at - listenedAtUs)) / 1000,
    loopDelayMaxMs: longest((us) => us >= listenedAtUs + FIRST_US),
    loopDelayFirstSecondMs: longest((us) => us < listenedAtUs + FIRST_US),
    cpuUsPerReattach: back.cpuUs / options.clients,
    ...kept(state),
  }
  // What the new process has used since it began, its start included.
  const none = { cpuUs: 0, rssBytes: 0 }
  const round = roundBetween([first, state], [none, usageOf(gateway.pid)], monotonicUs() - killedAtUs, figures)
  await players.end()
  return { round, state }
}

/** Lines of processes/loop-watch.ts: when, and how late a timer was then. */
export function loopDelaysIn(text: string): [us: number, delayMs: number][] {
  const lines = text.split('\n').filter((line) => line !== '')
  return lines.map((line) => line.split(' ').map(Number) as [number, number])
}

const addressOf = ({ tcpPort }: GatewayProcess): string => `tcp://127.0.0.1:${tcpPort}`

function reattachFigures(attachedAtUs: readonly number[], killedAtUs: number): Record<string, number> {
  const reattach = new Histogram()
  for (const at of attachedAtUs) reattach.record(at - killedAtUs)
  return {
    reattachP50Ms: reattach.percentile(0.5) / 1000,
    reattachP99Ms: reattach.percentile(0.99) / 1000,
    reattachMaxMs: reattach.max / 1000,
  }
}

function kept({
  sent,
  heard,
  refused,
  unknown,
  pending,
  lost,
  doubled,
  reordered,
}: StormState): Record<string, number> {
  const refusals = Object.values(refused).reduce((sum, count) => sum + count, 0)
  return { sent, heard, refused: refusals, unknown, pending, lost, doubled, reordered }
}
