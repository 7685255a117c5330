// What `skewer bench --target` is told of a gateway that runs already.
import process from 'node:process'
import { planNames, type Target } from '../bench/options.ts'
import { transportOfAddress } from '../bench/play/ground.ts'
import type { Plan, PlanTransport } from '../bench/play/plan.ts'
import { Failure, exitCode } from './failure.ts'

/** What the addresses of an echo have to lead over; `noise`: tcp:// with a key. */
const echoTransports: Record<string, PlanTransport> = {
  'tcp-echo': 'tcp',
  'ws-echo': 'websocket',
  'tls-echo': 'tls',
  'noise-echo': 'noise',
  'kcp-echo': 'kcp',
}

export type TargetFlags = {
  target?: string[]
  token?: string
  service?: string
  routePrefix?: string
  admin?: string
}

/** @throws Failure where an address is none, or something is said of a target that there is not */
export function readTarget(scenario: string, flags: TargetFlags, plan: Plan | undefined): Target | undefined {
  const { target, token = 'bench-{n}', service = 'echo', routePrefix = service, admin } = flags
  if (target === undefined) {
    const others = (['token', 'service', 'routePrefix', 'admin'] as const).filter((name) => flags[name] !== undefined)
    const options = others.map((name) => `--${name.replace(/[A-Z]/, (letter) => `-${letter.toLowerCase()}`)}`)
    if (options.length > 0) throw new Failure(`${options.join(', ')}: only with --target`, exitCode.usage)
    return undefined
  }
  const transport = echoTransports[scenario]
  if (plan === undefined && transport === undefined) {
    const names = [...planNames, ...Object.keys(echoTransports)].join(', ')
    throw new Failure(
      `--target is for ${names} and files of your own; ${scenario} needs a gateway of its own`,
      exitCode.usage,
    )
  }
  if (target.length === 0) throw new Failure('--target names no address', exitCode.usage)
  for (const address of target) checkAddress(address)
  const stranger = target.find((address) => plan === undefined && transportOfAddress(address) !== transport)
  if (stranger !== undefined) {
    throw new Failure(`${scenario} goes over ${transport}, ${stranger} does not`, exitCode.usage)
  }
  if (admin !== undefined && !URL.canParse(admin)) throw new Failure(`--admin ${admin} is no address`, exitCode.usage)
  return {
    addresses: target,
    token,
    service,
    prefix: routePrefix,
    admin: admin === undefined ? undefined : { url: admin, token: process.env.SKEWER_ADMIN_TOKEN },
  }
}

function checkAddress(address: string): void {
  const usual =
    'an address is tcp://host:port, tls://host:port, ws://host:port/path, wss://... or kcp://host:port?key=...'
  if (!URL.canParse(address)) throw new Failure(`--target ${address} is no address: ${usual}`, exitCode.usage)
  try {
    transportOfAddress(address)
  } catch (error) {
    throw new Failure(`--target ${(error as Error).message}`, exitCode.usage)
  }
}
