// A carrier over HTTP (H2), for networks that let nothing better through: what the gateway says comes as server-sent events
// in the answer to one POST, what we say goes in the bodies of others, numbered, one at a time. A request that fails, in
// whatever way, ends the carrier; the session attaches again over another. What differs between Node and a browser is
// how a request is made.
import type { Carrier, CarrierEvents } from './transports.ts'

/** One request under way. */
export interface HttpRequest {
  /** Ends it at once; nothing of it is told any more. */
  abort(): void
}

export interface StreamEvents {
  /** A piece of the body of a good answer. */
  text(piece: string): void
  /** The answer is over, was refused, or none came. */
  ended(cause?: unknown): void
}

/** How requests are made here. What is told comes later, never within the call. */
export interface HttpClient {
  /** A POST without a body, whose answer is a stream of text. */
  stream(url: URL, headers: Record<string, string>, events: StreamEvents): HttpRequest
  /** A POST; `status` is undefined where no answer came. The body is the request's to keep. */
  post(
    url: URL,
    headers: Record<string, string>,
    body: Uint8Array,
    done: (status: number | undefined, cause?: unknown) => void,
  ): HttpRequest
  /** Gives up the connections that are kept. */
  end(): void
}

/** Largest body of a POST (HTTP-3.4). */
const POST_BYTES_MAX = 64 * 1024
/** Longest event: what a gateway holds for a client at most, in base64. */
const EVENT_LENGTH_MAX = 4 * 1024 * 1024
/** Queued bytes below which a carrier that was full has room again. */
const LOW_BYTES = 64 * 1024
/** A carrier that was closed has this long to send what is queued. */
const LINGER_MS = 1000
const NO_BINDING = new Uint8Array(0)

export class HttpCarrier implements Carrier {
  readonly #client: HttpClient
  readonly #base: URL
  readonly #events: CarrierEvents
  readonly #stream: HttpRequest
  readonly #tooLate: ReturnType<typeof setTimeout>
  #token = ''
  #sequence = 0
  #post: HttpRequest | undefined
  #queue: Uint8Array[] = []
  #queuedBytes = 0
  #postBytes = 0
  #wasFull = false
  #isClosing = false
  #isOver = false
  #lingering: ReturnType<typeof setTimeout> | undefined
  // ---- the event that is being read ----
  #line = ''
  #event = ''
  #data = ''

  /** The address is the folder that `session` is in. */
  constructor(client: HttpClient, address: URL, events: CarrierEvents, openMs: number) {
    this.#client = client
    this.#base = new URL(address)
    if (!this.#base.pathname.endsWith('/')) this.#base.pathname += '/'
    this.#events = events
    this.#tooLate = setTimeout(() => this.#end(new Error('the connection was not made in time')), openMs)
    const url = new URL('session', this.#base)
    this.#stream = client.stream(
      url,
      { Accept: 'text/event-stream' },
      {
        text: (piece) => this.#read(piece),
        ended: (cause) => this.#end(cause),
      },
    )
  }

  write(bytes: Uint8Array): void {
    if (this.#isOver || this.#isClosing) return
    this.#queue.push(Uint8Array.from(bytes))
    this.#queuedBytes += bytes.length
    if (this.queuedBytes() > LOW_BYTES) this.#wasFull = true
    this.#send()
  }

  queuedBytes(): number {
    return this.#queuedBytes + this.#postBytes
  }

  close(): void {
    if (this.#isOver) return
    this.#isClosing = true
    if (this.queuedBytes() === 0) this.#end()
    else this.#lingering ??= setTimeout(() => this.#end(), LINGER_MS)
  }

  destroy(): void {
    this.#end()
  }

  // ---- up ----

  #send(): void {
    if (this.#post !== undefined || this.#queuedBytes === 0 || this.#token === '') return
    const body = this.#nextBody()
    this.#postBytes = body.length
    const headers = {
      'Content-Type': 'application/octet-stream',
      'Skewer-Connection': this.#token,
      'Skewer-Sequence': String(++this.#sequence),
    }
    const url = new URL('session/frames', this.#base)
    this.#post = this.#client.post(url, headers, body, (status, cause) => this.#posted(status, cause))
  }

  #nextBody(): Uint8Array {
    const body = new Uint8Array(Math.min(POST_BYTES_MAX, this.#queuedBytes))
    let at = 0
    while (at < body.length) {
      const first = this.#queue[0]
      const taken = first.subarray(0, body.length - at)
      body.set(taken, at)
      at += taken.length
      if (taken.length === first.length) this.#queue.shift()
      else this.#queue[0] = first.subarray(taken.length)
    }
    this.#queuedBytes -= body.length
    return body
  }

  #posted(status: number | undefined, cause: unknown): void {
    if (this.#isOver) return
    this.#post = undefined
    this.#postBytes = 0
    if (status !== 204) {
      this.#end(cause ?? new Error(`the gateway answered ${status} to a request`))
      return
    }
    this.#send()
    if (this.#isClosing && this.queuedBytes() === 0) {
      this.#end()
    } else if (this.#wasFull && this.queuedBytes() <= LOW_BYTES) {
      this.#wasFull = false
      this.#events.drained()
    }
  }

  // ---- down: text/event-stream, of which comments and other fields are skipped ----

  #read(piece: string): void {
    let from = 0
    for (let to = piece.indexOf('\n'); to >= 0 && !this.#isOver; to = piece.indexOf('\n', from)) {
      this.#lineRead(this.#line + piece.slice(from, to))
      this.#line = ''
      from = to + 1
    }
    this.#line += piece.slice(from)
    if (this.#line.length > EVENT_LENGTH_MAX) this.#end(new Error('an event is too long'))
  }

  #lineRead(line: string): void {
    const text = line.endsWith('\r') ? line.slice(0, -1) : line
    if (text === '') {
      const event = this.#event
      const data = this.#data
      this.#event = this.#data = ''
      if (data !== '' && !this.#isClosing) this.#eventRead(event, data)
      return
    }
    const colon = text.indexOf(':')
    const field = colon < 0 ? text : text.slice(0, colon)
    const value = colon < 0 ? '' : text.slice(text[colon + 1] === ' ' ? colon + 2 : colon + 1)
    if (field === 'event') this.#event = value
    else if (field === 'data') this.#data += value
    if (this.#data.length > EVENT_LENGTH_MAX) this.#end(new Error('an event is too long'))
  }

  #eventRead(event: string, data: string): void {
    if (event === 'connection') {
      if (this.#token !== '') return
      clearTimeout(this.#tooLate)
      this.#token = data
      this.#events.opened(NO_BINDING)
      this.#send()
    } else if (event === '') {
      const bytes = bytesOf(data)
      if (bytes === undefined) this.#end(new Error('an event is not base64'))
      else this.#events.received(bytes)
    }
  }

  #end(cause?: unknown): void {
    if (this.#isOver) return
    this.#isOver = true
    clearTimeout(this.#tooLate)
    clearTimeout(this.#lingering)
    this.#queue = []
    this.#queuedBytes = this.#postBytes = 0
    this.#stream.abort()
    this.#post?.abort()
    this.#client.end()
    this.#events.closed(cause)
  }
}

function bytesOf(text: string): Uint8Array | undefined {
  let binary: string
  try {
    binary = atob(text)
  } catch {
    return undefined
  }
  const bytes = new Uint8Array(binary.length)
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i)
  return bytes
}
