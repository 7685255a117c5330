// A listening socket and the count of what it let in. Listeners build on it: it accepts, reads the PROXY header of trusted
// proxies, asks the doorkeeper, refuses above `connectionsMax` (one budget for all listeners), and goes on when accept(2)
// fails. For want of file descriptors libuv itself closes what
// waits in the backlog, so that case neither spins nor gets here.
import net from 'node:net'
import type { ListenerSettings } from '../../config/settings.ts'
import { addressOf } from './client-address.ts'
import type { Doorkeeper } from './doorkeeper.ts'
import type { IoCounters } from './io-counters.ts'
import type { ListenerPlaces } from './listener-places.ts'
import { Networks } from './networks.ts'
import { greetProxy } from './proxy-greeting.ts'
import { note, notesOf } from './socket-notes.ts'
import { newcomerShare, type Waiting } from './turn-share.ts'

const BACKLOG = 4096
const KEEP_ALIVE_MS = 60_000

export class ConnectionBudget {
  connectionsMax: number
  readonly counters: IoCounters

  constructor(connectionsMax: number, counters: IoCounters) {
    this.connectionsMax = connectionsMax
    this.counters = counters
  }

  /** Whether there is room for one more; it is taken then. */
  take(): boolean {
    if (this.counters.socketsOpen >= this.connectionsMax) {
      this.counters.connectionsRefused++
      return false
    }
    this.counters.socketsOpen++
    return true
  }

  readonly release = (): void => {
    this.counters.socketsOpen--
  }
}

/** What an acceptor needs of the process. */
export type AcceptorHome = {
  now(): number
  budget: ConnectionBudget
  doorkeeper: Doorkeeper
  /** For a PROXY header, too. A reload changes it. */
  handshakeMs: number
}

export type AcceptorOptions = {
  settings: ListenerSettings
  home: AcceptorHome
  places: ListenerPlaces
  /** Accepted sockets are not read before somebody has taken them. */
  pauseOnConnect: boolean
  /** Called with each socket let in; whoever gets it calls `releaseOf(socket)` once, when it is closed. */
  accepted(socket: net.Socket): void
}

export class Acceptor {
  readonly #options: AcceptorOptions
  readonly #server: net.Server
  #proxies: Networks | undefined
  #forwarders: Networks | undefined
  #isStopped = false

  constructor(options: AcceptorOptions) {
    this.#options = options
    this.#server = net.createServer({
      pauseOnConnect: options.pauseOnConnect,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
    })
    this.configure(options.settings)
    this.#server.on('connection', (socket) => this.#arrived(socket))
  }

  /** Takes other proxies and limits, for new connections. */
  configure(settings: ListenerSettings): void {
    const { proxyProtocol, forwarded } = settings
    this.#options.places.configure(settings)
    this.#proxies = proxyProtocol && new Networks(proxyProtocol)
    this.#forwarders = forwarded && new Networks(forwarded)
  }

  /** Those whose requests name the client: the connection itself is not judged. */
  get forwarders(): Networks | undefined {
    return this.#forwarders
  }

  /** What calls back the place of a socket that was let in. */
  releaseOf(socket: object): () => void {
    return notesOf(socket)?.release ?? this.#release
  }

  /** A place of the listener, and one of all. */
  #take(): boolean {
    const { places, home } = this.#options
    if (!places.take()) return false
    if (home.budget.take()) return true
    places.release()
    return false
  }

  readonly #release = (): void => {
    this.#options.places.release()
    this.#options.home.budget.release()
  }

  /** It has its place; what else is to be done for it may have to wait for the next turn. */
  #arrived(socket: net.Socket): void {
    if (!this.#take()) socket.destroy()
    else if (this.#options.pauseOnConnect && newcomerShare.isSpent())
      newcomerShare.wait(new Newcomer(socket, this.#meets))
    else this.#meet(socket)
  }

  readonly #meets = (socket: net.Socket): void => {
    if (socket.destroyed || this.#isStopped) {
      socket.destroy()
      this.#release()
    } else {
      this.#meet(socket)
    }
  }

  #meet(socket: net.Socket): void {
    const { home } = this.#options
    if (this.#proxies?.has(addressOf(socket))) {
      socket.once('close', this.#release)
      greetProxy(socket, home.handshakeMs, home.budget.counters, () => {
        socket.off('close', this.#release)
        this.#admit(socket)
      })
    } else {
      this.#admit(socket)
    }
  }

  #admit(socket: net.Socket): void {
    const { home, settings, accepted } = this.#options
    const { doorkeeper } = home
    const address = addressOf(socket)
    if (!this.#forwarders?.has(address)) {
      if (!doorkeeper.enter(address, settings.name, home.now())) {
        socket.destroy()
        this.#release()
        return
      }
      if (doorkeeper.isCounting) {
        const release = () => {
          this.#release()
          doorkeeper.left(address)
        }
        note(socket, { release })
      }
    }
    accepted(socket)
  }

  /** Rejects with an error that names the listener and what is wrong. May be called again after `stop`. */
  listen(port: number = this.#options.settings.port): Promise<{ host: string; port: number }> {
    const { name, host } = this.#options.settings
    const { counters } = this.#options.home.budget
    const server = this.#server
    this.#isStopped = false
    return new Promise((resolve, reject) => {
      const failed = (error: NodeJS.ErrnoException) => reject(new Error(listenError(name, host, port, error)))
      server.once('error', failed)
      server.listen({ host, port, backlog: BACKLOG }, () => {
        server.off('error', failed)
        server.on('error', () => counters.acceptErrors++)
        resolve({ host, port: (server.address() as net.AddressInfo).port })
      })
    })
  }

  /** Stops accepting; open connections stay, those that nobody has met go. */
  stop(): void {
    this.#isStopped = true
    this.#server.close()
  }
}

/** Accepted, not read yet. */
class Newcomer implements Waiting {
  waitsSince = 0
  readonly #socket: net.Socket
  readonly #meet: (socket: net.Socket) => void

  constructor(socket: net.Socket, meet: (socket: net.Socket) => void) {
    this.#socket = socket
    this.#meet = meet
  }

  turnCame(): void {
    this.#meet(this.#socket)
  }
}

export function listenError(name: string, host: string, port: number, error: NodeJS.ErrnoException): string {
  const place = `${host.includes(':') ? `[${host}]` : host}:${port}`
  const why =
    error.code === 'EADDRINUSE'
      ? 'another process listens there already'
      : error.code === 'EACCES'
        ? 'this process may not listen there (ports below 1024 need CAP_NET_BIND_SERVICE)'
        : error.code === 'EADDRNOTAVAIL'
          ? 'this machine does not have that address'
          : error.message
  return `listener ${name} cannot listen on ${place}: ${why}`
}
