// The processes of the proof: starts them, breaks them, asks them for their books. Ports are free ones, configuration and
// keys live in a folder of their own.
import type { ChildProcess } from 'node:child_process'
import { fork, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { freePort } from '../../examples/arena/free-port.ts'
import type { FromHost, FromPlayers, ToHost, ToPlayers } from './messages.ts'
import { LinkRelay } from './relay.ts'

const here = path.dirname(fileURLToPath(import.meta.url))
const root = path.join(here, '..', '..')
const GATEWAYS = 2
const HOSTS = 2
const PLAYER_PROCESSES = 2
const RESTART_MS = 200
const START_MS = 20_000
const LOG_CHARACTERS = 4000

export type StageOptions = { clients: number; messagesPerSecond: number; hopMs: number; sabotage: string }

type GatewaySeat = { config: string; log: string; child: ChildProcess | undefined; adminPort: number }
type HostBooks = Extract<FromHost, { kind: 'books' }>
type PlayerBooks = Extract<FromPlayers, { kind: 'books' }>

export class Stage {
  kills = 0
  readonly #folder: string
  readonly #options: StageOptions
  readonly #linkKey = randomBytes(16).toString('hex')
  readonly #gateways: GatewaySeat[] = []
  readonly #hosts: ChildProcess[] = []
  readonly #players: ChildProcess[] = []
  readonly #relays: LinkRelay[] = []
  #isStopping = false

  constructor(folder: string, options: StageOptions) {
    this.#folder = folder
    this.#options = options
  }

  get linkCuts(): number {
    return this.#relays.reduce((sum, relay) => sum + relay.cuts, 0)
  }

  async start(): Promise<void> {
    const ports = await freePorts(HOSTS * 2 + GATEWAYS * 3)
    const relayPorts: number[] = []
    for (let i = 0; i < HOSTS; i++) {
      const hostPort = ports.pop()!
      const relayPort = ports.pop()!
      relayPorts.push(relayPort)
      const host = fork(path.join(here, 'host-process.ts'), [], {
        env: {
          ...process.env,
          NAME: `h${i + 1}`,
          LISTEN: `127.0.0.1:${hostPort}`,
          LINK_KEY: this.#linkKey,
          SABOTAGE: i === 0 ? this.#options.sabotage : '',
        },
        execArgv: [],
      })
      this.#hosts.push(host)
      await answer<FromHost>(host, 'ready', START_MS)
      this.#relays.push(await LinkRelay.start(relayPort, hostPort))
    }
    const addresses: string[] = []
    for (let i = 0; i < GATEWAYS; i++) {
      const [tcp, ws, admin] = [ports.pop()!, ports.pop()!, ports.pop()!]
      const config = path.join(this.#folder, `gateway-${i + 1}.yaml`)
      writeFileSync(config, configOf(`g${i + 1}`, tcp, ws, admin, relayPorts, this.#linkKey), { mode: 0o600 })
      const seat: GatewaySeat = { config, log: `${config}.log`, child: undefined, adminPort: admin }
      this.#gateways.push(seat)
      this.#startGateway(seat)
      addresses.push(`tcp://127.0.0.1:${tcp}`, `ws://127.0.0.1:${ws}/`)
    }
    for (const seat of this.#gateways) await this.#ready(seat)
    const names = Array.from({ length: this.#options.clients }, (_, i) => `p${i + 1}`)
    const share = Math.ceil(names.length / PLAYER_PROCESSES)
    for (let i = 0; i < PLAYER_PROCESSES; i++) {
      const options = {
        names: names.slice(i * share, (i + 1) * share),
        gateways: addresses,
        messagesPerSecond: this.#options.messagesPerSecond,
        hopMs: this.#options.hopMs,
      }
      const players = fork(path.join(here, 'player-process.ts'), [], {
        env: { ...process.env, OPTIONS: JSON.stringify(options) },
        execArgv: [],
      })
      this.#players.push(players)
      await answer<FromPlayers>(players, 'ready', START_MS)
    }
  }

  #startGateway(seat: GatewaySeat): void {
    const log = openSync(seat.log, 'a')
    const child = spawn(process.execPath, [path.join(root, 'bin', 'skewer'), 'run', '--config', seat.config], {
      stdio: ['ignore', log, log],
    })
    closeSync(log)
    seat.child = child
    child.on('exit', () => {
      if (!this.#isStopping) setTimeout(() => this.#isStopping || this.#startGateway(seat), RESTART_MS)
    })
  }

  async #ready(seat: GatewaySeat): Promise<void> {
    const until = Date.now() + START_MS
    while (Date.now() < until) {
      const ready = await fetch(`http://127.0.0.1:${seat.adminPort}/ready`).then(
        (response) => response.ok,
        () => false,
      )
      if (ready) return
      await wait(50)
    }
    throw new Error(`a gateway was not ready within ${START_MS / 1000} s`)
  }

  /** Breaks things for so long: kill -9 of one gateway after the other, link cuts in between. */
  async trouble(ms: number, killMs: number, cutMs: number, say: (text: string) => void): Promise<void> {
    const start = Date.now()
    let nextKill = start + killMs
    let nextCut = start + cutMs
    let nextReport = start + 10_000
    while (Date.now() - start < ms) {
      await wait(50)
      const now = Date.now()
      if (now >= nextKill) {
        nextKill += killMs
        const seat = this.#gateways[this.kills % GATEWAYS]
        if (seat.child?.kill('SIGKILL')) this.kills++
      }
      if (now >= nextCut) {
        nextCut += cutMs
        this.#relays[Math.floor(Math.random() * HOSTS)].cut()
      }
      if (now >= nextReport) {
        nextReport += 10_000
        const states = await this.#states()
        const messages = states.reduce((sum, s) => sum + s.messages, 0)
        const attached = states.reduce((sum, s) => sum + s.attached, 0)
        say(
          `${Math.round((now - start) / 1000)} s: ${messages} messages, ${attached} of ${this.#options.clients} attached, ${this.kills} kills`,
        )
      }
    }
  }

  /** Nobody sends any more; waits until both ends have nothing unacknowledged. */
  async settle(withinMs: number): Promise<void> {
    for (const players of this.#players) players.send({ kind: 'quiet' } satisfies ToPlayers)
    for (const host of this.#hosts) host.send({ kind: 'quiet' } satisfies ToHost)
    const until = Date.now() + withinMs
    let quiet = 0
    let before = -1
    while (Date.now() < until) {
      await wait(200)
      const states = await this.#states()
      const isStill = states.every((s) => s.attached === s.clients && s.unacked === 0 && s.openRequests === 0)
      const messages = states.reduce((sum, s) => sum + s.messages, 0)
      quiet = isStill && messages === before ? quiet + 1 : 0
      before = messages
      if (quiet >= 5) return
    }
    throw new Error(`not quiet after ${withinMs / 1000} s: ${JSON.stringify(await this.#states())}`)
  }

  async books(): Promise<{ players: PlayerBooks[]; hosts: HostBooks[] }> {
    const players: PlayerBooks[] = []
    for (const process of this.#players) {
      process.send({ kind: 'books' } satisfies ToPlayers)
      players.push(await answer<FromPlayers, 'books'>(process, 'books', START_MS))
    }
    const hosts: HostBooks[] = []
    for (const host of this.#hosts) {
      host.send({ kind: 'books' } satisfies ToHost)
      hosts.push(await answer<FromHost, 'books'>(host, 'books', START_MS))
    }
    return { players, hosts }
  }

  async #states(): Promise<Extract<FromPlayers, { kind: 'state' }>[]> {
    const states: Extract<FromPlayers, { kind: 'state' }>[] = []
    for (const players of this.#players) {
      players.send({ kind: 'state' } satisfies ToPlayers)
      states.push(await answer<FromPlayers, 'state'>(players, 'state', START_MS))
    }
    return states
  }

  /** The end of what the gateways have said. */
  gatewayLogs(): string {
    return this.#gateways.map(({ log }) => readFileSync(log, 'utf8').slice(-LOG_CHARACTERS)).join('\n')
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    for (const child of [...this.#players, ...this.#hosts]) child.kill('SIGKILL')
    for (const seat of this.#gateways) seat.child?.kill('SIGKILL')
    for (const relay of this.#relays) relay.close()
    await wait(50)
  }
}

/** The next message of this kind; a process that ends instead is an error. */
function answer<M extends { kind: string }, K extends M['kind'] = M['kind']>(
  child: ChildProcess,
  kind: K,
  withinMs: number,
): Promise<Extract<M, { kind: K }>> {
  return new Promise((resolve, reject) => {
    const limit = setTimeout(() => done(() => reject(new Error(`no '${kind}' from a process of the proof`))), withinMs)
    const onMessage = (message: unknown) => {
      if ((message as M).kind === kind) done(() => resolve(message as Extract<M, { kind: K }>))
    }
    const onExit = (exitCode: number | null) =>
      done(() => reject(new Error(`a process of the proof ended (${exitCode})`)))
    const done = (then: () => void) => {
      clearTimeout(limit)
      child.off('message', onMessage)
      child.off('exit', onExit)
      then()
    }
    child.on('message', onMessage)
    child.on('exit', onExit)
  })
}

async function freePorts(count: number): Promise<number[]> {
  const ports: Set<number> = new Set()
  while (ports.size < count) await freePort(ports)
  return [...ports]
}

function configOf(name: string, tcp: number, ws: number, admin: number, hosts: number[], linkKey: string): string {
  return `version: 1
name: ${name}
listeners:
  - { transport: tcp, host: 127.0.0.1, port: ${tcp} }
  - { transport: websocket, host: 127.0.0.1, port: ${ws}, path: / }
hosts:
${hosts.map((port, i) => `  - { name: h${i + 1}, address: '127.0.0.1:${port}' }`).join('\n')}
services:
  proof: { keys: user, whenAway: park }
routes:
  - { match: proof.limited, service: proof, rate: 1/s burst 2 }
  - { match: proof.*, service: proof }
auth: { development: true }
linkKey: ${linkKey}
stateDir: ./state
admin: { port: ${admin} }
log: { level: error }
`
}
