// The host's record of a channel (S2) and the one synchronous step that answers an attach: fence first, then read the
// counters, then answer (A5, A6). The record has the shape that a durable actor commits and a move ships: life, epoch,
// ticketGeneration, received, settled, refused, out-buffer.
import type { Attached, RefusedNumber, Reset } from '../client/frames.ts'
import { resetReason } from '../client/frames.ts'
import { code } from '../codes.ts'
import type { LinkAttach } from '../link/frames.ts'
import type { ChannelSink, EndLimits } from './channel-end.ts'
import { ChannelEnd } from './channel-end.ts'
import type { Item, Window } from './outbox.ts'

const EMPTY = new Uint8Array(0)

export class HostRecord {
  readonly session: string
  readonly service: string
  readonly key: string
  readonly life: bigint
  readonly end: ChannelEnd
  epoch = 0
  ticketGeneration = 0
  /** A frame or ATTACH of this life has come (A5). Until then the same life and lane are offered again (X2). */
  isConfirmed = false
  apartSince: number
  /** The client end to which this life was offered first; 0 none yet. No other end may be given it (A5, X2). */
  offeredTo = 0n
  /** Why this life began in place of another; told again with each RESET until confirmed (X2). */
  resetWhy: ResetWhy = { reason: resetReason.lifeUnknown, hadReceived: 0 }
  /** Which attach of which link serves it now; owned by the host that keeps the record. */
  handle: object | undefined

  constructor(
    session: string,
    service: string,
    key: string,
    life: bigint,
    window: Window,
    limits: EndLimits,
    sink: ChannelSink,
    now: number,
  ) {
    this.session = session
    this.service = service
    this.key = key
    this.life = life
    this.end = new ChannelEnd(window, limits, sink, now)
    this.apartSince = now
  }

  get refused(): RefusedNumber[] {
    return this.end.in.refused
  }
}

/** What an attach comes to, before anything is changed. */
export type AttachVerdict =
  | { verdict: 'stale'; have: number }
  | { verdict: 'spent'; have: number }
  | { verdict: 'not_here' }
  /** Go on with the record that is there. */
  | { verdict: 'continue'; isReset: boolean }
  /** Make a new record in place of the old one, if there is one. */
  | { verdict: 'new'; isReset: boolean; reason: number; hadReceived: number }

/** A5: judges an attach against the record of its channel. Pure. */
export function judgeAttach(record: HostRecord | undefined, a: LinkAttach): AttachVerdict {
  if (record === undefined) {
    if (a.life === 0n) return { verdict: 'new', isReset: false, reason: 0, hadReceived: 0 }
    // Only the host that the pin names, or one chosen after that was declared gone, may say RESET (X3).
    if (!a.pinned && !a.pinnedGone) return { verdict: 'not_here' }
    return { verdict: 'new', isReset: true, reason: resetReason.recordLost, hadReceived: 0 }
  }
  if (a.ticketGeneration < record.ticketGeneration) return { verdict: 'spent', have: record.ticketGeneration }
  if (a.epoch <= record.epoch) return { verdict: 'stale', have: record.epoch }
  const end = record.end
  if (a.life !== record.life) {
    const isTheirs = record.offeredTo === 0n || record.offeredTo === a.end
    if (!record.isConfirmed && isTheirs) return { verdict: 'continue', isReset: a.life !== 0n }
    return { verdict: 'new', isReset: a.life !== 0n, reason: resetReason.lifeUnknown, hadReceived: 0 }
  }
  if (end.in.received < a.acked || a.received > end.out.sent) {
    return { verdict: 'new', isReset: true, reason: resetReason.stateBehind, hadReceived: end.in.received }
  }
  return { verdict: 'continue', isReset: false }
}

/**
 * A6: stores epoch and generation, forgets what they have settled, and only then reads the counters and answers. The
 * caller has killed the old handle just before: nothing that still arrives on it is taken.
 */
export function answerAttach(record: HostRecord, a: LinkAttach, isReset: boolean, now: number): AttachAnswer {
  record.epoch = a.epoch
  record.ticketGeneration = a.ticketGeneration
  record.offeredTo = a.end
  const end = record.end
  const isSameLife = a.life === record.life
  if (isSameLife) record.isConfirmed = true
  const theirs = isSameLife ? a : { received: 0, settled: 0, acked: 0 }
  const settled = Math.min(theirs.settled, theirs.received)
  end.in.forgetRefused(theirs.acked)
  end.attached(a.epoch, Math.max(theirs.received, end.out.acked), settled, end.in.settled, now)
  // What was accepted under a larger grant still goes; nothing is accepted until the rest fits this one (W5).
  end.out.grantedBytes = a.grantedBytes
  const window = end.out.window
  if (isReset) {
    return {
      isReset: true,
      frame: {
        channel: a.handle,
        epoch: a.epoch,
        life: record.life,
        reason: record.resetWhy.reason,
        hadReceived: record.resetWhy.hadReceived,
        windowCount: window.count,
        windowBytes: window.bytes,
        pin: EMPTY,
      },
    }
  }
  return {
    isReset: false,
    frame: {
      channel: a.handle,
      epoch: a.epoch,
      life: record.life,
      received: end.in.received,
      settled: end.in.settled,
      refused: end.in.refused.slice(),
      quietForMs: Math.max(0, Math.floor(now - end.in.lastTakenAt)),
      windowCount: window.count,
      windowBytes: window.bytes,
      pin: EMPTY,
    },
  }
}

export type ResetWhy = { reason: number; hadReceived: number }
export type AttachAnswer = { isReset: true; frame: Reset } | { isReset: false; frame: Attached }

/** How a record ended at the host, and the messages of the actor whose outcome is unknown (X5). */
export type RecordEnding = { code: number; unknown: Item[] }

export function endRecord(record: HostRecord, why: number): RecordEnding {
  return { code: why, unknown: record.end.close().filter((item) => item.isOneway) }
}

/** Whether both directions are finished and settled (X4). */
export function isRecordClosed(record: HostRecord): boolean {
  const end = record.end
  if (!end.finReceived || end.in.settled < end.in.received) return false
  if (end.finSent === 0) {
    end.fin(code.closed)
    return false
  }
  return end.out.acked >= end.finSent
}
