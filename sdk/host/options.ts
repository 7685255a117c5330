// What a host core is given: its name, its limits and times, and the few things of the world it touches. Times are
// milliseconds on one monotonic clock, sizes are bytes.
import type { Labels } from '../../protocols/link/frames.ts'
import type { Hmac } from '../../protocols/link/proof.ts'
import type { EndLimits } from '../../protocols/session/channel-end.ts'
import { endLimits } from '../../protocols/session/channel-end.ts'
import type { Window } from '../../protocols/session/outbox.ts'
import type { Codec } from '../codec.ts'
import { bytes } from '../codec.ts'
import type { HostEvent } from './events.ts'

export type Rate = { perSecond: number; burst: number }

export type HostOptions = {
  /** Name of the host as the gateway's configuration knows it; pins name it (P1). */
  name: string
  /** Shared key of the links (L4). Without one every gateway that has none either is let in. */
  linkKey?: string
  /** Labels of the host, for placement by canary or region. */
  labels?: Labels
  /** How values become payloads; bytes as they are by default. */
  codec?: Codec
  /** What one channel may keep unacknowledged each way (W1): 256 messages and 64 KiB. */
  window?: Window
  limits?: Partial<EndLimits>
  /** How long a record of a channel lives apart (S2); the gateway's `keep` must be the same. Default 2 min. */
  keepMs?: number
  /** How long one handler may run before its message counts as settled (W2). Default 10 s. */
  handlerDeadlineMs?: number
  /** How often the links are proved alive (O1): lost after two silent ones. Default 10 s. */
  heartbeatMs?: number
  /** How long a kick is remembered: the longest life of a ticket (X4). Default 12 h. */
  authUntilMs?: number
  /**
   * How long gateways are waited for that were asked where an actor is (P2): they wait 500 ms for the other hosts, and the
   * way there and back comes on top. Default 1 s.
   */
  locateMs?: number
  /** Time a link has to prove itself. Default 5 s. */
  handshakeMs?: number
  /** Back-off of INVITE after NO_SESSION (P5). Default 1 s. */
  inviteMs?: number
  /** Attaches of one session (A11). Default 10/s, burst 30. */
  attachesPerSession?: Rate
  /** Attaches of all sessions (A11). Default 5,000/s, burst 20,000. */
  attachesPerHost?: Rate
  /** Past so many bytes queued on a link its lanes wait until it has drained. Default 1 MiB. */
  linkBytesMax?: number
  /** Largest frame taken from a gateway. Default 4 MiB. */
  frameBytesMax?: number
  /** Largest reply to a loose call (W1). Default 1 MiB. */
  looseReplyBytesMax?: number
  /** How long an actor keeps what it has answered to a call with an idempotency key (H1). Default 10 min. */
  answersKeptMs?: number
  /** Told of everything that happens and is no message; must not throw. */
  onEvent?: (event: HostEvent) => void
}

export interface HostEnvironment {
  randomBytes(length: number): Uint8Array
  hmac: Hmac
  /** Writes to a link; the bytes are lent for the call. At most once a link and flush. */
  write(link: number, bytes: Uint8Array): void
  /** Ends a link after what was written to it. `linkClosed` may follow or not; it changes nothing then. */
  closeLink(link: number): void
  /** Bytes written to a link that the kernel has not taken yet. */
  queuedBytes(link: number): number
  /** Asks for one call of `flush` at the end of this turn. `deadline` is to be read again after it. */
  scheduleFlush(): void
  /**
   * Monotonic milliseconds, on the clock of the `now` arguments: for what handlers do outside any call of the core, after
   * a promise. Without it the newest `now` seen stands in.
   */
  now?(): number
  /** Share of its time that the event loop is busy, 0 to 1, for LOAD. */
  busy?(): number
}

export type HostSettings = {
  name: string
  linkKey: string
  labels: Labels
  codec: Codec
  window: Window
  limits: EndLimits
  keepMs: number
  handlerDeadlineMs: number
  heartbeatMs: number
  authUntilMs: number
  locateMs: number
  handshakeMs: number
  inviteMs: number
  attachesPerSession: Rate
  attachesPerHost: Rate
  linkBytesMax: number
  frameBytesMax: number
  looseReplyBytesMax: number
  answersKeptMs: number
  onEvent: (event: HostEvent) => void
}

const KIB = 1024
const SECOND_MS = 1000

export function hostSettings(o: HostOptions): HostSettings {
  return {
    name: o.name,
    linkKey: o.linkKey ?? '',
    labels: o.labels ?? {},
    codec: o.codec ?? bytes,
    window: o.window ?? { count: 256, bytes: 64 * KIB },
    limits: { ...endLimits, ...o.limits },
    keepMs: o.keepMs ?? 120 * SECOND_MS,
    handlerDeadlineMs: o.handlerDeadlineMs ?? 10 * SECOND_MS,
    heartbeatMs: o.heartbeatMs ?? 10 * SECOND_MS,
    authUntilMs: o.authUntilMs ?? 12 * 3600 * SECOND_MS,
    locateMs: o.locateMs ?? SECOND_MS,
    handshakeMs: o.handshakeMs ?? 5 * SECOND_MS,
    inviteMs: o.inviteMs ?? SECOND_MS,
    attachesPerSession: o.attachesPerSession ?? { perSecond: 10, burst: 30 },
    attachesPerHost: o.attachesPerHost ?? { perSecond: 5000, burst: 20_000 },
    linkBytesMax: o.linkBytesMax ?? KIB * KIB,
    frameBytesMax: o.frameBytesMax ?? 4 * KIB * KIB,
    looseReplyBytesMax: o.looseReplyBytesMax ?? KIB * KIB,
    answersKeptMs: o.answersKeptMs ?? 600 * SECOND_MS,
    onEvent: o.onEvent ?? (() => {}),
  }
}
