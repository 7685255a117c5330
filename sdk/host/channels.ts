// All channels of this host's actors to actors elsewhere, and the answers of gateways to their OPENs, found by handle.
import type { Answer, Attached, Detached, Reset, Stale } from '../../protocols/client/frames.ts'
import type { ActorChannel } from './actor-channel.ts'
import type { HostLink } from './link.ts'

export class Channels {
  #all: Set<ActorChannel> = new Set()

  get count(): number {
    return this.#all.size
  }

  add(channel: ActorChannel): void {
    this.#all.add(channel)
  }
  delete(channel: ActorChannel): void {
    this.#all.delete(channel)
  }

  linkReady(now: number): void {
    for (const channel of [...this.#all]) channel.linkReady(now)
  }

  attached(link: HostLink, a: Attached, now: number): void {
    this.#of(link, a.channel)?.onAttached(a, now)
  }
  reset(link: HostLink, a: Reset, now: number): void {
    this.#of(link, a.channel)?.onReset(a, now)
  }
  stale(link: HostLink, a: Stale, isSpent: boolean, now: number): void {
    this.#of(link, a.channel)?.onStale(a, isSpent, now)
  }
  parked(link: HostLink, a: Answer): void {
    this.#of(link, a.channel)?.onParked(a)
  }
  refused(link: HostLink, a: Answer, now: number): void {
    this.#of(link, a.channel)?.onRefused(a, now)
  }
  detached(link: HostLink, a: Detached, now: number): void {
    this.#of(link, a.channel)?.onDetached(a, now)
  }

  /** Odd handles have no other owners; one that was let go has none, and late answers on it are dropped. */
  #of(link: HostLink, handle: number): ActorChannel | undefined {
    if (handle % 2 === 0) return undefined
    return link.handles.at(handle)?.owner as ActorChannel | undefined
  }
}
