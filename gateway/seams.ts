// What the gateway core sees of the world: carriers of bytes, a clock, randomness, sealing, authentication. gateway/io
// implements these on the OS, test/sim in virtual time. The core touches nothing else, so that the whole system runs in
// one thread from one seed.
import type { ListenerSettings } from '../config/settings.ts'

/**
 * One mortal byte carrier to a client or a host. The core calls `write` at most once a turn and peer (at flush).
 * Ownership: the bytes are lent for the call; a carrier that cannot pass them on at once copies them.
 */
export interface Carrier {
  /** As shown in /sessions and metrics: tcp, websocket, kcp, unix, sim ... */
  readonly transport: string
  /** The peer's address as text, without the port. */
  readonly address: string
  /** What the channel is bound to (handshake hash); empty on plain and TLS carriers. */
  readonly binding: Uint8Array
  /** Where its handshake has taken a ticket: that one. Nothing is received before its secret is proved (SEC-3.6). */
  readonly ticket?: Uint8Array | undefined
  write(batch: Uint8Array): void
  /** Bytes accepted by `write` that the peer's kernel has not taken yet, or, over datagrams, the peer has not confirmed. */
  queuedBytes(): number
  /** Stops and goes on delivering received bytes (backpressure, W6). */
  pause(): void
  resume(): void
  /** Whether its peer has sent something that waits here to be received. */
  readonly holdsUnread?: boolean
  /** Ends the carrier: what is queued is still sent if the peer reads it within a second. */
  close(code: number, text: string): void
  /** Ends it at once, nothing more is sent. */
  destroy(): void
  /** Where there is a datagram path beside the reliable one: sends one frame (without a length) unreliably, false when it cannot. */
  datagram?(frame: Uint8Array): boolean
}

/** What a carrier tells the core. `receive` lends the bytes for the call. */
export interface CarrierEvents {
  receive(bytes: Uint8Array, now: number): void
  /** The client has proved who it is: no stranger any more, whom a carrier may have to put out for want of room. */
  readonly isLoggedIn?: boolean
  /** Where the carrier has a datagram path: one frame that came on it, without a length, lent for the call. */
  receiveDatagram?(frame: Uint8Array, now: number): void
  /** Queued bytes fell below the carrier's low mark after having been above its high mark. */
  drained(now: number): void
  /** The carrier is gone; called once, also after `close` and `destroy`. */
  closed(now: number): void
}

/** Where clients come in: a listener, which may be taken away while they are there. */
export interface Entrance {
  readonly settings: ListenerSettings
  /** Where those are counted that have logged in. */
  readonly places?: { loggedIn: number }
}

export type LoginResult =
  | { ok: true; user: string; labels: Record<string, string>; untilWallMs?: number }
  /** `retryMs`: a hint when another try makes sense. */
  | { ok: false; code: number; text: string; retryMs?: number }

export interface Authenticator {
  /** Checks a token; calls back once, now or later (never throws). */
  login(token: Uint8Array, address: string, done: (result: LoginResult) => void): void
  /** It is in use from now on, instead of the one before it, whose knowledge it may take. */
  begin?(before?: Authenticator): void
  /** It is no longer asked; what it has been asked it still answers. */
  end?(): void
}

/** Seals short secrets: tickets and pins (T3). */
export interface Sealer {
  /** Sealed under the current key, `context` authenticated beside it. */
  seal(context: string, plain: Uint8Array): Uint8Array
  open(context: string, sealed: Uint8Array): { plain: Uint8Array } | { code: number }
}

export interface GatewayEnvironment {
  /** Monotonic milliseconds. */
  now(): number
  /** Milliseconds since 1970, for server time and ticket ends only. */
  wallNow(): number
  randomBytes(length: number): Uint8Array
  hmac(key: Uint8Array, ...parts: Uint8Array[]): Uint8Array
  sealer: Sealer
  authenticator: Authenticator
  /** Whether the operator keeps this user out; asked when a session comes back with its ticket. */
  isBanned?(user: string): boolean
  /** Asks for one call of `Gateway.flush` at the end of this event-loop turn (setImmediate). */
  scheduleFlush(): void
  /** Asks for one call of `Gateway.flushLinks` in `times.linkFlushDelay`; where it is not there, links do not wait. */
  scheduleLinkFlush?(): void
  /**
   * Asks for a link to a configured or discovered host; answered, not within the call, by `Gateway.linkOpened` or
   * `Gateway.linkFailed`.
   */
  dial(hostName: string): void
  /** Everything that happens, for logs, metrics and tests; called synchronously, must not throw. */
  observe(event: GatewayEvent): void
}

/** Filled by gateway/events.ts: one flat record per kind of event. */
export type GatewayEvent = import('./events.ts').GatewayEvent
