// TLS in front of a listener: takes accepted sockets, gives back what is inside. Everything about it can be changed while
// it runs; open connections keep what they have. What was resumable stays resumable, unless other client certificates are
// asked for: whoever was let in by the former ones shows one that is good now.
import type net from 'node:net'
import tls from 'node:tls'
import type { TlsSettings } from '../../config/settings.ts'
import type { ConnectionBudget } from './acceptor.ts'
import { serverOptions } from './tls-context.ts'

export class TlsTerminator {
  readonly #name: string
  readonly #budget: ConnectionBudget
  readonly #secured: (socket: tls.TLSSocket) => void
  #server: tls.Server
  #clientAuthorities: string

  constructor(
    name: string,
    settings: TlsSettings | undefined,
    handshakeMs: number,
    budget: ConnectionBudget,
    secured: (socket: tls.TLSSocket) => void,
  ) {
    this.#name = name
    this.#budget = budget
    this.#secured = secured
    const options = serverOptions(name, settings)
    this.#server = this.#serve(options, handshakeMs)
    this.#clientAuthorities = String(options.ca)
  }

  accept(socket: net.Socket): void {
    socket.once('close', this.#budget.release)
    this.#server.emit('connection', socket)
  }

  /** Reads the files again; throws where they do not fit. What it returns puts them into use. */
  prepareReload(settings: TlsSettings | undefined, handshakeMs: number): () => void {
    const options = serverOptions(this.#name, settings)
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
    server.on('tlsClientError', (_error, socket) => {
      this.#budget.counters.tlsHandshakesFailed++
      socket.destroy()
    })
    return server
  }
}
