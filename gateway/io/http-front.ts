// What listeners that read requests have in common: sockets that an Acceptor lets in, TLS on them where it is asked for, the
// door behind which calls are answered first (http-door.ts), and node:http for all else.
import type http from 'node:http'
import type net from 'node:net'
import type { Duplex } from 'node:stream'
import type { ListenerSettings } from '../../config/settings.ts'
import type { Entrance } from '../seams.ts'
import { Acceptor } from './acceptor.ts'
import { HttpDoor } from './http-door.ts'
import { type HttpTimes, httpServer, setTimes } from './http-server.ts'
import type { Released } from './lean-connection.ts'
import type { ListenerPlaces } from './listener-places.ts'
import type { NativeTlsStream } from './native-tls.ts'
import type { StreamDuplex } from './stream-duplex.ts'
import type { ListenerHome } from './tcp-listener.ts'
import { TlsTerminator } from './tls-terminator.ts'
import { noticeOtherSecurity } from './wrong-security.ts'

/** What a listener makes of that. */
export interface HttpFrontOwner extends Entrance {
  readonly places: ListenerPlaces
  /** How long requests may take, by these settings. */
  times(settings: ListenerSettings): HttpTimes
  /** A socket that not only calls come from is about to be given to node:http. */
  greets(socket: Duplex): void
  answer(request: http.IncomingMessage, response: http.ServerResponse): void
}

export class HttpFront {
  readonly acceptor: Acceptor
  readonly door: HttpDoor
  readonly http: http.Server
  readonly #owner: HttpFrontOwner
  readonly #home: ListenerHome
  readonly #tls: TlsTerminator | undefined

  constructor(owner: HttpFrontOwner, home: ListenerHome) {
    const { settings } = owner
    this.#owner = owner
    this.#home = home
    this.http = httpServer(owner.times(settings), home.counters)
    this.http.on('clientError', (error, socket) => noticeOtherSecurity(owner, home, error, socket as net.Socket))
    this.http.on('request', (request, response) => owner.answer(request, response))
    const others = (socket: net.Socket | StreamDuplex, released: Released) => {
      if (released !== undefined) socket.once('close', released)
      owner.greets(socket)
      this.http.emit('connection', socket)
    }
    this.door = new HttpDoor(owner, home, () => this.acceptor.forwarders, others)
    const secured = (socket: net.Socket | NativeTlsStream) => this.door.greet(socket, undefined)
    const tls = settings.security === 'tls' ? new TlsTerminator(owner, home, secured) : undefined
    this.#tls = tls
    this.acceptor = new Acceptor({
      settings,
      home,
      places: owner.places,
      pauseOnConnect: tls !== undefined,
      accepted: (socket) => {
        const released = this.acceptor.releaseOf(socket)
        if (tls !== undefined) tls.accept(socket, released)
        else this.door.greet(socket, released)
      },
    })
  }

  listen(port?: number): Promise<{ host: string; port: number }> {
    this.door.isStopped = false
    return this.acceptor.listen(port)
  }

  /** As Listener's; the owner's own settings are the owner's to change. */
  prepareReload(settings: ListenerSettings): () => void {
    const secure = this.#tls?.prepareReload(settings.tls, this.#home.handshakeMs)
    return () => {
      secure?.()
      this.acceptor.configure(settings)
      this.door.configure(settings)
      setTimes(this.http, this.#owner.times(settings))
    }
  }

  /** What is under way is answered, and its connection closed behind that. */
  stop(): void {
    this.door.isStopped = true
    this.acceptor.stop()
    this.http.closeIdleConnections()
    this.door.closeIdle()
  }

  end(): void {
    this.http.closeAllConnections()
    this.door.closeAll()
    this.http.close()
  }
}
