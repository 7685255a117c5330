// What the gateway runs on: the configuration file after checking, defaults filled in, units resolved (milliseconds,
// bytes, tokens a second). Plain data, made by settings-from-yaml, compared by reload; nothing here is ever mutated.
import type { AdmissionSettings } from '../policies/admission.ts'
import type { CircuitBreakerSettings } from '../policies/circuit-breaker.ts'
import type { ConcurrencySettings } from '../policies/concurrency-limit.ts'
import type { LoginLimitSettings } from '../policies/login-limits.ts'

import type { KcpSettings } from '../protocols/kcp/settings.ts'
import type { PolicySet } from '../policies/compile.ts'

export type TlsSettings = {
  certFile: string
  keyFile: string
  /** Client certificates are demanded and checked against this file. */
  clientCaFile?: string
}

export type ListenerSettings = {
  name: string
  transport: 'tcp' | 'websocket' | 'udp' | 'http'
  host: string
  port: number
  security: 'none' | 'tls' | 'noise'
  tls?: TlsSettings
  /** Networks of proxies whose connections begin with a PROXY header. */
  proxyProtocol?: string[]
  /** Networks of proxies whose Forwarded headers are believed. */
  forwarded?: string[]
  /** WebSocket: the path that upgrades. */
  path: string
  /** WebSocket: origins allowed; empty allows all. */
  origins: string[]
  /** UDP: `mtu` is the largest UDP payload, whatever seals it included. */
  kcp?: KcpSettings
  /** HTTP: how requests are answered; absent on a WebSocket listener that answers none. */
  http?: HttpSettings
  policies?: PolicySet
  /** Beside `limits.connectionsMax`, which all listeners share; absent: no limit. */
  limits?: { connectionsMax?: number; handshakesMax?: number }
}

export type HttpSettings = {
  calls: boolean
  sessions: boolean
  contentType: string
  bodyBytesMax: number
  /** Replies from this size on are compressed; 0: none. */
  compressFromBytes: number
  /** Origins whose pages may call; `*` for all. */
  corsOrigins: string[]
  requestMs: number
  keepAliveMs: number
  /** 0: as many as come. */
  requestsPerConnection: number
}

/** Networks as written, and files of more. */
/** `url` is secret: a password may stand in it. */
export type StoreSettings = { readonly redis: { readonly url: string; readonly keyPrefix: string } }

export type AdmissionListSettings = {
  readonly allow: readonly string[]
  readonly allowFile?: string
  readonly deny: readonly string[]
  readonly denyFile?: string
}

export type HostSettings = {
  name: string
  /** host:port or unix:/path. */
  address: string
  security: 'none' | 'tls' | 'noise'
  /** Of Noise, in base64url. */
  publicKey?: string
  tls?: { caFile?: string; certFile?: string; keyFile?: string; serverName?: string }
  /** What it runs, as far as its configuration says; its HELLO says it for certain (P2). */
  services?: string[]
  weight: number
  labels: Record<string, string>
  breaker?: BreakerSettings
}

export type RateSettings = { perSecond: number; burst: number }

/** `isObserved`: judges and counts, and lets pass. */
export type BreakerSettings = CircuitBreakerSettings & { readonly isObserved: boolean }
export type ConcurrencyLimitSettings = ConcurrencySettings & { readonly isObserved: boolean }

/** Deadlines and retries of requests on a route. */
export type CallSettings = {
  readonly deadlineMs: number
  readonly deadlineMsMax: number
  readonly isIdempotent: boolean
  /** 0 to 1. */
  readonly retryBudget: number
}

/** Hosts with these labels take `share` (0 to 1) of a service's new actors. */
export type CanarySettings = {
  readonly labels: Readonly<Record<string, string>>
  readonly share: number
  /** New actors stay away once a breaker of such a host has opened. */
  readonly rollsBack: boolean
}

export type ServiceSettings = {
  name: string
  keys: 'user' | 'any'
  whenAway: 'park' | 'reject'
  breaker?: BreakerSettings
  /** The service that takes new channels and loose calls while the breaker is open or the host is away (R5). */
  fallback?: string
  concurrency?: ConcurrencyLimitSettings
  canary?: CanarySettings
  policies?: PolicySet
}

export type RouteSettings = {
  /** A route's name, or a wildcard as in `arena.*`. First match wins. */
  match: string
  service: string
  rate?: RateSettings
  payloadBytesMax?: number
  breaker?: BreakerSettings
  concurrency?: ConcurrencyLimitSettings
  calls?: CallSettings
  /** The longest deadline of a request on a channel; absent: any, or none. */
  requestMsMax?: number
  policies?: PolicySet
}

export type AuthSettings = { kind: 'development' } | JwtSettings | HostLoginSettings

/** Tokens go to actors `key.0`, `key.1` ... of a service. */
export type HostLoginSettings = {
  kind: 'host'
  service: string
  route: string
  key: string
  actors: number
  deadlineMs: number
  underWayMax: number
}

export type JwtSettings = {
  kind: 'jwt'
  algorithms: string[]
  secret?: string
  publicKeyFile?: string
  keys?: { kid: string; file: string }[]
  jwks?: JwksSettings
  issuer?: string
  audience?: string
  userClaim: string
  /** Claims by the label that they give. */
  labels: Record<string, string>
  clockToleranceMs: number
}

/** Either `file` or `url`; the times are of the latter. */
export type JwksSettings = {
  file?: string
  url?: string
  timeoutMs: number
  refreshMs: number
  cooldownMs: number
}

/** Sealing keys of tickets and pins (T3), 32 bytes each, newest first by role. */
export type TicketKeySettings = { next?: KeySettings; current: KeySettings; previous?: KeySettings }
export type KeySettings = { id: string; key: Uint8Array }

/** Names of files with X25519 private keys. */
export type NoiseSettings = { keyFile: string; previousKeyFile?: string }

export type LimitSettings = {
  windowCount: number
  windowBytes: number
  channelsPerSession: number
  /** What the gateway holds for one connection (W5). */
  connectionBytesMax: number
  /** What the windows and reserved replies granted to the channels of one connection may add up to (W5). */
  grantedBytesMax: number
  /** What the open requests of one channel may reserve for their replies (W4, W5). */
  replyBytesMax: number
  /** What the gateway holds for all connections together (W5). */
  queueBytesMax: number
  /** What waits on one link before its clients are no longer read (W6). */
  linkBytesMax: number
  connectionsMax: number
  frameBytesMax: number
  /** Largest frame before authentication. */
  handshakeFrameBytesMax: number
  parkedMax: number
  looseReplyBytesMax: number
  /** Token buckets that are kept at once; each key of each rate limit has one. */
  rateKeysMax?: number
}

export type TimeSettings = {
  handshakeMs: number
  heartbeatMs: number
  keepMs: number
  parkMaxMs: number
  backoffMaxMs: number
  drainMs: number
  authUntilMs: number
  linkHeartbeatMs: number
  linkFlushDelayMs: number
  /** A known host that is not linked is declared gone after this long (P3). */
  goneAfterMs: number
}

export type ReloadSettings = {
  /** The file is read again when it changes. */
  watch: boolean
  /** How long after a reload a gateway that stops being ready goes back; 0: never. */
  rollbackWithinMs: number
}

export type Settings = {
  name: string
  listeners: ListenerSettings[]
  hosts: HostSettings[]
  services: ServiceSettings[]
  routes: RouteSettings[]
  /** Those that hold for every message. */
  policies?: PolicySet
  auth: AuthSettings
  /** T4: what becomes of a user's second session. */
  singleLogin?: 'replace' | 'reject'
  admission?: {
    readonly limits: AdmissionSettings
    readonly lists: AdmissionListSettings
    readonly logins?: LoginLimitSettings
  }
  /** What gateways share; absent: each counts by itself. */
  store?: StoreSettings
  /** Absent: the gateway keeps keys of its own in `stateDir` (T3). */
  ticketKeys?: TicketKeySettings
  stateDir: string
  /** Absent: the gateway keeps a key of its own in `stateDir`, where Noise is spoken at all. */
  noise?: NoiseSettings
  /** Proves the two ends of a link to each other (L4). */
  linkKey?: string
  limits: LimitSettings
  times: TimeSettings
  admin: { enabled: boolean; host: string; port: number; token?: string }
  log: { level: string; format: 'json' | 'pretty' | 'auto' }
  reload: ReloadSettings
}
