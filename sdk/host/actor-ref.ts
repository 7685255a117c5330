// Another actor as an actor's handlers address it (P6). `send` and `call` go over a channel, in order and exactly once for
// as long as both live; `loose` goes alone, at most once.
import { code } from '../../protocols/codes.ts'
import type { Outcome } from '../../protocols/session/channel-end.ts'
import { SkewerError } from '../error.ts'
import type { Actor } from './actor.ts'
import { ActorChannel } from './actor-channel.ts'
import { DirectChannel } from './direct-channel.ts'
import type { Outgoing } from './outgoing.ts'
import { resultOf } from './outcomes.ts'

const TIMEOUT_MS = 10_000

export class ActorRef {
  readonly #from: Actor
  readonly service: string
  readonly key: string

  constructor(from: Actor, service: string, key: string) {
    this.#from = from
    this.service = service
    this.key = key
  }

  /**
   * Sends a reliable one-way message.
   *
   * @returns its number on the channel
   * @throws SkewerError window_full, too_large, closed, no_route
   */
  send(route: string, payload?: unknown): number {
    return this.sendBytes(route, this.#from.host.encoded(payload))
  }

  /** The same for a payload that is encoded already and stays as it is. */
  sendBytes(route: string, payload: Uint8Array): number {
    return this.#channel().send(route, payload)
  }

  /**
   * Sends a request and resolves with the reply. Two actors that wait for each other wait until the deadline.
   *
   * @throws SkewerError (by rejection) whose `ran` says whether the handler ran
   */
  call(route: string, payload?: unknown, options?: { timeoutMs?: number }): Promise<unknown> {
    const { host } = this.#from
    return new Promise((resolve, reject) => {
      const deadlineAt = host.now + (options?.timeoutMs ?? TIMEOUT_MS)
      const done = (outcome: Outcome) => this.#conclude(outcome, resolve, reject)
      this.#channel().request(route, host.encoded(payload), deadlineAt, done)
    })
  }

  /** Sends a request outside all channels: no order, at most once, never repeated. */
  loose(route: string, payload?: unknown, options?: { timeoutMs?: number }): Promise<unknown> {
    const from = this.#from
    const { host } = from
    return new Promise((resolve, reject) => {
      const timeoutMs = options?.timeoutMs ?? TIMEOUT_MS
      const done = (outcome: Outcome) => this.#conclude(outcome, resolve, reject)
      host.loose.call(from, this.service, this.key, route, host.encoded(payload), timeoutMs, done, host.now)
    })
  }

  #channel(): Outgoing {
    const from = this.#from
    if (from.isStopped) throw new SkewerError(code.closed, 'the actor has stopped')
    const address = `${this.service}/${this.key}`
    let channel = from.channels.get(address)
    if (channel === undefined) {
      const here = from.host.actor(this.service, this.key)
      channel =
        here === undefined
          ? new ActorChannel(from, this.service, this.key, from.host.now)
          : new DirectChannel(from, here)
      from.channels.set(address, channel)
    }
    return channel
  }

  #conclude(outcome: Outcome, resolve: (value: unknown) => void, reject: (error: SkewerError) => void): void {
    const { error, value } = resultOf(outcome, this.#from.host.settings.codec)
    if (error === undefined) resolve(value)
    else reject(error)
  }
}
