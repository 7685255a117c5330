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
import { newNoiseKeyFile, readNoiseKey } from '../../config/noise-keys.ts'
import { freePort } from '../../examples/arena/free-port.ts'
import { answer } from './answer.ts'
import type { Entrance } from './gateway-config.ts'
import { addressOf, configOf } from './gateway-config.ts'
import type {
  FromHost,
  FromNetwork,
  FromPlayers,
  NetworkCounts,
  ToHost,
  ToNetwork,
  ToPlayers,
  Way,
} from './messages.ts'
import type { ProofOptions } from './options.ts'

const here = path.dirname(fileURLToPath(import.meta.url))
const root = path.join(here, '..', '..')
const GATEWAYS = 2
const HOSTS = 2
const PLAYER_PROCESSES = 2
const RESTART_MS = 200
const START_MS = 20_000
const LOG_CHARACTERS = 4000
const REPORT_MS = 10_000
/** Of the players at each cut of connections, and of those behind a NAT at each of its restarts. */
const CUT_SHARE = 0.05
const REBIND_SHARE = 0.3
/** A corrupted datagram is a lost one, a corrupted stream is over: so much less of it. */
const STREAM_CORRUPTION = 50

type GatewaySeat = { config: string; log: string; child: ChildProcess | undefined; adminPort: number }
type HostBooks = Extract<FromHost, { kind: 'books' }>
type PlayerBooks = Extract<FromPlayers, { kind: 'books' }>

export class Stage {
  kills = 0
  readonly #folder: string
  readonly #options: ProofOptions
  readonly #linkKey = randomBytes(16).toString('hex')
  readonly #gateways: GatewaySeat[] = []
  readonly #hosts: ChildProcess[] = []
  readonly #players: ChildProcess[] = []
  #network: ChildProcess | undefined
  #isStopping = false

  constructor(folder: string, options: ProofOptions) {
    this.#folder = folder
    this.#options = options
  }

  async start(): Promise<void> {
    const { transports, isSealed } = this.#options
    const ports = await freePorts(HOSTS + GATEWAYS * (transports.length + 1))
    const hostPorts = ports.splice(0, HOSTS)
    const adminPorts = ports.splice(0, GATEWAYS)
    const ways: Way[] = [
      ...hostPorts.map((targetPort): Way => ({ what: 'links', targetPort })),
      ...ports.map((targetPort, i): Way => {
        const transport = transports[i % transports.length]
        if (transport === 'kcp') return { what: 'datagrams', targetPort }
        return { what: isSealed ? 'sealedStreams' : 'streams', targetPort }
      }),
    ]
    const publicPorts = await this.#startNetwork(ways)
    const linkPorts = publicPorts.splice(0, HOSTS)
    for (const [i, hostPort] of hostPorts.entries()) {
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
    }
    const pem = newNoiseKeyFile()
    const { publicKey } = readNoiseKey(pem)!
    const noiseKeyFile = path.join(this.#folder, 'noise.key')
    writeFileSync(noiseKeyFile, pem, { mode: 0o600 })
    const addresses: string[][] = []
    for (const [i, adminPort] of adminPorts.entries()) {
      const entrances = transports.map(
        (transport): Entrance => ({
          transport,
          isSealed: isSealed || transport === 'kcp',
          port: ports.shift()!,
          publicPort: publicPorts.shift()!,
        }),
      )
      const config = path.join(this.#folder, `gateway-${i + 1}.yaml`)
      const text = configOf(`g${i + 1}`, entrances, adminPort, linkPorts, this.#linkKey, noiseKeyFile)
      writeFileSync(config, text, { mode: 0o600 })
      const seat: GatewaySeat = { config, log: `${config}.log`, child: undefined, adminPort }
      this.#gateways.push(seat)
      this.#startGateway(seat)
      addresses.push(entrances.map((entrance) => addressOf(entrance, publicKey)))
    }
    for (const seat of this.#gateways) await this.#ready(seat)
    const names = Array.from({ length: this.#options.clients }, (_, i) => `p${i + 1}`)
    const share = Math.ceil(names.length / PLAYER_PROCESSES)
    for (let i = 0; i < PLAYER_PROCESSES; i++) {
      const options = {
        names: names.slice(i * share, (i + 1) * share),
        gateways: addresses,
        messagesPerSecond: this.#options.rate,
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

  /** The ports that the network has before those of the ways. */
  async #startNetwork(ways: Way[]): Promise<number[]> {
    const { lossShare, corruptShare, duplicateShare, reorderShare } = this.#options
    this.#network = fork(path.join(here, 'network-process.ts'), [], { execArgv: [] })
    await answer<FromNetwork>(this.#network, 'ready', START_MS)
    const impairment = { lossShare, corruptShare, duplicateShare, reorderShare }
    this.#tellNetwork({ kind: 'open', ways, impairment, streamCorruptShare: corruptShare / STREAM_CORRUPTION })
    return (await answer<FromNetwork, 'opened'>(this.#network, 'opened', START_MS)).ports
  }

  #tellNetwork(message: ToNetwork): void {
    this.#network!.send(message)
  }

  async networkCounts(): Promise<NetworkCounts> {
    this.#tellNetwork({ kind: 'counts' })
    return (await answer<FromNetwork, 'counts'>(this.#network!, 'counts', START_MS)).counts
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

  /** Breaks things for as long as was asked: kill -9 of one gateway after the other, cuts and rebindings in between. */
  async trouble(say: (text: string) => void): Promise<void> {
    const { seconds, clients, killMs, cutMs, connectionCutMs, rebindMs } = this.#options
    const start = Date.now()
    const troubles = [
      new Trouble(start, killMs, () => {
        if (this.#gateways[this.kills % GATEWAYS].child?.kill('SIGKILL')) this.kills++
      }),
      new Trouble(start, cutMs, () => this.#tellNetwork({ kind: 'cutLink' })),
      new Trouble(start, connectionCutMs, () => this.#tellNetwork({ kind: 'cutConnections', share: CUT_SHARE })),
      new Trouble(start, rebindMs, () => this.#tellNetwork({ kind: 'rebind', share: REBIND_SHARE })),
    ]
    let nextReport = start + REPORT_MS
    while (Date.now() - start < seconds * 1000) {
      await wait(50)
      const now = Date.now()
      for (const trouble of troubles) trouble.tick(now)
      if (now < nextReport) continue
      nextReport += REPORT_MS
      const states = await this.#states()
      const messages = states.reduce((sum, s) => sum + s.messages, 0)
      const attached = states.reduce((sum, s) => sum + s.attached, 0)
      const elapsed = Math.round((now - start) / 1000)
      say(`${elapsed} s: ${messages} messages, ${attached} of ${clients} attached, ${this.kills} kills`)
    }
  }

  /** Nobody sends any more; waits until both ends have nothing unacknowledged. */
  async settle(withinMs: number): Promise<void> {
    this.#tellNetwork({ kind: 'heal' })
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
    this.#network?.kill('SIGKILL')
    await wait(50)
  }
}

/** Something that is done every so many milliseconds. */
class Trouble {
  readonly #everyMs: number
  readonly #run: () => void
  #next: number

  constructor(start: number, everyMs: number, run: () => void) {
    this.#everyMs = everyMs
    this.#run = run
    this.#next = start + everyMs
  }

  tick(now: number): void {
    if (now < this.#next) return
    this.#next += this.#everyMs
    this.#run()
  }
}

async function freePorts(count: number): Promise<number[]> {
  const ports: Set<number> = new Set()
  while (ports.size < count) await freePort(ports)
  return [...ports]
}
