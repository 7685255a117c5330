// Sessions over HTTP (H2), for clients that can have nothing else: finds the carrier that a request belongs to. The ticket
// travels inside frames, never in a URL; what stands in a URL is random, opens one stream, and is worth nothing after it.
//
//   POST /session                     Accept: text/event-stream: the answer is the event stream; else where to find one
//   GET  /session/events/{once}       the event stream, once; a second time 204, which ends an EventSource
//   POST /session/frames              Skewer-Connection, Skewer-Sequence: frames; 204, or 409 with Skewer-Expected
import { randomBytes } from 'node:crypto'
import { code } from '../../protocols/codes.ts'
import type { Carrier, CarrierEvents, Entrance } from '../seams.ts'
import { HttpCarrier } from './http-carrier.ts'
import { addressOf, requestAddress } from './client-address.ts'
import type { Networks } from './networks.ts'
import type { NodeExchange } from './node-exchange.ts'
import { isSecured } from './stream-duplex.ts'
import type { CarrierHome } from './stream-carrier.ts'

const PATH = '/session'
const FRAMES = '/session/frames'
const EVENTS = '/session/events/'
/** Carriers that have no stream yet: of all, and of one address. */
const WAITING_MAX = 1024
const WAITING_PER_ADDRESS_MAX = 16
const SEQUENCE = /^[1-9]\d{0,14}$/
/** Streams in which nothing was said for so long get a comment. */
const STIR_MS = 15_000

/** What sessions need of the process. */
export type SessionHome = CarrierHome & {
  accept(carrier: Carrier, now: number, entrance: Entrance): CarrierEvents
  /** A carrier without a stream is given this long. */
  handshakeMs: number
}

export const isSession = (path: string): boolean => path === PATH || path.startsWith(`${PATH}/`)

export class HttpSessions {
  readonly #home: SessionHome
  readonly #entrance: Entrance
  /** By their own random names: nobody else chooses a key. */
  readonly #carriers = new Map<string, HttpCarrier>()
  readonly #forwarders: () => Networks | undefined
  readonly #waiting = new Map<string, HttpCarrier>()
  #stirring: NodeJS.Timeout | undefined

  constructor(home: SessionHome, entrance: Entrance, forwarders: () => Networks | undefined) {
    this.#home = home
    this.#entrance = entrance
    this.#forwarders = forwarders
  }

  /** Whether this may be of a session that is there, which goes on though no more are wanted. */
  goesOn(path: string): boolean {
    return this.#carriers.size > 0 && isSession(path) && path !== PATH
  }

  answer(exchange: NodeExchange): void {
    const { path, method } = exchange
    if (path === PATH) {
      if (method === 'POST') this.#open(exchange)
      else exchange.otherMethod('POST')
    } else if (path === FRAMES) {
      if (method === 'POST') this.#frames(exchange)
      else exchange.otherMethod('POST')
    } else if (path.startsWith(EVENTS)) {
      if (method === 'GET') this.#events(exchange, path.slice(EVENTS.length))
      else exchange.otherMethod('GET')
    } else {
      exchange.problem(code.not_found, { detail: 'nothing is here' })
    }
  }

  #open(exchange: NodeExchange): void {
    const { request } = exchange
    const address = requestAddress(addressOf(request.socket), exchange.headers, this.#forwarders())
    const isStream = exchange.headers.accept?.includes('text/event-stream') ?? false
    if (isStream && !isFirst(exchange)) return
    if (!isStream && !this.#isRoomFor(address)) {
      exchange.problem(code.admission, { detail: 'too many sessions wait for their event stream' })
      return
    }
    const token = randomBytes(18).toString('base64url')
    const once = randomBytes(18).toString('base64url')
    const carrier = new HttpCarrier(this.#home, token, address, isSecured(request.socket), () => {
      this.#carriers.delete(token)
      this.#waiting.delete(once)
      if (this.#carriers.size === 0) this.#stopStirring()
    })
    this.#carriers.set(token, carrier)
    this.#stirring ??= setInterval(() => this.#stir(), STIR_MS).unref()
    carrier.start(this.#home.accept(carrier, this.#home.now(), this.#entrance))
    if (isStream) {
      carrier.stream(exchange, `event:connection\ndata:${token}\n\n`)
    } else {
      this.#waiting.set(once, carrier)
      const headers = ['Content-Type', 'application/json', 'Cache-Control', 'no-store']
      exchange.send(201, headers, `${JSON.stringify({ connection: token, events: EVENTS + once })}\n`)
    }
    this.#home.poke()
  }

  /** The core's own deadline of a handshake ends those that wait for too long. */
  #isRoomFor(address: string): boolean {
    if (this.#waiting.size >= WAITING_MAX) return false
    let count = 0
    for (const carrier of this.#waiting.values()) if (carrier.address === address) count++
    return count < WAITING_PER_ADDRESS_MAX
  }

  #events(exchange: NodeExchange, once: string): void {
    const carrier = this.#waiting.get(once)
    if (carrier === undefined) {
      exchange.send(204, [])
      return
    }
    if (!isFirst(exchange)) return
    this.#waiting.delete(once)
    carrier.stream(exchange, ':\n\n')
  }

  #frames(exchange: NodeExchange): void {
    const { headers } = exchange
    const sequence = headers['skewer-sequence']
    const token = headers['skewer-connection']
    if (token === undefined || sequence === undefined || !SEQUENCE.test(sequence)) {
      exchange.cutOff(code.protocol, { detail: 'Skewer-Connection and Skewer-Sequence say whose frames these are' })
      return
    }
    const carrier = this.#carriers.get(token)
    if (carrier === undefined)
      exchange.cutOff(code.closed, { detail: 'this connection is gone; attach by another one' })
    else carrier.post(exchange, Number(sequence))
  }

  #stir(): void {
    for (const carrier of this.#carriers.values()) carrier.stir()
  }

  #stopStirring(): void {
    clearInterval(this.#stirring)
    this.#stirring = undefined
  }
}

/** Whether nothing is still to be answered before it on its socket: else a stream would not hear that the socket has ended. */
function isFirst(exchange: NodeExchange): boolean {
  if (exchange.response.socket !== null) return true
  exchange.cutOff(code.protocol, { detail: 'an event stream is not opened behind another answer' })
  return false
}
