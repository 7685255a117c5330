// A way to a gateway that can be cut: bytes pass as they are, what the client says first is kept, and `cut` ends every
// connection at once, as a dying network does.
import net from 'node:net'

export class Relay {
  /** First bytes of each connection from the client's side, in order. */
  readonly firsts: Buffer[] = []
  /** Everything that passed, either way. */
  readonly passed: Buffer[] = []
  /** Whether a connection that begins so goes on. */
  admits: (first: Buffer) => boolean = () => true
  readonly #server: net.Server
  readonly #pairs = new Set<[net.Socket, net.Socket]>()

  constructor(port: number) {
    this.#server = net.createServer((from) => {
      const to = net.connect(port, '127.0.0.1')
      const pair: [net.Socket, net.Socket] = [from, to]
      this.#pairs.add(pair)
      let isFirst = true
      from.on('data', (bytes: Buffer) => {
        if (isFirst) {
          isFirst = false
          this.firsts.push(bytes)
          if (!this.admits(bytes)) this.#end(pair)
        }
        this.passed.push(bytes)
        if (!to.destroyed) to.write(bytes)
      })
      to.on('data', (bytes: Buffer) => {
        this.passed.push(bytes)
        if (!from.destroyed) from.write(bytes)
      })
      for (const socket of pair) socket.on('error', () => {}).on('close', () => this.#end(pair))
    })
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return (this.#server.address() as net.AddressInfo).port
  }

  /** Ends every connection without a word. */
  cut(): void {
    for (const pair of [...this.#pairs]) this.#end(pair)
  }

  close(): void {
    this.#server.close()
    this.cut()
  }

  #end(pair: [net.Socket, net.Socket]): void {
    this.#pairs.delete(pair)
    for (const socket of pair) socket.destroy()
  }
}
