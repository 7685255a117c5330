// The echoes, http-call, push and broadcast: one load through the gateway and, where asked for, the same through its
// rivals. Everything stays up for the whole run; in each round every subject has its turn, in an order that rotates.
import { Histogram } from '../histogram.ts'
import { startGameServer } from '../game-servers.ts'
import type { ExtraListener, GatewayProcess } from '../gateway-process.ts'
import { busiestUs, Generators } from '../generators.ts'
import { type BenchOptions, isGameServer, type ProxyName, type RivalName } from '../options.ts'
import type { LoadPlan, Measured, Over } from '../processes/load.ts'
import type { Echo, PlainEchoStarted, ToPlainEcho } from '../processes/plain-echo.ts'
import type { Limit, Round } from '../report.ts'
import { cpuUsPerMessage, perSecond } from '../report.ts'
import { type ProxyStyle, startProxy } from '../rival-process.ts'
import { echoElsewhere } from './echo-elsewhere.ts'
import { type Outcome, type Scenario, type Stage, startEchoHost, startGateway } from '../stage.ts'

const START_MS = 30_000
/** A process with this much of a core has no more to give. */
const BUSY_SHARE = 0.9
/** Below this share of the rate that was asked for, the load was not kept up. */
const KEPT_SHARE = 0.95

export type Target = Pick<LoadPlan, 'speaks' | 'over' | 'port' | 'gatewayKey'> & {
  name: string
  /** A game server is both in one process: it has no host. */
  pids: { middle?: number; host?: number }
  /** Where the process in the middle sends again itself: how often it has. */
  resentBy?: () => Promise<number>
}

/** Clients send and hear it again; or only hear, what their actors push, or what one actor publishes to all. */
type Does = 'echo' | 'push' | 'broadcast'

export type Way = {
  speaks: LoadPlan['speaks']
  over: Over
  extra?: ExtraListener
  rival: Carried
  /** Of a rival that carries something else. */
  others?: Partial<Record<RivalName, Carried>>
}
/** What a rival carries, to which echo, and in which of its configurations. */
type Carried = { over: Over; echo: Echo; style: ProxyStyle }

const tcp = { over: 'tcp', echo: 'tcp', style: 'tcp' } as const
export const ways = {
  tcp: { speaks: 'lanes', over: 'tcp', rival: tcp },
  websocket: {
    speaks: 'lanes',
    over: 'websocket',
    rival: { over: 'websocket', echo: 'websocket', style: 'websocket' },
  },
  tls: { speaks: 'lanes', over: 'tls', extra: 'tls', rival: { over: 'tls', echo: 'tcp', style: 'tls' } },
  // Nobody else speaks Noise: the rivals carry plain TCP.
  noise: { speaks: 'lanes', over: 'noise', extra: 'noise', rival: tcp },
  // Nor KCP sealed: plain datagrams; kcptun has a KCP of its own, for connections.
  kcp: {
    speaks: 'lanes',
    over: 'kcp',
    extra: 'udp',
    rival: { over: 'datagrams', echo: 'datagrams', style: 'udp' },
    others: { kcptun: tcp, 'kcptun-each': tcp, 'kcptun-defaults': tcp },
  },
  http: { speaks: 'http', over: 'tcp', extra: 'http', rival: { ...tcp, style: 'http' } },
} as const satisfies Record<string, Way>

export const tcpEcho: Scenario = (stage, options) => run(stage, options, ways.tcp, 'echo')
export const wsEcho: Scenario = (stage, options) => run(stage, options, ways.websocket, 'echo')
export const tlsEcho: Scenario = (stage, options) => run(stage, options, ways.tls, 'echo')
export const noiseEcho: Scenario = (stage, options) => run(stage, options, ways.noise, 'echo')
export const kcpEcho: Scenario = (stage, options) => run(stage, options, ways.kcp, 'echo')
export const httpCall: Scenario = (stage, options) => run(stage, options, ways.http, 'echo')
export const push: Scenario = (stage, options) => run(stage, options, ways.tcp, 'push')
export const broadcast: Scenario = (stage, options) => run(stage, options, ways[options.over], 'broadcast')

async function run(stage: Stage, options: BenchOptions, way: Way, does: Does): Promise<Outcome> {
  if (options.target) return echoElsewhere(stage, options, options.target)
  const targets = await targetsOf(stage, options, way, does)
  const rounds = await roundsOf(targets, options.rounds, async (target, i) => {
    const round = await measure(stage, options, target, does)
    const cpu = cpuUsPerMessage(round)?.toFixed(2) ?? '-'
    stage.say(`round ${i + 1}: ${target.name} ${Math.round(perSecond(round))} messages/s, ${cpu} us of CPU each`)
    return round
  })
  return { rounds, violations: [] }
}

/** Each target has its turn in each round, in an order that rotates. */
export async function roundsOf(
  targets: readonly Target[],
  count: number,
  turn: (target: Target, round: number) => Promise<Round>,
): Promise<Record<string, Round[]>> {
  const rounds: Record<string, Round[]> = Object.fromEntries(targets.map(({ name }) => [name, []]))
  for (let i = 0; i < count; i++) {
    const first = i % targets.length
    for (const target of [...targets.slice(first), ...targets.slice(0, first)]) {
      rounds[target.name].push(await turn(target, i))
    }
  }
  return rounds
}

/** Where a gateway listens for it. */
export function portOf(gateway: GatewayProcess, { over, extra }: Way): number {
  if (extra !== undefined) return gateway.portOf(extra)
  return over === 'websocket' ? gateway.websocketPort : gateway.tcpPort
}

/** Starts the gateway with its host, and the rivals with theirs. */
export async function targetsOf(stage: Stage, options: BenchOptions, way: Way, does: Does): Promise<Target[]> {
  const { speaks, over, extra } = way
  const rates = {
    pushRate: does === 'push' ? options.rate / options.clients : 0,
    publishRate: does === 'broadcast' ? options.rate : 0,
  }
  const host = await startEchoHost(stage, options, rates)
  const choices = { extras: extra === undefined ? [] : [extra], linkFlushDelayMs: options.linkFlushDelayMs }
  const gateway = await startGateway(stage, 'gateway', host.address, choices)
  const port = portOf(gateway, way)
  const { gatewayKey } = gateway
  const pids = { middle: gateway.pid, host: host.worker.pid }
  const resentBy = over === 'kcp' ? () => gateway.counter('skewer_kcp_resent_total') : undefined
  const own: Target = { name: 'skewer', speaks, over, port, gatewayKey, pids, resentBy }
  return [own, ...(await rivals(stage, options, way, rates.publishRate))]
}

async function rivals(stage: Stage, options: BenchOptions, way: Way, publishRate: number): Promise<Target[]> {
  const targets = await behindEcho(
    stage,
    options.against.filter((name) => !isGameServer(name)),
    options,
    way,
  )
  for (const name of options.against.filter(isGameServer)) {
    const publishes = { rate: publishRate, payloadBytes: options.payloadBytes }
    const { pid, port } = await startGameServer(stage.crew, name, stage.folder, publishes)
    targets.push({ name, speaks: name, over: 'websocket', port, pids: { middle: pid } })
  }
  return targets
}

async function behindEcho(
  stage: Stage,
  names: readonly (ProxyName | 'raw')[],
  { clients }: BenchOptions,
  way: Way,
): Promise<Target[]> {
  const speaks = way.speaks === 'http' ? ('http' as const) : ('raw' as const)
  const module =
    speaks === 'http'
      ? new URL('../processes/plain-http-echo.ts', import.meta.url)
      : new URL('../processes/plain-echo.ts', import.meta.url)
  const targets: Target[] = []
  for (const name of names) {
    const { over, echo, style } = way.others?.[name] ?? way.rival
    const worker = stage.crew.work('the plain echo', module)
    const { port } = await worker.ask<PlainEchoStarted>({ kind: 'start', echo } satisfies ToPlainEcho, START_MS)
    const host = worker.pid
    if (name === 'raw') {
      targets.push({ name, speaks, over, port, pids: { host } })
    } else {
      const proxy = await startProxy(stage.crew, name, stage.folder, port, clients, style)
      targets.push({ name, speaks, over, port: proxy.port, pids: { middle: proxy.pid, host } })
    }
  }
  return targets
}

/** A generator of its own for each turn: its connections are gone when another has its turn. */
export async function measure(stage: Stage, options: BenchOptions, target: Target, does: Does): Promise<Round> {
  const { clients, payloadBytes, depth, rate, seconds, warmupSeconds, workers } = options
  const { name, speaks, over, port, gatewayKey, pids, resentBy } = target
  const isBroadcast = does === 'broadcast'
  const actor = isBroadcast ? 'everybody' : undefined
  const plan = { speaks, over, port, gatewayKey, clients, payloadBytes, depth, rate, sends: does === 'echo', actor }
  const generators = new Generators(stage, plan, workers)
  await generators.connect()
  const before = await resentBy?.()
  const measured = await generators.measure(warmupSeconds * 1000, seconds * 1000, pids)
  const resent = resentBy === undefined ? measured.resent : (await resentBy()) - before!
  await generators.end()
  const { messages, elapsedUs, used, leftOut } = measured
  const latencies = new Histogram()
  latencies.add(measured.latencies)
  return {
    messages,
    elapsedUs,
    cpuUs: used.middle?.cpuUs,
    rssBytes: used.middle?.rssBytes,
    p50Us: latencies.percentile(0.5),
    p99Us: latencies.percentile(0.99),
    limitedBy: limitOf(name, measured, isBroadcast ? rate * clients : rate),
    generatorShare: busiestUs(used) / elapsedUs,
    latencies: measured.latencies,
    samples: measured.samples,
    figures: {
      ...figuresOf(measured),
      ...(over === 'datagrams' || resentBy !== undefined ? { resent } : {}),
      ...(isBroadcast ? { ...deliveries(measured), leftOut } : {}),
    },
  }
}

/**
 * Of the process in the middle its own work and the kernel's; of what stands behind it; and of both together, which is all
 * that a message costs the operator.
 */
function figuresOf({ messages, used: { middle, host } }: Measured): Record<string, number> {
  const perMessage = (us = 0): number => (messages === 0 ? 0 : us / messages)
  const hostCpuUsPerMessage = perMessage(host?.cpuUs)
  return {
    userUsPerMessage: perMessage(middle?.userUs),
    systemUsPerMessage: perMessage(middle?.systemUs),
    hostCpuUsPerMessage,
    serverCpuUsPerMessage: hostCpuUsPerMessage + perMessage(middle?.cpuUs),
  }
}

/** A rival that runs the game, too, has one process for what the gateway and the host do here. */
function deliveries({ messages, used }: Measured): Record<string, number> {
  const perCpuSecond = (us: number): number => (us === 0 ? 0 : (messages * 1e6) / us)
  const middleUs = used.middle?.cpuUs ?? 0
  const both = middleUs + (used.host?.cpuUs ?? 0)
  return { deliveriesPerCpuSecond: perCpuSecond(middleUs), deliveriesPerCpuSecondWithHost: perCpuSecond(both) }
}

/** Who had no more to give. None: the cores, or the depth, were the limit. */
function limitOf(name: string, { messages, elapsedUs, used }: Measured, rate: number): Limit {
  if (rate > 0 && messages >= (rate * elapsedUs * KEPT_SHARE) / 1e6) return 'rate'
  const isBusy = (process: string): boolean => (used[process]?.cpuUs ?? 0) >= elapsedUs * BUSY_SHARE
  if (isBusy('middle')) return name === 'skewer' ? 'gateway' : 'proxy'
  if (busiestUs(used) >= elapsedUs * BUSY_SHARE) return 'generator'
  return isBusy('host') ? 'host' : 'none'
}
