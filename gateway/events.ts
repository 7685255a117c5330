// Everything that can happen in a gateway, one typed list. Logs, metrics, diagnostics_channel, the admin event stream and
// tests all read this and nothing else. Per-frame things are counted in cells (gateway/counters.ts), not told here.

export type GatewayEvent =
  | { event: 'connection_opened'; transport: string; address: string }
  | { event: 'connection_closed'; transport: string; address: string; code: number; session?: string; user?: string }
  | { event: 'session_welcomed'; session: string; user: string; transport: string; resumed: boolean }
  /** Before the core had the client: its key, its version, or what it sent. */
  | { event: 'handshake_failed'; listener: string; address: string; what: string }
  /** TLS, HTTP, Noise or plain frames, on a port that speaks something else. */
  | { event: 'wrong_security'; listener: string; address: string; code: number; expected: string; spoken: string }
  | { event: 'login_refused'; address: string; code: number; text: string }
  | { event: 'channel_attaching'; session: string; service: string; key: string; epoch: number; host: string }
  | {
      event: 'channel_attached'
      session: string
      service: string
      key: string
      epoch: number
      host: string
      reattach: boolean
    }
  | { event: 'channel_reset'; session: string; service: string; key: string; epoch: number; reason: number }
  | { event: 'channel_refused'; session: string; service: string; key: string; code: number }
  | { event: 'channel_parked'; session: string; service: string; key: string; host: string }
  | { event: 'channel_detached'; session: string; service: string; key: string; code: number }
  | { event: 'message_refused'; session: string; route: string; code: number; count: number }
  | { event: 'link_opened'; host: string; instance: string; serial: number }
  | { event: 'link_refused'; host: string; code: number; text: string }
  | { event: 'link_closed'; host: string; code: number }
  | { event: 'host_known'; host: string; services: string[] }
  | { event: 'host_gone'; host: string; reason: string }
  | { event: 'host_draining'; host: string }
  | { event: 'peer_violation'; side: 'client' | 'link'; address: string; code: number; what: string }
  /** A connection that was not let in, or would not have been (`isObserved`). */
  | {
      event: 'admission_refused'
      listener: string
      address: string
      reason: string
      code: number
      isObserved: boolean
    }
  /** A circuit breaker, `host NAME`, `service NAME` or `route SERVICE MATCH`. */
  | {
      event: 'breaker_changed'
      guard: string
      from: string
      to: string
      reason: string
      isObserved: boolean
    }
  | { event: 'drain_started'; withinMs: number }
  | { event: 'drain_finished'; left: number }
  | { event: 'stalled'; ms: number }
  /** A policy keeps an address or a user away for so long. */
  | { event: 'banned'; of: 'address' | 'user'; address: string; user: string; ms: number }
  /** Messages below a priority are refused, from level 1 on; 0: none any more. */
  | { event: 'shedding'; level: number; eventLoopDelayMs: number; memoryShare: number; queueAgeMs: number }
  /** Another configuration is in use; `changed` names the keys, the first of them where there are many. */
  | { event: 'reloaded'; trigger: ReloadTrigger; changes: number; changed: string[] }
  /** Nothing has changed; `problems` say file:line:column. */
  | { event: 'reload_refused'; trigger: ReloadTrigger; reason: string; problems: string[] }
  /** The configuration before the last reload is in use again. */
  | { event: 'reload_rolled_back'; reason: string; changed: string[] }

/** What asked for a reload. */
export type ReloadTrigger = 'signal' | 'watch' | 'admin' | 'program'

export type GatewayEventName = GatewayEvent['event']
