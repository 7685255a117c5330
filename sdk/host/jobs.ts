// The jobs of a mailbox: messages, wherever they come from, and moments of an actor's life. Each message is settled once
// and each request gets one reply, whatever its handler does (W2, Q1).
import { code } from '../../protocols/codes.ts'
import type { Incoming } from '../../protocols/session/channel-end.ts'
import { laneKind } from '../../protocols/wire/lane-frames.ts'
import { SkewerError } from '../error.ts'
import type { Actor } from './actor.ts'
import type { Caller } from './context.ts'
import { Context } from './context.ts'
import type { Job } from './mailbox.ts'

const EMPTY: Uint8Array = new Uint8Array(0)
const TEXT_BYTES_MAX = 1024
const encoder = new TextEncoder()

/** The payload of a reply that is no result: a sentence of ours or of a SkewerError, never of another error. */
export function failure(error: unknown): { code: number; payload: Uint8Array } {
  if (!(error instanceof SkewerError)) return { code: code.handler_failed, payload: EMPTY }
  const payload = encoder.encode(error.message)
  return {
    code: error.code === code.ok ? code.handler_failed : error.code,
    payload: payload.length > TEXT_BYTES_MAX ? EMPTY : payload,
  }
}

/** Whose messages they are: a session's binding, another actor, or one loose call. */
export interface MessageSource extends Caller {
  readonly actor: Actor
  /** Messages of a kicked session do not run any more. */
  readonly isKicked: boolean
  /** The message leaves the mailbox. */
  started(job: MessageJob): void
  /** Its handler is called next. */
  running?(): void
  /** Its one end: the reply where it is a request, and the number where it has one. */
  settle(message: Incoming, code: number, payload: Uint8Array, now: number): void
}

export class MessageJob implements Job {
  readonly source: MessageSource
  readonly message: Incoming
  #isDone = false

  constructor(source: MessageSource, message: Incoming) {
    this.source = source
    this.message = message
  }

  start(now: number): unknown {
    const { source, message } = this
    source.started(this)
    const actor = source.actor
    const host = actor.host
    if (source.isKicked) return this.#done(code.kicked, EMPTY, now)
    if (message.deadlineAt <= now) {
      host.counters.requestsExpired++
      return this.#done(code.expired, EMPTY, now)
    }
    const handler = actor.service.routes.get(message.route)
    if (handler === undefined) {
      host.counters.routesNotFound++
      return this.#done(code.not_found, EMPTY, now)
    }
    let payload: unknown
    try {
      payload = message.payload.length === 0 ? undefined : host.settings.codec.decode(message.payload)
    } catch {
      return this.#done(code.invalid_payload, EMPTY, now)
    }
    host.counters.handled++
    source.running?.()
    return handler(new Context(actor, source, message), payload)
  }

  finish(value: unknown, now: number): void {
    if (this.#isDone) return
    if (this.message.kind !== laneKind.request) {
      this.#done(code.ok, EMPTY, now)
      return
    }
    let payload = EMPTY
    try {
      if (value !== undefined) payload = this.source.actor.host.settings.codec.encode(value)
    } catch (error) {
      this.fail(error, now)
      return
    }
    this.#done(code.ok, payload, now)
  }

  fail(error: unknown, now: number): void {
    if (this.#isDone) return
    this.source.actor.failed(this.message.route, error)
    const { code: why, payload } = failure(error)
    this.#done(why, payload, now)
  }

  cut(now: number): void {
    if (this.#isDone) return
    this.source.actor.cut(this.message.route)
    this.#done(code.handler_failed, EMPTY, now)
  }

  #done(why: number, payload: Uint8Array, now: number): undefined {
    this.#isDone = true
    this.source.settle(this.message, why, payload, now)
  }
}

/** A hook or a timer of the actor. */
export class HookJob implements Job {
  readonly #actor: Actor
  readonly #caller: Caller | undefined
  readonly #name: string
  readonly #run: (context: Context<unknown>) => unknown
  readonly #after: ((ok: boolean, now: number) => void) | undefined

  constructor(
    actor: Actor,
    caller: Caller | undefined,
    name: string,
    run: (context: Context<unknown>) => unknown,
    after?: (ok: boolean, now: number) => void,
  ) {
    this.#actor = actor
    this.#caller = caller
    this.#name = name
    this.#run = run
    this.#after = after
  }

  start(): unknown {
    return this.#run(new Context(this.#actor, this.#caller, undefined))
  }

  finish(_value: unknown, now: number): void {
    this.#after?.(true, now)
  }

  fail(error: unknown, now: number): void {
    this.#actor.failed(this.#name, error)
    this.#after?.(false, now)
  }

  cut(now: number): void {
    this.#actor.cut(this.#name)
    this.#after?.(false, now)
  }
}
