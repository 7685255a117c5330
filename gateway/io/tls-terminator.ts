// TLS in front of a listener: takes accepted sockets, gives back what is inside. Everything about it can be changed while
// it runs; open connections keep what they have. What was resumable stays resumable, unless other client certificates are
// asked for: whoever was let in by the former ones shows one that is good now.
import type net from 'node:net'
import tls from 'node:tls'
import type { TlsSettings } from '../../config/settings.ts'
import { code } from '../../protocols/codes.ts'
import type { Entrance } from '../seams.ts'
import { addressOf } from './client-address.ts'
import type { NativeTlsStream, NotTls, TlsContext, TlsGreeter } from './native-tls.ts'
import { acceleratedTls, accelerateTls } from './onread-socket.ts'
import { endSoon } from './stream-carrier.ts'
import type { ListenerHome } from './tcp-listener.ts'
import { acceleratedContext, serverOptions } from './tls-context.ts'
import { TLS_ALERT } from './wrong-security.ts'

/** The socket that TLS was to be spoken on; not documented, and not there on every Node. */
type Beneath = { _parent?: net.Socket }

/** What OpenSSL says of bytes that are no TLS. */
const notTls: Record<string, NotTls | undefined> = {
  ERR_SSL_HTTP_REQUEST: 'http',
  ERR_SSL_WRONG_VERSION_NUMBER: 'not tls',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'not tls',
}

/** What new connections meet: a server of Node's, and the same for the accelerator where that is on. */
type Served = { server: tls.Server; context: TlsContext | undefined; clientAuthorities: string; handshakeMs: number }

export class TlsTerminator implements TlsGreeter {
  /** Whom they are given: sockets of Node's, and streams of the accelerator where that is on. */
  readonly secured: (socket: tls.TLSSocket | NativeTlsStream) => void
  readonly #entrance: Entrance
  readonly #home: ListenerHome
  #served: Served

  /** Throws where the certificate of the listener's settings cannot be used. */
  constructor(entrance: Entrance, home: ListenerHome, secured: (socket: tls.TLSSocket | NativeTlsStream) => void) {
    this.#entrance = entrance
    this.#home = home
    this.secured = secured
    this.#served = this.#serve(entrance.settings.tls, home.handshakeMs)
  }

  /** `released` is called once, when the socket is closed. */
  accept(socket: net.Socket, released: () => void): void {
    const { server, context, handshakeMs } = this.#served
    if (context !== undefined && accelerateTls(socket, context, handshakeMs, this, released) !== undefined) return
    socket.once('close', released)
    server.emit('connection', socket)
  }

  /** Reads the files again; throws where they do not fit. What it returns puts them into use. */
  prepareReload(settings: TlsSettings | undefined, handshakeMs: number): () => void {
    const served = this.#serve(settings, handshakeMs, this.#served)
    return () => {
      this.#served = served
    }
  }

  /** It listens nowhere: whether client certificates are asked for can be said only when a server is made. */
  #serve(settings: TlsSettings | undefined, handshakeMs: number, before?: Served): Served {
    const { name } = this.#entrance.settings
    const options = serverOptions(name, settings)
    const clientAuthorities = String(options.ca)
    const kept = before?.clientAuthorities === clientAuthorities ? before : undefined
    if (kept !== undefined) options.ticketKeys = kept.server.getTicketKeys()
    const native = acceleratedTls()
    const context = native && acceleratedContext(name, native, options, kept?.context)
    const server = tls.createServer({ ...options, handshakeTimeout: handshakeMs })
    server.on('secureConnection', this.secured)
    server.on('tlsClientError', (error: Error & { code?: string }, socket) => {
      const spoken = error.code === undefined ? undefined : notTls[error.code]
      if (spoken === undefined) {
        this.failed()
        socket.destroy()
      } else {
        this.#socketSpokeOtherwise(socket as tls.TLSSocket & Beneath, spoken)
      }
    })
    return { server, context, clientAuthorities, handshakeMs }
  }

  failed(): void {
    this.#home.counters.tlsHandshakesFailed++
  }

  spokeOtherwise(stream: NativeTlsStream, spoken: NotTls): void {
    this.#noticeOther(stream, spoken)
    stream.write(TLS_ALERT)
    endSoon(stream)
  }

  /** OpenSSL has read the bytes by now, and says only whether they were TLS at all; whoever began otherwise gets an alert. */
  #socketSpokeOtherwise(socket: tls.TLSSocket & Beneath, spoken: NotTls): void {
    this.#noticeOther(socket, spoken)
    const beneath = socket._parent
    if (beneath?.writable) {
      beneath.on('error', () => this.#home.counters.socketErrors++)
      beneath.write(TLS_ALERT)
      endSoon(beneath)
    } else {
      socket.destroy()
    }
  }

  #noticeOther(socket: tls.TLSSocket | NativeTlsStream, spoken: NotTls): void {
    const { counters, observe } = this.#home
    counters.wrongSecurity++
    const listener = this.#entrance.settings.name
    const address = addressOf(socket)
    observe({ event: 'wrong_security', listener, address, code: code.wrong_security, expected: 'tls', spoken })
  }
}
