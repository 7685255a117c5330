// An actor: one addressable object, `service/key`, with one mailbox, its state, the sessions bound to it, its timers,
// groups and channels to other actors. It is active from its first attach or message until it was idle for a while.
import { code, codeName } from '../../protocols/codes.ts'
import type { Item } from '../../protocols/session/outbox.ts'
import { SkewerError } from '../error.ts'
import type { Outgoing } from './outgoing.ts'
import type { KeptAnswers } from './answers.ts'
import { Binding } from './binding.ts'
import type { Caller, Context } from './context.ts'
import type { DirectChannel } from './direct-channel.ts'
import type { HostCore } from './core.ts'
import type { Group } from './groups.ts'
import { HookJob } from './jobs.ts'
import type { LooseCall } from './loose.ts'
import { Mailbox } from './mailbox.ts'
import type { Timed } from './schedule.ts'
import type { Service } from './service.ts'

export class Actor implements Timed {
  dueAt = Infinity
  place = -1
  readonly host: HostCore
  readonly service: Service
  readonly key: string
  readonly mailbox: Mailbox
  /** Channels of sessions by session; keys begin with `s`, so that none is an integer in disguise. */
  readonly bindings: Map<string, Binding> = new Map()
  readonly groups: Map<string, Group> = new Map()
  readonly channels: Map<string, Outgoing> = new Map()
  readonly timers: Set<ActorTimer> = new Set()
  state: unknown
  isStopped = false
  /** Channels of other actors of this host that reach this one directly. */
  readonly incoming: Set<DirectChannel> = new Set()
  /** Loose calls that wait or run here. */
  readonly loose: Set<LooseCall> = new Set()
  /** Of calls with an idempotency key; made with the first one (H1). */
  answers: KeptAnswers | undefined
  /** Highest epoch minted for this actor as the client end of channels to others (P6). */
  epoch = 0
  #isStopping = false

  constructor(host: HostCore, service: Service, key: string) {
    this.host = host
    this.service = service
    this.key = key
    this.mailbox = new Mailbox(host, (now) => this.considerIdle(now))
    const { state, onStart } = service.definition
    this.mailbox.push(
      new HookJob(
        this,
        undefined,
        'onStart',
        (context) => {
          this.state = state?.(key)
          return onStart?.(context)
        },
        (ok, now) => {
          if (!ok) this.stop(code.handler_failed, now)
        },
      ),
    )
    host.settings.onEvent({ event: 'actor_started', service: service.name, key })
  }

  get address(): string {
    return `${this.service.name}/${this.key}`
  }

  bindingOf(session: string): Binding | undefined {
    return this.bindings.get(`s${session}`)
  }

  /** The live channel of a session, made and offered by INVITE where there is none (P5). */
  reach(session: string, now: number): Binding {
    if (this.isStopped) throw new SkewerError(code.closed, 'the actor has stopped')
    const old = this.bindingOf(session)
    if (old !== undefined && !old.isOver) return old
    const kicked = this.host.kicks.of(session, now)
    if (kicked !== code.ok) throw new SkewerError(kicked)
    const binding = this.bind(session, now)
    this.host.invites.start(binding, now)
    return binding
  }

  /** Makes the record of a channel; one that was there must have ended. */
  bind(session: string, now: number): Binding {
    this.bindings.get(`s${session}`)?.forget()
    const binding = new Binding(this, session, now)
    this.bindings.set(`s${session}`, binding)
    this.host.bound(binding)
    this.host.schedule.remove(this)
    return binding
  }

  hook(name: string, caller: Caller | undefined, run: ((context: Context<unknown>) => unknown) | undefined): void {
    if (run !== undefined) this.mailbox.push(new HookJob(this, caller, name, run))
  }

  failed(route: string, error: unknown): void {
    this.host.counters.handlersFailed++
    // A refusal is an answer, not an accident.
    if (error instanceof SkewerError) return
    const { name } = this.service
    this.host.settings.onEvent({ event: 'handler_failed', service: name, key: this.key, route, error })
  }

  cut(route: string): void {
    this.host.counters.handlersCut++
    this.host.settings.onEvent({ event: 'handler_cut', service: this.service.name, key: this.key, route })
  }

  /** The application's view of messages whose outcome is unknown. */
  values(items: Item[]): { route: string; payload: unknown }[] {
    return items.map((item) => ({ route: item.route, payload: this.host.decoded(item.payload) }))
  }

  // ---- its end ----

  get isIdle(): boolean {
    if (!this.mailbox.isIdle || this.timers.size > 0 || this.answers?.isEmpty === false) return false
    for (const binding of this.bindings.values()) if (!binding.isOver) return false
    for (const channel of this.channels.values()) if (!channel.isQuiet) return false
    return true
  }

  /** Starts or ends the wait for the end of an actor that nobody uses. */
  considerIdle(now: number): void {
    if (this.isStopped || this.#isStopping) return
    const { idleMs } = this.service
    if (idleMs === Infinity || !this.isIdle) this.host.schedule.remove(this)
    else this.host.schedule.set(this, now + idleMs)
  }

  due(now: number): void {
    if (!this.isIdle) {
      this.considerIdle(now)
      return
    }
    this.leave(now)
  }

  /** Runs onStop behind what waits in the mailbox, then stops. */
  leave(now: number, after?: () => void): void {
    if (this.isStopped) {
      after?.()
      return
    }
    this.#isStopping = true
    const { onStop } = this.service.definition
    const stopped = (_ok: boolean, at: number) => {
      this.#isStopping = false
      // A session that came while it ran keeps the actor, with the state that onStop left.
      if (after === undefined && !this.isIdle) return
      this.stop(code.host_away, at)
      after?.()
    }
    if (onStop === undefined && this.mailbox.isIdle) stopped(true, now)
    else this.mailbox.push(new HookJob(this, undefined, 'onStop', (context) => onStop?.(context), stopped))
  }

  /** The actor is gone; what is bound to it ends with `why`. */
  stop(why: number, now: number): void {
    if (this.isStopped) return
    this.isStopped = true
    for (const binding of [...this.bindings.values()]) binding.end(why, now)
    for (const channel of [...this.channels.values()]) channel.close(now)
    for (const direct of [...this.incoming]) direct.targetStopped()
    for (const timer of [...this.timers]) timer.cancel()
    for (const group of [...this.groups.values()]) group.end()
    this.mailbox.close()
    for (const call of this.loose) call.actorStopped(now)
    this.loose.clear()
    this.answers?.end()
    this.host.schedule.remove(this)
    this.host.actorStopped(this)
    this.host.settings.onEvent({ event: 'actor_stopped', service: this.service.name, key: this.key })
  }
}

/** A timer of an actor: runs in its mailbox and ends with it. */
export class ActorTimer implements Timed {
  dueAt = Infinity
  place = -1
  readonly #actor: Actor
  readonly #run: (context: Context<unknown>) => unknown
  readonly #everyMs: number
  #nextAt: number

  constructor(
    actor: Actor,
    afterMs: number,
    everyMs: number,
    run: (context: Context<unknown>) => unknown,
    now: number,
  ) {
    this.#actor = actor
    this.#run = run
    this.#everyMs = everyMs
    this.#nextAt = now + Math.max(0, afterMs)
    actor.timers.add(this)
    actor.host.schedule.set(this, this.#nextAt)
    actor.host.schedule.remove(actor)
    actor.host.wake()
  }

  cancel(): void {
    this.#actor.timers.delete(this)
    this.#actor.host.schedule.remove(this)
  }

  due(): void {
    this.#actor.mailbox.push(new HookJob(this.#actor, undefined, 'timer', this.#run, (_ok, now) => this.#again(now)))
  }

  /** The next turn of a repeated timer starts when the last has finished; turns that were missed are left out. */
  #again(now: number): void {
    if (!this.#actor.timers.has(this)) return
    if (this.#everyMs === 0) {
      this.#actor.timers.delete(this)
      return
    }
    this.#nextAt = Math.max(this.#nextAt + this.#everyMs, now)
    this.#actor.host.schedule.set(this, this.#nextAt)
  }
}

/** What `onEnd` is told; what was never offered to the session did not run, certainly (P5). */
export const endingOf = (why: number, items: { route: string; payload: unknown }[], isCertain: boolean) => ({
  code: why,
  name: codeName(why),
  unknown: isCertain ? [] : items,
  undelivered: isCertain ? items : [],
})
