// What a host tells its owner beside messages, and what it counts. Messages are counted, never told one by one.

export type HostEvent =
  | { event: 'link_ready'; link: number; gateway: string; instance: bigint; serial: number }
  | { event: 'link_refused'; link: number; code: number; text: string }
  | { event: 'link_closed'; link: number; gateway: string; code: number; text: string }
  | { event: 'attach_refused'; session: string; service: string; key: string; code: number }
  | { event: 'attached'; session: string; service: string; key: string; epoch: number; isReset: boolean }
  | { event: 'detached'; session: string; service: string; key: string; code: number }
  | { event: 'channel_ended'; session: string; service: string; key: string; code: number; unknown: number }
  | { event: 'kicked'; session: string; code: number }
  | { event: 'actor_started'; service: string; key: string }
  | { event: 'actor_stopped'; service: string; key: string }
  | { event: 'handler_failed'; service: string; key: string; route: string; error: unknown }
  | { event: 'handler_cut'; service: string; key: string; route: string }
  | { event: 'stalled'; ms: number }

export class HostCounters {
  framesIn = 0
  /** Frames on handles that are closed: dropped (A6, L2). */
  framesOnClosedHandles = 0
  bytesIn = 0
  bytesOut = 0
  writes = 0
  handled = 0
  handlersFailed = 0
  handlersCut = 0
  requestsExpired = 0
  routesNotFound = 0
  repliesDropped = 0
  unnumberedDropped = 0
  attaches = 0
  attachesRefused = 0
  resets = 0
  recordsEnded = 0
  invitesSent = 0
  published = 0
  publicationsDropped = 0
  loose = 0
  broadcasts = 0
  violations = 0
}
