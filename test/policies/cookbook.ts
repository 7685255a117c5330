// The configuration of a page of docs/policies, running: a gateway on free ports before a host whose actors answer whatever
// comes, and clients of it. Only ports, addresses and the state folder differ from what the page says.
import { readFileSync } from 'node:fs'
import { loadSettingsText } from '../../config/settings-from-yaml.ts'
import type { Settings } from '../../config/settings.ts'
import { type RunningGateway, startGateway } from '../../gateway/io/process.ts'
import { type Channel, type Client, type Codec, connect, json, type Refused } from '../../sdk/client/index.ts'
import { type Host, type Service, service, startHost } from '../../sdk/host/index.ts'
import { eventually, portOf, scratchFolder, type Test } from '../gateway/io/started.ts'

const DEADLINE_MS = 10_000

/** A YAML text of a page, the first one by default, as it stands there. */
export function pageText(page: string, index = 0): string {
  const text = readFileSync(new URL(`../../docs/policies/${page}.md`, import.meta.url), 'utf8')
  return [...text.matchAll(/^```yaml\n(.*?)^```$/gms)][index][1]
}

export function settingsOf(t: Test, yaml: string): Settings {
  const { settings, problems } = loadSettingsText(yaml, { file: 'page', directory: '.' }, {})
  if (settings === undefined) throw new Error(problems.map(({ what }) => what).join('; '))
  const changed = structuredClone(settings)
  changed.stateDir = scratchFolder(t)
  changed.log = { level: 'silent', format: 'json' }
  changed.admin.port = 0
  for (const listener of changed.listeners) listener.port = 0
  return changed
}

export class Cookbook {
  readonly running: RunningGateway
  readonly host: Host
  /** Routes of the messages that the actors have got. */
  readonly got: string[]
  readonly #t: Test
  readonly #codec: Codec

  constructor(t: Test, running: RunningGateway, host: Host, got: string[], codec: Codec) {
    this.#t = t
    this.#codec = codec
    this.running = running
    this.host = host
    this.got = got
  }

  /** How often a policy of this name has said so. */
  count(name: string, verdict: number, mode: 'enforced' | 'observed' = 'enforced'): number {
    let sum = 0
    for (const count of this.running.gateway.policing.counts.all()) {
      if (count.name === name || `${count.policy} ${count.scope}` === name) sum += count[mode][verdict]
    }
    return sum
  }

  /** Where players connect. */
  get address(): string {
    return `127.0.0.1:${portOf(this.running, 'tcp')}`
  }

  async player(user: string, actor = 'room', serviceName = 'arena', address = this.address): Promise<Player> {
    const client = connect({ gateways: [`tcp://${address}`], token: user, codec: this.#codec })
    this.#t.teardown(() => client.close())
    await client.ready()
    return new Player(client, client.actor(serviceName, actor))
  }
}

/** Starts what a page says; `routes` are those that the actors know, each answering what it gets. */
export async function cookbook(
  t: Test,
  yaml: string,
  routes: string[],
  serviceName = 'arena',
  codec: Codec = json,
): Promise<Cookbook> {
  const got: string[] = []
  const handlers = Object.fromEntries(
    routes.map((route) => [
      route,
      (_ctx: unknown, payload: unknown) => {
        got.push(route)
        return payload
      },
    ]),
  )
  return cookbookOf(t, yaml, () => [service(serviceName, { keys: 'any', routes: handlers })], { got, codec })
}

/**
 * Who notes what came, what stands between the gateway and the host at an address (the address to dial instead), and the
 * codec of both ends.
 */
type Unusual = { got?: string[]; between?: (address: string) => Promise<string>; codec?: Codec }

/** Starts what a page says, with each of its hosts, reached as `between` says, running `servicesOf` its name. */
export async function cookbookOf(
  t: Test,
  yaml: string,
  servicesOf: (host: string) => Service[],
  { got = [], between = async (address) => address, codec = json }: Unusual = {},
): Promise<Cookbook> {
  const settings = settingsOf(t, yaml)
  const hosts: Host[] = []
  for (const each of settings.hosts) {
    const services = servicesOf(each.name)
    const host = await startHost({ name: each.name, listen: '127.0.0.1:0', services, codec })
    t.teardown(() => host.close())
    each.address = await between(host.address)
    hosts.push(host)
  }
  const running = await startGateway(settings)
  t.teardown(() => running.close())
  const { gateway } = running
  await eventually(() => gateway.hosts().every(({ state }) => state === 'linked'), 'the links')
  return new Cookbook(t, running, hosts[0], got, codec)
}

export class Player {
  readonly client: Client
  readonly room: Channel
  readonly refused: Refused[] = []

  constructor(client: Client, room: Channel) {
    this.client = client
    this.room = room
    room.on('refused', (refused) => this.refused.push(refused))
  }

  /** Waits for the answers of all, in whatever way they end. */
  async calls(route: string, payloads: unknown[]): Promise<string[]> {
    const calls = payloads.map((payload) => this.room.call(route, payload, { timeoutMs: DEADLINE_MS }))
    const ends = await Promise.allSettled(calls)
    return ends.map((end) => (end.status === 'fulfilled' ? 'ok' : (end.reason as Error).name))
  }
}
