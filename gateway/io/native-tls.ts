// TLS on the accelerator's sockets (native/tls.c): the streams of native-stream.ts, with OpenSSL in the place of the bare
// system calls. The handshake is a phase of the stream; what comes of it is told once, to a TlsGreeter.
//
// Life: greeting -> a stream like any other (`secured`) | refused: bytes that are no TLS (`spokeOtherwise`; from then on
// the socket is a plain one, to be answered) | gone (`failed`).
import { BLOCKED, EAGAIN, type NativePool, NativeStream, type StreamIo } from './native-stream.ts'
import type { SocketSink } from './onread-socket.ts'
import { newcomerShare, type Waiting } from './turn-share.ts'

/** Certificate, suites and keys of tickets, for new connections. */
export type TlsContext = { readonly context: unique symbol }

/** What native/tls.c exports. Results are lengths, what is said there, or minus errno. */
export type NativeTls = StreamIo & {
  readonly isUsable: boolean
  open(reads: Uint8Array): void
  /** PEM. `ciphers` are of TLS 1.2, `suites` of 1.3. Throws with what OpenSSL says. */
  context(
    certificates: Uint8Array,
    key: Uint8Array,
    authorities: Uint8Array | undefined,
    ciphers: string,
    suites: string,
    ticketKeys: Uint8Array | undefined,
  ): TlsContext
  ticketKeys(context: TlsContext): Uint8Array
  attach(context: TlsContext, fd: number): number
  handshake(fd: number): number
  release(fd: number): void
}

/** What peers speak that do not speak TLS, as OpenSSL knows it. */
export type NotTls = 'http' | 'not tls'

/** Whom a handshake is for. One of these is called, once, and none where it was destroyed. */
export interface TlsGreeter {
  /** Its sink is to be set before this returns. */
  secured(stream: NativeTlsStream): void
  spokeOtherwise(stream: NativeTlsStream, spoken: NotTls): void
  /** It is destroyed already. */
  failed(): void
}

const DONE = 0
const SPOKEN: Record<number, NotTls | undefined> = { 1: 'http', 2: 'not tls' }
const NOBODY: SocketSink = {
  read() {},
  socketDrained() {},
  socketEnded() {},
  socketFailed() {},
  socketClosed() {},
}

export class NativeTlsStream extends NativeStream implements Waiting {
  waitsSince = 0
  /** Whose it is, as its socket said. */
  readonly remoteAddress: string
  readonly #tls: NativeTls
  #greeter: TlsGreeter | undefined
  #timer: NodeJS.Timeout | undefined
  #isWaiting = false
  #hadMoreTime = false

  /** Of what is open as `fd`; undefined for want of descriptors or memory. */
  static greet(
    pool: NativePool,
    tls: NativeTls,
    fd: number,
    context: TlsContext,
    { remoteAddress, withinMs, greeter }: { remoteAddress: string; withinMs: number; greeter: TlsGreeter },
  ): NativeTlsStream | undefined {
    return pool.adoptAs(fd, (own) => {
      if (tls.attach(context, own) < 0) return undefined
      return new NativeTlsStream(pool, tls, own, remoteAddress, withinMs, greeter)
    })
  }

  private constructor(
    pool: NativePool,
    tls: NativeTls,
    fd: number,
    remoteAddress: string,
    withinMs: number,
    greeter: TlsGreeter,
  ) {
    super(pool, tls, fd, NOBODY)
    this.#tls = tls
    this.remoteAddress = remoteAddress
    this.#greeter = greeter
    this.#timer = setTimeout(tooLate, withinMs, this)
  }

  override readable(): number {
    if (this.#greeter === undefined) return super.readable()
    if (this.destroyed || this.#isWaiting) return 0
    // A handshake takes a millisecond and more: as many in a turn as newcomers have time.
    if (newcomerShare.isSpent()) {
      this.#isWaiting = true
      this.pause()
      newcomerShare.wait(this)
      return 0
    }
    const isDone = this.#shakeHands(this.#greeter)
    newcomerShare.isOver(Number.POSITIVE_INFINITY)
    if (!isDone) return 0
    // What came with the last word of the handshake was read with it.
    this.hasMore = true
    return super.readable()
  }

  turnCame(): void {
    this.#isWaiting = false
    if (this.destroyed) return
    this.resume()
    this.pool.read(this)
  }

  override destroy(): void {
    if (!this.destroyed) {
      this.#greeted()
      this.#tls.release(this.fd)
    }
    super.destroy()
  }

  /** Its time is over. Who has spoken and waits for its turn here has as long again (O1). */
  tooLate(): void {
    if (this.#isWaiting && !this.#hadMoreTime) {
      this.#hadMoreTime = true
      this.#timer?.refresh()
    } else {
      this.#failGreeting()
    }
  }

  #shakeHands(greeter: TlsGreeter): boolean {
    this.unblock()
    const result = this.#tls.handshake(this.fd)
    if (result === DONE) {
      this.#greeted()
      greeter.secured(this)
      return !this.destroyed
    }
    const spoken = SPOKEN[result]
    if (spoken !== undefined) {
      this.#greeted()
      this.io = this.pool.plain
      greeter.spokeOtherwise(this, spoken)
    } else if (result === BLOCKED) {
      this.block()
    } else if (result !== EAGAIN) {
      this.#failGreeting()
    }
    return false
  }

  #failGreeting(): void {
    const greeter = this.#greeter
    this.destroy()
    greeter?.failed()
  }

  #greeted(): void {
    this.#greeter = undefined
    clearTimeout(this.#timer)
    this.#timer = undefined
  }
}

function tooLate(stream: NativeTlsStream): void {
  stream.tooLate()
}
