// The host of `skewer bench host`: the service of echo-service.ts under names of the user's choice.
import { bytes, startHost } from '../../sdk/host/index.ts'
import { echoService } from './echo-service.ts'

export type PlayHostOptions = { name: string; listen: string; service: string; prefix: string; linkKey?: string }

/** @throws Error where it cannot listen, or would listen beyond this machine without a link key */
export async function startPlayHost({ name, listen, service, prefix, linkKey }: PlayHostOptions) {
  const host = await startHost({ name, listen, services: [echoService(service, prefix)], codec: bytes, linkKey })
  return { address: host.address, close: () => host.close() }
}
