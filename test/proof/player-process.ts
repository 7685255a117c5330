// Many players of the proof in one process: each has a channel to its own actor, sends numbered messages (some on a tight
// rate limit), asks with requests, counts what is pushed to it, and hops between transports and gateways.
import process from 'node:process'
import type { Client } from '../../sdk/client/index.ts'
import { bytes, connect } from '../../sdk/client/index.ts'
import { NumberLog } from './accounts.ts'
import type { Carried, FromPlayers, PlayerBook, ToPlayers } from './messages.ts'
import { numberOf, payloadOf } from './messages.ts'

const options = JSON.parse(process.env.OPTIONS!) as {
  names: string[]
  /** The ways to each. */
  gateways: string[][]
  messagesPerSecond: number
  hopMs: number
}
const addressCount = options.gateways.flat().length
const TICK_MS = 20
const LIMITED_SHARE = 0.02
const ASK_SHARE = 0.05

let isQuiet = false
let hops = 0
const reattachMs: number[] = []
let silenceMaxMs = 0
const carried: Record<string, Carried> = {}

class Player {
  readonly book: PlayerBook
  readonly received = new NumberLog()
  readonly client: Client
  readonly #room
  #due = 0
  #apartSince = -1
  #heardAt = -1
  #carried: Carried = { attaches: 0, messages: 0 }
  #numbers: Map<number, number> = new Map()

  constructor(name: string, first: number) {
    this.book = {
      user: name,
      accepted: 0,
      refused: [],
      unknown: [],
      received: [],
      asked: 0,
      answered: 0,
      askedRefused: 0,
      askedUnknown: 0,
      resets: 0,
      endings: [],
      lane: { unacked: 0, state: '' },
    }
    // Every other player takes the ways to a gateway as one list and races them; to the others each is a gateway.
    const all = first % 2 === 0 ? options.gateways : options.gateways.flat()
    const from = first % all.length
    const gateways = [...all.slice(from), ...all.slice(0, from)]
    this.client = connect({ gateways, token: name, codec: bytes })
    const room = this.client.actor('proof', '')
    this.#room = room
    room.on('proof.down', (payload) => {
      this.received.push(numberOf(payload as Uint8Array))
      this.#carried.messages++
      this.#heard()
    })
    room.on('proof.echo', (payload) => payload)
    room.on('attached', () => {
      this.#carried = carried[this.client.transport] ??= { attaches: 0, messages: 0 }
      this.#carried.attaches++
      if (this.#apartSince >= 0) reattachMs.push(performance.now() - this.#apartSince)
      this.#apartSince = -1
    })
    room.on('detached', () => {
      if (this.#apartSince < 0) this.#apartSince = performance.now()
    })
    room.on('refused', (refusal) => this.book.refused.push(this.#own(refusal.number)))
    room.on('reset', (ending) => {
      this.book.resets++
      for (const item of ending.unknown) this.book.unknown.push(this.#own(item.number))
    })
    room.on('ended', (ending) => this.book.endings.push(ending.name))
    room.start()
  }

  get isAttached(): boolean {
    return this.#room.state === 'attached'
  }
  get unacked(): number {
    return this.#room.unacked
  }
  get openRequests(): number {
    return this.#room.openRequests
  }

  /** How long nothing came is what a player feels; whatever the reason, and from when on it was known. */
  #heard(): void {
    const now = performance.now()
    if (this.#heardAt >= 0 && !isQuiet) silenceMaxMs = Math.max(silenceMaxMs, now - this.#heardAt)
    this.#heardAt = now
  }

  /** The game's own number of a lane number: refusals name the latter. */
  #own(laneNumber: number): number {
    return this.#numbers.get(laneNumber) ?? -1
  }

  tick(elapsedMs: number): void {
    this.#due += (elapsedMs * options.messagesPerSecond) / 1000
    while (this.#due >= 1) {
      this.#due--
      const luck = Math.random()
      if (luck < ASK_SHARE) this.#ask()
      else if (!this.#send(luck < ASK_SHARE + LIMITED_SHARE ? 'proof.limited' : 'proof.up')) break
    }
    if (this.#due > 10) this.#due = 10
  }

  #send(route: string): boolean {
    let number: number
    try {
      number = this.#room.send(route, payloadOf(this.book.accepted + 1))
    } catch {
      return false
    }
    this.#carried.messages++
    this.#numbers.set(number, ++this.book.accepted)
    if (this.#numbers.size > 4096) this.#numbers.delete(this.#numbers.keys().next().value!)
    return true
  }

  #ask(): void {
    const n = this.book.asked + 1
    const asking = this.#room.call('proof.ask', payloadOf(n), { timeoutMs: 30_000 })
    this.book.asked = n
    asking.then(
      (answer) => {
        if (numberOf(answer as Uint8Array) === n) this.book.answered++
        else this.book.endings.push(`answer ${numberOf(answer as Uint8Array)} to question ${n}`)
      },
      (error) => {
        if (error.ran === 'unknown') this.book.askedUnknown++
        else this.book.askedRefused++
      },
    )
  }

  hop(): void {
    hops++
    const step = 1 + Math.floor(Math.random() * (addressCount - 1))
    this.client.switchTo((this.client.gatewayIndex + step) % addressCount)
  }

  close(): PlayerBook {
    this.book.received = this.received.toArray()
    this.book.lane = { unacked: this.unacked, state: this.#room.state }
    return this.book
  }
}

const players = options.names.map((name, i) => new Player(name, i))
let last = performance.now()
setInterval(() => {
  const now = performance.now()
  const elapsed = Math.min(now - last, 200)
  last = now
  if (isQuiet) return
  for (const player of players) {
    player.tick(elapsed)
    if (Math.random() < elapsed / options.hopMs) player.hop()
  }
}, TICK_MS)

process.on('message', (message: ToPlayers) => {
  let answer: FromPlayers
  if (message.kind === 'quiet') {
    isQuiet = true
    return
  }
  if (message.kind === 'state') {
    answer = { kind: 'state', attached: 0, clients: players.length, unacked: 0, openRequests: 0, messages: 0 }
    for (const player of players) {
      if (player.isAttached) answer.attached++
      answer.unacked += player.unacked
      answer.openRequests += player.openRequests
      answer.messages += player.book.accepted + player.book.asked + player.received.length
    }
  } else if (message.kind === 'books') {
    answer = { kind: 'books', books: players.map((player) => player.close()), reattachMs, silenceMaxMs, carried, hops }
  } else {
    process.exit(0)
  }
  process.send!(answer)
})
process.send!({ kind: 'ready' } satisfies FromPlayers)
