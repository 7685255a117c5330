// A wire that a test can hold or cut: connections to it go to the address that it was laid to, both ways, until then.
import net from 'node:net'
import type { Test } from '../gateway/io/started.ts'

export class Wire {
  readonly #t: Test
  readonly #near = new Set<net.Socket>()
  readonly #far = new Set<net.Socket>()

  constructor(t: Test) {
    this.#t = t
  }

  /** The address to dial instead of this one. */
  async to(address: string): Promise<string> {
    const [host, port] = address.split(':')
    const server = net.createServer((near) => {
      const far = net.connect(Number(port), host)
      this.#near.add(near)
      this.#far.add(far)
      for (const socket of [near, far]) socket.on('error', () => {})
      near.on('close', () => {
        this.#near.delete(near)
        far.destroy()
      })
      far.on('close', () => {
        this.#far.delete(far)
        near.destroy()
      })
      near.on('data', (bytes) => void far.write(bytes))
      far.on('data', (bytes) => void near.write(bytes))
    })
    this.#t.teardown(() => {
      this.cut()
      server.close()
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return `127.0.0.1:${(server.address() as net.AddressInfo).port}`
  }

  cut(): void {
    for (const socket of this.#near) socket.destroy()
  }

  /** Nothing is read any more of what the far end writes. */
  hold(): void {
    for (const socket of this.#far) socket.pause()
  }

  release(): void {
    for (const socket of this.#far) socket.resume()
  }
}
