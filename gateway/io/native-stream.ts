// Sockets that the accelerator reads and writes (native/streams.c) in place of Node's streams: one call of ours for all
// that are ready in a turn, one system call for a read and one for a write, nothing allocated for either. A connection that
// Node accepted or dialled is moved here with its descriptor; Node's own socket is given up. Where the accelerator was not
// built everything is as it was.
//
// Life of a stream: open -> ending (`end`: what waits still goes out, then FIN) -> closed. It is closed when both
// directions have ended, by `destroy`, or when the socket fails. Events are as a net.Socket's: never from within a call
// of ours but `read` and `socketDrained`, and `socketClosed` once, as the last.
import { getSystemErrorName } from 'node:util'
import { copyOf } from '../../protocols/wire/reader.ts'
import { batch } from './batch.ts'
import type { ByteSocket, SocketSink } from './onread-socket.ts'

/** What native/streams.c exports. Results are what the system call returned, or minus errno. */
export type NativeStreams = {
  open(table: Int32Array, reads: Uint8Array, ready: (count: number) => void): void
  adopt(fd: number): number
  watch(fd: number, before: number, now: number): number
  receive(fd: number): number
  send(fd: number, bytes: Uint8Array): number
  finish(fd: number): number
  close(fd: number): number
}

/** What reads and writes one socket: the calls of native/streams.c, or TLS upon them (native-tls.ts). */
export type StreamIo = Pick<NativeStreams, 'receive' | 'send' | 'finish'>

const READABLE = 1
const WRITABLE = 2
/** Sockets told of in one turn, as in native/streams.c; others wait for the next. */
const READY_MAX = 256
export const EAGAIN = -11
/** Of TLS: it has to write before it can go on reading, and the socket takes nothing. */
export const BLOCKED = -16
/** Of TLS, added to a length: the next call has something to say, whether the socket can be read or not. */
const MORE = 1 << 30
const NOTHING: Uint8Array[] = []
const NOBODY: (() => void)[] = []

/** All streams of the process. */
export class NativePool {
  readonly #native: NativeStreams
  readonly #table = new Int32Array(2 * READY_MAX)
  readonly #viewOf: (length: number) => Uint8Array
  /** By descriptor. */
  readonly #streams: (NativeStream | undefined)[] = []

  /** `reads`: what all streams read into, lent to their sinks by `viewOf`. */
  constructor(native: NativeStreams, reads: Uint8Array, viewOf: (length: number) => Uint8Array) {
    this.#native = native
    this.#viewOf = viewOf
    native.open(this.#table, reads, (count) => this.#ready(count))
  }

  /** A stream of what is open as `fd`, whose owner may close it then; undefined: for want of descriptors. */
  adopt(fd: number, sink: SocketSink): NativeStream | undefined {
    return this.adoptAs(fd, (own) => new NativeStream(this, this.#native, own, sink))
  }

  /** The same of a stream that `make` makes of the descriptor that is its own; undefined where it makes none, too. */
  adoptAs<Stream extends NativeStream>(fd: number, make: (own: number) => Stream | undefined): Stream | undefined {
    const own = this.#native.adopt(fd)
    if (own < 0) return undefined
    const stream = make(own)
    if (stream === undefined) {
      this.#native.close(own)
      return undefined
    }
    while (this.#streams.length <= own) this.#streams.push(undefined)
    this.#streams[own] = stream
    stream.resume()
    return stream
  }

  watch(fd: number, before: number, now: number): void {
    this.#native.watch(fd, before, now)
  }

  /** Reads a stream once. */
  read(stream: NativeStream): void {
    const length = stream.readable()
    if (length > 0) stream.sink.read(this.#viewOf(length))
  }

  /** What reads and writes a socket that has nothing on it. */
  get plain(): StreamIo {
    return this.#native
  }

  /** Closes the descriptor of a stream. */
  close(fd: number): void {
    this.#streams[fd] = undefined
    this.#native.close(fd)
  }

  #ready(count: number): void {
    const table = this.#table
    batch.begin()
    for (let i = 0; i < count; i++) {
      // None where one of this turn has closed another.
      const stream = this.#streams[table[2 * i]]
      if (stream === undefined) continue
      const what = table[2 * i + 1]
      if (what & WRITABLE) stream.writable()
      if (what & READABLE || stream.isReadBlocked) this.read(stream)
    }
    batch.end()
  }
}

export class NativeStream implements ByteSocket {
  sink: SocketSink
  destroyed = false
  /** It is read when something could be written again. */
  isReadBlocked = false
  protected readonly pool: NativePool
  protected readonly fd: number
  protected io: StreamIo
  #watched = 0
  #isPaused = false
  /** It was told of more than the socket has. */
  protected hasMore = false
  #hasEnded = false
  #isEnding = false
  #waiting: Uint8Array[] = NOTHING
  #waitingBytes = 0
  #closed: (() => void)[] = NOBODY

  constructor(pool: NativePool, io: StreamIo, fd: number, sink: SocketSink) {
    this.pool = pool
    this.io = io
    this.fd = fd
    this.sink = sink
  }

  get writableLength(): number {
    return this.#waitingBytes
  }

  /** Copies what the kernel does not take at once. */
  write(bytes: Uint8Array): void {
    if (this.destroyed || this.#isEnding) return
    let taken = 0
    if (this.#waitingBytes === 0) {
      taken = this.io.send(this.fd, bytes)
      if (taken === bytes.length) return
      if (taken < 0) {
        if (taken !== EAGAIN) {
          this.fail(taken)
          return
        }
        taken = 0
      }
    }
    if (this.#waiting === NOTHING) this.#waiting = []
    this.#waiting.push(copyOf(bytes, taken, bytes.length))
    this.#waitingBytes += bytes.length - taken
    this.#watch()
  }

  /** Writes nothing more; what waits goes out first. */
  end(): void {
    if (this.destroyed || this.#isEnding) return
    this.#isEnding = true
    if (this.#waitingBytes === 0) this.#finish()
  }

  pause(): void {
    this.#isPaused = true
    this.#watch()
  }

  resume(): void {
    this.#isPaused = false
    this.#watch()
    if (this.hasMore) setImmediate(readStream, this.pool, this)
  }

  destroy(): void {
    if (this.destroyed) return
    this.destroyed = true
    this.pool.close(this.fd)
    this.#waiting = NOTHING
    this.#waitingBytes = 0
    process.nextTick(() => {
      for (const closed of this.#closed) closed()
      this.sink.socketClosed()
    })
  }

  once(_event: 'close', closed: () => void): void {
    if (this.#closed === NOBODY) this.#closed = []
    this.#closed.push(closed)
  }

  /** Reads once; how many bytes there are for the sink. */
  readable(): number {
    // Told of its end though nobody reads it: what is written says the same.
    if (this.destroyed || this.#isPaused || this.#hasEnded) return 0
    this.unblock()
    const length = this.io.receive(this.fd)
    this.hasMore = length >= MORE
    if (this.hasMore) {
      setImmediate(readStream, this.pool, this)
      return length - MORE
    }
    if (length > 0) return length
    if (length === 0) {
      this.#hasEnded = true
      this.#watch()
      this.sink.socketEnded()
      if (this.#isEnding && this.#waitingBytes === 0) this.destroy()
    } else if (length === BLOCKED) {
      this.block()
    } else if (length !== EAGAIN) {
      this.fail(length)
    }
    return 0
  }

  /** Reads nothing until something could be written. */
  protected block(): void {
    this.isReadBlocked = true
    this.#watch()
  }

  protected unblock(): void {
    if (!this.isReadBlocked) return
    this.isReadBlocked = false
    this.#watch()
  }

  /** Writes what waits. */
  writable(): void {
    if (this.#waitingBytes === 0) return
    while (!this.destroyed && this.#waiting.length > 0) {
      const [first] = this.#waiting
      const taken = this.io.send(this.fd, first)
      if (taken < 0) {
        if (taken !== EAGAIN) this.fail(taken)
        return
      }
      this.#waitingBytes -= taken
      if (taken < first.length) {
        this.#waiting[0] = first.subarray(taken)
        return
      }
      this.#waiting.shift()
    }
    if (this.destroyed) return
    this.#watch()
    if (this.#isEnding) this.#finish()
    else this.sink.socketDrained()
  }

  #finish(): void {
    // The last word of TLS, whose peer may wait for it; without TLS closing says as much.
    if (!this.#hasEnded || this.io !== this.pool.plain) this.io.finish(this.fd)
    if (this.#hasEnded) this.destroy()
  }

  #watch(): void {
    if (this.destroyed) return
    const reads = !this.#isPaused && !this.#hasEnded
    const now =
      (reads && !this.isReadBlocked ? READABLE : 0) |
      (this.#waitingBytes > 0 || (reads && this.isReadBlocked) ? WRITABLE : 0)
    if (now === this.#watched) return
    this.pool.watch(this.fd, this.#watched, now)
    this.#watched = now
  }

  protected fail(result: number): void {
    const name = getSystemErrorName(result)
    process.nextTick(() => {
      if (this.destroyed) return
      this.sink.socketFailed(new Error(name))
      this.destroy()
    })
  }
}

function readStream(pool: NativePool, stream: NativeStream): void {
  pool.read(stream)
}
