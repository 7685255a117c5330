// A group of sessions to which its actor publishes with one frame a link (G1): the gateway fans out. A plain group loses
// what is published while a member is away. A recoverable one numbers its publications from 1 under a random life and
// keeps a bounded history, from which members catch up (G2, G3).
import { code } from '../../protocols/codes.ts'
import { EXCLUDES_MAX, writePublish } from '../../protocols/link/frames.ts'
import { SkewerError } from '../error.ts'
import type { Actor } from './actor.ts'
import type { HostLink } from './link.ts'
import type { Membership } from './memberships.ts'

export type GroupOptions = {
  /** Whether members that were away get what they missed. Default false. */
  recoverable?: boolean
  /** Publications kept for them. Default 256. */
  historyCount?: number
  /** Bytes kept for them. Default 256 KiB. */
  historyBytes?: number
}

type Entry = { offset: number; route: string; payload: Uint8Array }
/** The group on one link: its number there, how many members joined, the offset behind which publications were dropped. */
type OnLink = { number: number; members: number; behindAt: number }

const NONE: readonly number[] = []

export class Group {
  readonly actor: Actor
  readonly name: string
  readonly isRecoverable: boolean
  readonly life: bigint
  /** Offset of the last publication; the first has 1. */
  offset = 0
  readonly members: Map<string, Membership> = new Map()
  readonly #countMax: number
  readonly #bytesMax: number
  #history: Entry[] = []
  #historyHead = 0
  #historyBytes = 0
  #links: Map<HostLink, OnLink> = new Map()

  constructor(actor: Actor, name: string, options: GroupOptions) {
    this.actor = actor
    this.name = name
    this.isRecoverable = options.recoverable ?? false
    this.#countMax = options.historyCount ?? 256
    this.#bytesMax = options.historyBytes ?? 256 * 1024
    this.life = this.isRecoverable ? actor.host.mintLife() : 0n
  }

  // ---- members ----

  join(session: string): void {
    const binding = this.actor.bindingOf(session)
    if (binding === undefined || binding.isOver)
      throw new SkewerError(code.detached, `session ${session} has no channel to ${this.actor.address}`)
    if (this.members.has(`s${session}`)) return
    this.members.set(`s${session}`, binding.memberships.join(this))
    this.actor.host.touch(binding)
  }

  leave(session: string): boolean {
    const membership = this.members.get(`s${session}`)
    if (membership === undefined) return false
    this.remove(membership)
    return true
  }

  remove(membership: Membership): void {
    this.members.delete(`s${membership.binding.session}`)
    membership.binding.memberships.leave(membership)
  }

  end(): void {
    for (const membership of [...this.members.values()]) this.remove(membership)
    this.#history = []
  }

  // ---- publishing ----

  publish(route: string, payload: Uint8Array, except: readonly string[]): number {
    const { host } = this.actor
    host.routes.admit(route)
    if (this.isRecoverable && except.length > 0)
      throw new SkewerError(code.not_allowed, 'every member of a recoverable group gets every publication')
    if (except.length > EXCLUDES_MAX) throw new SkewerError(code.too_large, `at most ${EXCLUDES_MAX} exceptions`)
    if (payload.length > host.settings.window.bytes >>> 2) throw new SkewerError(code.too_large)
    this.offset++
    if (this.isRecoverable) this.#keep({ offset: this.offset, route, payload })
    host.counters.published++
    for (const [link, on] of this.#links) this.#write(link, on, route, payload, except)
    return this.offset
  }

  #write(link: HostLink, on: OnLink, route: string, payload: Uint8Array, except: readonly string[]): void {
    const { host } = this.actor
    // Nothing waits for a full link but lanes: a plain group loses the publication, members of a recoverable one catch up
    // on their lanes when there is room again (G4).
    if (!link.hasRoom) {
      host.counters.publicationsDropped++
      if (on.behindAt < 0) on.behindAt = this.offset - 1
      link.fellBehind(this)
      return
    }
    const number = link.numberOf(route, link.writer)
    const excludes = except.length === 0 ? NONE : this.#handlesOn(link, except)
    writePublish(link.writer, on.number, number, this.isRecoverable ? this.offset : 0, excludes, payload)
    host.wake()
  }

  #handlesOn(link: HostLink, sessions: readonly string[]): number[] {
    const handles: number[] = []
    for (const session of sessions) {
      const membership = this.members.get(`s${session}`)
      if (membership === undefined || !membership.isJoined || membership.binding.link !== link) continue
      handles.push(membership.binding.handle!.number)
    }
    return handles
  }

  /** The link has room again. */
  drained(link: HostLink): void {
    const on = this.#links.get(link)
    if (on === undefined || on.behindAt < 0) return
    const offset = on.behindAt
    on.behindAt = -1
    if (!this.isRecoverable) return
    for (const membership of this.members.values()) {
      if (membership.isJoined && membership.binding.link === link)
        membership.binding.memberships.fellBehind(membership, offset)
    }
  }

  // ---- history ----

  /** Offset of the oldest publication kept, or the next one where none is. */
  get oldest(): number {
    return this.#historyHead < this.#history.length ? this.#history[this.#historyHead].offset : this.offset + 1
  }

  at(offset: number): Entry | undefined {
    const index = this.#historyHead + offset - this.oldest
    return index >= this.#historyHead && index < this.#history.length ? this.#history[index] : undefined
  }

  #keep(entry: Entry): void {
    this.#history.push(entry)
    this.#historyBytes += entry.payload.length
    while (this.#history.length - this.#historyHead > this.#countMax || this.#historyBytes > this.#bytesMax) {
      this.#historyBytes -= this.#history[this.#historyHead++].payload.length
    }
    if (this.#historyHead > this.#countMax) {
      this.#history = this.#history.slice(this.#historyHead)
      this.#historyHead = 0
    }
  }

  // ---- links ----

  numberOn(link: HostLink): number {
    return this.#links.get(link)?.number ?? -1
  }

  /** A member joins on this link; its group number there, or -1 where there is none left. */
  joinOn(link: HostLink): number {
    let on = this.#links.get(link)
    if (on === undefined) {
      const number = link.takeGroupNumber(this)
      if (number < 0) return -1
      on = { number, members: 0, behindAt: -1 }
      this.#links.set(link, on)
    }
    on.members++
    return on.number
  }

  left(link: HostLink): void {
    const on = this.#links.get(link)
    if (on === undefined || --on.members > 0) return
    this.#links.delete(link)
    link.freeGroupNumber(on.number)
  }
}
