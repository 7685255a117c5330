// tcp-echo, ws-echo, kcp-echo, http-call and push: one load through the gateway and, where asked for, the same through its
// rivals. Everything stays up for the whole run; in each round every subject has its turn, in an order that rotates.
import { Histogram } from '../histogram.ts'
import type { BenchOptions } from '../options.ts'
import type { LoadPlan, Measured, ToLoad } from '../processes/load.ts'
import type { PlainEchoStarted } from '../processes/plain-echo.ts'
import type { Limit, Round } from '../report.ts'
import { cpuUsPerMessage, perSecond } from '../report.ts'
import { startProxy } from '../rival-process.ts'
import { type Outcome, type Scenario, type Stage, startEchoHost, startGateway } from '../stage.ts'

const START_MS = 30_000
const CONNECT_MS = 120_000
/** A process with this much of a core has no more to give. */
const BUSY_SHARE = 0.9
/** Below this share of the rate that was asked for, the load was not kept up. */
const KEPT_SHARE = 0.95

type Target = Pick<LoadPlan, 'speaks' | 'port' | 'gatewayKey'> & {
  name: string
  pids: { middle?: number; host: number }
}

export const tcpEcho: Scenario = (stage, options) => run(stage, options, 'lanes-tcp', true)
export const wsEcho: Scenario = (stage, options) => run(stage, options, 'lanes-websocket', true)
export const kcpEcho: Scenario = (stage, options) => run(stage, options, 'lanes-kcp', true)
export const httpCall: Scenario = (stage, options) => run(stage, options, 'http', true)
export const push: Scenario = (stage, options) => run(stage, options, 'lanes-tcp', false)

async function run(
  stage: Stage,
  options: BenchOptions,
  speaks: Exclude<LoadPlan['speaks'], 'raw'>,
  sends: boolean,
): Promise<Outcome> {
  const pushRate = sends ? 0 : options.rate / options.clients
  const host = await startEchoHost(stage, options, pushRate)
  const gateway = await startGateway(stage, 'gateway', host.address, speaks === 'lanes-kcp')
  const ports = {
    'lanes-tcp': gateway.tcpPort,
    'lanes-websocket': gateway.websocketPort,
    'lanes-kcp': gateway.udpPort,
    http: gateway.httpPort,
  }
  const port = ports[speaks]
  const { gatewayKey } = gateway
  const pids = { middle: gateway.pid, host: host.worker.pid }
  const targets: Target[] = [{ name: 'skewer', speaks, port, gatewayKey, pids }]
  targets.push(...(await rivals(stage, options, speaks === 'http' ? 'http' : 'raw')))
  const rounds: Record<string, Round[]> = Object.fromEntries(targets.map(({ name }) => [name, []]))
  for (let i = 0; i < options.rounds; i++) {
    const turn = i % targets.length
    for (const target of [...targets.slice(turn), ...targets.slice(0, turn)]) {
      const round = await measure(stage, options, target, sends)
      rounds[target.name].push(round)
      const cpu = cpuUsPerMessage(round)?.toFixed(2) ?? '-'
      stage.say(`round ${i + 1}: ${target.name} ${Math.round(perSecond(round))} messages/s, ${cpu} us of CPU each`)
    }
  }
  return { rounds, violations: [] }
}

async function rivals(stage: Stage, { against, clients }: BenchOptions, speaks: 'raw' | 'http'): Promise<Target[]> {
  if (against.length === 0) return []
  const echo =
    speaks === 'http'
      ? new URL('../processes/plain-http-echo.ts', import.meta.url)
      : new URL('../processes/plain-echo.ts', import.meta.url)
  const worker = stage.crew.work('the plain echo', echo)
  const { port } = await worker.ask<PlainEchoStarted>({ kind: 'start' }, START_MS)
  const host = worker.pid
  const targets: Target[] = []
  for (const name of against) {
    if (name === 'raw') {
      targets.push({ name, speaks, port, pids: { host } })
    } else {
      const proxy = await startProxy(stage.crew, name, speaks === 'http' ? 'http' : 'tcp', stage.folder, port, clients)
      targets.push({ name, speaks, port: proxy.port, pids: { middle: proxy.pid, host } })
    }
  }
  return targets
}

/** A generator of its own for each turn: its connections are gone when another has its turn. */
async function measure(stage: Stage, options: BenchOptions, target: Target, sends: boolean): Promise<Round> {
  const { clients, payloadBytes, depth, rate, seconds, warmupSeconds } = options
  const { name, speaks, port, gatewayKey, pids } = target
  const generator = stage.crew.work('the generator', new URL('../processes/load.ts', import.meta.url))
  const plan = { speaks, port, gatewayKey, clients, payloadBytes, depth, rate, sends }
  await generator.ask({ kind: 'connect', plan } satisfies ToLoad, CONNECT_MS)
  const [warmupMs, forMs] = [warmupSeconds * 1000, seconds * 1000]
  const measure: ToLoad = { kind: 'measure', warmupMs, forMs, pids }
  const measured = await generator.ask<Measured>(measure, warmupMs + forMs + START_MS)
  await generator.end()
  const { messages, elapsedUs, used } = measured
  const latencies = new Histogram()
  latencies.add(measured.latencies)
  return {
    messages,
    elapsedUs,
    cpuUs: used.middle?.cpuUs,
    rssBytes: used.middle?.rssBytes,
    p50Us: latencies.percentile(0.5),
    p99Us: latencies.percentile(0.99),
    limitedBy: limitOf(name, measured, rate),
    generatorShare: used.generator.cpuUs / elapsedUs,
    latencies: measured.latencies,
    samples: measured.samples,
  }
}

/** Who had no more to give. None: the cores, or the depth, were the limit. */
function limitOf(name: string, { messages, elapsedUs, used }: Measured, rate: number): Limit {
  if (rate > 0 && messages >= (rate * elapsedUs * KEPT_SHARE) / 1e6) return 'rate'
  const isBusy = (process: string): boolean => (used[process]?.cpuUs ?? 0) >= elapsedUs * BUSY_SHARE
  if (isBusy('middle')) return name === 'skewer' ? 'gateway' : 'proxy'
  if (isBusy('generator')) return 'generator'
  return isBusy('host') ? 'host' : 'none'
}
