// The client end of a channel: when it is attached, what it says at an attach and what it makes of the answer (A3, A8, X).
// It mints no epoch itself (its session does, A2) and dials nothing: its owner decides where and when to attach.
//
//          attach()                 ATTACHED | RESET
//   apart ----------> attaching --------------------------> attached
//     ^                |    | PARKED -> parked                 |
//     |                |    |                                  | DETACHED, connection lost
//     +----------------+----+ REFUSED, STALE, no answer        |
//     +---------------------------------------------------------+
//   any -> ended: taken_over | kicked | closed | expired | refused for good (X5: told once)
import type { Attach, Attached, GroupPlace, Reset, Stale } from '../client/frames.ts'
import { resetReason } from '../client/frames.ts'
import { code, comesBack } from '../codes.ts'
import type { ChannelSink, EndLimits } from './channel-end.ts'
import { ChannelEnd } from './channel-end.ts'
import type { Item, Window } from './outbox.ts'

export type ChannelState = 'apart' | 'attaching' | 'parked' | 'attached' | 'ended'

/** How a channel or one life of it ended, and what its sender must know of it (X1, X5). */
export type Ending = {
  code: number
  /** One-way messages that may or may not have run. Requests among them have told their own outcome. */
  unknown: Item[]
  /** With state_behind: acknowledged numbers (from, to] that the host has lost; otherwise from = to. */
  lostFrom: number
  lostTo: number
}

export interface ClientChannelSink extends ChannelSink {
  /** The channel goes on under a new life, from number 1 (X1). The new end is already in place. */
  reset(ending: Ending): void
  /** The channel is over; told once. */
  ended(ending: Ending): void
}

export type ClientChannelSettings = { window: Window; limits: EndLimits; keepMs: number }

const EMPTY = new Uint8Array(0)
const STALE_RETRIES_MAX = 3

export class ClientChannel {
  readonly service: string
  readonly key: string
  /** Random number of this end: tells two processes with one ticket apart while a life is not confirmed (A5, X2). */
  readonly endId: bigint
  state: ChannelState = 'apart'
  end: ChannelEnd
  life = 0n
  pin: Uint8Array = EMPTY
  /** Epoch of the newest attach. */
  epoch = 0
  alias = -1
  attachSentAt = 0
  /** Earliest time of the next attach, after a refusal. */
  retryAt = 0
  refusals = 0
  apartSince: number
  ending: Ending | undefined
  readonly #settings: ClientChannelSettings
  readonly #sink: ClientChannelSink
  #settledTold = 0
  #stales = 0

  constructor(
    service: string,
    key: string,
    endId: bigint,
    settings: ClientChannelSettings,
    sink: ClientChannelSink,
    now: number,
  ) {
    this.service = service
    this.key = key
    this.endId = endId
    this.#settings = settings
    this.#sink = sink
    this.end = new ChannelEnd(settings.window, settings.limits, sink, now)
    this.apartSince = now
  }

  /** What ATTACH says; the caller writes it. `epoch` is freshly minted, above every earlier one of the session (A2). */
  attach(alias: number, epoch: number, ticketGeneration: number, groups: GroupPlace[], now: number): Attach {
    if (this.state === 'attached') this.#apart(now)
    this.state = 'attaching'
    this.alias = alias
    this.epoch = epoch
    this.attachSentAt = now
    this.#settledTold = this.end.in.settled
    return {
      alias,
      epoch,
      ticketGeneration,
      service: this.service,
      key: this.key,
      pin: this.pin,
      end: this.endId,
      life: this.life,
      received: this.end.in.received,
      settled: this.end.in.settled,
      acked: this.end.out.acked,
      sent: this.end.out.sent,
      groups,
    }
  }

  /** @returns `code.ok`, or `code.protocol` where the answer cannot be true. Answers to older attaches are ignored (A8). */
  attached(a: Attached, now: number): number {
    if (!this.#isAwaited(a.epoch)) return code.ok
    const out = this.end.out
    if (this.life !== 0n && a.life !== this.life) return code.protocol
    if (a.life === 0n || a.received > out.sent || a.received < out.acked || a.settled > a.received) return code.protocol
    this.life = a.life
    if (a.pin.length > 0) this.pin = a.pin
    this.#begin(a, a.received, a.settled, now)
    return code.ok
  }

  reset(a: Reset, now: number): number {
    if (!this.#isAwaited(a.epoch)) return code.ok
    if (a.life === 0n || this.life === 0n) return code.protocol
    const out = this.end.out
    const behind = a.reason === resetReason.stateBehind && a.hadReceived < out.acked
    const ending: Ending = {
      code: code.reset,
      unknown: withoutRequests(this.end.close()),
      lostFrom: behind ? a.hadReceived : out.acked,
      lostTo: out.acked,
    }
    this.life = a.life
    if (a.pin.length > 0) this.pin = a.pin
    this.end = new ChannelEnd(this.#settings.window, this.#settings.limits, this.#sink, now)
    this.#settledTold = 0
    this.#begin({ ...a, refused: [] }, 0, 0, now)
    this.#sink.reset(ending)
    return code.ok
  }

  /** The host has a higher epoch: jump above it and try again, three times (A8, V12). Returns the epoch to jump above. */
  stale(a: Stale, now: number): number {
    if (!this.#isAwaited(a.epoch)) return 0
    if (++this.#stales > STALE_RETRIES_MAX) {
      this.endWith(code.taken_over)
      return 0
    }
    this.#apart(now)
    this.retryAt = now
    return a.have
  }

  /** A newer ticket of this session has been shown to the host: another process goes on with it (A8). */
  spent(a: Stale): void {
    if (this.#isAwaited(a.epoch)) this.endWith(code.taken_over)
  }

  parked(epoch: number): void {
    if (this.#isAwaited(epoch)) this.state = 'parked'
  }

  refused(epoch: number, why: number, retryMs: number, backoffMs: number, now: number): void {
    if (!this.#isAwaited(epoch)) return
    if (!comesBack(why)) {
      this.endWith(why)
      return
    }
    this.refusals++
    this.#apart(now)
    this.retryAt = now + Math.max(retryMs, backoffMs)
  }

  /** The gateway gave the attach up (A10). Superseded on its newest epoch means another client took over (A8). */
  detached(epoch: number, why: number, retryMs: number, pin: Uint8Array, now: number): void {
    if (epoch !== this.epoch || this.state === 'ended' || this.state === 'apart') return
    if (pin.length > 0) this.pin = pin
    if (why === code.superseded || !comesBack(why)) {
      this.endWith(why === code.superseded ? code.taken_over : why)
      return
    }
    this.#apart(now)
    this.retryAt = now + retryMs
  }

  /** The connection is gone, or the attach was not answered in time (A2). */
  lost(now: number): void {
    if (this.state === 'ended' || this.state === 'apart') return
    this.#apart(now)
    this.retryAt = now
  }

  /** A channel whose FINs are both through, or that was apart longer than `keep`, is over (S2, X4). */
  tick(now: number): void {
    if (this.state === 'ended') return
    this.end.tick(now)
    if (this.state !== 'attached' && now - this.apartSince >= this.#settings.keepMs) this.endWith(code.expired)
    else this.considerClosed()
  }

  /** Ends the channel when both directions are finished and settled (X4). True when it did. */
  considerClosed(): boolean {
    const end = this.end
    if (this.state === 'ended' || !end.finReceived || end.in.settled < end.in.received) return false
    if (end.finSent === 0) {
      end.fin(code.closed)
      return false
    }
    if (end.out.acked < end.finSent || end.in.hasUnackedSettled) return false
    this.endWith(end.finCode === code.kicked ? code.kicked : code.closed)
    return true
  }

  endWith(why: number): void {
    if (this.state === 'ended') return
    this.state = 'ended'
    const acked = this.end.out.acked
    this.ending = { code: why, unknown: withoutRequests(this.end.close()), lostFrom: acked, lostTo: acked }
    this.#sink.ended(this.ending)
  }

  deadline(): number {
    if (this.state === 'ended') return Infinity
    const own = this.state === 'attached' ? Infinity : this.apartSince + this.#settings.keepMs
    return Math.min(own, this.end.deadline())
  }

  #isAwaited(epoch: number): boolean {
    return (this.state === 'attaching' || this.state === 'parked') && epoch === this.epoch
  }

  #begin(
    a: Attached | (Reset & { refused: Attached['refused'] }),
    received: number,
    settled: number,
    now: number,
  ): void {
    this.state = 'attached'
    this.#stales = 0
    this.refusals = 0
    this.end.grant({ count: a.windowCount, bytes: a.windowBytes })
    for (const refused of a.refused) this.end.refusedAtAttach(refused.number, refused.code)
    this.end.attached(this.epoch, received, settled, this.#settledTold, now)
  }

  #apart(now: number): void {
    if (this.state === 'attached') this.apartSince = now
    this.state = 'apart'
    this.end.detached()
  }
}

/** Requests tell their outcome themselves, replies and FIN are of no use to the application once the lane is over. */
function withoutRequests(items: Item[]): Item[] {
  return items.filter((item) => item.isOneway)
}
