// Which HTTP status a code becomes where a call came by HTTP (H1). The status is for proxies, browsers and load balancers;
// the code travels beside it, with the word whether the call ran. 504 is for calls that may have run, and for no others.
import { code, comesBack } from './codes.ts'

const statuses: { readonly [name in keyof typeof code]: number } = {
  ok: 200,
  going_away: 503,
  busy: 503,
  host_lost: 504,
  host_away: 503,
  park_full: 503,
  slow: 503,
  idle: 408,
  handshake_timeout: 408,
  moved: 503,
  not_here: 503,
  ticket_key_unknown: 503,
  auth_required: 401,
  overloaded: 503,
  rate_limited: 429,
  dropped: 403,
  withdrawn: 503,
  expired: 503,
  unknown: 504,
  superseded: 409,
  breaker_open: 503,
  concurrency: 503,
  admission: 503,
  window_full: 503,
  link_lost: 504,
  stalled: 504,
  login_failed: 503,
  detached: 503,
  user_present: 409,
  protocol: 400,
  version: 400,
  unauthenticated: 401,
  ticket_invalid: 401,
  taken_over: 409,
  kicked: 403,
  no_route: 404,
  no_service: 404,
  not_allowed: 403,
  too_large: 413,
  spent: 401,
  closed: 410,
  handler_failed: 500,
  reset: 502,
  undelivered: 503,
  not_found: 404,
  banned: 403,
  wrong_security: 400,
  too_many_channels: 429,
  too_many_requests: 429,
  invalid_payload: 400,
  link_auth: 502,
  key_reused: 422,
  replaced: 409,
}

const byNumber = new Map<number, number>()
for (const [name, status] of Object.entries(statuses)) byNumber.set(code[name as keyof typeof code], status)

/** The HTTP status of a code; one that this version does not know follows its range. */
export function httpStatusOf(number: number): number {
  return byNumber.get(number) ?? (comesBack(number) ? 503 : 400)
}
