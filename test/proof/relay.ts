// A TCP relay between gateways and one host, so that host links can be cut in the middle of a frame.
import type { Server, Socket } from 'node:net'
import { connect, createServer } from 'node:net'

export class LinkRelay {
  readonly #server: Server
  readonly #pairs: Set<[Socket, Socket]> = new Set()
  cuts = 0

  private constructor(server: Server) {
    this.#server = server
  }

  static async start(port: number, targetPort: number): Promise<LinkRelay> {
    const server = createServer()
    const relay = new LinkRelay(server)
    server.on('connection', (from) => {
      const to = connect(targetPort, '127.0.0.1')
      const pair: [Socket, Socket] = [from, to]
      relay.#pairs.add(pair)
      const end = () => {
        from.destroy()
        to.destroy()
        relay.#pairs.delete(pair)
      }
      for (const socket of pair) {
        socket.setNoDelay(true)
        socket.on('error', end)
        socket.on('close', end)
      }
      from.pipe(to)
      to.pipe(from)
    })
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, '127.0.0.1', resolve)
    })
    return relay
  }

  /** Cuts every link that runs through here, whatever is in flight. */
  cut(): void {
    for (const [from, to] of this.#pairs) {
      from.resetAndDestroy()
      to.resetAndDestroy()
      this.cuts++
    }
    this.#pairs.clear()
  }

  close(): void {
    this.cut()
    this.#server.close()
  }
}
