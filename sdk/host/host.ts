// A host as a game server starts it: the core on real sockets, a monotonic clock and one timer. One write a link and
// event-loop turn (setImmediate); the rest is in core.ts.
import { createHmac, randomBytes } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import { code } from '../../protocols/codes.ts'
import type { Context } from './context.ts'
import { Context as ActorContext } from './context.ts'
import { HostCore } from './core.ts'
import type { HostCounters } from './events.ts'
import type { HostTls } from './listener.ts'
import { isLoopback, Listener, listenOptions } from './listener.ts'
import type { HostNoise } from './noise-link.ts'
import type { HostOptions } from './options.ts'
import type { Service } from './service.ts'

export type StartOptions = HostOptions & {
  /** Where gateways dial: `host:port`, `[v6]:port` or `unix:/path`. Port 0 takes a free one. */
  listen: string
  /** What the host runs. */
  services: readonly Service[]
  /** TLS on the port; with `ca` gateways must show a certificate. */
  tls?: HostTls
  /** Noise on the port instead: only gateways whose public keys are named can link (L4). */
  noise?: HostNoise
}

/** Longest wait of one timer; Node fires at once what is longer than 2^31 ms. */
const TIMER_MS_MAX = 3_600_000
const DRAIN_LOOK_MS = 50

export class Host {
  readonly #core: HostCore
  readonly #listener: Listener
  #timer: NodeJS.Timeout | undefined
  #timerAt = Infinity
  #busy = performance.eventLoopUtilization()
  #closed: Promise<void> | undefined

  /** @internal use `startHost` */
  constructor(options: StartOptions) {
    const now = () => performance.now()
    this.#core = new HostCore(options, {
      now,
      randomBytes,
      hmac(key, ...parts) {
        const hmac = createHmac('sha256', key)
        for (const part of parts) hmac.update(part)
        return hmac.digest()
      },
      write: (link, bytes) => this.#listener.write(link, bytes),
      closeLink: (link) => this.#listener.end(link),
      queuedBytes: (link) => this.#listener.queuedBytes(link),
      scheduleFlush: () => {
        setImmediate(() => {
          this.#core.flush(performance.now())
          this.#arm()
        })
      },
      busy: () => {
        const last = this.#busy
        this.#busy = performance.eventLoopUtilization()
        return performance.eventLoopUtilization(this.#busy, last).utilization
      },
    })
    for (const service of options.services) this.#core.service(service)
    this.#listener = new Listener(this.#core, options, now, () => this.#arm())
  }

  /** @internal */
  listen(listen: string): Promise<void> {
    return this.#listener.listen(listenOptions(listen))
  }

  get name(): string {
    return this.#core.settings.name
  }

  /** Where it listens, with the port that was taken. */
  get address(): string {
    return this.#listener.address
  }

  /** What it has counted since its start. */
  get counters(): Readonly<HostCounters> {
    return this.#core.counters
  }

  /** Gateways linked, proved or not. */
  get linkCount(): number {
    return this.#core.linkCount
  }

  /** Sessions with a channel to an actor here, attached or apart for less than `keep`. */
  get sessionCount(): number {
    return this.#core.sessionCount
  }

  /**
   * An actor of this host, made active here if it is not: to push, publish or send from outside of any handler, as when a
   * match is made. The program answers for it that the actor is on no other host.
   *
   * @throws SkewerError no_service
   * @example
   * host.actor('arena', 'room-1').push(session, 'arena.invited', { room: 'room-1' })
   */
  actor(service: string, key: string): Context {
    return new ActorContext(this.#core.actorHere(service, key, performance.now()), undefined, undefined)
  }

  /** Ends a session at every host that knows it, and keeps it out until its ticket has ended. */
  kick(session: string): void {
    this.#core.kick(session, code.kicked, performance.now(), true)
  }

  /**
   * Tells the gateways to place nothing new here, and waits until no session has a channel here any more.
   *
   * @param options.withinMs longest wait; default 30,000
   * @returns how many sessions are left
   */
  async drain(options: { withinMs?: number } = {}): Promise<number> {
    const until = performance.now() + (options.withinMs ?? 30_000)
    this.#core.drain(performance.now())
    while (this.#core.sessionCount > 0 && performance.now() < until) {
      await new Promise((resolve) => setTimeout(resolve, DRAIN_LOOK_MS))
    }
    return this.#core.sessionCount
  }

  /** Runs every actor's onStop, says GOODBYE to the gateways, so that others take over at once, and closes the port. */
  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#core.stopActors(performance.now(), resolve)
      this.#arm()
    })
    this.#core.close(performance.now())
    clearTimeout(this.#timer)
    await this.#listener.close()
    clearTimeout(this.#timer)
  }

  /** One timer for all that waits: moved when something is due earlier, left alone when later. */
  #arm(): void {
    const at = this.#core.deadline()
    if (at >= this.#timerAt || this.#core.isClosed) return
    clearTimeout(this.#timer)
    this.#timerAt = at
    const waitMs = Math.min(TIMER_MS_MAX, Math.max(0, at - performance.now()))
    this.#timer = setTimeout(() => {
      this.#timerAt = Infinity
      this.#core.tick(performance.now())
      this.#arm()
    }, waitMs)
  }
}

/**
 * Starts a host: from the moment this resolves gateways can link.
 *
 * @throws TypeError for a `listen` that is none; Error where the port cannot be had, or where it is bound beyond loopback
 *   with neither a link key nor client certificates nor Noise (L4)
 * @example
 * const echo = service('echo', { keys: 'any', routes: { 'echo.say': (ctx, payload) => payload } })
 * const host = await startHost({ name: 'h1', listen: '127.0.0.1:7800', services: [echo], codec: json })
 */
export async function startHost(options: StartOptions): Promise<Host> {
  const where = listenOptions(options.listen)
  const isOpen = (options.linkKey ?? '') === '' && options.tls?.ca === undefined && options.noise === undefined
  if (isOpen && !isLoopback(where)) {
    throw new Error(
      `host ${options.name} would listen on ${options.listen} for anybody: set linkKey to the gateway's link key, tls.ca or noise`,
    )
  }
  const host = new Host(options)
  await host.listen(options.listen)
  return host
}
