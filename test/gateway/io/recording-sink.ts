// A sink that keeps what it is told, for tests of the accelerator's streams.
import type { SocketSink } from '../../../gateway/io/onread-socket.ts'

export class RecordingSink implements SocketSink {
  readonly said: string[] = []
  readonly chunks: Buffer[] = []
  onRead: () => void = () => {}
  #waiting: { what: string; resolve: () => void }[] = []

  get text(): string {
    return Buffer.concat(this.chunks).toString()
  }

  read(lent: Uint8Array): void {
    this.chunks.push(Buffer.from(lent))
    this.#tell('read')
    this.onRead()
  }
  socketDrained(): void {
    this.#tell('drained')
  }
  socketEnded(): void {
    this.#tell('ended')
  }
  socketFailed(error: Error): void {
    this.#tell(`failed ${error.message}`)
  }
  socketClosed(): void {
    this.#tell('closed')
  }

  /** Resolves when it has been told that, or at once where it was. */
  until(what: string): Promise<void> {
    if (this.said.includes(what)) return Promise.resolve()
    return new Promise((resolve) => this.#waiting.push({ what, resolve }))
  }

  #tell(what: string): void {
    this.said.push(what)
    for (const one of this.#waiting) if (one.what === what) one.resolve()
  }
}
