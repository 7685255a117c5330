// TLS in front of a listener: takes accepted sockets, gives back what is inside. The certificate can be changed while it
// runs; what was resumable stays resumable, and open connections keep theirs.
import type net from 'node:net'
import tls from 'node:tls'
import type { TlsSettings } from '../../config/settings.ts'
import type { ConnectionBudget } from './acceptor.ts'
import { serverOptions } from './tls-context.ts'

export class TlsTerminator {
  readonly #name: string
  readonly #server: tls.Server
  readonly #budget: ConnectionBudget

  constructor(
    name: string,
    settings: TlsSettings | undefined,
    handshakeMs: number,
    budget: ConnectionBudget,
    secured: (socket: tls.TLSSocket) => void,
  ) {
    this.#name = name
    this.#budget = budget
    this.#server = tls.createServer({ ...serverOptions(name, settings), handshakeTimeout: handshakeMs })
    this.#server.on('secureConnection', secured)
    this.#server.on('tlsClientError', (_error, socket) => {
      budget.counters.tlsHandshakesFailed++
      socket.destroy()
    })
  }

  accept(socket: net.Socket): void {
    socket.once('close', this.#budget.release)
    this.#server.emit('connection', socket)
  }

  /** Reads the files again; throws where they do not fit. What it returns puts them into use. */
  prepareReload(settings: TlsSettings | undefined): () => void {
    const options = { ...serverOptions(this.#name, settings), ticketKeys: this.#server.getTicketKeys() }
    return () => this.#server.setSecureContext(options)
  }
}
