// What a client core is given: where to connect, its limits and times, the few things of the world it touches, and who is
// told what happens. Times are milliseconds on one monotonic clock, sizes are bytes.
import type { EndLimits } from '../../protocols/session/channel-end.ts'
import { endLimits } from '../../protocols/session/channel-end.ts'
import type { ChannelEnd, Incoming, Outcome } from '../../protocols/session/channel-end.ts'
import type { Ending } from '../../protocols/session/client-channel.ts'
import type { Missed } from '../../protocols/session/group-member.ts'
import type { Item, Window } from '../../protocols/session/outbox.ts'
import type { CoreChannel } from './core-channel.ts'

/** Takes a token, or undefined where none can be had now; `error` says why. */
export type GiveToken = (token: Uint8Array | undefined, now: number, error?: unknown) => void

/** Gives a token: now or later, once. */
export type TokenProvider = (give: GiveToken, now: number) => void

export type ClientOptions = {
  /**
   * Gateways in the order of preference; the next one is tried when one fails. A list in the list is one gateway with its
   * ways, in the order of preference: they run a race. Addresses are counted through.
   */
  addresses: readonly (string | readonly string[])[]
  /** How long a way of a gateway has the race for itself before the next one starts. Default 250 ms. */
  raceMs?: number
  /** First pause before ways that are preferred to the one in use are tried again; it grows to 30 times as much. Default 10 s. */
  probeMs?: number
  /** What LOGIN and REAUTH show; a provider is asked each time, and again where it had none. */
  token: Uint8Array | TokenProvider
  /** Name of the program, for the gateway's log. */
  agent?: string
  /** What one channel may keep unacknowledged until the host says otherwise (W1). Default 256 messages, 64 KiB. */
  window?: Window
  limits?: Partial<EndLimits>
  /** Channels of the session until the gateway says otherwise (W6). Default 16. */
  channelsMax?: number
  /** How long a channel lives apart until the gateway says otherwise (S2). Default 2 min. */
  keepMs?: number
  /** Time to be welcomed. Default 5 s. */
  handshakeMs?: number
  /** Time an ATTACH may stay unanswered before it goes elsewhere (A2). Default 3 s. */
  attachMs?: number
  backoffBaseMs?: number
  /** Longest back-off (O1). Default 5 s. */
  backoffMaxMs?: number
  /** Past so many queued bytes a connection's lanes wait. Default 256 KiB. */
  queuedBytesMax?: number
  /** Largest frame taken from a gateway. Default 1 MiB and a little. */
  frameBytesMax?: number
  /** Loose calls open at once. Default 64. */
  looseMax?: number
}

export interface ClientEnvironment {
  /** 0 <= x < 1. */
  random(): number
  hmac(key: Uint8Array, ...parts: Uint8Array[]): Uint8Array
  /** Opens a connection; answered by `opened` or `lost`, now or later. */
  dial(connection: number, address: string): void
  /** Writes to a connection; the bytes are lent for the call. */
  write(connection: number, bytes: Uint8Array): void
  /** Sends one frame (without a length, lent for the call) beside the connection's stream; false: there is no such way. */
  writeDatagram?(connection: number, frame: Uint8Array): boolean
  /** Ends a connection after what was written to it. `lost` may follow or not; it changes nothing then. */
  closeConnection(connection: number): void
  /** Bytes written to a connection that the carrier has not taken yet. */
  queuedBytes(connection: number): number
  /** Asks for one call of `flush` at the end of this turn. `deadline` is to be read again after it. */
  scheduleFlush(): void
}

/** offline: nothing is under way. degraded: connected, but not every channel is attached. */
export type ClientState = 'offline' | 'connecting' | 'online' | 'degraded'

/**
 * Told of everything, synchronously, inside the verb that brought it; must not throw. Verbs of channels and of the core may
 * be called from within, except `flush` and `tick`.
 */
export interface ClientSink {
  state(state: ClientState): void
  /** Connected and authenticated. `resumed`: the session goes on; otherwise it is a new one. */
  welcomed(session: string, user: string, resumed: boolean, address: number): void
  /** A connection or an attempt has ended; the code says why (0 where the carrier just went away). */
  connectionEnded(address: number, code: number, text: string): void
  /** The session is over and does not come back; its channels have told their own endings before. */
  sessionEnded(code: number, text: string): void
  /** The gateway wants a token and there is none: asked again on this connection after so long, 0: not on this one (T2). */
  tokenFailed(address: number, error: unknown, retryMs: number): void
  /** A smoothed round trip, after each answer to a PING. */
  rtt(ms: number): void
  /** The actor of a channel has opened it (P5). */
  invited(channel: CoreChannel): void
  attached(channel: CoreChannel): void
  /** The host is away; the gateway holds the attach for at most `maxMs`. */
  parked(channel: CoreChannel, maxMs: number): void
  /** Not attached any more, or refused for now; the channel comes back by itself. */
  detached(channel: CoreChannel, code: number, retryMs: number): void
  /** The channel goes on under a new life; told once for each life (X1). */
  reset(channel: CoreChannel, ending: Ending): void
  /** The other end sends nothing more (X4). */
  finished(channel: CoreChannel, code: number): void
  /** The channel is over; told once (X5). */
  ended(channel: CoreChannel, ending: Ending): void
  /** A message. Numbered ones (number > 0) are to be settled, once: `channel.settle(end, number, bytes, now)` (W2). */
  deliver(channel: CoreChannel, message: Incoming, end: ChannelEnd): void
  /** A live publication; false: there is no room for it, and a recoverable group will bring it again (G3). */
  published(channel: CoreChannel, message: Incoming): boolean
  /** Publications that will not come; undefined where a plain group has lost an unknown number of them (G4). */
  missed(channel: CoreChannel, group: string, missed: Missed | undefined): void
  joined(channel: CoreChannel, group: string, recoverable: boolean): void
  left(channel: CoreChannel, group: string): void
  /** A one-way message certainly did not run; told once (S1, R3). */
  refused(channel: CoreChannel, item: Item, number: number, code: number, retryMs: number): void
  /** A request ended (Q2). */
  outcome(channel: CoreChannel, request: number, outcome: Outcome): void
  looseOutcome(request: number, outcome: Outcome): void
}

export type ClientSettings = {
  addresses: readonly string[]
  /** Indexes of the addresses of each gateway. */
  gateways: readonly (readonly number[])[]
  /** The gateway of each address. */
  gatewayOf: readonly number[]
  raceMs: number
  probeMs: number
  token: Uint8Array | TokenProvider
  agent: string
  window: Window
  limits: EndLimits
  channelsMax: number
  keepMs: number
  handshakeMs: number
  attachMs: number
  backoffBaseMs: number
  backoffMaxMs: number
  queuedBytesMax: number
  frameBytesMax: number
  looseMax: number
}

const KIB = 1024
const SECOND_MS = 1000

export function clientSettings(o: ClientOptions): ClientSettings {
  const gateways: number[][] = []
  const gatewayOf: number[] = []
  for (const [gateway, ways] of o.addresses.entries()) {
    const count = typeof ways === 'string' ? 1 : ways.length
    if (count === 0) throw new RangeError('a gateway needs at least one address')
    gateways.push(Array.from({ length: count }, () => gatewayOf.push(gateway) - 1))
  }
  if (gateways.length === 0) throw new RangeError('a client needs at least one address of a gateway')
  return {
    addresses: o.addresses.flat(),
    gateways,
    gatewayOf,
    raceMs: o.raceMs ?? 250,
    probeMs: o.probeMs ?? 10 * SECOND_MS,
    token: o.token,
    agent: o.agent ?? 'skewer-client',
    window: o.window ?? { count: 256, bytes: 64 * KIB },
    limits: { ...endLimits, ...o.limits },
    channelsMax: o.channelsMax ?? 16,
    keepMs: o.keepMs ?? 120 * SECOND_MS,
    handshakeMs: o.handshakeMs ?? 5 * SECOND_MS,
    attachMs: o.attachMs ?? 3 * SECOND_MS,
    backoffBaseMs: o.backoffBaseMs ?? 200,
    backoffMaxMs: o.backoffMaxMs ?? 5 * SECOND_MS,
    queuedBytesMax: o.queuedBytesMax ?? 256 * KIB,
    frameBytesMax: o.frameBytesMax ?? KIB * KIB + 64 * KIB,
    looseMax: o.looseMax ?? 64,
  }
}
