// Reaching a session that has no channel here (P5): hosts never open. The record is made, what is pushed waits in it, and
// INVITE asks the session through every gateway to attach; again after NO_SESSION, and to gateways that link anew, until
// the record is confirmed or `keep` has passed. INVITE is idempotent, so a few too many do no harm.
import type { LinkInvite } from '../../protocols/link/frames.ts'
import { linkKind, writeLinkInvite } from '../../protocols/link/frames.ts'
import type { Binding } from './binding.ts'
import type { HostCore } from './core.ts'
import type { HostLink } from './link.ts'
import type { Timed } from './schedule.ts'

/** Also without NO_SESSION: the gateway that had the session may have lost it with the INVITE. */
const REPEAT_FACTOR = 5

class Invite implements Timed {
  dueAt = Infinity
  place = -1
  readonly binding: Binding
  /** Gateways that do not have the session, to be asked again. */
  readonly strangers: Set<HostLink> = new Set()
  allAt: number
  readonly #invites: Invites

  constructor(invites: Invites, binding: Binding, allAt: number) {
    this.#invites = invites
    this.binding = binding
    this.allAt = allAt
  }

  due(now: number): void {
    this.#invites.repeat(this, now)
  }
}

export class Invites {
  readonly #host: HostCore
  #open: Map<Binding, Invite> = new Map()

  constructor(host: HostCore) {
    this.#host = host
  }

  start(binding: Binding, now: number): void {
    const invite = new Invite(this, binding, now + REPEAT_FACTOR * this.#host.settings.inviteMs)
    this.#open.set(binding, invite)
    for (const link of this.#host.freshLinks()) this.#write(link, binding)
    this.#host.schedule.set(invite, invite.allAt)
  }

  stop(binding: Binding): void {
    const invite = this.#open.get(binding)
    if (invite === undefined) return
    this.#open.delete(binding)
    this.#host.schedule.remove(invite)
  }

  noSession(link: HostLink, a: LinkInvite, now: number): void {
    const binding = this.#host.actor(a.service, a.key)?.bindingOf(a.session)
    const invite = binding === undefined ? undefined : this.#open.get(binding)
    if (invite === undefined || binding!.record.life !== a.life) return
    invite.strangers.add(link)
    this.#host.schedule.set(invite, Math.min(invite.dueAt, now + this.#host.settings.inviteMs))
  }

  linkReady(link: HostLink): void {
    for (const { binding } of this.#open.values()) if (!binding.isAttached) this.#write(link, binding)
  }

  linkGone(link: HostLink): void {
    for (const invite of this.#open.values()) invite.strangers.delete(link)
  }

  repeat(invite: Invite, now: number): void {
    const { binding } = invite
    if (binding.record.isConfirmed || binding.isOver) {
      this.stop(binding)
      return
    }
    const isAll = now >= invite.allAt
    if (isAll) invite.allAt = now + REPEAT_FACTOR * this.#host.settings.inviteMs
    if (!binding.isAttached) {
      const links = this.#host.freshLinks()
      for (const link of links) if (isAll || invite.strangers.has(link)) this.#write(link, binding)
    }
    invite.strangers.clear()
    this.#host.schedule.set(invite, invite.allAt)
  }

  #write(link: HostLink, binding: Binding): void {
    this.#host.counters.invitesSent++
    const { session, record, actor } = binding
    const { service, key } = actor
    writeLinkInvite(link.writer, linkKind.invite, { session, service: service.name, key, life: record.life })
    this.#host.wake()
  }
}
