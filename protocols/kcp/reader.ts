// Hands on what came: in order, message by message, unless paused. A segment that is next and whole goes to the sink
// straight from its datagram and costs no memory; everything else waits in the receive window.
import { ReceiveWindow } from './receive-window.ts'
import { copyBytes } from './segment.ts'
import type { SegmentPool } from './segment-pool.ts'

export type MessageSink = {
  /** One message, or in stream mode some bytes: `bytes[start, end)`. Borrows. */
  message(bytes: Uint8Array, start: number, end: number): void
}

export class Reader {
  readonly window: ReceiveWindow
  isPaused = false
  /** The peer is to be told our window: it asked, or the window was closed and is open again (KCP-3.5). */
  isTelling = false
  readonly #sink: MessageSink
  readonly #pool: SegmentPool

  constructor(windowSize: number, sink: MessageSink, pool: SegmentPool) {
    this.window = new ReceiveWindow(pool, windowSize)
    this.#sink = sink
    this.#pool = pool
  }

  /** A checked PUSH with the payload `bytes[start, end)`. */
  take(sn: number, fragment: number, bytes: Uint8Array, start: number, end: number): void {
    const { window } = this
    const offset = (sn - window.next) | 0
    if (offset < 0) {
      window.duplicates++
    } else if (offset === 0 && fragment === 0 && window.isEmpty && !this.isPaused) {
      window.pass()
      this.#sink.message(bytes, start, end)
    } else {
      window.store(sn, fragment, bytes, start, end)
    }
  }

  /** Hands on whole messages until there is none or the sink pauses. */
  deliver(): void {
    while (!this.isPaused) {
      const count = this.window.readable
      if (count === 0) return
      const wasFull = this.window.isFull
      if (count > 1) {
        const message = this.#join(count)
        this.#openAfter(wasFull)
        this.#sink.message(message, 0, message.length)
      } else {
        const segment = this.window.shift()
        this.#openAfter(wasFull)
        this.#sink.message(segment.bytes, 0, segment.length)
        this.#pool.giveBack(segment)
      }
    }
  }

  /** A peer that was shown a closed window has stopped, and does not know that it may go on. */
  #openAfter(wasFull: boolean): void {
    this.window.advance()
    if (wasFull && !this.window.isFull) this.isTelling = true
  }

  /** The only memory made for a message: one in several segments has to be put together somewhere. */
  #join(count: number): Uint8Array {
    const { window } = this
    let length = 0
    for (let i = 0; i < count; i++) length += window.slots[(window.head + i) & window.mask].length
    const message = new Uint8Array(length)
    for (let i = 0, at = 0; i < count; i++) {
      const segment = window.shift()
      copyBytes(segment.bytes, 0, segment.length, message, at)
      at += segment.length
      this.#pool.giveBack(segment)
    }
    return message
  }
}
