// The requests of one attachment that a host has not answered yet: what circuit breakers and concurrency limits are told
// of. A few parallel arrays, at most as many entries as an end may have open (W4); nothing is looked up by a number that
// a peer chose but by walking them.
import type { CircuitBreaker, Pass } from '../policies/circuit-breaker.ts'
import type { Guard } from './guard.ts'

/** W4: an end has at most so many open; what a client opens beyond is not followed. */
const OPEN_MAX = 64

export class OpenRequests {
  /** The breakers of the service and host that they go to; looked up whenever the first of some is opened. */
  ofService: CircuitBreaker | undefined = undefined
  ofHost: CircuitBreaker | undefined = undefined
  readonly ids: number[] = []
  readonly sentAt: number[] = []
  readonly lateAt: number[] = []
  readonly guards: (Guard | undefined)[] = []
  readonly passes: Pass[] = []

  get count(): number {
    return this.ids.length
  }

  /** False: as many are open as an end may have. */
  add(id: number, lateAt: number, guard: Guard | undefined, as: Pass, now: number): boolean {
    if (this.ids.length >= OPEN_MAX) return false
    this.ids.push(id)
    this.sentAt.push(now)
    this.lateAt.push(lateAt)
    this.guards.push(guard)
    this.passes.push(as)
    return true
  }

  /** The place of the request with this id, -1 where none is open. */
  find(id: number): number {
    return this.ids.lastIndexOf(id)
  }

  /** Forgets the entry at this place; the last one takes it. */
  remove(at: number): void {
    const last = this.ids.length - 1
    this.ids[at] = this.ids[last]
    this.sentAt[at] = this.sentAt[last]
    this.lateAt[at] = this.lateAt[last]
    this.guards[at] = this.guards[last]
    this.passes[at] = this.passes[last]
    this.ids.length = this.sentAt.length = this.lateAt.length = this.guards.length = this.passes.length = last
  }
}
