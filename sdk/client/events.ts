// What a client and its channels tell beside messages. Codes are those of docs/codes.md; `name` is the code's name.
import type { Channel } from './channel.ts'
import type { ClientState } from './options.ts'

/** A message of ours that will not run, or of which nobody knows. */
export type Sent = { number: number; route: string; payload: unknown }

/** A one-way message certainly did not run; told once (S1). `retryMs`: earliest time to try again, 0 without a hint. */
export type Refused = Sent & { code: number; name: string; retryMs: number }

/** How a channel, or one life of it, ended (X1, X5). Calls that were open have told their own outcome. */
export type ChannelEnding = {
  code: number
  name: string
  /** One-way messages that may or may not have run. */
  unknown: Sent[]
  /** Numbers (lostFrom, lostTo] had been acknowledged and the host has lost them again; equal where none. */
  lostFrom: number
  lostTo: number
}

export type ChannelEvents = {
  /** Attached, for the first time or again. */
  attached: undefined
  /** The host is away; the gateway holds the attach for at most `maxMs`. */
  parked: { maxMs: number }
  /** Not attached any more; the channel comes back by itself, not before `retryMs`. */
  detached: { code: number; name: string; retryMs: number }
  /** The host lost its record of this channel: it goes on from nothing, under a new life. */
  reset: ChannelEnding
  /** Over. */
  ended: ChannelEnding
  refused: Refused
  /** Publications [from, to] of a group will not come; 0 where a plain group has lost an unknown number. */
  missed: { group: string; from: number; to: number }
  joined: { group: string; recoverable: boolean }
  left: { group: string }
}

const channelEvents: { [E in keyof ChannelEvents]: true } = {
  attached: true,
  parked: true,
  detached: true,
  reset: true,
  ended: true,
  refused: true,
  missed: true,
  joined: true,
  left: true,
}

export const isChannelEvent = (name: string): name is keyof ChannelEvents => Object.hasOwn(channelEvents, name)

export type ClientEvents = {
  /** offline, connecting, online, or degraded: connected, but not every channel is attached. */
  state: ClientState
  /** Connected and authenticated; `resumed`: the session goes on. */
  welcomed: { session: string; user: string; resumed: boolean; gateway: string }
  /** A connection ended, or could not be made; the client comes back by itself. Code 0, no name: it just went away,
   * and `text` is what the system says of it. */
  disconnected: { gateway: string; code: number; name: string; text: string }
  /** The gateway wants another token in mid-session, and the source of tokens threw `error` or gave none (undefined). It is
   * asked again after `retryMs`; 0: with the next connection, since this one is closed before. */
  tokenFailed: { gateway: string; error: unknown; retryMs: number }
  /** The session is over and does not come back: its channels have ended before. */
  ended: { code: number; name: string; text: string }
  /** An actor has opened a channel to this session; add handlers in this turn. */
  invited: Channel
  /** As the channels' `refused`, of all of them. */
  refused: Refused & { channel: Channel }
  /** Smoothed round trip to the gateway in milliseconds. */
  rtt: number
  /** A handler threw or took too long, or a payload could not be decoded. Without a listener: console.error. */
  error: { error: unknown; channel: Channel; route: string }
}
