// `skewer bench host`: the game server that plays with the clients of `skewer bench --target`, for gateways that have none
// of their own that does (docs/performance.md says what that is).
import process from 'node:process'
import { startPlayHost } from '../../bench/play/host.ts'
import { Failure, exitCode } from '../failure.ts'
import { printJson, printLine } from '../output.ts'

export type BenchHostFlags = {
  listen?: string
  name?: string
  service?: string
  routePrefix?: string
  linkKeyEnv?: string
  json?: boolean
}

export async function benchHost(flags: BenchHostFlags): Promise<number> {
  const { listen = '127.0.0.1:7800', name = 'echo-1', service = 'echo', routePrefix = service, linkKeyEnv } = flags
  const linkKey = linkKeyEnv === undefined ? undefined : process.env[linkKeyEnv]
  if (linkKeyEnv !== undefined && !linkKey) {
    throw new Failure(`the environment variable ${linkKeyEnv} is not set`, exitCode.usage)
  }
  const host = await startPlayHost({ listen, name, service, prefix: routePrefix, linkKey }).catch((error: Error) => {
    throw new Failure(`the host cannot start at ${listen}: ${error.message}`)
  })
  const { address } = host
  if (flags.json) printJson({ event: 'started', name, address, service, routes: `${routePrefix}.*` })
  else printLine(`host ${name} at ${address}: service ${service}, routes ${routePrefix}.*`)
  await new Promise<void>((resolve) => {
    process.once('SIGINT', resolve)
    process.once('SIGTERM', resolve)
  })
  await host.close()
  return exitCode.ok
}
