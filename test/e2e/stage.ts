// A whole gateway with TCP, WebSocket and UDP inside Noise, a host that writes down what it gets, and clients that count.
import fs from 'node:fs'
import path from 'node:path'
import { readNoiseKey } from '../../config/noise-keys.ts'
import { kcpFrom } from '../../config/schema-kcp.ts'
import type { Settings } from '../../config/settings.ts'
import type { RunningGateway } from '../../gateway/io/process.ts'
import type { Channel } from '../../sdk/client/channel.ts'
import type { Client } from '../../sdk/client/client.ts'
import type { ClientEvents } from '../../sdk/client/events.ts'
import { json } from '../../sdk/codec.ts'
import { service, startHost } from '../../sdk/host/index.ts'
import { portOf, started, type Test, testSettings } from '../gateway/io/started.ts'

export type Stage = {
  running: RunningGateway
  settings: Settings
  /** Numbers by sender, as the host's handler got them. */
  taken: Map<string, number[]>
  tcp: string
  ws: string
  /** Through the port given, or straight. */
  kcp(port?: number): string
  udpPort: number
  /** Which transports carry something now, as the gateway says. */
  transports(): string[]
}

/** Writes down what it gets from whom, and says it back. */
export async function echoHost(t: Test): Promise<{ host: { readonly address: string }; taken: Map<string, number[]> }> {
  const taken = new Map<string, number[]>()
  const echo = service('arena', {
    keys: 'any',
    routes: {
      'arena.say': async (ctx, payload) => {
        const from = ctx.user
        const list = taken.get(from) ?? []
        taken.set(from, list)
        list.push(payload as number)
        // The way back has a window of its own.
        while (ctx.tryPush(ctx.session, 'arena.said', payload) !== 0)
          await new Promise((resolve) => setTimeout(resolve, 1))
      },
      'arena.ask': (_ctx, payload) => payload,
      'arena.wave': (ctx, payload) => {
        ctx.unreliable(ctx.session, 'arena.waved', payload)
        ctx.latest(ctx.session, 'arena.pose', 'me', payload)
      },
    },
  })
  const host = await startHost({ name: 'local', listen: '127.0.0.1:0', services: [echo], codec: json })
  t.teardown(() => host.close())
  return { host, taken }
}

/** The configuration of a gateway process before that host. */
export const gatewayYaml = (host: string, tcpPort: number, udpPort: number): string => `version: 1
listeners:
  - { transport: tcp, host: 127.0.0.1, port: ${tcpPort} }
  - { transport: udp, host: 127.0.0.1, port: ${udpPort} }
hosts: [{ name: local, address: '${host}' }]
services: { arena: { keys: any, whenAway: park } }
routes: [{ match: arena.*, service: arena }]
auth: { development: true }
admin: { port: 0 }
`

export async function stage(t: Test): Promise<Stage> {
  const { host, taken } = await echoHost(t)
  const settings = testSettings(t, host.address, (changed: Settings) => {
    const [first] = changed.listeners
    const udp = { ...first, name: 'udp', transport: 'udp' as const, security: 'noise' as const, port: 0 }
    changed.listeners.push({ ...udp, kcp: kcpFrom(undefined) })
  })
  const running = await started(t, settings)
  const { publicKey } = readNoiseKey(fs.readFileSync(path.join(settings.stateDir, 'noise.key'), 'utf8'))!
  const udpPort = portOf(running, 'udp')
  return {
    running,
    settings,
    taken,
    tcp: `tcp://127.0.0.1:${portOf(running, 'tcp')}?security=none`,
    ws: `ws://127.0.0.1:${portOf(running, 'websocket')}/?security=none`,
    kcp: (port = udpPort) => `kcp://127.0.0.1:${port}?key=${publicKey}`,
    udpPort,
    transports: () => running.gateway.sessions().flatMap((session) => session.connections.map((it) => it.transport)),
  }
}

export const next = <E extends keyof ClientEvents>(client: Client, event: E): Promise<ClientEvents[E]> =>
  new Promise((resolve) => {
    const off = client.on(event, (what) => {
      off()
      resolve(what)
    })
  })

/** Resolves when the session is carried by that transport. */
export async function carriedBy(client: Client, transport: string): Promise<void> {
  while (client.transport !== transport) await next(client, 'welcomed')
}

/** Says numbers, some hundred a second, until `stop`; `finished` resolves when all have come back. */
export class Talker {
  readonly heard: number[] = []
  said = 0
  #isStopped = false
  readonly #room: Channel
  readonly #done: Promise<void>
  #finish = () => {}

  constructor(room: Channel) {
    this.#room = room
    this.#done = new Promise((resolve) => {
      this.#finish = resolve
    })
    room.on('arena.said', (payload) => {
      this.heard.push(payload as number)
      this.#look()
    })
    this.#talk()
  }

  /** Until so many more have come back. */
  async goOn(count: number): Promise<void> {
    const until = this.heard.length + count
    while (this.heard.length < until) await new Promise((resolve) => setTimeout(resolve, 5))
  }

  async finished(): Promise<number> {
    this.#isStopped = true
    this.#look()
    await this.#done
    return this.said
  }

  #talk(): void {
    if (this.#isStopped) return
    // Below the rate at which a gateway refuses (2,000/s).
    for (let i = 0; i < 2; i++) if (this.#room.trySend('arena.say', this.said + 1) === 0) this.said++
    setTimeout(() => this.#talk(), 2)
  }

  #look(): void {
    if (this.#isStopped && this.heard.length >= this.said) this.#finish()
  }
}
