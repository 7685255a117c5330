// HTTP on a port of its own, plain or TLS. What is answered is in http-door.ts, how strictly requests are read in
// http-server.ts.
import type http from 'node:http'
import type net from 'node:net'
import type { ListenerSettings } from '../../config/settings.ts'
import { Acceptor } from './acceptor.ts'
import { HttpDoor } from './http-door.ts'
import { httpServer, setTimes } from './http-server.ts'
import type { Listener, ListenerHome } from './tcp-listener.ts'
import { TlsTerminator } from './tls-terminator.ts'
import { pathOf } from './websocket-handshake.ts'
import { noticeOtherSecurity } from './wrong-security.ts'

export class HttpListener implements Listener {
  settings: ListenerSettings
  readonly #home: ListenerHome
  readonly #http: http.Server
  readonly #acceptor: Acceptor
  readonly #tls: TlsTerminator | undefined
  readonly #door: HttpDoor

  constructor(settings: ListenerSettings, home: ListenerHome) {
    this.settings = settings
    this.#home = home
    this.#http = httpServer(settings.http!, home.counters)
    this.#http.on('clientError', (error, socket) => noticeOtherSecurity(this, home, error, socket as net.Socket))
    this.#http.on('request', (request, response) => this.#answer(request, response))
    this.#door = new HttpDoor(
      this,
      home,
      () => this.#acceptor.forwarders,
      (socket, released) => {
        if (released !== undefined) socket.once('close', released)
        this.#http.emit('connection', socket)
      },
    )
    const secured = (socket: net.Socket) => this.#door.greet(socket, undefined)
    const tls = settings.security === 'tls' ? new TlsTerminator(this, home, secured) : undefined
    this.#tls = tls
    this.#acceptor = new Acceptor({
      settings,
      home,
      pauseOnConnect: false,
      accepted: (socket) => {
        const released = this.#acceptor.releaseOf(socket)
        if (tls !== undefined) tls.accept(socket, released)
        else this.#door.greet(socket, released)
      },
    })
  }

  listen(port?: number): Promise<{ host: string; port: number }> {
    this.#door.isStopped = false
    return this.#acceptor.listen(port)
  }

  prepareReload(settings: ListenerSettings): () => void {
    const secure = this.#tls?.prepareReload(settings.tls, this.#home.handshakeMs)
    return () => {
      secure?.()
      this.settings = settings
      this.#acceptor.configure(settings)
      setTimes(this.#http, settings.http!)
    }
  }

  /** What is under way is answered, and its connection closed behind that. */
  stop(): void {
    this.#door.isStopped = true
    this.#acceptor.stop()
    this.#http.closeIdleConnections()
    this.#door.closeIdle()
  }

  end(): void {
    this.#http.closeAllConnections()
    this.#door.closeAll()
    this.#http.close()
  }

  #answer(request: http.IncomingMessage, response: http.ServerResponse): void {
    const path = pathOf(request)
    if (!this.#door.answer(request, response, path)) this.#door.nothing(request, response, path, this.settings.http!)
  }
}
