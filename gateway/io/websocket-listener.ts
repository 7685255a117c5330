// Clients over WebSocket, plain, TLS or with Noise inside: node:http reads the request, websocket-handshake judges it, and
// from then on the socket is a WebSocketCarrier's. Whoever has not upgraded in the handshake time, whatever it sends
// meanwhile, is gone. Plain requests are answered, so that a load balancer's check and a curious person get an answer:
// /health and / say 200. Where the configuration says so, calls and sessions by HTTP are answered on the same port (http-door.ts).
import type http from 'node:http'
import type net from 'node:net'
import type { Duplex } from 'node:stream'
import type { ListenerSettings } from '../../config/settings.ts'
import { addressOf, requestAddress } from './client-address.ts'
import { HttpFront, type HttpFrontOwner } from './http-front.ts'
import type { HttpTimes } from './http-server.ts'
import { ListenerPlaces } from './listener-places.ts'
import { NoiseTerminator } from './noise-terminator.ts'
import { isSecured, type StreamDuplex } from './stream-duplex.ts'
import { endSoon } from './stream-carrier.ts'
import type { Listener, ListenerHome } from './tcp-listener.ts'
import { WebSocketCarrier } from './websocket-carrier.ts'
import { judgeUpgrade, pathOf, refusalAnswer, upgradeAnswer } from './websocket-handshake.ts'

export class WebSocketListener implements Listener, HttpFrontOwner {
  settings: ListenerSettings
  readonly places: ListenerPlaces
  readonly #home: ListenerHome
  readonly #front: HttpFront
  readonly #noise: NoiseTerminator | undefined
  /** Sockets that have not upgraded yet, each with its deadline. */
  readonly #waiting = new Map<Duplex, NodeJS.Timeout>()

  constructor(settings: ListenerSettings, home: ListenerHome) {
    this.settings = settings
    this.places = new ListenerPlaces(settings, home.budget.counters)
    this.#home = home
    this.#noise = settings.security === 'noise' ? new NoiseTerminator(home, this, 'websocket') : undefined
    this.#front = new HttpFront(this, home)
    this.#front.http.on('upgrade', (request, socket, head) =>
      this.#upgrade(request, socket as net.Socket | StreamDuplex, head),
    )
  }

  listen(port?: number): Promise<{ host: string; port: number }> {
    return this.#front.listen(port)
  }

  prepareReload(settings: ListenerSettings): () => void {
    const prepared = this.#front.prepareReload(settings)
    return () => {
      this.settings = settings
      prepared()
    }
  }

  stop(): void {
    this.#front.stop()
    for (const socket of this.#waiting.keys()) socket.destroy()
    this.#noise?.stop()
  }

  end(): void {
    this.#front.end()
  }

  /** Without HTTP nothing but an upgrade is waited for, and that in the time of a handshake. */
  times({ http }: ListenerSettings): HttpTimes {
    const { handshakeMs } = this.#home
    return http ?? { requestMs: handshakeMs, keepAliveMs: handshakeMs }
  }

  greets(socket: Duplex): void {
    const late = () => {
      this.#home.counters.upgradesTimedOut++
      socket.destroy()
    }
    this.#waiting.set(socket, setTimeout(late, this.#home.handshakeMs))
    socket.once('close', () => this.#forget(socket))
  }

  #forget(socket: Duplex): void {
    clearTimeout(this.#waiting.get(socket))
    this.#waiting.delete(socket)
  }

  answer(request: http.IncomingMessage, response: http.ServerResponse): void {
    const path = pathOf(request)
    const isAnswered = this.#front.door.answer(request, response, path)
    if (isAnswered || this.settings.http !== undefined) this.#forget(request.socket)
    if (isAnswered) return
    response.setHeader('Content-Type', 'text/plain; charset=utf-8')
    response.setHeader('Connection', 'close')
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.writeHead(405, { Allow: 'GET, HEAD' }).end('only GET is answered here\n')
    } else if (path === '/' || path === '/health') {
      response.writeHead(200).end(`skewer; clients connect by WebSocket to ${this.settings.path}\n`)
    } else if (path === this.settings.path) {
      response.writeHead(426, { Upgrade: 'websocket' }).end('connect here by WebSocket\n')
    } else {
      response.writeHead(404).end('nothing is here\n')
    }
  }

  #upgrade(request: http.IncomingMessage, socket: net.Socket | StreamDuplex, head: Buffer): void {
    const { counters, doorkeeper } = this.#home
    const { forwarders } = this.#front.acceptor
    const address = requestAddress(addressOf(socket), request.headers, forwarders)
    // Behind a proxy that names the client, this is where the client itself is judged.
    const isForwarded = forwarders?.has(addressOf(socket)) ?? false
    if (isForwarded && !doorkeeper.enter(address, this.settings.name, this.#home.now())) {
      socket.destroy()
      return
    }
    const left = isForwarded && doorkeeper.isCounting ? () => doorkeeper.left(address) : undefined
    const refusal = judgeUpgrade(request, this.settings)
    if (refusal !== undefined) {
      counters.upgradesRefused++
      socket.on('error', () => counters.socketErrors++)
      if (left !== undefined) socket.once('close', left)
      socket.write(refusalAnswer(refusal))
      endSoon(socket)
      return
    }
    this.#forget(socket)
    const isTls = isSecured(socket)
    // A TLS socket's place is given back when the socket beneath it closes.
    const release = this.#front.acceptor.releaseOf(socket)
    if (!isTls) socket.off('close', release)
    const both = () => {
      release()
      left?.()
    }
    const released = isTls ? left : left === undefined ? release : both
    const carrier = new WebSocketCarrier(this.#home, socket, isTls, address, upgradeAnswer(request), released)
    carrier.start(this.#noise?.terminate(carrier) ?? this.#home.accept(carrier, this.#home.now(), this))
    if (head.length > 0) carrier.read(head)
    this.#home.poke()
  }
}
