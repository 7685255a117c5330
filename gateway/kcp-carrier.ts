// A Carrier over one KCP conversation (docs/spec/kcp.md, section 7): the client protocol as a stream of bytes in both
// directions, and beside it, where the path has room for them, bare datagrams. What seals, addresses and bounds datagrams
// is the path's; when anything is to be done is kcp-carriers.ts's. Sans-IO.
//
//   datagram -> path opens it -> take() -> kcp -> events.receive          during the turn
//   core.flush -> write() -> kcp.send; then turn() -> kcp -> path.send    at its end, acknowledgements packed with data
//
// Life: open -> ending (what is queued still goes out, what comes in is not heard, LINGER_MS at most) -> gone. The core
// hears `closed` once and never within a call of its own.
import { code } from '../protocols/codes.ts'
import { Kcp, type KcpSink } from '../protocols/kcp/kcp.ts'
import type { KcpSettings } from '../protocols/kcp/settings.ts'
import { INIT_BYTES, SEALED_OVERHEAD_BYTES } from '../protocols/secure/datagram-codec.ts'
import { kcpVerdict } from '../protocols/kcp/datagram-check.ts'
import { Deadline, type Expiring } from './deadlines.ts'
import type { KcpCarriers } from './kcp-carriers.ts'
import type { Carrier, CarrierEvents } from './seams.ts'

/** What a carrier that was closed still has to confirm is waited for so long. */
export const LINGER_MS = 1000
/**
 * Acknowledgements that would travel alone wait so long for something to travel with, as the actor's answer, and for no
 * more datagrams than this. Well below what any sender waits before it sends again (30 ms in the fastest preset).
 */
const ACK_DELAY_MS = 5
const ACK_DATAGRAMS_MAX = 4
/** KCP in a sealed datagram of 1,200 bytes, which every path carries that has carried the first one (DGM-4.2). */
export const SAFE_MTU = INIT_BYTES - SEALED_OVERHEAD_BYTES
/**
 * A longer segment that was sent again so often, each time after something was heard of the client, while nothing was
 * confirmed, does not fit its path. An outage is not taken for one: nothing is heard then.
 */
const VAIN_SENDS_MAX = 5
/** Above this much unconfirmed, the core is told when it is below the lower one again. */
const HIGH_BYTES = 4096
const LOW_BYTES = 1024

/** How the datagrams of one conversation get to its peer. */
export interface KcpPath {
  /** The peer's address as text, without the port. */
  readonly ip: string
  /** Sends segments; lent for the call, and what is around them may be overwritten. */
  send(bytes: Uint8Array, start: number, end: number): void
  /** Sends one frame beside KCP; false when it cannot. */
  sendBare(frame: Uint8Array): boolean
  /** It loses long datagrams and no others: the next conversation with this client has to do without them. */
  narrowed?(): void
  /** Sends what the path itself has to say. */
  turn(now: number): void
  deadline(): number
  /** The conversation is over: tells the peer, if there is a way, and forgets it. Called once. */
  end(why: number): void
}

const state = { open: 0, ending: 1, destroyed: 2, gone: 3 } as const

export class KcpCarrier implements Carrier, KcpSink, Expiring {
  readonly transport: string
  readonly binding: Uint8Array
  readonly ticket: Uint8Array | undefined
  readonly kcp: Kcp
  readonly path: KcpPath
  readonly deadline = new Deadline(this)
  isDirty = false
  readonly #carriers: KcpCarriers
  #events: CarrierEvents | undefined
  #state: (typeof state)[keyof typeof state] = state.open
  #why: number = code.detached
  #lingerUntil = Infinity
  /** Datagrams taken, and whether something was written, since KCP last flushed. */
  #arrived = 0
  #hasWritten = false
  #ackDueAt = Infinity
  #isHigh = false
  #isOverfull = false
  #isResuming = false
  #now = 0
  /** Segments sent again that are counted already, and those of them that had been overtaken. */
  #resent = 0
  #overtaken = 0
  // Of the oldest segment on the way, where it is a long one: its sends, those in vain, and what came since the last look.
  #longSends = 0
  #vainSends = 0
  #ackedBytes = 0
  #heardBeside = 0

  constructor(
    carriers: KcpCarriers,
    transport: string,
    binding: Uint8Array,
    conv: number,
    settings: Readonly<KcpSettings>,
    path: KcpPath,
    ticket?: Uint8Array,
  ) {
    this.#carriers = carriers
    this.transport = transport
    this.binding = binding
    this.ticket = ticket
    this.path = path
    this.kcp = new Kcp(conv, settings, this, carriers.pool)
  }

  /** Says whom the events are for; to be called in the turn that made the carrier. */
  start(events: CarrierEvents): void {
    this.#events = events
  }

  get address(): string {
    const { ip } = this.path
    return ip.startsWith('::ffff:') ? ip.slice(7) : ip
  }

  get isGone(): boolean {
    return this.#state === state.gone
  }

  /** The client has logged in: whoever it is, it is no stranger. */
  get isLoggedIn(): boolean {
    return this.#events?.isLoggedIn === true
  }

  // ---- from the path ----

  /** Takes segments, lent for the call. */
  take(bytes: Uint8Array, start: number, end: number, now: number): boolean {
    if (this.#state >= state.destroyed) return false
    this.#now = now
    const verdict = this.kcp.receiveIn(bytes, start, end, now)
    if (verdict !== kcpVerdict.accepted) {
      this.#carriers.counters.refuse(verdict)
      return false
    }
    this.#arrived++
    this.#heardBeside++
    if (this.#events === undefined) return true
    // An answer mostly comes before the acknowledgement has to go alone: until then there is nothing to do.
    if (!this.isDirty && this.#state === state.open && this.#mayWait(now)) this.#waitForCompany()
    else this.#carriers.touch(this)
    if (this.#isHigh && this.kcp.unackedBytes <= LOW_BYTES) {
      this.#isHigh = false
      if (this.#state === state.open) this.#events!.drained(now)
    }
    return true
  }

  /** Takes one frame that came beside KCP, lent for the call (C1). */
  takeBare(frame: Uint8Array, now: number): void {
    if (this.#state !== state.open) return
    if (this.kcp.isPaused) this.#carriers.counters.drop('paused')
    else this.#events!.receiveDatagram?.(frame, now)
  }

  /** The peer has said that it is over, or there is no room for it: nothing more is sent. */
  fail(why: number, now: number): void {
    this.#why = why
    this.#finish(now)
  }

  // ---- from the conversation ----

  packet(bytes: Uint8Array, start: number, end: number): void {
    this.path.send(bytes, start, end)
  }

  message(bytes: Uint8Array, start: number, end: number): void {
    if (this.#state === state.open) this.#events!.receive(this.#carriers.viewOf(bytes, start, end), this.#now)
  }

  // ---- from the core ----

  write(batch: Uint8Array): void {
    if (this.#state !== state.open) return
    if (!this.kcp.send(batch, this.#carriers.env.now())) this.#isOverfull = true
    this.#hasWritten = true
    if (this.kcp.unackedBytes > HIGH_BYTES) this.#isHigh = true
    this.#carriers.touch(this)
  }

  /** What is not confirmed has to be kept, so it counts, sent or not (W5). */
  queuedBytes(): number {
    return this.#state >= state.destroyed ? 0 : this.kcp.unackedBytes
  }

  pause(): void {
    this.#isResuming = false
    this.kcp.pause()
  }

  /** What was kept back comes in the next turn, as from a socket. */
  resume(): void {
    this.#isResuming = true
    this.#carriers.touch(this)
  }

  datagram(frame: Uint8Array): boolean {
    return this.#state === state.open && this.path.sendBare(frame)
  }

  close(why: number, _text: string): void {
    if (this.#state !== state.open) return
    this.#state = state.ending
    this.#why = why
    this.#lingerUntil = this.#carriers.env.now() + LINGER_MS
    this.#carriers.touch(this)
  }

  destroy(): void {
    if (this.#state >= state.destroyed) return
    this.#state = state.destroyed
    this.kcp.release()
    this.#carriers.touch(this)
  }

  // ---- turns and time ----

  /** Does what is due: acknowledgements and data of this turn, what was to be sent again, the end. */
  turn(now: number): void {
    if (this.#state === state.gone) return
    this.#now = now
    if (this.#state !== state.destroyed) {
      if (this.#isResuming) {
        this.#isResuming = false
        this.#hasWritten = true
        this.kcp.resume(now)
      }
      if (!this.#mayWait(now)) {
        this.kcp.tick(now)
        this.#arrived = 0
        this.#hasWritten = false
        this.#ackDueAt = Infinity
        this.#countResent()
      }
      this.path.turn(now)
    }
    if (this.#isOver(now)) this.#finish(now)
    else this.#carriers.wakeAt(this, Math.min(this.#kcpDeadline(), this.path.deadline(), this.#lingerUntil))
  }

  /** Between two turns: everything else that is waited for has its time already. */
  #waitForCompany(): void {
    if (this.#carriers.wakeAt(this, this.#ackDueAt)) this.#carriers.schedule()
  }

  expired(_deadline: Deadline, now: number): void {
    this.turn(now)
  }

  #countResent(): void {
    const { timedOut, fastResent } = this.kcp
    if (timedOut + fastResent === this.#resent) return
    const { counters } = this.#carriers
    counters.overtaken += fastResent - this.#overtaken
    counters.timedOut += timedOut - (this.#resent - this.#overtaken)
    this.#overtaken = fastResent
    this.#resent = timedOut + fastResent
    if (this.kcp.settings.mtu > SAFE_MTU) this.#watchPath()
  }

  /** What is on the way keeps its length for ever, so the conversation ends; the client comes back, and none is lost (S1). */
  #watchPath(): void {
    const { kcp } = this
    const sends = kcp.sendsOfLonger(SAFE_MTU)
    if (kcp.ackedBytes !== this.#ackedBytes || sends < 2) this.#vainSends = 0
    else if (sends > this.#longSends && this.#heardBeside > 0) this.#vainSends++
    this.#ackedBytes = kcp.ackedBytes
    this.#longSends = sends
    this.#heardBeside = 0
    if (this.#vainSends < VAIN_SENDS_MAX || this.path.narrowed === undefined) return
    this.path.narrowed()
    this.destroy()
  }

  /** Whether all there is to send are acknowledgements, which wait for company. */
  #mayWait(now: number): boolean {
    const { kcp } = this
    if (this.#hasWritten || this.#arrived >= ACK_DATAGRAMS_MAX || !kcp.settings.immediate || kcp.unackedBytes > 0)
      return false
    if (this.#ackDueAt === Infinity && kcp.deadline() <= now) this.#ackDueAt = now + ACK_DELAY_MS
    return now < this.#ackDueAt
  }

  #kcpDeadline(): number {
    return this.#ackDueAt === Infinity ? this.kcp.deadline() : this.#ackDueAt
  }

  #isOver(now: number): boolean {
    if (this.#state === state.open) return this.kcp.isDead || this.#isOverfull
    return this.kcp.isDead || this.kcp.unackedBytes === 0 || now >= this.#lingerUntil
  }

  #finish(now: number): void {
    if (this.#state === state.gone) return
    this.#state = state.gone
    this.kcp.release()
    this.path.end(this.#why)
    this.#carriers.remove(this)
    this.#events!.closed(now)
  }
}
