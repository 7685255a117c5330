// One player with the client SDK: comes, sends what the plan says when it says so, hears answers, loses its connection and
// goes. Reliable messages carry numbers, so that each that was neither heard nor refused, or was heard twice or out of
// order, is known. Times at a rate are on a grid: a latency counts from when the message was due, not from when there was
// room for it.
import { bytes, type Channel, type Client, connect } from '../../sdk/client/index.ts'
import { nodeTransports } from '../../sdk/client/node-transports.ts'
import type { Carrier, Transport, Transports } from '../../sdk/client/transports.ts'
import { SkewerError } from '../../sdk/error.ts'
import { monotonicUs } from '../clock.ts'
import { readStamp, STAMP_BYTES, writeStamp } from '../load/client.ts'
import type { Book } from './book.ts'
import type { PlanMessage, Range } from './plan.ts'

/** Where a player sits down. `prefix`: of the names of routes. */
export type Seat = {
  gateways: string[]
  token: string
  service: string
  key: string
  prefix: string
}

/** Behind the time: the number of a reliable message, and which message of the plan it is. */
const NUMBER_AT = STAMP_BYTES
const MESSAGE_AT = NUMBER_AT + 4
/** Messages of one kind that wait for room; more are left out. */
const WAITING_MAX = 64
const CALL_MS = 30_000

type Schedule = { nextUs: number; waiting: number[]; isAnswered: boolean }

export class Player {
  readonly client: Client
  attachedAtUs = 0
  leavesAtUs = Infinity
  doubled = 0
  reordered = 0
  /** Why the session or the channel is over, although nobody closed it. */
  endedBy = ''
  /** What a connection was last lost by, and a message last refused for. */
  lastLoss = ''
  lastRefusal = ''
  readonly #seat: Seat
  readonly #messages: readonly PlanMessage[]
  readonly #schedules: Schedule[]
  readonly #channel: Channel
  readonly #book: () => Book
  readonly #cameAtUs = monotonicUs()
  readonly #unheard: Set<number> = new Set()
  #lostAtUs = 0
  #number = 0
  #highest = 0
  #isLeaving = false
  #cut = () => {}

  constructor(seat: Seat, messages: readonly PlanMessage[], book: () => Book) {
    this.#seat = seat
    this.#messages = messages
    this.#book = book
    this.#schedules = messages.map(() => ({ nextUs: 0, waiting: [], isAnswered: true }))
    const { gateways, token, service, key, prefix } = seat
    // The certificate of a gateway of the run's own is of the run's own.
    const tls = { rejectUnauthorized: false }
    this.client = connect({ gateways, token, codec: bytes, tls, transports: this.#cuttable() })
    this.client.on('disconnected', ({ name, text }) => {
      this.lastLoss = [name, text].filter((word) => word !== '').join(': ') || 'the connection was closed'
    })
    this.client.on('ended', ({ name, text }) => this.#end(`${name} ${text}`.trim()))
    this.#channel = this.client.actor(service, key)
    this.#channel.on('attached', () => this.#attached())
    this.#channel.on('detached', () => this.#detached())
    this.#channel.on('reset', () => this.#end('reset'))
    this.#channel.on('ended', ({ name }) => this.#end(name))
    this.#channel.on('refused', ({ route, name, payload }) => {
      this.lastRefusal = `${route} was refused: ${name}`
      this.#refused(payload as Uint8Array)
    })
    for (const answer of ['said', 'moved', 'shouted', 'told']) {
      this.#channel.on(`${prefix}.${answer}`, (payload) => this.#heard(payload as Uint8Array))
    }
    if (messages.some(({ kind }) => kind === 'broadcast')) this.#channel.send(`${prefix}.join`)
    this.#channel.start()
  }

  /** Reliable messages neither heard nor refused so far. */
  get unheard(): number {
    return this.#unheard.size
  }

  /** Everything whose time has come on the grid; `pace` multiplies rates. */
  tick(gridUs: number, pace: number): void {
    if (this.#isLeaving || this.attachedAtUs === 0) return
    for (const [i, message] of this.#messages.entries()) {
      const schedule = this.#schedules[i]
      if (message.rate === undefined) {
        if (schedule.isAnswered && gridUs >= schedule.nextUs) this.#due(i, gridUs)
      } else if (pace > 0) {
        const stepUs = 1e6 / (message.rate * pace)
        if (schedule.nextUs === 0) schedule.nextUs = gridUs + Math.random() * stepUs
        for (; schedule.nextUs <= gridUs; schedule.nextUs += stepUs) this.#due(i, gridUs)
      }
      this.#sendWaiting(i)
    }
  }

  /** Loses the connection, as if a phone had lost its network. */
  cut(): void {
    this.#book().cuts++
    this.#lostAtUs = monotonicUs()
    this.#cut()
  }

  /** Sends nothing more and goes when everything has been heard, at the latest after `withinMs`. Returns what was not. */
  async leave(withinMs: number): Promise<number> {
    this.#isLeaving = true
    const end = performance.now() + withinMs
    while (this.#unheard.size > 0 && this.endedBy === '' && performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    const unheard = this.#unheard.size
    this.endedBy ||= 'left'
    await this.client.close()
    this.#book().left++
    return unheard
  }

  #due(i: number, stampUs: number): void {
    const { waiting } = this.#schedules[i]
    if (waiting.length >= WAITING_MAX) this.#book().messages[i].skipped++
    else waiting.push(stampUs)
    this.#schedules[i].isAnswered = false
  }

  #sendWaiting(i: number): void {
    const { waiting } = this.#schedules[i]
    let sent = 0
    while (sent < waiting.length && this.#send(i, waiting[sent])) sent++
    if (sent > 0) waiting.splice(0, sent)
  }

  /** False where there is no room: nothing has happened then. */
  #send(i: number, stampUs: number): boolean {
    const { kind, payloadBytes } = this.#messages[i]
    const { prefix } = this.#seat
    const payload = new Uint8Array(randomWithin(payloadBytes))
    writeStamp(payload, stampUs)
    payload[MESSAGE_AT] = i
    const book = this.#book().messages[i]
    switch (kind) {
      case 'reliable': {
        const number = this.#number + 1
        numbers(payload).setUint32(NUMBER_AT, number, true)
        if (this.#channel.trySend(`${prefix}.say`, payload) !== 0) return false
        this.#number = number
        this.#unheard.add(number)
        break
      }
      case 'broadcast':
        if (this.#channel.trySend(`${prefix}.tell`, payload) !== 0) return false
        this.#answered(i)
        break
      case 'latest':
        this.#channel.latest(`${prefix}.move`, String(i), payload)
        this.#answered(i)
        break
      case 'unreliable':
        if (!this.#channel.unreliable(`${prefix}.shout`, payload)) book.refused++
        this.#answered(i)
        break
      case 'call':
        this.#call(i, payload)
        break
    }
    book.sent++
    return true
  }

  #call(i: number, payload: Uint8Array): void {
    this.#channel.call(`${this.#seat.prefix}.call`, payload, { timeoutMs: CALL_MS }).then(
      (reply) => this.#heard(reply as Uint8Array),
      (error: unknown) => {
        if (!(error instanceof SkewerError)) throw error
        this.#book().messages[i].refused++
        this.#answered(i)
      },
    )
  }

  #heard(payload: Uint8Array): void {
    const i = payload[MESSAGE_AT]
    const message = this.#messages[i]
    if (message === undefined) return
    const book = this.#book().messages[i]
    if (message.kind === 'reliable') {
      const number = numbers(payload).getUint32(NUMBER_AT, true)
      if (!this.#unheard.delete(number)) this.doubled++
      if (number < this.#highest) this.reordered++
      this.#highest = Math.max(this.#highest, number)
    }
    book.heard++
    book.latencies.record(monotonicUs() - readStamp(payload, 0))
    if (message.kind === 'reliable' || message.kind === 'call') this.#answered(i)
    this.#sendWaiting(i)
  }

  #refused(payload: Uint8Array): void {
    // What carries nothing, as joining a room, is none of the plan's.
    const i = payload?.[MESSAGE_AT]
    if (this.#messages[i] === undefined) return
    this.#book().messages[i].refused++
    if (this.#messages[i].kind === 'reliable') this.#unheard.delete(numbers(payload).getUint32(NUMBER_AT, true))
    this.#answered(i)
  }

  /** The pause behind an answer begins. */
  #answered(i: number): void {
    const { thinkMs } = this.#messages[i]
    const schedule = this.#schedules[i]
    schedule.isAnswered = true
    if (thinkMs !== undefined) schedule.nextUs = monotonicUs() + randomWithin(thinkMs) * 1000
  }

  #attached(): void {
    const now = monotonicUs()
    if (this.#lostAtUs > 0) this.#book().returns.record(now - this.#lostAtUs)
    else if (this.attachedAtUs === 0) this.#book().logins.record(now - this.#cameAtUs)
    if (this.attachedAtUs === 0) this.#think(now)
    this.attachedAtUs = now
    this.#lostAtUs = 0
  }

  /** Nobody begins with the first thing at once. */
  #think(now: number): void {
    for (const [i, { thinkMs }] of this.#messages.entries()) {
      if (thinkMs !== undefined) this.#schedules[i].nextUs = now + Math.random() * thinkMs.max * 1000
    }
  }

  #detached(): void {
    if (!this.#isLeaving && this.#lostAtUs === 0) this.#lostAtUs = monotonicUs()
  }

  #end(why: string): void {
    if (!this.#isLeaving) this.endedBy ||= why
  }

  /** The transports of Node, whose last carrier can be cut from outside. */
  #cuttable(): Transports {
    const wrapped = Object.entries(nodeTransports).map(([scheme, transport]): [string, Transport] => [
      scheme,
      (address, events, options) => {
        let isClosed = false
        const closed = (cause?: unknown): void => {
          if (isClosed) return
          isClosed = true
          events.closed(cause)
        }
        const carrier: Carrier = transport(address, { ...events, closed }, options)
        this.#cut = () => {
          carrier.destroy()
          closed(new Error('cut'))
        }
        return carrier
      },
    ])
    return Object.fromEntries(wrapped)
  }
}

const numbers = (payload: Uint8Array): DataView => new DataView(payload.buffer, payload.byteOffset, payload.byteLength)

function randomWithin({ min, max }: Range): number {
  return min + Math.floor(Math.random() * (max - min + 1))
}
