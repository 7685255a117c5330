// What comes in on one channel of a client: its handlers and listeners, the messages that wait for them, and the calls
// that wait for answers. Each message is settled once and each request gets one reply, whatever its handler does (W2, Q1).
import { clientKind } from '../../protocols/client/frames.ts'
import { code } from '../../protocols/codes.ts'
import type { ChannelEnd, Incoming } from '../../protocols/session/channel-end.ts'
import { laneKind } from '../../protocols/wire/lane-frames.ts'
import type { Codec } from '../codec.ts'
import { SkewerError } from '../error.ts'
import { Calls } from './calls.ts'
import type { CoreChannel } from './core-channel.ts'
import type { Delivery, Handling } from './deliveries.ts'
import { Deliveries } from './deliveries.ts'
import type { ChannelEvents } from './events.ts'
import { Listeners } from './listeners.ts'

/** What a handler is told beside the payload. */
export type Message = {
  route: string
  kind: 'oneway' | 'request' | 'latest' | 'unreliable' | 'publication'
  /** Number in the host's lane; 0 for what is not numbered. */
  number: number
  /** Of `latest`: which value it is. */
  key: string
  /** Of a publication: the group, and its offset there (0 in a plain group). */
  group: string
  offset: number
  /** Of a request: milliseconds of `performance.now()` until which the answer is waited for; Infinity: no limit. */
  deadlineAt: number
}

/** Handles messages of one route. What it returns, or what its promise brings, is the reply where a request was handled. */
export type Handler = (payload: unknown, message: Message) => unknown

/** What an inbox needs of its client. */
export type InboxOptions = {
  codec: Codec
  handlerDeadlineMs: number
  /** Monotonic milliseconds. */
  now(): number
  /** A handler threw, or took too long. */
  handlerFailed(error: unknown, route: string): void
}

const FAILURE_TEXT_BYTES_MAX = 1024
const EMPTY = new Uint8Array(0)
const encoder = new TextEncoder()
const notFound = new SkewerError(code.not_found)
const expired = new SkewerError(code.expired)

export class Inbox implements Handling {
  /** Messages that came for routes without a handler. */
  unhandled = 0
  /** Handlers that took longer than their deadline (W2). */
  handlersCut = 0
  readonly listeners = new Listeners<ChannelEvents>()
  readonly calls: Calls
  readonly #core: CoreChannel
  readonly #options: InboxOptions
  readonly #routes: Map<string, Handler> = new Map()
  readonly #groups: Map<string, Handler> = new Map()
  readonly #deliveries: Deliveries

  constructor(core: CoreChannel, options: InboxOptions) {
    this.#core = core
    this.#options = options
    this.calls = new Calls(options.codec)
    this.#deliveries = new Deliveries(this, options.handlerDeadlineMs)
  }

  /** Unnumbered messages for which there was no room. */
  get dropped(): number {
    return this.#deliveries.dropped
  }

  onRoute(route: string, handler: Handler): () => void {
    return register(this.#routes, route, handler, 'route')
  }

  onGroup(group: string, handler: Handler): () => void {
    return register(this.#groups, group, handler, 'group')
  }

  start(): void {
    this.#deliveries.start()
  }

  /** False: there was no room; only for what is not numbered. */
  receive(message: Incoming, end: ChannelEnd): boolean {
    return this.#deliveries.push(message, end)
  }

  tell<E extends keyof ChannelEvents>(event: E, what: ChannelEvents[E]): void {
    // What still waits belongs to a life that is over (X1).
    if (event === 'reset' || event === 'ended') this.#deliveries.clear()
    this.listeners.tell(event, what)
  }

  encoded(value: unknown): Uint8Array {
    return value === undefined ? EMPTY : this.#options.codec.encode(value)
  }

  // ---- handling ----

  handle(message: Incoming): unknown {
    if (message.kind === laneKind.request && message.deadlineAt <= this.#options.now()) throw expired
    const handler =
      (message.group === '' ? undefined : this.#groups.get(message.group)) ??
      this.#routes.get(message.route) ??
      this.#routes.get('*')
    if (handler === undefined) {
      this.unhandled++
      if (message.kind === laneKind.request) throw notFound
      return undefined
    }
    const { payload } = message
    return handler(payload.length === 0 ? undefined : this.#options.codec.decode(payload), messageOf(message))
  }

  finished(delivery: Delivery, value: unknown): void {
    let payload: Uint8Array = EMPTY
    if (delivery.message.kind === laneKind.request) {
      try {
        payload = this.encoded(value)
      } catch (error) {
        this.failed(delivery, error)
        return
      }
    }
    this.#conclude(delivery, code.ok, payload)
  }

  failed(delivery: Delivery, error: unknown): void {
    if (error !== notFound && error !== expired) this.#options.handlerFailed(error, delivery.message.route)
    // Only what was said to be told is told: other errors may hold what is nobody's business.
    const isOwn = error instanceof SkewerError
    const text = isOwn && error.message !== error.name ? encoder.encode(error.message) : EMPTY
    const why = isOwn && error.code !== code.ok ? error.code : code.handler_failed
    this.#conclude(delivery, why, text.length > FAILURE_TEXT_BYTES_MAX ? EMPTY : text)
  }

  cut(delivery: Delivery): void {
    this.handlersCut++
    const error = new SkewerError(code.handler_failed, 'the handler took longer than its deadline', 'unknown')
    this.#options.handlerFailed(error, delivery.message.route)
    this.#conclude(delivery, code.handler_failed, EMPTY)
  }

  #conclude({ message, end }: Delivery, why: number, payload: Uint8Array): void {
    const now = this.#options.now()
    if (message.kind === laneKind.request) this.#core.reply(end, message.request, why, payload, now)
    if (message.number > 0) this.#core.settle(end, message.number, message.payload.length, now)
  }
}

function register(table: Map<string, Handler>, name: string, handler: Handler, what: string): () => void {
  if (table.has(name)) throw new RangeError(`the ${what} ${name} has a handler`)
  table.set(name, handler)
  return () => {
    if (table.get(name) === handler) table.delete(name)
  }
}

const kinds = new Map<number, Message['kind']>([
  [laneKind.oneway, 'oneway'],
  [laneKind.request, 'request'],
  [laneKind.latest, 'latest'],
  [laneKind.unreliable, 'unreliable'],
  [laneKind.replay, 'publication'],
  [clientKind.published, 'publication'],
])

function messageOf({ route, kind, number, key, group, offset, deadlineAt }: Incoming): Message {
  return { route, kind: kinds.get(kind)!, number, key, group, offset, deadlineAt }
}
