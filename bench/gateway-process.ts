// A gateway as its users start it: `skewer run` with a configuration in the run's own folder. Ports are free ones; a
// gateway that was killed can be started again on those it had, with the keys it had.
import { createPublicKey } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { certificateIn } from './certificate.ts'
import { monotonicUs } from './clock.ts'
import type { Crew, Program } from './crew.ts'

const START_MS = 30_000

/** Listeners beside the two that are always there. */
export type ExtraListener = 'tls' | 'noise' | 'udp' | 'http'
export type GatewayChoices = {
  linkFlushDelayMs?: number
  extras?: readonly ExtraListener[]
  /** Writes down how late its event loop is (processes/loop-watch.ts). */
  watchesLoop?: boolean
  hasDefaultLimits?: boolean
}

/** As the payloads are, and a connection for the whole run. */
const http = { contentType: 'application/octet-stream', requestsPerConnection: 0 }

type Dumped = { policies: { rateLimits: { messages: { rate: string; per: string[] } } } }
type Started = {
  listeners: { name: string; transport: string; port: number }[]
  admin: string
  accelerator: 'on' | 'off' | 'not built' | 'does not load'
}

export class GatewayProcess {
  tcpPort = 0
  /** When it was seen to listen, at its last start; looked for every 20 ms. */
  listenedAtUs = 0
  websocketPort = 0
  /** Whether it runs with the accelerator of its Node and its environment. */
  isAccelerated = false
  readonly #crew: Crew
  readonly #launcher: string
  readonly #folder: string
  readonly #name: string
  readonly #hostAddress: string
  readonly #choices: GatewayChoices
  #program: Program | undefined
  #admin = ''
  /** Changes with each reload: a limit that nobody reaches. */
  #perSecond = 100_000
  #starts = 0
  readonly #extraPorts: Map<string, number> = new Map()

  constructor(
    crew: Crew,
    launcher: string,
    folder: string,
    name: string,
    hostAddress: string,
    choices: GatewayChoices = {},
  ) {
    this.#choices = choices
    this.#crew = crew
    this.#launcher = launcher
    this.#folder = folder
    this.#name = name
    this.#hostAddress = hostAddress
  }

  get pid(): number {
    return this.#program!.pid
  }

  /** Where it writes how late its event loop is, if it does. */
  get loopFile(): string {
    return path.join(this.#folder, `${this.#name}-${this.#starts}.loop`)
  }

  /** Of an extra listener; 0 where there is none. */
  portOf(extra: ExtraListener): number {
    return this.#extraPorts.get(extra) ?? 0
  }

  get #extras(): readonly ExtraListener[] {
    return this.#choices.extras ?? []
  }

  /** What clients over Noise know it by, in base64url. */
  get gatewayKey(): string | undefined {
    if (!this.#extras.some((extra) => extra === 'noise' || extra === 'udp')) return undefined
    const pem = readFileSync(path.join(this.#folder, 'state', 'noise.key'), 'utf8')
    return createPublicKey(pem).export({ format: 'jwk' }).x
  }

  /** Resolves when it is ready: its host is linked. */
  async start(): Promise<void> {
    const file = path.join(this.#folder, `${this.#name}.yaml`)
    const log = path.join(this.#folder, `${this.#name}-${++this.#starts}.log`)
    writeFileSync(file, this.#config(), { mode: 0o600 })
    const watch = new URL('./processes/loop-watch.ts', import.meta.url).href
    const args = [
      ...(this.#choices.watchesLoop ? ['--import', watch] : []),
      this.#launcher,
      'run',
      '--config',
      file,
      '--json',
    ]
    const program = this.#crew.program('the gateway', process.execPath, args, log, {
      SKEWER_BENCH_LOOP_FILE: this.loopFile,
    })
    this.#program = program
    const line = await program.until(() => /^\{"event":"started".*\}$/m.exec(readFileSync(log, 'utf8'))?.[0], START_MS)
    this.listenedAtUs = monotonicUs()
    const { listeners, admin, accelerator } = JSON.parse(line) as Started
    this.isAccelerated = accelerator === 'on'
    this.#admin = admin
    this.tcpPort = listeners.find(({ transport }) => transport === 'tcp')!.port
    for (const { name, port } of listeners) this.#extraPorts.set(name, port)
    this.websocketPort = listeners.find(({ transport }) => transport === 'websocket')!.port
    const isReady = () =>
      fetch(`${admin}/ready`).then(
        ({ ok }) => ok || undefined,
        () => undefined,
      )
    await program.until(isReady, START_MS)
  }

  /** Has it read a file in which something has changed that the next message is judged by. */
  async reload(): Promise<void> {
    this.#perSecond++
    writeFileSync(path.join(this.#folder, `${this.#name}.yaml`), this.#config())
    const { status } = await fetch(`${this.#admin}/reload`, { method: 'POST' })
    if (status !== 200) throw new Error(`the gateway answered ${status} to a reload`)
  }

  /** The limit of messages of each session that it judges by, as it says itself. */
  async messageLimit(): Promise<{ perSecond: number; burst: number }> {
    const config = (await (await fetch(`${this.#admin}/config`)).json()) as Dumped
    const { rate, per } = config.policies.rateLimits.messages
    const [, perSecond, burst] = /^(\d+)\/s burst (\d+)$/.exec(rate) ?? []
    if (burst === undefined || `${per}` !== 'session') throw new Error(`the limit is ${rate} per ${per}`)
    return { perSecond: Number(perSecond), burst: Number(burst) }
  }

  /** A counter of its metrics, over all labels. */
  async counter(name: string): Promise<number> {
    const text = await (await fetch(`${this.#admin}/metrics`)).text()
    const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
    return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
  }

  kill(): Promise<void> {
    return this.#program!.end()
  }

  /** JSON is YAML. The folder for keys is shared, so that any gateway of the run opens the tickets of another. */
  #config(): string {
    return JSON.stringify({
      name: this.#name,
      stateDir: path.join(this.#folder, 'state'),
      listeners: [
        { transport: 'tcp', port: this.tcpPort },
        { transport: 'websocket', port: this.websocketPort },
        ...this.#extras.map((extra) => this.#listener(extra)),
      ],
      hosts: [{ name: 'echo', address: this.#hostAddress }],
      services: { echo: { keys: 'any' } },
      routes: [
        { match: 'reloaded.*', service: 'echo', rate: `${this.#perSecond}/s` },
        { match: 'echo.*', service: 'echo' },
      ],
      // The limits of a gateway without policies of its own, so high that a generator does not reach them: they are judged.
      policies: this.#choices.hasDefaultLimits
        ? {}
        : {
            rateLimits: {
              messages: { rate: '1000000/s burst 2000000', per: 'session' },
              bytes: { bytes: '1GiB/s burst 2GiB', per: 'session' },
            },
          },
      times: { linkFlushDelay: `${this.#choices.linkFlushDelayMs ?? 0}ms` },
      auth: { development: true },
      admin: { port: 0 },
      log: { level: 'error', format: 'json' },
    })
  }

  #listener(extra: ExtraListener): object {
    const port = this.portOf(extra)
    switch (extra) {
      case 'tls':
        return { name: extra, transport: 'tcp', port, tls: certificateIn(this.#folder) }
      case 'noise':
        return { name: extra, transport: 'tcp', port, security: 'noise' }
      case 'udp':
        return { name: extra, transport: 'udp', port }
      case 'http':
        return { name: extra, transport: 'http', port, http }
    }
  }
}
