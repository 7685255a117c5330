// A caller over HTTP with a connection that it keeps: one POST at a time, whose body comes back. In one write each, as
// programs send small requests.
import { type LoadClient, type LoadEvents, type Manners, readStamp, STAMP_BYTES, writeStamp } from './client.ts'
import type { OpenStream, Stream } from './stream.ts'

const HEAD_END = Buffer.from('\r\n\r\n')
const ANSWER_BYTES_MAX = 64 * 1024

export class HttpClient implements LoadClient {
  readonly #events: LoadEvents
  readonly #manners: Manners
  readonly #stream: Stream
  readonly #request: Buffer
  readonly #payload: Uint8Array
  #came = Buffer.alloc(0)
  #isWaiting = false
  #isWritten = true
  #isClosed = false

  constructor(
    open: OpenStream,
    port: number,
    user: string,
    payloadBytes: number,
    events: LoadEvents,
    manners: Manners = 'honest',
  ) {
    this.#events = events
    this.#manners = manners
    const length = Math.max(STAMP_BYTES, payloadBytes)
    const head = [
      'POST /call/echo.call HTTP/1.1',
      `Host: 127.0.0.1:${port}`,
      `Authorization: Bearer ${user}`,
      'Content-Type: application/octet-stream',
      `Content-Length: ${length}`,
    ].join('\r\n')
    this.#request = Buffer.concat([Buffer.from(head), HEAD_END, new Uint8Array(length)])
    this.#payload = this.#request.subarray(this.#request.length - length)
    this.#stream = open(port, {
      opened: () => events.ready(this),
      received: (bytes) => this.#received(bytes),
      closed: () => {
        if (!this.#isClosed) events.failed('a connection was closed by the other end')
      },
    })
  }

  #received(lent: Uint8Array): void {
    this.#came = this.#came.length === 0 ? Buffer.from(lent) : Buffer.concat([this.#came, lent])
    const came = this.#came
    const bodyAt = came.indexOf(HEAD_END) + HEAD_END.length
    if (bodyAt < HEAD_END.length && came.length < ANSWER_BYTES_MAX) return
    const head = came.toString('latin1', 0, bodyAt)
    const length = Number(/\r\ncontent-length: (\d+)\r\n/i.exec(head)?.[1])
    const isGood = head.startsWith('HTTP/1.1 200 ')
    if (isGood ? !(length >= STAMP_BYTES) : this.#manners === 'honest') {
      this.#events.failed(`a call was answered: ${came.toString('latin1', 0, 200)}`)
      return
    }
    if (came.length < bodyAt + length) return
    this.#came = Buffer.alloc(0)
    this.#isWaiting = false
    if (isGood) this.#events.heard(this, readStamp(came, bodyAt))
    this.#events.turnEnded(this)
  }

  room(): number {
    return this.#isWaiting ? 0 : 1
  }

  send(stampUs: number): void {
    writeStamp(this.#payload, stampUs)
    this.#isWaiting = true
    this.#isWritten = false
  }

  flush(): void {
    if (this.#isWritten) return
    this.#isWritten = true
    this.#stream.write(this.#request)
  }

  tick(): void {}

  close(): void {
    this.#isClosed = true
    this.#stream.close()
  }
}
