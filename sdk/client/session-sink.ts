// From the core to the application: what a session tells becomes events, outcomes of calls, and messages in the inboxes of
// its channels.
import { code, codeName } from '../../protocols/codes.ts'
import type { ChannelEnd, Incoming, Outcome } from '../../protocols/session/channel-end.ts'
import type { Ending } from '../../protocols/session/client-channel.ts'
import type { Missed } from '../../protocols/session/group-member.ts'
import type { Item } from '../../protocols/session/outbox.ts'
import type { Codec } from '../codec.ts'
import { SkewerError } from '../error.ts'
import type { Waiting } from './calls.ts'
import { Calls } from './calls.ts'
import { Channel } from './channel.ts'
import type { CoreChannel } from './core-channel.ts'
import type { ChannelEnding, ChannelEvents, ClientEvents, Sent } from './events.ts'
import { Inbox } from './inbox.ts'
import { Listeners } from './listeners.ts'
import type { ClientSink, ClientState } from './options.ts'

export type SessionOptions = {
  gateways: readonly string[]
  codec: Codec
  autoStart: boolean
  handlerDeadlineMs: number
  /** Monotonic milliseconds. */
  now(): number
}

type Open = { channel: Channel; inbox: Inbox }

export class SessionSink implements ClientSink {
  readonly listeners = new Listeners<ClientEvents>()
  readonly looseCalls: Calls
  /** Index of the gateway that welcomed the session last. */
  address = -1
  /** How the session ended. */
  ending: SkewerError | undefined
  readonly #options: SessionOptions
  readonly #open: Map<CoreChannel, Open> = new Map()
  #ready: Waiting[] = []

  constructor(options: SessionOptions) {
    this.#options = options
    this.looseCalls = new Calls(options.codec)
  }

  get channels(): Channel[] {
    return [...this.#open.values()].map(({ channel }) => channel)
  }

  /** Resolves with the next welcome, rejects with the session's end. */
  ready(): Promise<unknown> {
    return new Promise((resolve, reject) => this.#ready.push({ resolve, reject }))
  }

  channelOf(core: CoreChannel): Channel {
    const open = this.#open.get(core)
    if (open !== undefined) return open.channel
    const { now, codec, handlerDeadlineMs, autoStart } = this.#options
    const inbox = new Inbox(core, {
      now,
      codec,
      handlerDeadlineMs,
      handlerFailed: (error, route) => this.#handlerFailed(error, channel, route),
    })
    const channel: Channel = new Channel(core, inbox, now)
    this.#open.set(core, { channel, inbox })
    if (autoStart) queueMicrotask(() => inbox.start())
    return channel
  }

  #handlerFailed(error: unknown, channel: Channel, route: string): void {
    if (!this.listeners.tell('error', { error, channel, route })) console.error(`the handler of ${route} failed`, error)
  }

  // ---- the session ----

  state(state: ClientState): void {
    this.listeners.tell('state', state)
  }

  welcomed(session: string, user: string, resumed: boolean, address: number): void {
    this.address = address
    const ready = this.#ready
    this.#ready = []
    for (const { resolve } of ready) resolve(undefined)
    this.listeners.tell('welcomed', { session, user, resumed, gateway: this.#options.gateways[address] })
  }

  connectionEnded(address: number, why: number, text: string): void {
    const gateway = this.#options.gateways[address]
    const name = why === code.ok ? '' : codeName(why)
    this.listeners.tell('disconnected', { gateway, code: why, name, text })
  }

  sessionEnded(why: number, text: string): void {
    const ending = new SkewerError(why, text === '' ? codeName(why) : `${codeName(why)}: ${text}`)
    this.ending = ending
    const ready = this.#ready
    this.#ready = []
    for (const { reject } of ready) reject(ending)
    this.listeners.tell('ended', { code: why, name: codeName(why), text })
  }

  tokenFailed(address: number, error: unknown, retryMs: number): void {
    this.listeners.tell('tokenFailed', { gateway: this.#options.gateways[address], error, retryMs })
  }

  rtt(ms: number): void {
    this.listeners.tell('rtt', ms)
  }

  looseOutcome(request: number, outcome: Outcome): void {
    this.looseCalls.conclude(request, outcome)
  }

  // ---- its channels ----

  invited(core: CoreChannel): void {
    this.listeners.tell('invited', this.channelOf(core))
  }

  attached(core: CoreChannel): void {
    this.#tell(core, 'attached', undefined)
  }

  parked(core: CoreChannel, maxMs: number): void {
    this.#tell(core, 'parked', { maxMs })
  }

  detached(core: CoreChannel, why: number, retryMs: number): void {
    this.#tell(core, 'detached', { code: why, name: codeName(why), retryMs })
  }

  reset(core: CoreChannel, ending: Ending): void {
    this.#tell(core, 'reset', this.#ending(ending))
  }

  /** The other end's FIN; `ended` follows when both directions are through. */
  finished(): void {}

  ended(core: CoreChannel, ending: Ending): void {
    this.#tell(core, 'ended', this.#ending(ending))
    this.#open.delete(core)
  }

  deliver(core: CoreChannel, message: Incoming, end: ChannelEnd): void {
    this.#open.get(core)?.inbox.receive(message, end)
  }

  published(core: CoreChannel, message: Incoming): boolean {
    return this.#open.get(core)?.inbox.receive(message, core.end) ?? false
  }

  missed(core: CoreChannel, group: string, missed: Missed | undefined): void {
    this.#tell(core, 'missed', { group, from: missed?.from ?? 0, to: missed?.to ?? 0 })
  }

  joined(core: CoreChannel, group: string, recoverable: boolean): void {
    this.#tell(core, 'joined', { group, recoverable })
  }

  left(core: CoreChannel, group: string): void {
    this.#tell(core, 'left', { group })
  }

  refused(core: CoreChannel, item: Item, _number: number, why: number, retryMs: number): void {
    const open = this.#open.get(core)
    if (open === undefined) return
    const refusal = { ...this.#sent(item), code: why, name: codeName(why), retryMs }
    open.inbox.tell('refused', refusal)
    this.listeners.tell('refused', { ...refusal, channel: open.channel })
  }

  outcome(core: CoreChannel, request: number, outcome: Outcome): void {
    this.#open.get(core)?.inbox.calls.conclude(request, outcome)
  }

  #tell<E extends keyof ChannelEvents>(core: CoreChannel, event: E, what: ChannelEvents[E]): void {
    this.#open.get(core)?.inbox.tell(event, what)
  }

  #ending(ending: Ending): ChannelEnding {
    return {
      code: ending.code,
      name: codeName(ending.code),
      unknown: ending.unknown.map((item) => this.#sent(item)),
      lostFrom: ending.lostFrom,
      lostTo: ending.lostTo,
    }
  }

  /** Where the codec does not read what it wrote itself, the bytes are given. */
  #sent(item: Item): Sent {
    const { number, route, payload } = item
    if (payload.length === 0) return { number, route, payload: undefined }
    try {
      return { number, route, payload: this.#options.codec.decode(payload) }
    } catch {
      return { number, route, payload }
    }
  }
}
