// What a broadcast handler sees: the service on this host, and the actors of it that are active here (P6).
import type { Context } from './context.ts'
import type { HostCore } from './core.ts'
import { HookJob } from './jobs.ts'

export class ServiceContext {
  readonly #host: HostCore
  readonly service: string
  /** Address of the actor that sent the broadcast, `service/key`. */
  readonly from: string

  constructor(host: HostCore, service: string, from: string) {
    this.#host = host
    this.service = service
    this.from = from
  }

  /** Keys of the actors active on this host. */
  get keys(): string[] {
    return this.#host.actorsOf(this.service).map((actor) => actor.key)
  }

  /** Runs something in the mailbox of each active actor of the service on this host. */
  forEachActor(run: (context: Context<unknown>) => unknown): void {
    for (const actor of this.#host.actorsOf(this.service)) actor.mailbox.push(new HookJob(actor, undefined, '', run))
  }
}
