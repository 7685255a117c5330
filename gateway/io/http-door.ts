// What a listener answers over HTTP, by path: calls (http-call.ts), sessions (http-sessions.ts) and the health page of load
// balancers. One for each listener; a socket has a bounded number of requests open here, whatever it pipelines.
//
//   POST /call/{route}          a call (H1)
//   POST /session ...           a session (H2)
//   GET  /healthz               200 while the gateway is ready, else 503
import type http from 'node:http'
import type net from 'node:net'
import type { HttpSettings, ListenerSettings } from '../../config/settings.ts'
import { code } from '../../protocols/codes.ts'
import type { Entrance } from '../seams.ts'
import { type CallHome, isCall, takeCall } from './http-call.ts'
import type { Closing, HttpExchange } from './http-exchange.ts'
import { HttpSessions, isSession, type SessionHome } from './http-sessions.ts'
import type { IoCounters } from './io-counters.ts'
import type { LeanHome, Released } from './lean-connection.ts'
import { LeanConnections } from './lean-connections.ts'
import { NodeExchange } from './node-exchange.ts'
import type { Networks } from './networks.ts'
import { addressOf, requestAddress } from './client-address.ts'
import { NativeStream } from './native-stream.ts'
import type { NativeTlsStream } from './native-tls.ts'
import { StreamDuplex } from './stream-duplex.ts'
import type { Doorkeeper } from './doorkeeper.ts'

/** What answering over HTTP needs of the process. */
export type HttpHome = CallHome & {
  isReady(): boolean
  /** Whether new requests are to go elsewhere. */
  isDraining(): boolean
  openCalls: OpenCalls
}

type DoorHome = SessionHome & { http: HttpHome; doorkeeper: Doorkeeper }

/** The calls of all listeners that wait for their answer; a drain waits for them. */
export class OpenCalls {
  count = 0
  #emptied: (() => void) | undefined

  begin(): void {
    this.count++
  }

  end(): void {
    if (--this.count === 0) this.#emptied?.()
  }

  /** Resolves once none is open, or after this long. */
  async gone(withinMs: number): Promise<void> {
    if (this.count === 0 || withinMs <= 0) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, withinMs)
      this.#emptied = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}

/** Takes over a socket that not only calls come from, with what lies in it unread. */
export type Others = (socket: net.Socket | StreamDuplex, released: Released) => void

/** Requests of one socket that wait for their answers. */
const OPEN_MAX = 64
const openOf = Symbol('open')
/** Requests of a socket so far; Infinity: its last one was taken. */
const servedOf = Symbol('served')
type DoorSocket = net.Socket & { [openOf]?: number; [servedOf]?: number }

const lastOne: Closing = { isLast: true }

export class HttpDoor {
  readonly #entrance: Entrance
  readonly #home: HttpHome
  readonly #counters: IoCounters
  readonly #now: () => number
  readonly #sessions: HttpSessions
  readonly #lean: LeanConnections
  readonly #others: Others
  readonly #doorkeeper: Doorkeeper
  readonly #forwarders: () => Networks | undefined
  /** The newest there were: sessions that are there go on by them when HTTP is not wanted any more. */
  #latest: HttpSettings | undefined
  isStopped = false

  /** `forwarders`: the proxies in front that name the client in each request. */
  constructor(entrance: Entrance, home: DoorHome, forwarders: () => Networks | undefined, others: Others) {
    this.#entrance = entrance
    this.#latest = entrance.settings.http
    this.#home = home.http
    this.#counters = home.counters
    this.#now = home.now
    this.#doorkeeper = home.doorkeeper
    this.#forwarders = forwarders
    this.#sessions = new HttpSessions(home, entrance, forwarders)
    this.#others = others
    const leanHome: LeanHome = {
      counters: home.counters,
      clientSlab: home.clientSlab,
      now: home.now,
      settings: () => this.#settings.http,
      call: (exchange, peer) => this.#start(exchange, peer),
      giveAway: (socket, released) => others(socket, released),
    }
    this.#lean = new LeanConnections(leanHome, this)
  }

  get #settings(): ListenerSettings {
    return this.#entrance.settings
  }

  /** No further request is wanted on any connection here. */
  get isLast(): boolean {
    return this.isStopped || this.#home.isDraining()
  }

  /** Other settings hold from the next request on. */
  configure({ http }: ListenerSettings): void {
    this.#latest = http ?? this.#latest
  }

  /** Takes a socket that was accepted: its calls are served here, all else by the others. */
  greet(accepted: net.Socket | NativeTlsStream, released: Released): void {
    const { http } = this.#settings
    if (http?.calls) this.#lean.take(accepted, released, http.requestMs)
    else
      this.#others(
        accepted instanceof NativeStream ? new StreamDuplex(accepted, addressOf(accepted)) : accepted,
        released,
      )
  }

  closeIdle(): void {
    this.#lean.closeIdle()
  }

  closeAll(): void {
    this.#lean.closeAll()
  }

  /** Answers what is its own; false: nothing of that is here. */
  answer(request: http.IncomingMessage, response: http.ServerResponse, path: string): boolean {
    if (!this.#isOurs(path)) return false
    const exchange = this.#exchange(request, response, path)
    if (exchange === undefined) return true
    const doubt = doubtOf(request)
    if (doubt !== undefined) exchange.cutOff(code.protocol, { detail: doubt })
    else if (path === '/healthz') this.#health(exchange)
    else if (isCall(path)) this.#call(exchange)
    else this.#session(exchange)
    return true
  }

  /** For what is on no path of this listener. */
  nothing(request: http.IncomingMessage, response: http.ServerResponse, path: string): void {
    this.#exchange(request, response, path)?.problem(code.not_found, { detail: 'nothing is here' })
  }

  #isOurs(path: string): boolean {
    const settings = this.#settings.http
    if (this.#sessions.goesOn(path)) return true
    if (settings === undefined) return false
    return path === '/healthz' || (settings.calls && isCall(path)) || (settings.sessions && isSession(path))
  }

  /** Counts a request to its connection; undefined: an earlier one was the last, and this one does not run. */
  #exchange(request: http.IncomingMessage, response: http.ServerResponse, path: string): NodeExchange | undefined {
    const settings = this.#latest!
    const socket = request.socket as DoorSocket
    const served = (socket[servedOf] ?? 0) + 1
    const most = settings.requestsPerConnection
    const isLast = served >= most && most > 0
    socket[servedOf] = isLast ? Infinity : served
    const exchange = new NodeExchange(request, response, path, settings, this.#counters, isLast ? lastOne : this)
    if (served !== Infinity) return exchange
    exchange.cutOff(code.too_many_requests, { detail: `a connection has at most ${most} requests here` })
    return undefined
  }

  #health(exchange: NodeExchange): void {
    const { method } = exchange
    if (method !== 'GET' && method !== 'HEAD') {
      exchange.otherMethod('GET, HEAD')
      return
    }
    const isReady = this.#home.isReady()
    const headers = ['Content-Type', 'application/json', 'Cache-Control', 'no-store']
    exchange.send(isReady ? 200 : 503, headers, isReady ? '{"ready":true}\n' : '{"ready":false}\n')
  }

  #call(exchange: NodeExchange): void {
    const socket = this.#take(exchange)
    if (socket === undefined) return
    this.#start(exchange, addressOf(socket), () => {
      socket[openOf] = socket[openOf]! - 1
    })
  }

  #start(exchange: HttpExchange, peer: string, ended?: () => void): void {
    const address = this.#addressOf(exchange, peer)
    if (address === undefined) {
      ended?.()
      return
    }
    const { openCalls } = this.#home
    openCalls.begin()
    takeCall(exchange, address, this.#settings.name, this.#home, () => {
      openCalls.end()
      ended?.()
    })
  }

  /** Whose request it is. Behind a proxy the connection is the proxy's, and the client is judged here; undefined: refused. */
  #addressOf(exchange: HttpExchange, peer: string): string | undefined {
    const forwarders = this.#forwarders()
    const address = requestAddress(peer, exchange.headers, forwarders)
    const { name } = this.#settings
    if (forwarders !== undefined && !this.#doorkeeper.admits(address, name)) {
      exchange.problem(code.admission, { status: 403, detail: 'this address is not let in' })
      return undefined
    }
    const retryMs = this.#doorkeeper.request(address, name, this.#now())
    if (retryMs === 0) return address
    exchange.problem(code.rate_limited, { detail: 'too many requests from this address', retryMs })
    return undefined
  }

  #session(exchange: NodeExchange): void {
    const socket = this.#take(exchange)
    if (socket === undefined || this.#addressOf(exchange, addressOf(socket)) === undefined) return
    exchange.response.once('close', () => {
      socket[openOf] = socket[openOf]! - 1
    })
    this.#sessions.answer(exchange)
  }

  /** Counts a request to its socket; undefined where there are too many, which is answered. */
  #take(exchange: NodeExchange): DoorSocket | undefined {
    const socket = exchange.request.socket as DoorSocket
    const open = (socket[openOf] ?? 0) + 1
    if (open > OPEN_MAX) {
      exchange.cutOff(code.too_many_requests, { detail: `a connection has at most ${OPEN_MAX} requests open` })
      return undefined
    }
    socket[openOf] = open
    return socket
  }
}

/** What the parser takes, and another program in front may have read otherwise ([HTTP-1.1]); undefined: nothing. */
function doubtOf({ headers, httpVersion }: http.IncomingMessage): string | undefined {
  // Two of them, joined by http-server.ts: whoever stands in front may have gone by the other one.
  if (headers.host?.includes(',')) return 'two Host headers'
  const coding = headers['transfer-encoding']
  if (coding === undefined) return undefined
  // HTTP/1.0 has no chunks: whoever speaks it does not know where this body ends.
  if (httpVersion !== '1.1') return 'Transfer-Encoding in HTTP/1.0'
  return coding.toLowerCase() === 'chunked' ? undefined : 'a body is in chunks, and in no other transfer coding'
}
