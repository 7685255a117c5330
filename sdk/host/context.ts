// What a handler works with: who calls, the actor it runs in, and everything an actor may do. All effects go through
// here, so that a durable actor's can wait for its commit (D2). A context is good for as long as its actor lives, also
// behind a promise.
//
// Sending copies: what was given to push, call or publish may be changed afterwards (S3). It throws a SkewerError where a
// message is not accepted, and then nothing has happened (W1).
import type { Labels } from '../../protocols/link/frames.ts'
import { code } from '../../protocols/codes.ts'
import type { Incoming, Outcome } from '../../protocols/session/channel-end.ts'
import { laneKind } from '../../protocols/wire/lane-frames.ts'
import { SkewerError } from '../error.ts'
import { ActorTimer } from './actor.ts'
import type { Actor } from './actor.ts'
import { ActorRef } from './actor-ref.ts'
import type { Binding } from './binding.ts'
import type { GroupOptions } from './groups.ts'
import { Group } from './groups.ts'
import { resultOf } from './outcomes.ts'

/** Who sent what a handler handles. */
export interface Caller {
  readonly session: string
  readonly user: string
  readonly address: string
  readonly labels: Labels
  readonly idempotencyKey?: string
}

export type CallOptions = {
  /** How long the caller waits, in ms; the message does not run after that (Q1). Default 10,000. */
  timeoutMs?: number
}

export type Timer = { cancel(): void }

const TIMEOUT_MS = 10_000
const NOBODY: Caller = { session: '', user: '', address: '', labels: {} }

export class Context<State = unknown> {
  readonly #actor: Actor
  readonly #caller: Caller
  readonly #message: Incoming | undefined

  constructor(actor: Actor, caller: Caller | undefined, message: Incoming | undefined) {
    this.#actor = actor
    this.#caller = caller ?? NOBODY
    this.#message = message
  }

  // ---- who and where ----

  /** The session that sent the message, or that a hook is about; `a:service/key` for an actor; empty in timers. */
  get session(): string {
    return this.#caller.session
  }
  /** User of the session, as its login said; empty for actors and for sessions that have not attached yet. */
  get user(): string {
    return this.#caller.user
  }
  /** Network address of the client, as its gateway sees it. */
  get address(): string {
    return this.#caller.address
  }
  /** What policy knows of the client: canary group, claims. */
  get labels(): Labels {
    return this.#caller.labels
  }
  get service(): string {
    return this.#actor.service.name
  }
  get key(): string {
    return this.#actor.key
  }
  /** Route of the message; empty in hooks and timers. */
  get route(): string {
    return this.#message?.route ?? ''
  }
  /** Whether the caller waits for a reply. */
  get isRequest(): boolean {
    return this.#message?.kind === laneKind.request
  }
  /** How long the caller still waits, in ms; Infinity where it does not say. */
  get remainingMs(): number {
    return this.#message === undefined ? Infinity : this.#message.deadlineAt - this.#actor.host.now
  }
  /** Key of a `latest` message; empty for others. */
  get latestKey(): string {
    return this.#message?.key ?? ''
  }
  /** Idempotency key of an HTTP call; empty for others. */
  get idempotencyKey(): string {
    return this.#caller.idempotencyKey ?? ''
  }
  /** Monotonic ms, on the host's clock. */
  get now(): number {
    return this.#actor.host.now
  }

  /** The actor's own state, made by the service's `state` and changed at will by its handlers, one at a time. */
  get state(): State {
    return this.#actor.state as State
  }
  set state(value: State) {
    this.#actor.state = value
  }

  /** Sessions with a channel to this actor, attached or apart for less than `keep`. */
  get sessions(): string[] {
    const sessions: string[] = []
    for (const binding of this.#actor.bindings.values()) if (!binding.isOver) sessions.push(binding.session)
    return sessions
  }
  /** Whether the session is attached now. */
  isAttached(session: string): boolean {
    return this.#bindingOf(session)?.isAttached === true
  }
  /** The user of a session with a channel to this actor; empty where there is none. */
  userOf(session: string): string {
    return this.#bindingOf(session)?.user ?? ''
  }

  // ---- to sessions ----

  /**
   * Sends a reliable message to a session: its handler gets it exactly once and in order, or `onRefused` or `onEnd` say
   * otherwise (S1). A session without a channel here is invited to make one (P5).
   *
   * @returns the message's number on the lane
   * @throws SkewerError window_full, too_large, closed, kicked, no_route
   */
  push(session: string, route: string, payload?: unknown): number {
    if (session.startsWith('a:')) return this.#addressed(session).send(route, payload)
    return this.#reach(session).push(route, this.#encode(payload))
  }

  /**
   * The same without an exception: for what is sent often and may as well be left out while the session's window is full.
   *
   * @returns 0 where it was accepted, else the code that refuses it; then nothing has happened
   */
  tryPush(session: string, route: string, payload?: unknown): number {
    try {
      this.push(session, route, payload)
      return code.ok
    } catch (error) {
      if (error instanceof SkewerError) return error.code
      throw error
    }
  }

  /**
   * Calls the client: resolves with what its handler returns.
   *
   * @throws SkewerError (by rejection): its `ran` says whether the handler ran; `unknown` after the deadline or a reset
   */
  callClient(session: string, route: string, payload?: unknown, options?: CallOptions): Promise<unknown> {
    if (session.startsWith('a:')) return this.#addressed(session).call(route, payload, options)
    return new Promise((resolve, reject) => {
      this.#request(session, route, payload, options, (outcome) => this.#conclude(outcome, resolve, reject))
    })
  }

  /**
   * Calls the client without waiting: the outcome comes to `done` in the mailbox, behind what is there, so that other
   * messages are handled meanwhile. `error` is undefined where the client's handler has replied.
   */
  requestClient(
    session: string,
    route: string,
    payload: unknown,
    done: (context: Context<State>, error: SkewerError | undefined, value: unknown) => unknown,
    options?: CallOptions,
  ): void {
    const run = done as (context: Context<unknown>, error: SkewerError | undefined, value: unknown) => unknown
    this.#request(session, route, payload, options, (outcome) => {
      const { error, value } = resultOf(outcome, this.#actor.host.settings.codec)
      this.#actor.hook(route, this.#bindingOf(session), (context) => run(context, error, value))
      this.#actor.host.wake()
    })
  }

  /**
   * Sends the newest value of a key: an older one that still waits is replaced (C2). With `settleMs` a key that was quiet
   * for so long is sent once more as a reliable message.
   */
  latest(session: string, route: string, key: string, payload: unknown, options?: { settleMs?: number }): void {
    const settleAt = options?.settleMs === undefined ? Infinity : this.now + options.settleMs
    this.#reach(session).latest(route, key, this.#encode(payload), settleAt)
  }

  /** Sends at most once, now or never (C1); false where the session is not attached. */
  unreliable(session: string, route: string, payload?: unknown): boolean {
    return this.#bindingOf(session)?.unreliable(route, this.#encode(payload)) === true
  }

  /** Ends the session's channel to this actor behind what was sent on it (X4). */
  closeChannel(session: string): void {
    this.#bindingOf(session)?.close(code.closed)
  }

  /** Ends the session at every host that knows it and keeps it out until its ticket has ended (X4). */
  kick(session: string, why: number = code.kicked): void {
    this.#actor.host.kick(session, why, this.now, true)
  }

  // ---- groups ----

  /**
   * A group of this actor's sessions, made when it is first named; later `options` are not looked at.
   *
   * @example
   * const room = ctx.group('room', { recoverable: true })
   * room.join(ctx.session)
   * room.publish('room.said', { text })
   */
  group(name: string, options: GroupOptions = {}): GroupRef {
    const { groups, isStopped } = this.#actor
    if (isStopped) throw new SkewerError(code.closed, 'the actor has stopped')
    let group = groups.get(name)
    if (group === undefined) {
      group = new Group(this.#actor, name, options)
      groups.set(name, group)
    }
    return new GroupRef(group, (payload) => this.#encode(payload))
  }

  // ---- to other actors ----

  /** Another actor, wherever it lives: `send`, `call`, `loose` (P6). */
  actor(service: string, key: string): ActorRef {
    return new ActorRef(this.#actor, service, key)
  }

  /**
   * Sends one payload to many actors. Each target is accepted or not by itself.
   *
   * @returns the targets that did not accept it, with the reason
   */
  sendList(
    targets: readonly { service: string; key: string }[],
    route: string,
    payload?: unknown,
  ): { service: string; key: string; error: SkewerError }[] {
    const refused: { service: string; key: string; error: SkewerError }[] = []
    const bytes = this.#encode(payload)
    for (const { service, key } of targets) {
      try {
        new ActorRef(this.#actor, service, key).sendBytes(route, bytes)
      } catch (error) {
        if (!(error instanceof SkewerError)) throw error
        refused.push({ service, key, error })
      }
    }
    return refused
  }

  /** Tells every host of a service once, at most once and in no order; its `broadcasts` handlers run there (P6). */
  broadcast(service: string, route: string, payload?: unknown): void {
    this.#actor.host.broadcast(this.#actor, service, route, this.#encode(payload))
  }

  // ---- time ----

  /** Runs something once in the mailbox, after at least so many ms; called off when the actor stops. */
  timer(afterMs: number, run: (context: Context<State>) => unknown): Timer {
    return this.#timer(afterMs, 0, run)
  }

  /** Runs something every so many ms in the mailbox; turns that were missed are left out. An actor with timers is not idle. */
  every(everyMs: number, run: (context: Context<State>) => unknown): Timer {
    return this.#timer(everyMs, Math.max(1, everyMs), run)
  }

  // ---- inside ----

  #timer(afterMs: number, everyMs: number, run: (context: Context<State>) => unknown): Timer {
    if (this.#actor.isStopped) throw new SkewerError(code.closed, 'the actor has stopped')
    return new ActorTimer(this.#actor, afterMs, everyMs, run as (context: Context<unknown>) => unknown, this.now)
  }

  #bindingOf(session: string): Binding | undefined {
    const binding = this.#actor.bindingOf(session)
    return binding === undefined || binding.isOver ? undefined : binding
  }

  #reach(session: string): Binding {
    return this.#actor.reach(session, this.now)
  }

  #encode(payload: unknown): Uint8Array {
    return this.#actor.host.encoded(payload)
  }

  #request(
    session: string,
    route: string,
    payload: unknown,
    options: CallOptions | undefined,
    done: (outcome: Outcome) => void,
  ): void {
    const deadlineAt = this.now + (options?.timeoutMs ?? TIMEOUT_MS)
    this.#reach(session).request(route, this.#encode(payload), deadlineAt, done)
  }

  #conclude(outcome: Outcome, resolve: (value: unknown) => void, reject: (error: SkewerError) => void): void {
    const { error, value } = resultOf(outcome, this.#actor.host.settings.codec)
    if (error === undefined) resolve(value)
    else reject(error)
  }

  #addressed(session: string): ActorRef {
    const slash = session.indexOf('/')
    return this.actor(session.slice(2, slash), session.slice(slash + 1))
  }
}

/** A group as handlers use it. */
export class GroupRef {
  readonly #group: Group
  readonly #encode: (payload: unknown) => Uint8Array

  constructor(group: Group, encode: (payload: unknown) => Uint8Array) {
    this.#group = group
    this.#encode = encode
  }

  get name(): string {
    return this.#group.name
  }

  /** Sessions in the group. */
  get members(): string[] {
    return [...this.#group.members.values()].map(({ binding }) => binding.session)
  }

  /** Adds a session that has a channel to this actor; it stays until it leaves or its channel ends. At most 64 groups a session. */
  join(session: string): void {
    this.#group.join(session)
  }

  /** Removes a session; false where it was no member. */
  leave(session: string): boolean {
    return this.#group.leave(session)
  }

  /**
   * Sends to all members. A plain group loses it for members that are away; in a recoverable one they get it when they are
   * back, from a bounded history, or are told that they missed something (G2). `except`: at most 1,024 sessions that do
   * not get it, in plain groups only.
   *
   * @returns the publication's offset in the group
   */
  publish(route: string, payload?: unknown, options?: { except?: readonly string[] }): number {
    return this.#group.publish(route, this.#encode(payload), options?.except ?? [])
  }
}
