// The players of storm and reload, with the client SDK: each sends numbered messages at its rate, hears them again, and notes when
// its channel was attached last. Numbers tell what was doubled or out of order. What is not heard is told apart: refused by
// a code, of unknown outcome since its channel was reset or ended, pending in the client's own window, or lost.
import { bytes, type Channel, type Client, connect } from '../../sdk/client/index.ts'
import { monotonicUs } from '../clock.ts'
import { Histogram, type HistogramCounts } from '../histogram.ts'
import { STAMP_BYTES, readStamp, writeStamp } from '../load/client.ts'
import { answerWith } from '../worker.ts'

export type StormPlan = { gateways: string[]; clients: number; rate: number; payloadBytes: number }
export type StormState = {
  clients: number
  /** When each channel was attached last; 0 while it is not. */
  attachedAtUs: number[]
  /** Which gateway of the plan each is on; -1: none. */
  gateway: number[]
  sent: number
  heard: number
  /** By the name of the code: told by `refused`, they have not run. */
  refused: Record<string, number>
  /** Told by `reset` and `ended`. */
  unknown: number
  /** Kept by the clients: not settled by the host yet. */
  pending: number
  /** Settled, so that an answer was made, which was not heard. */
  lost: number
  /** Of those whose channels are not attached, how many are how, and why. */
  away: Record<string, number>
  doubled: number
  reordered: number
  resets: number
  latencies: HistogramCounts
  cpuUs: number
}
/** mark: latencies are counted anew. */
export type ToStorm = { kind: 'connect'; plan: StormPlan } | { kind: 'begin' | 'mark' | 'quiet' | 'state' }

const TICK_MS = 20
/** The number stands behind the time. */
const NUMBER_BYTES = 4
const latencies = new Histogram()
const players: Player[] = []
const refused: Record<string, number> = {}
let rate = 0
let payloadBytes = 0
let timer: NodeJS.Timeout | undefined

class Player {
  attachedAtUs = 0
  sent = 0
  heard = 0
  refused = 0
  doubled = 0
  reordered = 0
  resets = 0
  unknown = 0
  why = ''
  readonly client: Client
  readonly #seen: Set<number> = new Set()
  readonly #channel: Channel
  #highest = 0
  #due: number

  /** `phase`: how much of the time between two messages has passed when it begins, 0 to 1: not all send at once. */
  constructor(gateways: string[], name: string, phase: number) {
    this.#due = phase
    this.client = connect({ gateways, token: name, codec: bytes })
    const channel = this.client.actor('echo', name)
    this.#channel = channel
    channel.on('echo.said', (payload) => this.#hear(payload as Uint8Array))
    channel.on('attached', () => {
      this.attachedAtUs = monotonicUs()
    })
    channel.on('detached', ({ name }) => {
      this.attachedAtUs = 0
      this.why = name
    })
    channel.on('refused', ({ name }) => {
      refused[name] = (refused[name] ?? 0) + 1
      this.refused++
    })
    channel.on('reset', ({ unknown }) => {
      this.resets++
      this.unknown += unknown.length
    })
    channel.on('ended', ({ name, unknown }) => {
      this.attachedAtUs = 0
      this.why = name
      this.unknown += unknown.length
    })
    this.client.on('disconnected', ({ name, text }) => {
      this.why = name || text
    })
    channel.start()
  }

  get pending(): number {
    return this.#channel.unacked
  }

  /** Nothing for one that is attached. */
  get away(): string {
    return this.attachedAtUs > 0 ? '' : `channel ${this.#channel.state}, client ${this.client.state}: ${this.why}`
  }

  tick(elapsedMs: number): void {
    this.#due = Math.min(this.#due + (elapsedMs * rate) / players.length / 1000, 10)
    for (; this.#due >= 1; this.#due--) {
      const payload = new Uint8Array(payloadBytes)
      writeStamp(payload, monotonicUs())
      new DataView(payload.buffer).setUint32(STAMP_BYTES, this.sent + 1, true)
      try {
        this.#channel.send('echo.say', payload)
      } catch {
        // The window is full: nothing has happened, and the number is used later.
        return
      }
      this.sent++
    }
  }

  #hear(payload: Uint8Array): void {
    latencies.record(monotonicUs() - readStamp(payload, 0))
    const number = new DataView(payload.buffer, payload.byteOffset, payload.byteLength).getUint32(STAMP_BYTES, true)
    if (this.#seen.has(number)) this.doubled++
    else this.heard++
    this.#seen.add(number)
    if (number < this.#highest) this.reordered++
    this.#highest = Math.max(this.#highest, number)
  }
}

function begin(): void {
  latencies.clear()
  let last = performance.now()
  timer = setInterval(() => {
    const now = performance.now()
    for (const player of players) player.tick(now - last)
    last = now
  }, TICK_MS)
}

function state(): StormState {
  const sum = (figure: (player: Player) => number) => players.reduce((total, player) => total + figure(player), 0)
  const { user, system } = process.cpuUsage()
  const pending = sum((player) => player.pending)
  const away: Record<string, number> = {}
  for (const player of players) if (player.away !== '') away[player.away] = (away[player.away] ?? 0) + 1
  return {
    clients: players.length,
    attachedAtUs: players.map(({ attachedAtUs }) => attachedAtUs),
    gateway: players.map(({ client }) => client.gatewayIndex),
    sent: sum(({ sent }) => sent),
    heard: sum(({ heard }) => heard),
    refused,
    unknown: sum(({ unknown }) => unknown),
    pending,
    lost: sum(({ sent, heard, refused, unknown }) => sent - heard - refused - unknown) - pending,
    away,
    doubled: sum(({ doubled }) => doubled),
    reordered: sum(({ reordered }) => reordered),
    resets: sum(({ resets }) => resets),
    latencies: latencies.counts(),
    cpuUs: user + system,
  }
}

answerWith<ToStorm>((message) => {
  if (message.kind === 'connect') {
    const { plan } = message
    rate = plan.rate
    payloadBytes = Math.max(plan.payloadBytes, STAMP_BYTES + NUMBER_BYTES)
    for (let i = 0; i < plan.clients; i++) players.push(new Player(plan.gateways, `p${i + 1}`, i / plan.clients))
  } else if (message.kind === 'begin') {
    begin()
  } else if (message.kind === 'mark') {
    latencies.clear()
  } else if (message.kind === 'quiet') {
    clearInterval(timer)
  }
  return state()
})
