// A Carrier over HTTP (H2): what the client sends comes in the bodies of numbered POST requests, one at a time; what the core
// writes goes out as server-sent events, each batch one event of base64. It is a carrier like the others: when anything is
// not as it should be, it ends, and the session attaches again over the next one. Nothing is repaired here.
//
//   waiting (for its event stream) -> open -> gone          a stream that has ended is the end of its carrier
import { code } from '../../protocols/codes.ts'
import type { Carrier, CarrierEvents } from '../seams.ts'
import type { BodySink } from './http-body.ts'
import type { NodeExchange } from './node-exchange.ts'
import { type CarrierHome, LINGER_MS } from './stream-carrier.ts'

/** A body before and after the login. */
const STRANGER_BYTES_MAX = 16 * 1024
export const POST_BYTES_MAX = 64 * 1024
/** What is held while there is no stream yet: the greeting of the core, or its refusal. */
const WAITING_BYTES_MAX = 16 * 1024
const NO_BINDING = new Uint8Array(0)
const STREAM_HEADERS = [
  ...['Content-Type', 'text/event-stream', 'Cache-Control', 'no-store', 'X-Content-Type-Options', 'nosniff'],
  // Said to nginx: nothing of it is to be collected.
  ...['X-Accel-Buffering', 'no'],
]

export class HttpCarrier implements Carrier, BodySink {
  readonly transport: string
  readonly address: string
  readonly binding: Uint8Array = NO_BINDING
  /** What requests name it by: known to its client alone. */
  readonly token: string
  /** The number of the next POST. */
  expected = 1
  /** Something was written since this was last false. */
  isStirred = false
  readonly #home: CarrierHome
  readonly #ended: () => void
  #events: CarrierEvents | undefined
  #stream: NodeExchange | undefined
  #held: Uint8Array[] = []
  #heldBytes = 0
  /** The POST that is being read, or waits until the core reads on. */
  #post: NodeExchange | undefined
  #body: Uint8Array | undefined
  #isPaused = false
  #isOpen = true
  #isGone = false

  /** `ended` is called once, when nothing can come or go any more. */
  constructor(home: CarrierHome, token: string, address: string, isTls: boolean, ended: () => void) {
    this.#home = home
    this.token = token
    this.address = address
    this.transport = isTls ? 'https' : 'http'
    this.#ended = ended
  }

  get isWaiting(): boolean {
    return this.#stream === undefined && !this.#isGone
  }

  /** Says whom the events are for; to be called in the turn that made the carrier. */
  start(events: CarrierEvents): void {
    this.#events = events
    this.#home.carriers.add(this)
  }

  /** The event stream: the answer to this request, until the carrier ends. `greeting` is its first event. */
  stream(exchange: NodeExchange, greeting: string): void {
    this.#stream = exchange
    const { response } = exchange
    exchange.begin(200, STREAM_HEADERS)
    response.on('close', () => this.#gone())
    response.on('error', () => this.#home.counters.socketErrors++)
    response.on('drain', () => {
      if (!this.#isOpen) return
      this.#events!.drained(this.#home.now())
      this.#home.poke()
    })
    response.write(greeting)
    const held = this.#held
    this.#held = []
    this.#heldBytes = 0
    for (const batch of held) this.#event(batch)
    if (!this.#isOpen) this.#end(exchange)
  }

  // ---- what the client sends ----

  /** Takes a POST under its number; one that is out of order is refused, and the carrier with it. */
  post(exchange: NodeExchange, sequence: number): void {
    if (sequence !== this.expected || this.#post !== undefined || !this.#isOpen) {
      const headers = ['Skewer-Expected', String(this.expected)]
      const detail = `request ${sequence} where ${this.expected} was expected`
      exchange.cutOff(code.protocol, { status: 409, detail, headers })
      this.destroy()
      return
    }
    this.#post = exchange
    exchange.readBody(this.#events!.isLoggedIn ? POST_BYTES_MAX : STRANGER_BYTES_MAX, this)
  }

  /** Where the carrier is gone meanwhile, the POST was answered then, and nobody hears the rest of it. */
  bodyRead(body: Uint8Array): void {
    if (this.#post === undefined) return
    if (this.#isPaused) this.#body = Uint8Array.from(body)
    else this.#take(body)
  }

  bodyTooLarge(): void {
    if (this.#post === undefined) return
    this.#post.cutOff(code.too_large)
    this.#post = undefined
    this.destroy()
  }

  /** Nothing of it was taken; whether its sender knows that, nobody knows. */
  bodyCut(): void {
    this.#post = undefined
    this.destroy()
  }

  #take(body: Uint8Array): void {
    const post = this.#post!
    this.#post = undefined
    this.expected++
    post.send(204, [])
    if (!this.#isOpen) return
    this.#events!.receive(body, this.#home.now())
    this.#home.poke()
  }

  // ---- what the core wants ----

  write(batch: Uint8Array): void {
    if (!this.#isOpen) return
    if (this.#stream !== undefined) {
      this.#event(batch)
      return
    }
    this.#held.push(Uint8Array.from(batch))
    this.#heldBytes += batch.length
    if (this.#heldBytes > WAITING_BYTES_MAX) this.destroy()
  }

  queuedBytes(): number {
    return this.#stream === undefined ? this.#heldBytes : this.#stream.response.writableLength
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    const body = this.#body
    this.#body = undefined
    if (body !== undefined) this.#take(body)
  }

  close(_code: number, _text: string): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    if (this.#stream !== undefined) this.#end(this.#stream)
    else setImmediate(() => this.#gone())
  }

  destroy(): void {
    this.#isOpen = false
    if (this.#stream !== undefined) this.#stream.request.socket.destroy()
    else setImmediate(() => this.#gone())
  }

  /** A comment, so that nothing between the two ends takes the stream for dead. */
  stir(): void {
    if (this.isStirred || this.#stream === undefined || !this.#isOpen) {
      this.isStirred = false
      return
    }
    if (this.#stream.response.writableLength === 0) this.#stream.response.write(':\n\n')
  }

  #event(batch: Uint8Array): void {
    this.isStirred = true
    const { buffer, byteOffset, length } = batch
    const text = Buffer.from(buffer, byteOffset, length).toString('base64')
    this.#stream!.response.write(`data:${text}\n\n`, 'latin1')
  }

  /** What is queued goes out, for as long as a carrier that ends may take. */
  #end(stream: NodeExchange): void {
    stream.response.end()
    const timer = setTimeout(() => stream.request.socket.destroy(), LINGER_MS)
    stream.response.once('close', () => clearTimeout(timer))
  }

  #gone(): void {
    if (this.#isGone) return
    this.#isGone = true
    this.#isOpen = false
    this.#held = []
    this.#body = undefined
    this.#post?.cutOff(code.closed)
    this.#post = undefined
    this.#home.carriers.delete(this)
    this.#ended()
    this.#events!.closed(this.#home.now())
    this.#home.poke()
  }
}
