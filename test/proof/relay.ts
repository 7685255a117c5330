// A TCP relay in front of one port, so that connections can be cut in the middle of a frame and, where what runs inside is
// sealed, corrupted: TCP's own checksum does not let that through to anybody, but a broken middle box does.
import type { Server, Socket } from 'node:net'
import { connect, createServer } from 'node:net'
import type { TransformCallback } from 'node:stream'
import { Transform } from 'node:stream'

export class StreamRelay {
  readonly port: number
  readonly #server: Server
  readonly #pairs: Set<[Socket, Socket]> = new Set()
  /** Share of the pieces of which one bit is turned, 0 to 1. */
  corruptShare = 0
  cuts = 0
  corrupted = 0

  private constructor(server: Server) {
    this.#server = server
    this.port = (server.address() as { port: number }).port
  }

  static async start(targetPort: number): Promise<StreamRelay> {
    const server = createServer()
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(0, '127.0.0.1', resolve)
    })
    const relay = new StreamRelay(server)
    server.on('connection', (from) => relay.#carry(from, targetPort))
    return relay
  }

  /** Cuts each connection that runs through here with this chance, whatever is in flight. */
  cut(share: number): void {
    for (const pair of this.#pairs) {
      if (share < 1 && Math.random() >= share) continue
      for (const socket of pair) socket.resetAndDestroy()
      this.cuts++
      this.#pairs.delete(pair)
    }
  }

  close(): void {
    this.cut(1)
    this.#server.close()
  }

  #carry(from: Socket, targetPort: number): void {
    const to = connect(targetPort, '127.0.0.1')
    const pair: [Socket, Socket] = [from, to]
    this.#pairs.add(pair)
    const end = () => {
      from.destroy()
      to.destroy()
      this.#pairs.delete(pair)
    }
    for (const socket of pair) {
      socket.setNoDelay(true)
      socket.on('error', end)
      socket.on('close', end)
    }
    if (this.corruptShare > 0) {
      from.pipe(this.#corruptor()).pipe(to)
      to.pipe(this.#corruptor()).pipe(from)
    } else {
      from.pipe(to)
      to.pipe(from)
    }
  }

  #corruptor(): Transform {
    return new Transform({
      transform: (piece: Buffer, _encoding, done: TransformCallback) => {
        if (Math.random() < this.corruptShare) {
          this.corrupted++
          piece[Math.floor(Math.random() * piece.length)] ^= 1 << Math.floor(Math.random() * 8)
        }
        done(null, piece)
      },
    })
  }
}
