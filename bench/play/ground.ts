// Where players play: a gateway and a host of the run's own, or a gateway that runs elsewhere, known by its addresses. Of
// the latter only its admin port can tell CPU time and memory.
import type { ExtraListener, GatewayProcess } from '../gateway-process.ts'
import { type Usage, usageOf } from '../process-usage.ts'
import { type Stage, startEchoHost, startGateway } from '../stage.ts'
import type { BenchOptions, Target } from '../options.ts'
import { adminUsage } from '../admin-usage.ts'
import type { Place } from './crowd.ts'
import { type Plan, type PlanTransport, planTransports } from './plan.ts'

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
