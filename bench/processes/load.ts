// The generator: connects its clients, keeps up the load, and measures between two moments of its own: messages, latencies,
// and from /proc what each process has used in between.
import process from 'node:process'
import { monotonicUs } from '../clock.ts'
import { Histogram, type HistogramCounts } from '../histogram.ts'
import type { LoadClient, LoadEvents } from '../load/client.ts'
import { DatagramClient } from '../load/datagram-client.ts'
import { GameClient } from '../load/game-client.ts'
import { dialectOf } from '../load/game-dialects.ts'
import { HttpClient } from '../load/http-client.ts'
import { LaneClient, TICK_MS } from '../load/lane-client.ts'
import { Metronome } from '../load/metronome.ts'
import { Pace } from '../load/pace.ts'
import { RawClient } from '../load/raw-client.ts'
import { addressOfPlayer, kcpOpener } from '../load/kcp-stream.ts'
import {
  addressOpener,
  noiseOpener,
  openDatagrams,
  type OpenStream,
  openTcp,
  openTcpSlow,
  openTls,
  openWebSocket,
} from '../load/stream.ts'
import { type GameServerName, isGameServer } from '../options.ts'
import { type SplitUsage, usageOf, usedSince } from '../process-usage.ts'
import { SAMPLE_MS } from '../report.ts'
import { answerWith } from '../worker.ts'

/** tcp-slow: clients that hardly read. */
export type Over = 'tcp' | 'tcp-slow' | 'tls' | 'websocket' | 'datagrams' | 'noise' | 'kcp'

export type LoadPlan = {
  /** The gateway's protocol; bare messages, which come back as they are; calls over HTTP; or a game server's protocol. */
  speaks: 'lanes' | 'raw' | 'http' | GameServerName
  over: Over
  port: number
  /** Of Noise and KCP: the gateway's public key, in base64url. */
  gatewayKey?: string
  /** A gateway that runs already, instead of the port; clients are shared out among its addresses. */
  elsewhere?: { addresses: string[]; token: string; service: string; route: string }
  /** Key of the one actor that all attach to; each has one of its own unless given. */
  actor?: string
  clients: number
  payloadBytes: number
  depth: number
  /** Messages a second of all clients; 0: closed loop. */
  rate: number
  /** Whether clients send, or only hear what is sent to them. */
  sends: boolean
}
/** Usage between the two moments by process, as they were named. */
export type Measured = {
  messages: number
  elapsedUs: number
  latencies: HistogramCounts
  /** Messages in each whole stretch of SAMPLE_MS. */
  samples: number[]
  /** Datagrams without an echo, which were sent again; 0 where nothing is lost without a word. */
  resent: number
  /** Times that a client was told of publications left out for it. */
  leftOut: number
  /** Connections that the gateway closed on clients that hardly read; any other client that loses its own ends the run. */
  closed: number
  used: Record<string, SplitUsage>
}
export type ToLoad =
  | { kind: 'connect'; plan: LoadPlan }
  | { kind: 'measure'; warmupMs: number; forMs: number; pids: Record<string, number> }

const OPENING_MAX = 64

const latencies = new Histogram()
const clients: LoadClient[] = []
let pace: Pace | undefined
let plan: LoadPlan | undefined
let closed = 0
let failure = ''
let onReady = () => {}
let onFailure = (_error: Error) => {}

const events: LoadEvents = {
  ready: () => onReady(),
  heard(client, stampUs) {
    latencies.record(monotonicUs() - stampUs)
    pace?.heard(client)
  },
  turnEnded(client) {
    pace?.turnEnded(client)
    client.flush()
  },
  failed(why) {
    if (plan?.over === 'tcp-slow') {
      closed++
      return
    }
    failure ||= why
    onFailure(new Error(why))
  },
}

function open(i: number, { speaks, over, port, payloadBytes, gatewayKey, actor, elsewhere }: LoadPlan): LoadClient {
  if (isGameServer(speaks)) return new GameClient(dialectOf(speaks), port, payloadBytes, events)
  const stream = openerOf(over, i, gatewayKey)
  const name = `c${process.pid}-${i}`
  if (speaks === 'http') return new HttpClient(stream, port, name, payloadBytes, events)
  if (over === 'datagrams') return new DatagramClient(stream, port, payloadBytes, events)
  if (speaks === 'raw') return new RawClient(stream, port, payloadBytes, events)
  if (elsewhere === undefined) return new LaneClient(stream, port, name, payloadBytes, events, { key: actor })
  const { addresses, service, route } = elsewhere
  const token = elsewhere.token.replaceAll('{n}', `${process.pid}-${i}`)
  const opener = addressOpener(addresses[i % addresses.length])
  return new LaneClient(opener, port, token, payloadBytes, events, { service, route })
}

function openerOf(over: Over, i: number, gatewayKey = ''): OpenStream {
  switch (over) {
    case 'tcp-slow':
      return openTcpSlow
    case 'websocket':
      return openWebSocket
    case 'tls':
      return openTls
    case 'datagrams':
      return openDatagrams
    case 'noise':
      return noiseOpener(gatewayKey)
    case 'kcp':
      return kcpOpener(gatewayKey, addressOfPlayer(i))
    default:
      return openTcp
  }
}

/** Some at a time: a thousand at once would be lost in the listener's backlog. */
async function connect(given: LoadPlan): Promise<object> {
  plan = given
  // From the first on: who waits for the others must be heard of meanwhile.
  setInterval(() => {
    const now = performance.now()
    for (const client of clients) client.tick(now)
  }, TICK_MS)
  let ready = 0
  await new Promise<void>((resolve, reject) => {
    const fill = () => {
      while (clients.length < given.clients && clients.length - ready < OPENING_MAX) {
        clients.push(open(clients.length, given))
      }
    }
    onFailure = reject
    onReady = () => {
      ready++
      if (ready === given.clients) resolve()
      else fill()
    }
    fill()
  })
  return { connected: ready }
}

async function measure({ warmupMs, forMs, pids }: Extract<ToLoad, { kind: 'measure' }>): Promise<Measured> {
  let metronome: Metronome | undefined
  if (plan?.sends) {
    if (plan.rate > 0) {
      metronome = new Metronome(plan.rate, () => pace?.tick())
      await metronome.begun()
    }
    pace = new Pace(clients, plan.depth, plan.rate)
    pace.begin()
  }
  await wait(warmupMs)
  const all = { ...pids, generator: process.pid }
  latencies.clear()
  const before = usages(all)
  const resentBefore = total(({ resent }) => resent)
  const leftOutBefore = total(({ leftOut }) => leftOut)
  const samples: number[] = []
  let counted = 0
  const sampling = setInterval(() => {
    samples.push(latencies.total - counted)
    counted = latencies.total
  }, SAMPLE_MS)
  const startUs = monotonicUs()
  await wait(forMs)
  const elapsedUs = monotonicUs() - startUs
  clearInterval(sampling)
  const messages = latencies.total
  const after = Object.entries(usages(all))
  const used = Object.fromEntries(after.map(([name, usage]) => [name, usedSince(before[name], usage)]))
  pace = undefined
  await metronome?.end()
  const resent = total(({ resent }) => resent) - resentBefore
  const leftOut = total(({ leftOut }) => leftOut) - leftOutBefore
  return { messages, elapsedUs, latencies: latencies.counts(), samples, resent, leftOut, closed, used }
}

function total(figure: (client: LoadClient) => number | undefined): number {
  return clients.reduce((sum, client) => sum + (figure(client) ?? 0), 0)
}

function usages(pids: Record<string, number>): Record<string, SplitUsage> {
  return Object.fromEntries(Object.entries(pids).map(([name, pid]) => [name, usageOf(pid)]))
}

function wait(ms: number): Promise<void> {
  return new Promise((resolve, reject) => {
    if (failure !== '') reject(new Error(failure))
    onFailure = reject
    setTimeout(resolve, ms)
  })
}

answerWith<ToLoad>((message) => (message.kind === 'connect' ? connect(message.plan) : measure(message)))
