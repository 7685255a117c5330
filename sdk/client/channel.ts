// A channel as a game uses it: messages to and from one actor, in order and exactly once (S1). It goes on over any number
// of connections; what happens to it is told by events. Made by `client.actor(service, key)`.
import { code } from '../../protocols/codes.ts'
import type { ChannelState } from '../../protocols/session/client-channel.ts'
import { LATEST_KEY_BYTES_MAX } from '../../protocols/wire/lane-frames.ts'
import type { CallOptions } from './calls.ts'
import { deadlineOf, refusalOf } from './calls.ts'
import type { CoreChannel } from './core-channel.ts'
import type { ChannelEvents } from './events.ts'
import { isChannelEvent } from './events.ts'
import type { Handler, Inbox } from './inbox.ts'

export type LatestOptions = {
  /** After so many milliseconds without a newer value this one is sent once more, as a reliable message. */
  settleMs?: number
}

const encoder = new TextEncoder()

export class Channel {
  readonly #core: CoreChannel
  readonly #inbox: Inbox
  readonly #now: () => number

  /** Channels are made by `client.actor` only. */
  constructor(core: CoreChannel, inbox: Inbox, now: () => number) {
    this.#core = core
    this.#inbox = inbox
    this.#now = now
  }

  get service(): string {
    return this.#core.service
  }

  /** Key of the actor; empty for the user's own. */
  get key(): string {
    return this.#core.key
  }

  /** apart, attaching, parked (the host is away), attached or ended. */
  get state(): ChannelState {
    return this.#core.state
  }

  /** Messages that `send` and `call` accepted and the host has not settled. */
  get unacked(): number {
    return this.#core.end.out.sent - this.#core.end.out.acked
  }

  /** Calls whose answers are waited for. */
  get openRequests(): number {
    return this.#core.end.openRequests
  }

  /** What did not get through to handlers: no handler for the route, cut at the handler deadline, no room. */
  get counters(): { unhandled: number; handlersCut: number; dropped: number } {
    const { unhandled, handlersCut, dropped } = this.#inbox
    return { unhandled, handlersCut, dropped }
  }

  // ---- receiving ----

  /**
   * Listens to an event of the channel (`attached`, `detached`, `parked`, `reset`, `ended`, `refused`, `missed`, `joined`,
   * `left`), or handles the messages of a route: one handler a route, `*` for all routes without one. Handlers run one at
   * a time and in the order of the messages; a promise holds the next message back until it has settled, at most for the
   * handler deadline (10 s).
   * @returns what takes the listener or handler away again.
   * @throws RangeError where the route has a handler.
   * @example
   * room.on('chat.said', (payload) => console.log(payload))
   * room.on('arena.ready', async () => ({ ready: await askPlayer() })) // answers the host's request
   * room.on('ended', ({ name, unknown }) => console.log(name, unknown.length, 'messages may or may not have run'))
   */
  on<E extends keyof ChannelEvents>(event: E, listener: (what: ChannelEvents[E]) => void): () => void
  on(route: string, handler: Handler): () => void
  on(name: string, handler: ((what: never) => void) | Handler): () => void {
    if (isChannelEvent(name)) return this.#inbox.listeners.on(name, handler as (what: unknown) => void)
    return this.#inbox.onRoute(name, handler as Handler)
  }

  /**
   * Handles what is published to a group that the host has joined this session to. Publications of groups without a handler
   * go to the handlers of their routes.
   * @throws RangeError where the group has a handler.
   * @example
   * room.onGroup('players', (payload, { route, offset }) => console.log(route, offset, payload))
   */
  onGroup(group: string, handler: Handler): () => void {
    return this.#inbox.onGroup(group, handler)
  }

  /**
   * Lets handlers run (A11). With `autoStart` (the default) this happens at the end of the turn that made the channel.
   * @example
   * const client = connect({ gateways, token, autoStart: false })
   * const room = client.actor('arena', 'room-1')
   * await loadAssets() // what comes meanwhile waits
   * room.start()
   */
  start(): void {
    this.#inbox.start()
  }

  // ---- sending ----

  /**
   * Sends a reliable message: it reaches the actor's handler exactly once and in order, or `refused`, `reset` or `ended`
   * tell of it. Works while nothing is connected, too; then it waits in the window (default 256 messages and 64 KiB).
   * @returns its number, which `refused` names.
   * @throws SkewerError `window_full` (wait for answers), `too_large` (more than a quarter of the window's bytes),
   * `closed`, `no_route` (an empty name, or more than 1,024 of them); nothing has happened then. What the codec throws.
   * @example
   * room.send('arena.move', { x: 1, y: 2 })
   */
  send(route: string, payload?: unknown): number {
    const result = this.#core.send(route, this.#inbox.encoded(payload), this.#now())
    if (result < 0) throw refusalOf(-result)
    return result
  }

  /**
   * Like `send`, but says with a code what `send` would throw.
   * @returns 0 when it was accepted, else the code, as in docs/codes.md.
   * @example
   * if (room.trySend('arena.move', { x: 1 }) !== 0) dropFrame()
   */
  trySend(route: string, payload?: unknown): number {
    const result = this.#core.send(route, this.#inbox.encoded(payload), this.#now())
    return result < 0 ? -result : code.ok
  }

  /**
   * Calls the actor and waits for its answer. The request is reliable; its deadline travels with it.
   * @throws SkewerError with `ran`: 'no' it certainly did not run, 'yes' the actor answered so, 'unknown' the deadline
   * passed or the channel ended when it was on its way. At most 64 calls are open at once (`too_many_requests`).
   * @example
   * const { id } = await room.call('arena.join', { name: 'ana' }, { timeoutMs: 5000 })
   */
  async call(route: string, payload?: unknown, options: CallOptions = {}): Promise<unknown> {
    const now = this.#now()
    const request = this.#core.request(route, this.#inbox.encoded(payload), deadlineOf(options, now), now)
    if (request < 0) throw refusalOf(-request)
    return this.#inbox.calls.wait(request)
  }

  /**
   * Sends the newest value of (route, key); an older one that still waits is replaced. It may be lost, but after each
   * re-attach the newest values (of up to 256 keys) are sent again.
   * @param key at most 64 bytes.
   * @throws SkewerError `too_large`, `closed`, `no_route`.
   * @example
   * room.latest('arena.aim', 'me', { angle: 1.2 }, { settleMs: 500 })
   */
  latest(route: string, key: string, payload?: unknown, { settleMs = Infinity }: LatestOptions = {}): void {
    if (encoder.encode(key).length > LATEST_KEY_BYTES_MAX)
      throw new RangeError(`a key has at most ${LATEST_KEY_BYTES_MAX} bytes`)
    const result = this.#core.latest(route, key, this.#inbox.encoded(payload), settleMs, this.#now())
    if (result < 0) throw refusalOf(-result)
  }

  /**
   * Sends a message that may be lost or overtaken, never doubled; only while the channel is attached.
   * @returns false where it was dropped at once: not attached, too large, or the channel is over.
   * @example
   * room.unreliable('arena.cursor', { x: 3, y: 4 })
   */
  unreliable(route: string, payload?: unknown): boolean {
    return this.#core.unreliable(route, this.#inbox.encoded(payload), this.#now()) === code.ok
  }

  /**
   * Takes a message back. True: it certainly does not run, and `refused` tells of it with the code `withdrawn`. False: it is
   * on its way, or it has run.
   * @example
   * const number = room.send('arena.build', { what: 'tower' })
   * if (room.withdraw(number)) console.log('in time')
   */
  withdraw(number: number): boolean {
    return this.#core.withdraw(number, this.#now())
  }

  /**
   * Ends the channel behind what was sent: resolves when both ends have settled everything, or when it has ended otherwise
   * (`ended` says how).
   * @example
   * await room.close()
   */
  async close(): Promise<void> {
    if (this.#core.isEnded) return
    const ended = new Promise<void>((resolve) => this.#inbox.listeners.on('ended', () => resolve()))
    this.#core.close(this.#now())
    return ended
  }
}
