// A stream of the accelerator as the socket that node:http wants: requests that are not served by our own code, and the
// opening handshake of WebSocket. After an upgrade the stream itself goes on, and nothing of this is left between.
import { Duplex } from 'node:stream'
import tls from 'node:tls'
import { NativeTlsStream } from './native-tls.ts'
import type { NativeStream } from './native-stream.ts'
import type { SocketSink } from './onread-socket.ts'

type Done = (error?: Error | null) => void

export class StreamDuplex extends Duplex {
  /** Whose it is, as addressOf said of the socket that was accepted. */
  readonly remoteAddress: string
  readonly isTls: boolean
  #stream: NativeStream | undefined
  #written: Done | undefined
  #timer: NodeJS.Timeout | undefined
  /** To be written, when it was looked last. */
  #waited = 0

  constructor(stream: NativeStream, remoteAddress: string) {
    super({ allowHalfOpen: true })
    this.remoteAddress = remoteAddress
    this.isTls = stream instanceof NativeTlsStream
    this.#stream = stream
    // Not itself one: what a sink calls `read` a Duplex does, too.
    stream.sink = {
      read: (lent) => this.#heard(lent),
      socketDrained: () => this.#drained(),
      socketEnded: () => this.push(null),
      socketFailed: (error) => this.destroy(error),
      socketClosed: () => this.destroy(),
    }
  }

  /**
   * Gives the stream to another sink. What lies here unread comes to it in this turn, behind what its owner gives it now.
   * Nothing may wait to be written.
   */
  handOver(sink: SocketSink): NativeStream {
    const stream = this.#stream!
    this.#stream = undefined
    this.setTimeout(0)
    stream.sink = sink
    stream.resume()
    for (let unread = this.#taken(); unread !== null; unread = this.#taken()) process.nextTick(tell, sink, unread)
    return stream
  }

  /** As net.Socket's: `timeout` is emitted when nothing was read or written for so long; 0: never. */
  setTimeout(ms: number, timedOut?: () => void): this {
    clearTimeout(this.#timer)
    this.#timer = ms > 0 ? setTimeout(() => this.#looked(), ms) : undefined
    if (timedOut !== undefined && ms > 0) this.once('timeout', timedOut)
    return this
  }

  /** As net.Socket's: ends, and is destroyed when all is written, whatever the peer does. */
  destroySoon(): void {
    if (this.writable) this.end()
    if (this.writableFinished) this.destroy()
    else this.once('finish', () => this.destroy())
  }

  #taken(): Buffer | null {
    return this.read() as Buffer | null
  }

  #heard(lent: Uint8Array): void {
    this.#timer?.refresh()
    if (!this.push(Buffer.from(lent))) this.#stream?.pause()
  }

  #drained(): void {
    this.#timer?.refresh()
    const written = this.#written
    this.#written = undefined
    written?.()
  }

  override _read(): void {
    this.#stream?.resume()
  }

  override _write(bytes: Uint8Array, _encoding: string, written: Done): void {
    this.#timer?.refresh()
    const stream = this.#stream
    stream?.write(bytes)
    this.#waited = stream?.writableLength ?? 0
    if (this.#waited === 0) written()
    else this.#written = written
  }

  override _writev(parts: { chunk: Buffer }[], written: Done): void {
    this._write(Buffer.concat(parts.map(({ chunk }) => chunk)), '', written)
  }

  override _final(done: Done): void {
    this.#stream?.end()
    done()
  }

  override _destroy(error: Error | null, done: Done): void {
    this.setTimeout(0)
    this.#stream?.destroy()
    done(error)
  }

  /** What the peer takes of an answer is as good as a word. */
  #looked(): void {
    const waits = this.#stream?.writableLength ?? 0
    const hasTaken = waits < this.#waited
    this.#waited = waits
    if (hasTaken) this.#timer?.refresh()
    else this.emit('timeout')
  }
}

function tell(sink: SocketSink, unread: Uint8Array): void {
  sink.read(unread)
}

/** Whether TLS is spoken on what node:http reads. */
export const isSecured = (socket: Duplex): boolean =>
  socket instanceof tls.TLSSocket || (socket instanceof StreamDuplex && socket.isTls)
