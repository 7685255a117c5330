// When segments travel: for the first time as the windows let them, again after a timeout or when overtaken, and probes
// while the peer's window is closed (KCP-4). Owns the estimates; the send window owns the segments. Does not receive.
//
//   waiting --window opens--> in flight --una passes--> gone
//                              |    ^
//                              +----+  timeout: rto grows | overtaken: rto begins anew
//
// Invariant: while something is in flight, nothing of it times out before `firstDueAt`.
import { Congestion } from './congestion.ts'
import type { PacketWriter } from './packet-writer.ts'
import { RoundTrip, rtoMaxMs } from './round-trip.ts'
import { command, headerBytes, type Segment } from './segment.ts'
import type { SegmentPool } from './segment-pool.ts'
import { SendWindow } from './send-window.ts'
import type { KcpSettings } from './settings.ts'

/** What ikcp assumes of a peer that has not told its window yet. */
export const peerWindowFirst = 128
/** ikcp asks after 7 s, newer kcp-go after 0.5 s: a lost answer should not cost a player seven seconds (KCP-4.5). */
const PROBE_FIRST_MS = 500
const PROBE_MAX_MS = 120_000
/** Up to so many segments in flight what travels again is written twice (KCP-4.10): players, and nothing in bulk. */
const REPEATING_FLIGHT_MAX = 16
export const neverMs = 0x7fffffff

export class Transmitter {
  readonly window: SendWindow
  readonly roundTrip: RoundTrip
  peerWindow = peerWindowFirst
  /** A segment has been sent `deadLinkCount` times (KCP-4.8). */
  isExhausted = false
  timedOut = 0
  fastResent = 0
  readonly #congestion: Congestion
  readonly #nodelay: number
  readonly #resend: number
  readonly #nc: boolean
  readonly #sendWindow: number
  readonly #deadLinkCount: number
  /** Something in flight may have been overtaken often enough. */
  #isOvertaken = false
  /** Something in flight is to be written once more. */
  #isRepeating = false
  /** 0 while the peer's window is open. */
  #probeWaitMs = 0
  #probeAt = 0
  // Of the flush that is being written.
  #hasTimedOut = false
  #hasFastResent = false

  constructor(settings: Readonly<KcpSettings>, pool: SegmentPool) {
    const mss = settings.mtu - headerBytes
    this.window = new SendWindow(pool, mss, settings.sendBytesMax, settings.sendCountMax)
    this.roundTrip = new RoundTrip(settings.intervalMs, settings.minRtoMs)
    this.#congestion = new Congestion(mss)
    this.#nodelay = settings.nodelay
    this.#resend = settings.resend
    this.#nc = settings.nc
    this.#sendWindow = settings.sendWindow
    this.#deadLinkCount = settings.deadLinkCount
  }

  /** The latest segment that a datagram acknowledged, sent at `ts`. */
  overtake(sn: number, ts: number): void {
    if (this.#resend > 0 && this.window.overtake(sn, ts, this.#resend, this.roundTrip.graceMs)) this.#isOvertaken = true
  }

  /** The peer's una moved on. */
  advanced(): void {
    if (!this.#nc) this.#congestion.grow(this.peerWindow)
  }

  /** True when a flush would send at once, or start to wait for a closed window. */
  get isReady(): boolean {
    const { window } = this
    if (this.#isOvertaken && window.una !== window.next) return true
    if (window.next === window.end) return false
    return window.flightCount < this.#allowed || (this.peerWindow === 0 && this.#probeWaitMs === 0)
  }

  /** Milliseconds from `clock` to the next timeout or probe, `neverMs` without one; below 0 when it is overdue. */
  waitMs(clock: number): number {
    const { window } = this
    const resendMs = window.una !== window.next ? (window.firstDueAt - clock) | 0 : neverMs
    // A closed window is asked about only by who has something to send: an idle conversation costs no timer.
    if (this.peerWindow !== 0 || window.next === window.end) return resendMs
    return Math.min(resendMs, (this.#probeAt - clock) | 0)
  }

  /** Decides about a probe; true when this flush sends one. */
  probe(clock: number): boolean {
    if (this.peerWindow !== 0) {
      this.#probeWaitMs = 0
      return false
    }
    const isFirst = this.#probeWaitMs === 0
    if (!isFirst && ((clock - this.#probeAt) | 0) < 0) return false
    const grownMs = this.#probeWaitMs + (this.#probeWaitMs >> 1)
    this.#probeWaitMs = isFirst ? PROBE_FIRST_MS : Math.min(grownMs, PROBE_MAX_MS)
    this.#probeAt = (clock + this.#probeWaitMs) | 0
    return !isFirst
  }

  /** Writes what is due to travel again, then what may travel for the first time. */
  write(writer: PacketWriter, clock: number): void {
    const { window } = this
    const allowed = this.#allowed
    const firstNew = window.next
    while (window.next !== window.end && window.flightCount < allowed) window.launch()
    if (window.una === window.next) return

    // Before firstDueAt nothing old is due, unless overtaken: then only what is new needs a look.
    const hasOld = firstNew !== window.una
    const isTimeUp = ((clock - window.firstDueAt) | 0) >= 0
    const isOldDue = hasOld && (this.#isOvertaken || this.#isRepeating || isTimeUp)
    const isThin = this.#nc && window.flightCount <= REPEATING_FLIGHT_MAX
    let soonestMs = hasOld && !isOldDue ? (window.firstDueAt - clock) | 0 : neverMs
    this.#isOvertaken = this.#isRepeating = this.#hasTimedOut = this.#hasFastResent = false
    for (let sn = isOldDue ? window.una : firstNew; sn !== window.next; sn = (sn + 1) | 0) {
      const segment = window.slots[sn & window.mask]
      if (segment.isAcked) continue
      if (this.#isDue(segment, clock)) {
        segment.isRepeated = isThin && segment.transmits > 0
        if (segment.isRepeated) this.#isRepeating = true
        segment.ts = clock
        writer.push(command.push, sn, segment)
        if (++segment.transmits >= this.#deadLinkCount) this.isExhausted = true
      } else if (segment.isRepeated) {
        segment.isRepeated = false
        segment.ts = clock
        writer.push(command.push, sn, segment)
      }
      const waitMs = (segment.resendAt - clock) | 0
      if (waitMs < soonestMs) soonestMs = waitMs
    }
    window.firstDueAt = (clock + soonestMs) | 0
    if (this.#hasFastResent) this.#congestion.ease(window.flightCount, this.#resend)
    if (this.#hasTimedOut) this.#congestion.collapse(allowed)
  }

  /** Decides whether a segment travels in this flush, and when it would again. */
  #isDue(segment: Segment, clock: number): boolean {
    const { rtoMs } = this.roundTrip
    if (segment.transmits === 0) {
      segment.rto = rtoMs
      segment.resendAt = (clock + rtoMs + (this.#nodelay === 0 ? rtoMs >> 3 : 0)) | 0
      return true
    }
    const isOvertaken = segment.overtaken > 0
    if (((clock - segment.resendAt) | 0) < 0 && !(isOvertaken && segment.overtaken >= this.#resend)) return false
    // What overtook the lost transmission says nothing of the next one; ikcp keeps the count and sends twice (KCP-5.4).
    segment.overtaken = 0
    if (isOvertaken) {
      // The path carries: a wait that had grown was too long.
      segment.rto = rtoMs
      this.#hasFastResent = true
      this.fastResent++
    } else {
      segment.rto = backedOff(segment.rto, rtoMs, this.#nodelay)
      this.#hasTimedOut = true
      this.timedOut++
    }
    segment.resendAt = (clock + segment.rto) | 0
    return true
  }

  /** How many segments the windows let be in flight. */
  get #allowed(): number {
    const window = Math.min(this.peerWindow, this.#sendWindow)
    return this.#nc ? window : Math.min(window, this.#congestion.window)
  }
}

/** The wait after another loss (KCP-4.3), at most a minute: doubling would otherwise pass every clock. */
function backedOff(rto: number, estimateMs: number, nodelay: number): number {
  const step = nodelay === 0 ? Math.max(rto, estimateMs) : nodelay === 1 ? rto >> 1 : estimateMs >> 1
  return Math.min(rto + step, rtoMaxMs)
}
