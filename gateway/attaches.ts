// Attaching: what an ATTACH must fulfil (A4, A11, T1), where it goes (P1-P3), what the host's answer means for the end that
// asked (A7, A8), and every way in which an attachment ends (A10). Ends are clients or, for OPEN, other hosts (P6): both
// speak the same frames, so the code differs in the outlet only.
import type { Attach, Attached, Reset, Stale } from '../protocols/client/frames.ts'
import {
  clientKind,
  writeAnswer,
  writeAttached,
  writeDetached,
  writeReset,
  writeStale,
} from '../protocols/client/frames.ts'
import { code } from '../protocols/codes.ts'
import { ReplayCredit } from '../policies/replay-credit.ts'
import type { CloseHandle, NotHere, Open } from '../protocols/link/frames.ts'
import { SESSION_BYTES_MAX, writeLinkAttach } from '../protocols/link/frames.ts'
import type { AttachRequest } from './attachment.ts'
import { Attachment, attachState } from './attachment.ts'
import type { ClientConnection } from './client-connection.ts'
import { cell, drop } from './counters.ts'
import { fallBack, takePin } from './fallback.ts'
import type { Gateway } from './gateway.ts'
import type { Link } from './link.ts'
import type { Outlet } from './outlet.ts'
import { sealPin } from './pins.ts'

/** Aliases are small: a client numbers its channels from 0. */
export const ALIASES_MAX = 256
/** How many NOT_HEREs one attach follows. */
const HOPS_MAX = 4
const RETRY_MS = 1000
const EMPTY = new Uint8Array(0)
const encoder = new TextEncoder()

export class Attaches {
  readonly #gateway: Gateway

  constructor(gateway: Gateway) {
    this.#gateway = gateway
  }

  /** ATTACH of a client; false when that closed its connection. */
  attach(connection: ClientConnection, a: Attach, now: number): boolean {
    if (a.alias >= ALIASES_MAX) return connection.violate('alias too large')
    const session = connection.session!
    const key = a.key === '' ? session.user : a.key
    const request: AttachRequest = { ...a, key }
    // The client let go of what this alias stood for when it sent this.
    const former = connection.aliases[a.alias]
    if (former !== undefined) this.letGo(former, code.superseded)
    const attachment = new Attachment(connection.outlet, a.alias, connection, undefined, session.id, request)
    while (connection.aliases.length < a.alias) connection.aliases.push(undefined)
    connection.aliases[a.alias] = attachment
    connection.channelCount++
    this.#gateway.counters.cells[cell.attaches]++
    let refusal = this.#admit(connection, attachment, a)
    if (refusal === code.ok) refusal = this.#gateway.singleLogin.claim(session, now)
    if (refusal !== code.ok) {
      this.#refuse(attachment, refusal, refusal < 500 ? RETRY_MS : 0)
      return true
    }
    const older = session.channelOf(attachment.placedAt, key)
    // Only what is older is closed here; a late ATTACH with a lower epoch, or one that shows an older ticket, must not cut
    // off the newer one: the host answers it with STALE or SPENT (A5).
    const isNewer = older === undefined || (older.epoch < a.epoch && older.ticketGeneration <= a.ticketGeneration)
    if (isNewer) {
      if (older !== undefined) this.supersede(older)
      session.enter(attachment)
    }
    this.place(attachment, now)
    return true
  }

  #admit(connection: ClientConnection, attachment: Attachment, a: Attach): number {
    const gateway = this.#gateway
    const service = gateway.services.get(a.service)
    if (connection.isAuthExpired) return code.auth_required
    if (service === undefined) return code.no_service
    if (service.keys === 'user' && attachment.key !== connection.session!.user) return code.not_allowed
    // T1: a generation that was neither shown nor issued here is not the client's to name.
    if (a.ticketGeneration < connection.generationShown || a.ticketGeneration > connection.generationIssued) {
      return code.not_allowed
    }
    if (connection.channelCount > gateway.limits.channelsPerSession) return code.too_many_channels
    return takePin(gateway, attachment, a.pin)
  }

  /** OPEN of a host (P6): its actor is the client end, the session is the actor's address. False: the link was closed. */
  open(link: Link, o: Open, now: number): boolean {
    const sessionName = `a:${o.from}`
    const request: AttachRequest = { ...o, ticketGeneration: 0, groups: [] }
    const attachment = new Attachment(link.outlet, o.handle, undefined, link, sessionName, request)
    const slot = link.handles.adopt(o.handle, attachment)
    if (slot === undefined) return link.violate('OPEN on a handle that is not free')
    this.#gateway.counters.cells[cell.attaches]++
    let refusal: number = code.ok
    if (encoder.encode(sessionName).length > SESSION_BYTES_MAX || o.key === '') refusal = code.not_allowed
    else if (!this.#gateway.services.has(o.service)) refusal = code.no_service
    else refusal = takePin(this.#gateway, attachment, o.pin)
    if (refusal === code.ok) this.place(attachment, now)
    else this.#refuse(attachment, refusal, refusal < 500 ? RETRY_MS : 0)
    return true
  }

  /** Forwards an ATTACH to its host, or lets it wait for that host, or refuses it (A4, P1-P3). */
  place(attachment: Attachment, now: number): void {
    const hosts = this.#gateway.hostTable
    attachment.state = attachState.placing
    let host = attachment.target === '' ? undefined : hosts.named(attachment.target, now)
    if (host === undefined && attachment.target !== '') {
      // P3: declared gone; its pins are given up, and the host that is chosen instead is told so (X3).
      if (attachment.targetIsPin) attachment.pinnedGone = true
      attachment.target = ''
      attachment.targetIsPin = false
    }
    host ??= hosts.choose(attachment.placedAt, attachment.key, attachment.session?.labels)
    attachment.host = host
    const link = host?.current
    if (link === undefined) {
      this.#park(attachment, now)
      return
    }
    this.#gateway.parking.leave(attachment)
    if (link.isFull || link.outlet.held > link.bytesMax) {
      this.#refuse(attachment, code.busy, RETRY_MS)
      return
    }
    const guard = this.#gateway.guards.askAttach(attachment, host!.name, now)
    if (guard === undefined) this.#forward(attachment, link)
    else this.#turnAway(attachment, guard.refusal, guard.retryMs(now), now)
  }

  /** R5: another service takes it, or it is refused. */
  #turnAway(attachment: Attachment, why: number, retryMs: number, now: number): void {
    if (fallBack(this.#gateway, attachment)) this.place(attachment, now)
    else this.#refuse(attachment, why, retryMs)
  }

  /** A host that is away is waited for, or refuses the attach; it never settles a number (A4, R5). */
  #park(attachment: Attachment, now: number): void {
    const gateway = this.#gateway
    if (gateway.services.get(attachment.placedAt)?.whenAway !== 'park') {
      this.#turnAway(attachment, code.host_away, RETRY_MS, now)
      return
    }
    const isNew = attachment.parking === undefined
    const refusal = gateway.parking.park(attachment, now)
    if (refusal !== code.ok) {
      this.#turnAway(attachment, refusal, RETRY_MS, now)
      return
    }
    attachment.state = attachState.parked
    if (!isNew) return
    writeAnswer(attachment.outlet.writer, clientKind.parked, {
      channel: attachment.channel,
      epoch: attachment.epoch,
      code: code.ok,
      retryMs: gateway.times.parkMaxMs,
    })
    this.#told(attachment)
    gateway.env.observe({
      event: 'channel_parked',
      session: attachment.sessionName,
      service: attachment.service,
      key: attachment.key,
      host: attachment.host?.name ?? '',
    })
  }

  /** The longest time to wait is over; the actor is not re-homed by that (P3, A4). */
  parkedTooLong(attachment: Attachment, now: number): void {
    this.#turnAway(attachment, code.host_away, RETRY_MS, now)
  }

  #forward(attachment: Attachment, link: Link): void {
    const slot = link.handles.allocate(attachment)
    if (slot === undefined) {
      this.#refuse(attachment, code.busy, RETRY_MS)
      return
    }
    attachment.state = attachState.attaching
    attachment.link = link
    attachment.slot = slot
    attachment.handle = slot.handle
    const request = attachment.request!
    const session = attachment.session
    const { limits } = this.#gateway
    let grantedBytes = limits.windowBytes
    if (attachment.connection !== undefined) {
      const grant = attachment.connection.grants.take(limits)
      grantedBytes = grant.windowBytes
      attachment.granted = grant.total
    }
    writeLinkAttach(link.outlet.writer, {
      handle: slot.handle,
      epoch: request.epoch,
      ticketGeneration: request.ticketGeneration,
      session: attachment.sessionName,
      user: session === undefined ? '' : session.user,
      address: (attachment.connection?.outlet ?? attachment.origin!.outlet).carrier.address,
      labels: session === undefined ? {} : session.labels,
      service: attachment.placedAt,
      key: request.key,
      pinned: attachment.targetIsPin,
      pinnedGone: attachment.pinnedGone,
      end: request.end,
      life: request.life,
      received: request.received,
      settled: request.settled,
      acked: request.acked,
      sent: request.sent,
      grantedBytes,
      groups: request.groups,
    })
    this.#sentUp(link)
    this.#gateway.env.observe({
      event: 'channel_attaching',
      session: attachment.sessionName,
      service: attachment.service,
      key: attachment.key,
      epoch: attachment.epoch,
      host: link.host.name,
    })
  }

  // ---- the host's answers ----

  /** The attachment that an answer of a host is for; undefined: it came too late, and is dropped (A7, L2). */
  #answered(link: Link, handle: number, epoch: number): Attachment | undefined {
    const slot = link.handles.at(handle)
    const attachment = slot?.attachment
    const isCurrent = attachment?.slot === slot && attachment?.state === attachState.attaching
    if (isCurrent && attachment!.epoch === epoch) {
      this.#gateway.guards.attachAnswered(attachment!, link.now)
      return attachment
    }
    this.#gateway.counters.drops[drop.closedHandle]++
    return undefined
  }

  attached(link: Link, a: Attached, now: number): void {
    const attachment = this.#answered(link, a.channel, a.epoch)
    if (attachment === undefined) return
    const request = attachment.request!
    attachment.nextUp = a.received + 1
    attachment.nextDown = request.received + 1
    attachment.ackedDown = request.settled
    const isReattach = request.life !== 0n
    if (a.quietForMs > 0) attachment.credit = new ReplayCredit(a.quietForMs, a.windowCount, a.windowBytes)
    this.#begin(attachment)
    if (isReattach) this.#gateway.counters.cells[cell.reattaches]++
    writeAttached(attachment.outlet.writer, { ...a, channel: attachment.channel, pin: this.#pin(attachment) })
    attachment.outlet.holdDatagrams()
    this.#told(attachment)
    this.#gateway.env.observe({
      event: 'channel_attached',
      session: attachment.sessionName,
      service: attachment.service,
      key: attachment.key,
      epoch: attachment.epoch,
      host: link.host.name,
      reattach: isReattach,
    })
    attachment.connection?.issueFirstTicket(now)
  }

  reset(link: Link, a: Reset, now: number): void {
    const attachment = this.#answered(link, a.channel, a.epoch)
    if (attachment === undefined) return
    attachment.nextUp = 1
    attachment.nextDown = 1
    this.#begin(attachment)
    this.#gateway.counters.cells[cell.resets]++
    writeReset(attachment.outlet.writer, { ...a, channel: attachment.channel, pin: this.#pin(attachment) })
    attachment.outlet.holdDatagrams()
    this.#told(attachment)
    this.#gateway.env.observe({
      event: 'channel_reset',
      session: attachment.sessionName,
      service: attachment.service,
      key: attachment.key,
      epoch: attachment.epoch,
      reason: a.reason,
    })
    attachment.connection?.issueFirstTicket(now)
  }

  #begin(attachment: Attachment): void {
    attachment.state = attachState.attached
    attachment.request = undefined
  }

  #pin(attachment: Attachment): Uint8Array {
    return this.#sealPin(attachment, attachment.link!.host.name)
  }

  #sealPin(attachment: Attachment, host: string): Uint8Array {
    return sealPin(this.#gateway.env, attachment.sessionName, attachment.placedAt, attachment.key, host)
  }

  /** STALE or SPENT. */
  stale(link: Link, kind: number, a: Stale): void {
    const attachment = this.#answered(link, a.channel, a.epoch)
    if (attachment === undefined) return
    writeStale(attachment.outlet.writer, kind, { ...a, channel: attachment.channel })
    this.#told(attachment)
    this.#finish(attachment, kind === clientKind.spent ? code.spent : code.closed)
  }

  refused(link: Link, a: { channel: number; epoch: number; code: number; retryMs: number }): void {
    const attachment = this.#answered(link, a.channel, a.epoch)
    if (attachment !== undefined) this.#refuse(attachment, a.code, a.retryMs)
  }

  /** P2, P4: another host has the actor, or at least this one has not. */
  notHere(link: Link, a: NotHere, now: number): void {
    const attachment = this.#answered(link, a.handle, a.epoch)
    if (attachment === undefined) return
    link.closeHandle(attachment.slot!, code.not_here, 0)
    attachment.slot!.attachment = undefined
    attachment.slot = undefined
    attachment.link = undefined
    this.#giveBack(attachment)
    attachment.hops++
    const isNamed =
      a.host !== '' && a.host !== link.host.name && this.#gateway.hostTable.named(a.host, now) !== undefined
    const canPlace = isNamed || attachment.targetIsPin || attachment.target !== ''
    if (attachment.hops > HOPS_MAX || !canPlace) {
      this.#refuse(attachment, code.not_here, RETRY_MS)
      return
    }
    attachment.target = isNamed ? a.host : ''
    attachment.targetIsPin = false
    this.place(attachment, now)
  }

  /** CLOSE_HANDLE of a host: of its own accord, or the answer to ours (L2). */
  closed(link: Link, a: CloseHandle): void {
    const slot = link.handles.at(a.handle)
    if (slot === undefined || !slot.isOpen) return
    slot.closeReceived = true
    const attachment = slot.attachment
    if (attachment === undefined) {
      link.closeHandle(slot, a.code, 0)
      return
    }
    if (attachment.slot === slot) {
      this.#detach(attachment, a.code, a.retryMs, a.host === '' ? EMPTY : this.#sealPin(attachment, a.host))
      this.#finish(attachment, a.code)
    } else {
      // An opener has let its odd handle go.
      this.letGo(attachment, a.code)
    }
  }

  // ---- ends ----

  /** Ends an attachment from here: both sides are told (N3, W6). */
  end(attachment: Attachment, why: number, retryMs: number, what = ''): void {
    if (attachment.state === attachState.detached) return
    if (what !== '' && why === code.protocol) this.#violated('client', attachment.outlet, what)
    this.#detach(attachment, why, retryMs, EMPTY)
    this.#finish(attachment, why)
  }

  /** The host broke the rules on this handle: it is told `protocol`, the end attaches anew. */
  hostBroke(attachment: Attachment, what: string): void {
    if (attachment.state === attachState.detached) return
    this.#violated('link', attachment.link!.outlet, what)
    this.#detach(attachment, code.detached, RETRY_MS, EMPTY)
    this.#finish(attachment, code.protocol)
  }

  /** The link to the host is gone: the end attaches anew (A10). */
  lost(attachment: Attachment, why: number): void {
    this.end(attachment, why, 0)
  }

  /** The end itself has let the channel go, or is gone: only the host is told. */
  letGo(attachment: Attachment, why: number): void {
    if (attachment.state !== attachState.detached) this.#finish(attachment, why)
  }

  /** A newer ATTACH of the same channel has come (A4); who held the older one is told, if it still listens. */
  supersede(attachment: Attachment): void {
    this.#detach(attachment, code.superseded, 0, EMPTY)
    this.#finish(attachment, code.superseded)
  }

  #refuse(attachment: Attachment, why: number, retryMs: number): void {
    writeAnswer(attachment.outlet.writer, clientKind.refused, {
      channel: attachment.channel,
      epoch: attachment.epoch,
      code: why,
      retryMs,
    })
    this.#told(attachment)
    this.#gateway.counters.attachRefusedByCode[Math.min(why, 1023)]++
    this.#gateway.env.observe({
      event: 'channel_refused',
      session: attachment.sessionName,
      service: attachment.service,
      key: attachment.key,
      code: why,
    })
    this.#finish(attachment, why)
  }

  #detach(attachment: Attachment, why: number, retryMs: number, pin: Uint8Array): void {
    this.#gateway.counters.cells[cell.detaches]++
    this.#gateway.counters.detachedByCode[Math.min(why, 1023)]++
    writeDetached(attachment.outlet.writer, {
      channel: attachment.channel,
      epoch: attachment.epoch,
      code: why,
      retryMs,
      pin,
    })
    this.#told(attachment)
    this.#gateway.env.observe({
      event: 'channel_detached',
      session: attachment.sessionName,
      service: attachment.service,
      key: attachment.key,
      code: why,
    })
  }

  /** What every end of an attachment has in common; `why` is what CLOSE_HANDLE says to the hosts on either side. */
  #finish(attachment: Attachment, why: number): void {
    const gateway = this.#gateway
    gateway.parking.leave(attachment)
    gateway.groups.leaveAll(attachment)
    gateway.guards.forget(attachment)
    if (attachment.state === attachState.attached) gateway.lanes.settleSkip(attachment)
    attachment.held?.drop()
    attachment.state = attachState.detached
    attachment.request = undefined
    const slot = attachment.slot
    if (slot !== undefined) {
      slot.attachment = undefined
      attachment.slot = undefined
      attachment.link!.closeHandle(slot, why, 0)
    }
    attachment.link = undefined
    attachment.host = undefined
    const connection = attachment.connection
    if (connection !== undefined) {
      this.#giveBack(attachment)
      connection.channelCount--
      attachment.session!.leave(attachment)
      return
    }
    const own = attachment.origin!.handles.at(attachment.channel)
    if (own?.attachment === attachment) {
      own.attachment = undefined
      attachment.origin!.closeHandle(own, why, 0)
    }
  }

  #giveBack(attachment: Attachment): void {
    if (attachment.granted === 0) return
    attachment.connection!.grants.give(attachment.granted)
    attachment.granted = 0
  }

  #told(attachment: Attachment): void {
    attachment.outlet.touch()
    this.#gateway.counters.cells[attachment.origin === undefined ? cell.clientFramesOut : cell.linkFramesOut]++
  }

  #sentUp(link: Link): void {
    link.outlet.touch()
    this.#gateway.counters.cells[cell.linkFramesOut]++
  }

  #violated(side: 'client' | 'link', outlet: Outlet, what: string): void {
    this.#gateway.env.observe({
      event: 'peer_violation',
      side,
      address: outlet.carrier.address,
      code: code.protocol,
      what,
    })
  }
}
