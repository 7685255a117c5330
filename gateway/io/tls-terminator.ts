// TLS in front of a listener: takes accepted sockets, gives back what is inside. Everything about it can be changed while
// it runs; open connections keep what they have. What was resumable stays resumable, unless other client certificates are
// asked for: whoever was let in by the former ones shows one that is good now.
import type net from 'node:net'
import tls from 'node:tls'
import type { TlsSettings } from '../../config/settings.ts'
import { code } from '../../protocols/codes.ts'
import type { Entrance } from '../seams.ts'
import { addressOf } from './client-address.ts'
import { endSoon } from './stream-carrier.ts'
import type { ListenerHome } from './tcp-listener.ts'
import { serverOptions } from './tls-context.ts'
import { TLS_ALERT } from './wrong-security.ts'

/** The socket that TLS was to be spoken on; not documented, and not there on every Node. */
type Beneath = { _parent?: net.Socket }

/** What OpenSSL says of bytes that are no TLS. */
const notTls: Record<string, string | undefined> = {
  ERR_SSL_HTTP_REQUEST: 'http',
  ERR_SSL_WRONG_VERSION_NUMBER: 'not tls',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'not tls',
}

export class TlsTerminator {
  readonly #entrance: Entrance
  readonly #home: ListenerHome
  readonly #secured: (socket: tls.TLSSocket) => void
  #server: tls.Server
  #clientAuthorities: string

  /** Throws where the certificate of the listener's settings cannot be used. */
  constructor(entrance: Entrance, home: ListenerHome, secured: (socket: tls.TLSSocket) => void) {
    this.#entrance = entrance
    this.#home = home
    this.#secured = secured
    const { name, tls } = entrance.settings
    const options = serverOptions(name, tls)
    this.#server = this.#serve(options, home.handshakeMs)
    this.#clientAuthorities = String(options.ca)
  }

  /** `released` is called once, when the socket is closed. */
  accept(socket: net.Socket, released: () => void): void {
    socket.once('close', released)
    this.#server.emit('connection', socket)
  }

  /** Reads the files again; throws where they do not fit. What it returns puts them into use. */
  prepareReload(settings: TlsSettings | undefined, handshakeMs: number): () => void {
    const options = serverOptions(this.#entrance.settings.name, settings)
    const clientAuthorities = String(options.ca)
    if (clientAuthorities === this.#clientAuthorities) options.ticketKeys = this.#server.getTicketKeys()
    const server = this.#serve(options, handshakeMs)
    return () => {
      this.#server = server
      this.#clientAuthorities = clientAuthorities
    }
  }

  /** It listens nowhere: whether client certificates are asked for can be said only when a server is made. */
  #serve(options: tls.TlsOptions, handshakeMs: number): tls.Server {
    const server = tls.createServer({ ...options, handshakeTimeout: handshakeMs })
    server.on('secureConnection', this.#secured)
    server.on('tlsClientError', (error, socket) => {
      this.#failed(error, socket as tls.TLSSocket & Beneath)
    })
    return server
  }

  /** OpenSSL has read the bytes by now, and says only whether they were TLS at all; whoever began otherwise gets an alert. */
  #failed(error: Error & { code?: string }, socket: tls.TLSSocket & Beneath): void {
    const { counters, observe } = this.#home
    const spoken = error.code === undefined ? undefined : notTls[error.code]
    if (spoken === undefined) {
      counters.tlsHandshakesFailed++
      socket.destroy()
      return
    }
    counters.wrongSecurity++
    const listener = this.#entrance.settings.name
    const address = addressOf(socket)
    observe({ event: 'wrong_security', listener, address, code: code.wrong_security, expected: 'tls', spoken })
    const beneath = socket._parent
    if (beneath?.writable) {
      beneath.on('error', () => counters.socketErrors++)
      beneath.write(TLS_ALERT)
      endSoon(beneath)
    } else {
      socket.destroy()
    }
  }
}
