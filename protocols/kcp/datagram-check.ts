// Judges a whole datagram before any of it is applied, and changes nothing: one forged segment that is believed (an una
// from the future, a number far outside the window) destroys a conversation, so a datagram with anything impossible in it
// is dropped as if lost, and counted by its reason (docs/spec/kcp.md, KCP-2). What may merely be late or doubled passes.
// The order is by cost; the first refusal wins.
//
//   length -> (each segment: conv, command, length, una, then by command: ack and its time | number, order, fragment)
//          -> trailing bytes -> room for the acknowledgements
import type { AckList } from './ack-list.ts'
import type { ReceiveWindow } from './receive-window.ts'
import { command, field, headerBytes, readInt32 } from './segment.ts'
import type { SendWindow } from './send-window.ts'

export const kcpVerdict = {
  accepted: 0,
  /** Shorter than a header (KCP-2.1). */
  short: 1,
  /** Longer than `peerMtu` (KCP-2.1). */
  long: 2,
  /** Bytes after the last segment that are no segment (KCP-2.2). */
  trailing: 3,
  /** Another conversation's (KCP-2.3). */
  conv: 4,
  /** Not a command of KCP (KCP-2.4). */
  command: 5,
  /** Payload beyond the datagram, or on a segment that has none (KCP-2.5). */
  length: 6,
  /** Confirms what was never sent (KCP-2.6). */
  una: 7,
  /** Acknowledges what was never sent (KCP-2.7). */
  ack: 8,
  /** Echoes a time that has not come (KCP-2.8). */
  time: 9,
  /** Outside the receive window (KCP-2.9). */
  sequence: 10,
  /** Does not fit into its message, or the message into the window (KCP-2.10). */
  fragment: 11,
  /** Pushes not in ascending order (KCP-2.11). */
  order: 12,
  /** More acknowledgements owed than are kept (KCP-2.12). */
  acksOwed: 13,
  /** The conversation is over. */
  dead: 14,
} as const
export type KcpVerdict = (typeof kcpVerdict)[keyof typeof kcpVerdict]

/** How far behind a number may be and still be a late datagram: more than any window. */
const LATE_MAX = 0x10000

export class DatagramCheck {
  readonly #conv: number
  readonly #bytesMax: number
  readonly #sending: SendWindow
  readonly #receiving: ReceiveWindow
  readonly #acks: AckList

  constructor(conv: number, bytesMax: number, sending: SendWindow, receiving: ReceiveWindow, acks: AckList) {
    this.#conv = conv
    this.#bytesMax = bytesMax
    this.#sending = sending
    this.#receiving = receiving
    this.#acks = acks
  }

  /** At most `bytesMax / 24` rounds: the length of the datagram bounds its segments. */
  judge(bytes: Uint8Array, start: number, end: number, clock: number): KcpVerdict {
    if (end - start < headerBytes) return kcpVerdict.short
    if (end - start > this.#bytesMax) return kcpVerdict.long
    const sendNext = this.#sending.next
    const receiveNext = this.#receiving.next
    let pushes = 0
    let lastSn = 0
    let lastFragment = 0
    let at = start
    while (end - at >= headerBytes) {
      if (readInt32(bytes, at + field.conv) !== this.#conv) return kcpVerdict.conv
      const kind = bytes[at + field.command]
      const length = readInt32(bytes, at + field.length)
      // Serial distance behind what was sent: huge when it is ahead of it.
      if ((sendNext - readInt32(bytes, at + field.una)) >>> 0 > LATE_MAX) return kcpVerdict.una
      if (kind === command.push) {
        if (length < 0 || length > end - at - headerBytes) return kcpVerdict.length
        const sn = readInt32(bytes, at + field.sn)
        const fragment = bytes[at + field.fragment]
        const offset = (sn - receiveNext) | 0
        if (offset >= this.#receiving.size || offset < -LATE_MAX) return kcpVerdict.sequence
        if (fragment >= this.#receiving.size) return kcpVerdict.fragment
        if (pushes > 0) {
          if (((sn - lastSn) | 0) <= 0) return kcpVerdict.order
          // Neighbours in one datagram; order makes them the only pair that neither window can have seen yet.
          if (((sn - lastSn) | 0) === 1 && lastFragment !== 0 && fragment !== lastFragment - 1)
            return kcpVerdict.fragment
        }
        if (offset >= 0 && !this.#receiving.agrees(sn, fragment)) return kcpVerdict.fragment
        lastSn = sn
        lastFragment = fragment
        pushes++
      } else {
        if (kind !== command.ack && kind !== command.ask && kind !== command.tell) return kcpVerdict.command
        if (length !== 0) return kcpVerdict.length
        if (kind === command.ack) {
          if ((sendNext - 1 - readInt32(bytes, at + field.sn)) >>> 0 > LATE_MAX) return kcpVerdict.ack
          if (((clock - readInt32(bytes, at + field.ts)) | 0) < 0) return kcpVerdict.time
        }
      }
      at += headerBytes + length
    }
    if (at !== end) return kcpVerdict.trailing
    if (pushes > 0 && this.#acks.count + pushes > this.#acks.countMax) return kcpVerdict.acksOwed
    return kcpVerdict.accepted
  }
}
