// A listening socket and the count of what it let in. Listeners build on it: it accepts, refuses above `connectionsMax`
// (one budget for all listeners), and goes on when accept(2) fails. For want of file descriptors libuv itself closes what
// waits in the backlog, so that case neither spins nor gets here.
import net from 'node:net'
import type { IoCounters } from './io-counters.ts'

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

export type AcceptorOptions = {
  /** Of the listener, for errors. */
  name: string
  host: string
  port: number
  /** Accepted sockets are not read before somebody has taken them. */
  pauseOnConnect: boolean
  budget: ConnectionBudget
  /** Called with each socket let in; whoever gets it calls `budget.release` once, when it is closed. */
  accepted(socket: net.Socket): void
}

export class Acceptor {
  readonly #options: AcceptorOptions
  readonly #server: net.Server

  constructor(options: AcceptorOptions) {
    this.#options = options
    this.#server = net.createServer({
      pauseOnConnect: options.pauseOnConnect,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
    })
    this.#server.on('connection', (socket) => {
      if (!options.budget.take()) socket.destroy()
      else options.accepted(socket)
    })
  }

  /** Rejects with an error that names the listener and what is wrong. May be called again after `stop`. */
  listen(port: number = this.#options.port): Promise<{ host: string; port: number }> {
    const { name, host, budget } = this.#options
    const server = this.#server
    return new Promise((resolve, reject) => {
      const failed = (error: NodeJS.ErrnoException) => reject(new Error(listenError(name, host, port, error)))
      server.once('error', failed)
      server.listen({ host, port, backlog: BACKLOG }, () => {
        server.off('error', failed)
        server.on('error', () => budget.counters.acceptErrors++)
        resolve({ host, port: (server.address() as net.AddressInfo).port })
      })
    })
  }

  /** Stops accepting; open connections stay. */
  stop(): void {
    this.#server.close()
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
