// W5: the share of each channel in what the gateway holds for its client. A host may keep so many bytes unacknowledged on
// it, and what the shares of a connection's channels and the room for their replies add up to stays within
// `grantedBytesMax`, so that a client that merely reads slowly is not closed for what honest hosts have sent it.
//
//   grantedBytesMax   |## first ##|# second #|third|      what every channel to come gets at least      |
//                     granted                             kept: half of all, in equal parts
//
// The first gets most, since most sessions have but one; each gets three quarters of what is free at most, and at least
// its part of what is kept. A quarter of each grant is for replies, which their hosts cannot hold back (W4).
import type { LimitSettings } from '../config/settings.ts'
import type { ClientConnection } from './client-connection.ts'

const SHARE = 3 / 4

export type Grant = { windowBytes: number; replyBytes: number }

/** What the next channel gets where `count` channels of a connection have been granted so many bytes. */
export function nextGrant(limits: LimitSettings, granted: number, count: number): Grant {
  const { grantedBytesMax, channelsPerSession, windowBytes, replyBytesMax } = limits
  const part = Math.floor(grantedBytesMax / (2 * channelsPerSession))
  const kept = part * Math.max(0, channelsPerSession - count - 1)
  const most = Math.max(part, Math.floor(SHARE * (grantedBytesMax - granted - kept)))
  const window = Math.max(1, Math.min(windowBytes, Math.floor(SHARE * most)))
  return { windowBytes: window, replyBytes: Math.min(replyBytesMax, most - window) }
}

/** What is granted to the channels of one connection. */
export class Grants {
  bytes = 0
  count = 0

  /** @returns what the host may keep unacknowledged; `total` goes back by `give`. */
  take(limits: LimitSettings): { windowBytes: number; total: number } {
    const { windowBytes, replyBytes } = nextGrant(limits, this.bytes, this.count)
    const total = windowBytes + replyBytes
    this.bytes += total
    this.count++
    return { windowBytes, total }
  }

  give(total: number): void {
    this.bytes -= total
    this.count--
  }
}

/**
 * Whether there is no room for the reply to one more request of this client: as much waits for it as its channels may have
 * together. Its own count says so, not what it acknowledges.
 */
export function hasNoReplyRoom(connection: ClientConnection, limits: LimitSettings): boolean {
  const { outlet } = connection
  return outlet.held > limits.grantedBytesMax && outlet.heldNow() > limits.grantedBytesMax
}
