// A client without sessions, for what only carries bytes: the same payloads behind a length, over a plain connection to an
// echo or to a proxy in front of one.
import { FrameSplitter } from '../../protocols/wire/splitter.ts'
import { Writer } from '../../protocols/wire/writer.ts'
import { type LoadClient, type LoadEvents, readStamp, STAMP_BYTES, writeStamp } from './client.ts'
import type { OpenStream, Stream } from './stream.ts'

const FRAME_BYTES_MAX = 64 * 1024

export class RawClient implements LoadClient {
  readonly #events: LoadEvents
  readonly #stream: Stream
  readonly #payload: Uint8Array
  readonly #splitter = new FrameSplitter(FRAME_BYTES_MAX)
  readonly #writer = new Writer()
  #isClosed = false

  constructor(open: OpenStream, port: number, payloadBytes: number, events: LoadEvents) {
    this.#events = events
    this.#payload = new Uint8Array(payloadBytes)
    this.#stream = open(port, {
      opened: () => events.ready(this),
      received: (bytes) => {
        this.#splitter.receive(bytes, this)
        events.turnEnded(this)
      },
      closed: () => {
        if (!this.#isClosed) events.failed('a connection was closed by the other end')
      },
    })
  }

  frame(bytes: Uint8Array, start: number, end: number): boolean {
    if (end - start < STAMP_BYTES) return false
    this.#events.heard(this, readStamp(bytes, start))
    return true
  }

  room(): number {
    return Infinity
  }

  send(stampUs: number): void {
    writeStamp(this.#payload, stampUs)
    this.#writer.blob(this.#payload)
  }

  flush(): void {
    if (this.#writer.at === 0) return
    this.#stream.write(this.#writer.view())
    this.#writer.clear()
  }

  tick(): void {}

  close(): void {
    this.#isClosed = true
    this.#stream.close()
  }
}
