// The channels of a session and when they attach: aliases, the one epoch counter (A2), what the answers come to (A8), and
// attaches that wait, are refused or are not answered. Channels attach on the active connection only (A3).
import type { Answer, Attached, Detached, Invite, Reset, Stale } from '../../protocols/client/frames.ts'
import { clientKind, writeAttach, writeNumber } from '../../protocols/client/frames.ts'
import { code } from '../../protocols/codes.ts'
import type { Window } from '../../protocols/session/outbox.ts'
import type { ClientConnection } from './connection.ts'
import type { ClientCore } from './core.ts'
import { CoreChannel } from './core-channel.ts'

/** An attach that ends within this time backs off like a refusal. */
const FLAP_MS = 1000
/** How often channels that are not answered may move to another gateway. */
const ELSEWHERE_EVERY_MS = 30_000
/** Longest hint of a gateway that is followed. */
const RETRY_MS_MAX = 30_000
/** While the carrier takes nothing, what is due is looked at only so often. */
const BLOCKED_MS = 50
/** N2; and no host needs to be believed that grants more bytes than this. */
const WINDOW_COUNT_MAX = 2 ** 14
const WINDOW_BYTES_MAX = 2 ** 28
/** An epoch beyond can only be a lie: a client that attaches each millisecond needs 140,000 years for it. */
const EPOCH_MAX = 2 ** 52

export class Attacher {
  readonly channels: CoreChannel[] = []
  /** The session's one counter: every ATTACH takes the next (A2). */
  epoch = 0
  readonly #core: ClientCore
  #aliases: (CoreChannel | undefined)[] = []
  #elsewhereAt = -Infinity

  constructor(core: ClientCore) {
    this.#core = core
  }

  /** The channel to an actor, made where there is none; minus a code where there may be no more. */
  open(service: string, key: string): CoreChannel | number {
    const known = this.find(service, key)
    if (known !== undefined) return known
    let alias = 0
    while (this.#aliases[alias] !== undefined) alias++
    if (alias >= this.#core.channelsMax) return -code.too_many_channels
    const channel = new CoreChannel(this.#core, service, key, alias)
    this.#aliases[alias] = channel
    this.channels.push(channel)
    return channel
  }

  /** On the wire an empty key means the user's own actor: two names, one channel. */
  find(service: string, key: string): CoreChannel | undefined {
    const user = this.#core.user
    for (const channel of this.channels) {
      if (channel.service !== service) continue
      if (channel.key === key || (user !== '' && (channel.key || user) === (key || user))) return channel
    }
    return undefined
  }

  /** The channel that is attached (or attaching, or parked) on this connection under this alias. */
  at(connection: ClientConnection, alias: number): CoreChannel | undefined {
    const channel = alias < this.#aliases.length ? this.#aliases[alias] : undefined
    return channel?.on === connection ? channel : undefined
  }

  /** Whether something was sent on this connection that the hosts have not settled. */
  isOwed(connection: ClientConnection): boolean {
    for (const { on, state, end } of this.channels) {
      if (on === connection && state === 'attached' && end.out.transmitted > end.out.acked) return true
    }
    return false
  }

  get isWhole(): boolean {
    for (const channel of this.channels) if (channel.state !== 'attached') return false
    return true
  }

  // ---- attaching ----

  /** A connection was welcomed: every channel goes there, wherever it was (A3). */
  attachAll(now: number): void {
    for (const channel of this.channels.slice()) {
      if (channel.alias >= this.#core.channelsMax) channel.line.endWith(code.too_many_channels)
      else if (!channel.isEnded) this.attach(channel, now)
    }
  }

  attach(channel: CoreChannel, now: number): void {
    const connection = this.#core.dialer.active
    if (connection === undefined) return
    this.#letGo(channel)
    channel.on = connection
    const places = channel.groups.places()
    const frame = channel.line.attach(channel.alias, ++this.epoch, connection.generation, places, now)
    writeAttach(connection.writer, frame)
    this.#core.wake()
  }

  /** The attach of a channel is over: nothing that still comes for it is taken. */
  #letGo(channel: CoreChannel): void {
    channel.groups.detached()
    channel.on = undefined
    channel.parkedUntil = Infinity
  }

  connectionLost(connection: ClientConnection, why: number, now: number): void {
    for (const channel of this.channels.slice()) {
      if (channel.on !== connection) continue
      this.#letGo(channel)
      channel.line.lost(now)
      this.#core.sink.detached(channel, why, 0)
    }
  }

  /** Called by a channel that has ended, before its owner is told. */
  ended(channel: CoreChannel): void {
    const connection = channel.on
    if (connection !== undefined && connection === this.#core.dialer.active) {
      writeNumber(connection.writer, clientKind.detach, channel.alias)
      this.#core.wake()
    }
    this.#letGo(channel)
    this.#aliases[channel.alias] = undefined
    const at = this.channels.indexOf(channel)
    if (at >= 0) this.channels.splice(at, 1)
  }

  // ---- answers; an answer to an older attach is ignored (A8) ----

  #awaiting(connection: ClientConnection, alias: number, epoch: number): CoreChannel | undefined {
    const channel = this.at(connection, alias)
    const isAwaited = channel?.state === 'attaching' || channel?.state === 'parked'
    return isAwaited && channel?.line.epoch === epoch ? channel : undefined
  }

  attached(connection: ClientConnection, a: Attached, now: number): void {
    const channel = this.#awaiting(connection, a.channel, a.epoch)
    if (channel === undefined) return
    const isSound = this.#isGrantable({ count: a.windowCount, bytes: a.windowBytes })
    if (isSound && channel.line.attached(a, now) === code.ok) this.#begun(channel, now)
    else this.#core.dialer.violated(connection, 'an ATTACHED that cannot be true', now)
  }

  reset(connection: ClientConnection, a: Reset, now: number): void {
    const channel = this.#awaiting(connection, a.channel, a.epoch)
    if (channel === undefined) return
    const isSound = this.#isGrantable({ count: a.windowCount, bytes: a.windowBytes })
    if (isSound && channel.line.reset(a, now) === code.ok) this.#begun(channel, now)
    else this.#core.dialer.violated(connection, 'a RESET that cannot be true', now)
  }

  #isGrantable(window: Window): boolean {
    return window.count >= 1 && window.count <= WINDOW_COUNT_MAX && window.bytes <= WINDOW_BYTES_MAX
  }

  #begun(channel: CoreChannel, now: number): void {
    // Whoever was told of a RESET may have closed the channel from within.
    if (channel.state !== 'attached') return
    channel.attachedAt = now
    channel.parkedUntil = Infinity
    this.#core.sink.attached(channel)
    this.#core.wake()
  }

  stale(connection: ClientConnection, a: Stale, now: number): void {
    const channel = this.#awaiting(connection, a.channel, a.epoch)
    if (channel === undefined) return
    this.#letGo(channel)
    if (a.have >= EPOCH_MAX) {
      channel.line.endWith(code.protocol)
      return
    }
    channel.line.stale(a, now)
    if (a.have > this.epoch) this.epoch = a.have
    if (!channel.isEnded) this.attach(channel, now)
  }

  /** The session's authority was renewed: what was refused for want of it need not wait (T2). */
  authRenewed(now: number): void {
    for (const channel of this.channels) if (channel.state === 'apart') channel.line.retryAt = now
  }

  spent(connection: ClientConnection, a: Stale): void {
    const channel = this.#awaiting(connection, a.channel, a.epoch)
    if (channel === undefined) return
    this.#letGo(channel)
    channel.line.spent(a)
  }

  refused(connection: ClientConnection, a: Answer, now: number): void {
    const channel = this.#awaiting(connection, a.channel, a.epoch)
    if (channel === undefined) return
    this.#letGo(channel)
    const backoffMs = this.#core.dialer.backoffMs(channel.line.refusals + 1)
    channel.line.refused(a.epoch, a.code, Math.min(a.retryMs, RETRY_MS_MAX), backoffMs, now)
    if (!channel.isEnded) this.#core.sink.detached(channel, a.code, channel.line.retryAt - now)
  }

  parked(connection: ClientConnection, a: Answer, now: number): void {
    const channel = this.#awaiting(connection, a.channel, a.epoch)
    if (channel === undefined) return
    channel.line.parked(a.epoch)
    channel.parkedUntil = now + a.retryMs
    this.#core.sink.parked(channel, a.retryMs)
  }

  detached(connection: ClientConnection, a: Detached, now: number): void {
    const channel = this.at(connection, a.channel)
    if (channel === undefined || channel.line.epoch !== a.epoch) return
    const isFlap = channel.state !== 'attached' || now - channel.attachedAt < FLAP_MS
    channel.flaps = isFlap ? channel.flaps + 1 : 0
    const backoffMs = channel.flaps > 1 ? this.#core.dialer.backoffMs(channel.flaps) : 0
    this.#letGo(channel)
    channel.line.detached(a.epoch, a.code, Math.max(backoffMs, Math.min(a.retryMs, RETRY_MS_MAX)), a.pin, now)
    if (!channel.isEnded) this.#core.sink.detached(channel, a.code, channel.line.retryAt - now)
  }

  /**
   * An actor has something for this session (P5). An unknown channel is made and attached with life 0; one that is apart is
   * attached soon, by its own pin: the one in an old INVITE may name a host that has lost the record since.
   */
  invited(a: Invite, now: number): void {
    const known = this.find(a.service, a.key)
    if (known !== undefined) {
      if (known.state === 'apart') known.line.retryAt = Math.min(known.line.retryAt, now)
      return
    }
    const channel = this.open(a.service, a.key)
    if (typeof channel === 'number') return
    channel.line.pin = a.pin
    this.#core.sink.invited(channel)
    if (!channel.isEnded && channel.state === 'apart') this.attach(channel, now)
  }

  // ---- time ----

  deadline(): number {
    const dialer = this.#core.dialer
    const active = dialer.active
    let at = Infinity
    for (const channel of this.channels) {
      let own = channel.line.deadline()
      if (channel.state === 'attached') {
        own = Math.min(own, channel.groups.deadline())
        if (active?.isBlocked) own = Math.max(own, this.#core.now + BLOCKED_MS)
      } else if (channel.state === 'apart') {
        if (active !== undefined) own = Math.min(own, channel.line.retryAt)
      } else if (!dialer.isMoving) {
        own = Math.min(own, this.#unansweredAt(channel))
      }
      if (own < at) at = own
    }
    return at
  }

  tick(now: number): void {
    const dialer = this.#core.dialer
    for (const channel of this.channels.slice()) {
      channel.line.tick(now)
      if (channel.isEnded) continue
      if (channel.state === 'attached') {
        if (channel.end.needsTransmit(now) || channel.groups.deadline() <= now) this.#core.wake()
      } else if (channel.state === 'apart') {
        if (dialer.active !== undefined && channel.line.retryAt <= now) this.attach(channel, now)
      } else if (!dialer.isMoving && this.#unansweredAt(channel) <= now) {
        this.#elsewhere(channel, now)
      }
    }
  }

  #unansweredAt(channel: CoreChannel): number {
    const from = channel.state === 'parked' ? channel.parkedUntil : channel.line.attachSentAt
    return from + this.#core.settings.attachMs
  }

  /** A2: another gateway where there is one, but not for ever to and fro; else once more here, under the next epoch. */
  #elsewhere(channel: CoreChannel, now: number): void {
    if (now - this.#elsewhereAt >= ELSEWHERE_EVERY_MS && this.#core.dialer.migrate(now)) this.#elsewhereAt = now
    else this.attach(channel, now)
  }

  // ---- transmitting ----

  /** Writes what the attached channels have to say. */
  transmit(connection: ClientConnection, now: number): void {
    for (const channel of this.channels.slice()) {
      if (channel.on !== connection || channel.state !== 'attached') continue
      // What the host has finished may want our FIN now (X4).
      channel.line.considerClosed()
      channel.groups.recover(now)
      channel.end.transmit(connection.writer, channel.alias, connection, now, connection.datagrams)
      // And with the last ACK written both directions may be through.
      channel.line.considerClosed()
    }
  }
}
