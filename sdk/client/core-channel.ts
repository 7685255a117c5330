// A channel as the client's owner uses it: the protocol's ClientChannel, what it is attached on, its groups, and the
// guards in front of every verb. Payloads given to it are kept as they are: whoever gives them away copies (S3).
import { code } from '../../protocols/codes.ts'
import type { ChannelEnd, Incoming, Outcome } from '../../protocols/session/channel-end.ts'
import type { ChannelState, ClientChannelSink, Ending } from '../../protocols/session/client-channel.ts'
import { ClientChannel } from '../../protocols/session/client-channel.ts'
import type { Item } from '../../protocols/session/outbox.ts'
import { laneKind } from '../../protocols/wire/lane-frames.ts'
import type { ClientConnection } from './connection.ts'
import type { ClientCore } from './core.ts'
import { ChannelGroups } from './groups.ts'

export class CoreChannel implements ClientChannelSink {
  readonly line: ClientChannel
  readonly groups: ChannelGroups
  readonly alias: number
  /** Where the newest ATTACH went, while that attach stands. */
  on: ClientConnection | undefined
  parkedUntil = Infinity
  /** Attaches in a row that ended soon after they began; they back off like refusals. */
  flaps = 0
  attachedAt = 0
  readonly #core: ClientCore
  /** Requests delivered and not answered: FIN waits for their replies, behind it nothing may be numbered (X4). */
  #unanswered = 0
  #isClosing = false

  constructor(core: ClientCore, service: string, key: string, alias: number) {
    this.#core = core
    this.alias = alias
    this.groups = new ChannelGroups(core, this)
    this.line = new ClientChannel(service, key, core.mintEnd(), core.channelSettings, this, core.now)
  }

  get service(): string {
    return this.line.service
  }
  /** Empty: the user's own actor. */
  get key(): string {
    return this.line.key
  }
  get state(): ChannelState {
    return this.line.state
  }
  get end(): ChannelEnd {
    return this.line.end
  }
  get isEnded(): boolean {
    return this.line.state === 'ended'
  }

  // ---- sending: a number or an id, or minus the code that refuses it; then nothing has happened (W1) ----

  send(route: string, payload: Uint8Array, now: number): number {
    const refusal = this.#enter(route, now)
    return refusal !== code.ok ? -refusal : this.#sent(this.end.send(route, payload))
  }

  /** A request; its outcome comes under the id returned. `deadlineAt` Infinity: none. */
  request(route: string, payload: Uint8Array, deadlineAt: number, now: number): number {
    const refusal = this.#enter(route, now)
    return refusal !== code.ok ? -refusal : this.#sent(this.end.request(route, payload, deadlineAt))
  }

  /** The newest value of a key; `settleMs` without a newer one and it is sent once more as reliable (C2). */
  latest(route: string, key: string, payload: Uint8Array, settleMs: number, now: number): number {
    const refusal = this.#enter(route, now)
    if (refusal !== code.ok) return -refusal
    if (payload.length > this.end.out.window.bytes >>> 2) return -code.too_large
    this.end.sendLatest(route, key, payload, settleMs === Infinity ? Infinity : now + settleMs)
    return this.#sent(code.ok)
  }

  /** At most once, and only while attached: otherwise refused with `detached` (C1). */
  unreliable(route: string, payload: Uint8Array, now: number): number {
    const refusal = this.#enter(route, now)
    if (refusal !== code.ok) return -refusal
    if (payload.length > this.end.out.window.bytes >>> 2) return -code.too_large
    return this.end.sendUnreliable(route, payload) ? this.#sent(code.ok) : -code.detached
  }

  /** Takes a message back; false: it may have run (N4). */
  withdraw(number: number, now: number): boolean {
    this.#core.enter(now)
    const isWithdrawn = this.end.withdraw(number)
    if (isWithdrawn) this.#core.wake()
    return isWithdrawn
  }

  /** Answers a request that was delivered by `end`; nothing where that life is over (X1). */
  reply(end: ChannelEnd, request: number, replyCode: number, payload: Uint8Array, now: number): void {
    this.#core.enter(now)
    if (end !== this.end || this.isEnded || end.finSent > 0) return
    end.reply(request, replyCode, payload)
    this.#unanswered--
    this.#considerFin()
    this.#core.wake()
  }

  /** The handler of a delivered message has finished; `bytes` is its payload's length (W2). */
  settle(end: ChannelEnd, number: number, bytes: number, now: number): void {
    this.#core.enter(now)
    end.settle(number, bytes, now)
    if (end === this.end && !this.isEnded) this.#core.wake()
  }

  /** Ends our direction; the channel is over when the host has ended its own and both are settled (X4). */
  close(now: number): void {
    this.#core.enter(now)
    if (this.isEnded) return
    this.#isClosing = true
    // A channel that never reached its host has nothing to finish there.
    if (this.line.life === 0n && this.state === 'apart' && this.end.out.sent === 0) this.line.endWith(code.closed)
    else this.#considerFin()
    this.#core.wake()
  }

  #considerFin(): void {
    if (this.#isClosing && this.#unanswered <= 0) this.end.fin(code.closed)
  }

  #enter(route: string, now: number): number {
    this.#core.enter(now)
    if (this.isEnded || this.#isClosing) return code.closed
    return route.charCodeAt(0) !== DOLLAR && this.#core.routes.admit(route) ? code.ok : code.no_route
  }

  #sent(result: number): number {
    if (result >= 0) this.#core.wake()
    return result
  }

  // ---- what the line tells ----

  deliver(message: Incoming): void {
    if (message.kind === laneKind.replay && !this.groups.admitsReplay(message)) {
      this.end.settle(message.number, message.payload.length, this.#core.now)
      return
    }
    if (message.kind === laneKind.request) this.#unanswered++
    this.#core.sink.deliver(this, message, this.end)
  }

  refused(item: Item, number: number, why: number, retryMs: number): void {
    this.#core.sink.refused(this, item, number, why, retryMs)
  }

  outcome(request: number, outcome: Outcome): void {
    if (!this.groups.answered(request, outcome)) this.#core.sink.outcome(this, request, outcome)
  }

  finished(why: number): void {
    this.#core.sink.finished(this, why)
  }

  reset(ending: Ending): void {
    this.#unanswered = 0
    this.#considerFin()
    this.#core.sink.reset(this, ending)
  }

  ended(ending: Ending): void {
    this.groups.detached()
    this.#core.attacher.ended(this)
    this.#core.sink.ended(this, ending)
  }
}

const DOLLAR = 0x24
