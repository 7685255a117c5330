// Where players play: a gateway and a host of the run's own, or a gateway that runs elsewhere, known by its addresses. Of
// the latter only its admin port can tell CPU time and memory.
import type { ExtraListener, GatewayProcess } from '../gateway-process.ts'
import { type Usage, usageOf } from '../process-usage.ts'
import { type Stage, startEchoHost, startGateway } from '../stage.ts'
import type { BenchOptions, Target } from '../options.ts'
import type { Place } from './crowd.ts'
import { type Plan, type PlanTransport, planTransports } from './plan.ts'

const ADMIN_MS = 5000

export type Ground = {
  place: Omit<Place, 'at' | 'of'>
  /** Of the gateway so far; undefined where nobody tells. */
  usage(): Promise<Usage | undefined>
}

const extras: Partial<Record<PlanTransport, ExtraListener>> = { tls: 'tls', noise: 'noise', kcp: 'udp' }

export async function ownGround(stage: Stage, plan: Plan, options: BenchOptions): Promise<Ground> {
  const host = await startEchoHost(stage, options)
  const transports = plan.transports.map(({ transport }) => transport)
  const choices = {
    extras: transports.flatMap((transport) => extras[transport] ?? []),
    linkFlushDelayMs: options.linkFlushDelayMs,
  }
  const gateway = await startGateway(stage, 'gateway', host.address, choices)
  const gateways = Object.fromEntries(transports.map((transport) => [transport, [addressOf(gateway, transport)]]))
  return {
    place: { gateways, service: 'echo', prefix: 'echo', token: 'p{n}' },
    usage: () => Promise.resolve(usageOf(gateway.pid)),
  }
}

function addressOf(gateway: GatewayProcess, transport: PlanTransport): string {
  const key = `?key=${gateway.gatewayKey}`
  switch (transport) {
    case 'tcp':
      return `tcp://127.0.0.1:${gateway.tcpPort}`
    case 'websocket':
      return `ws://127.0.0.1:${gateway.websocketPort}/`
    case 'tls':
      return `tls://127.0.0.1:${gateway.portOf('tls')}`
    case 'noise':
      return `tcp://127.0.0.1:${gateway.portOf('noise')}${key}`
    case 'kcp':
      return `kcp://127.0.0.1:${gateway.portOf('udp')}${key}`
  }
}

/** @throws Error where the plan wants a transport to which no address leads */
export function targetGround(plan: Plan, target: Target): Ground {
  const gateways: Place['gateways'] = {}
  for (const address of target.addresses) (gateways[transportOfAddress(address)] ??= []).push(address)
  const wanted = plan.transports.map(({ transport }) => transport)
  const lacking = wanted.filter((transport) => gateways[transport] === undefined)
  if (lacking.length > 0) {
    const there = Object.keys(gateways).join(', ')
    throw new Error(`the scenario plays over ${lacking.join(', ')} too; --target has addresses for ${there} only`)
  }
  for (const transport of planTransports) if (!wanted.includes(transport)) delete gateways[transport]
  const { service, prefix, token, admin } = target
  const usage = () => (admin === undefined ? Promise.resolve(undefined) : adminUsage(admin))
  return { place: { gateways, service, prefix, token }, usage }
}

export function transportOfAddress(address: string): PlanTransport {
  const { protocol, searchParams } = new URL(address)
  if (protocol === 'tcp:') return searchParams.has('key') ? 'noise' : 'tcp'
  if (protocol === 'kcp:') return 'kcp'
  if (protocol === 'tls:') return 'tls'
  if (protocol === 'ws:' || protocol === 'wss:') return 'websocket'
  throw new Error(`${address}: players come by tcp://, tls://, ws://, wss:// or kcp://`)
}

/** What a gateway says of itself at `/metrics`. */
async function adminUsage({ url, token }: NonNullable<Target['admin']>): Promise<Usage> {
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` }
  const signal = AbortSignal.timeout(ADMIN_MS)
  const answer = await fetch(new URL('/metrics', url), { headers, signal }).catch((error: Error) => {
    throw new Error(
      `${url} cannot be asked for CPU time and memory: ${(error.cause as Error)?.message ?? error.message}`,
    )
  })
  if (!answer.ok) throw new Error(`${url} answered ${answer.status} when it was asked for CPU time and memory`)
  return usageIn(await answer.text())
}

/** @throws Error where the text is not of a gateway */
export function usageIn(metrics: string): Usage {
  const figure = (name: string): number => {
    const line = metrics.split('\n').find((text) => text.startsWith(`${name} `))
    if (line === undefined) throw new Error(`there is no ${name} among the metrics: is it a skewer's admin port?`)
    return Number(line.slice(name.length + 1))
  }
  return {
    cpuUs: figure('skewer_cpu_seconds_total') * 1e6,
    rssBytes: figure('skewer_memory_bytes{kind="resident"}'),
  }
}
