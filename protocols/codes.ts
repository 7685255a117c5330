// The one table of codes: why something was refused, detached, closed or ended. A code travels as a varint in frames of
// both protocols, as 4000 + code in a WebSocket close, and by name in logs, metrics and the SDKs. Codes below 500 tell
// a client to come back (at once, or after the hint that travels with them), codes from 500 on tell it not to.
// docs/codes.md is generated from this table.

export type Retry = 'now' | 'later' | 'never'

export type CodeRow = { readonly number: number; readonly name: string; readonly retry: Retry; readonly says: string }

const row = (number: number, name: string, retry: Retry, says: string): CodeRow => ({ number, name, retry, says })

export const codeRows: readonly CodeRow[] = [
  row(0, 'ok', 'now', 'nothing is wrong'),
  row(1, 'going_away', 'now', 'this gateway is draining; attach elsewhere'),
  row(2, 'busy', 'later', 'the way to the host is full for the moment'),
  row(3, 'host_lost', 'now', 'the link to the host was lost'),
  row(4, 'host_away', 'later', 'no host that could serve this is reachable'),
  row(5, 'park_full', 'later', 'the host is away and no more channels can wait for it'),
  row(6, 'slow', 'later', 'the client did not read what was sent to it'),
  row(7, 'idle', 'now', 'nothing was heard for longer than the heartbeat allows'),
  row(8, 'handshake_timeout', 'later', 'the handshake was not finished in time'),
  row(9, 'moved', 'now', 'the actor lives on another host now'),
  row(10, 'not_here', 'now', 'this host does not hold the actor'),
  row(11, 'ticket_key_unknown', 'later', 'this gateway does not know the key that sealed the ticket yet'),
  row(12, 'auth_required', 'now', 'the authority of the session has expired; present a new token'),
  row(13, 'overloaded', 'later', 'the gateway sheds load'),
  row(14, 'rate_limited', 'later', 'a rate limit was exceeded'),
  row(15, 'dropped', 'never', 'a policy dropped the message'),
  row(16, 'withdrawn', 'never', 'the sender took the message back before it was transmitted'),
  row(17, 'expired', 'never', 'the deadline passed before the message ran'),
  row(18, 'unknown', 'never', 'it may or may not have run'),
  row(19, 'superseded', 'now', 'a newer attach of the same channel took its place'),
  row(20, 'breaker_open', 'later', 'a circuit breaker is open'),
  row(21, 'concurrency', 'later', 'too many requests are under way'),
  row(22, 'admission', 'later', 'the address is not let in, or there are too many connections'),
  row(23, 'window_full', 'later', 'the window of unacknowledged messages is full'),
  row(24, 'link_lost', 'now', 'the connection between gateway and host ended'),
  row(25, 'stalled', 'later', 'the host does not answer'),
  row(26, 'login_failed', 'later', 'the login could not be checked just now'),
  row(27, 'detached', 'now', 'the channel is not attached'),
  row(28, 'user_present', 'later', 'the user is logged in already, with another session'),
  row(500, 'protocol', 'never', 'the peer broke the protocol'),
  row(501, 'version', 'never', 'no protocol version in common'),
  row(502, 'unauthenticated', 'never', 'the token was not accepted'),
  row(503, 'ticket_invalid', 'never', 'the ticket or its proof was not accepted'),
  row(504, 'taken_over', 'never', 'another client of the same session took over'),
  row(505, 'kicked', 'never', 'the session was ended by the game or the operator'),
  row(506, 'no_route', 'never', 'no route of that name is configured for this service'),
  row(507, 'no_service', 'never', 'no service of that name is configured'),
  row(508, 'not_allowed', 'never', 'this session may not do that'),
  row(509, 'too_large', 'never', 'the message is larger than allowed'),
  row(510, 'spent', 'never', 'a newer ticket of this session has been used'),
  row(511, 'closed', 'never', 'the channel was closed'),
  row(512, 'handler_failed', 'never', 'the handler threw'),
  row(513, 'reset', 'never', 'the record of the channel was lost'),
  row(514, 'undelivered', 'never', 'the session was not reached in time; it certainly did not run'),
  row(515, 'not_found', 'never', 'the receiver has no handler for this route'),
  row(516, 'banned', 'never', 'the address or user is banned'),
  row(517, 'wrong_security', 'never', 'the peer spoke another security than this port wants'),
  row(518, 'too_many_channels', 'never', 'the session has as many channels as it may have'),
  row(519, 'too_many_requests', 'never', 'as many requests as allowed are open in this direction'),
  row(520, 'invalid_payload', 'never', 'the payload cannot be read, or does not fit the schema of its route'),
  row(521, 'link_auth', 'never', 'the link key or certificate was not accepted'),
  row(522, 'key_reused', 'never', 'the idempotency key was used with another body'),
  row(523, 'replaced', 'never', 'the user has logged in again, with another session'),
]

const byNumber = new Map(codeRows.map((r) => [r.number, r]))

/** Codes by name: `code.rate_limited` is the number that travels. */
export const code = {
  ok: 0,
  going_away: 1,
  busy: 2,
  host_lost: 3,
  host_away: 4,
  park_full: 5,
  slow: 6,
  idle: 7,
  handshake_timeout: 8,
  moved: 9,
  not_here: 10,
  ticket_key_unknown: 11,
  auth_required: 12,
  overloaded: 13,
  rate_limited: 14,
  dropped: 15,
  withdrawn: 16,
  expired: 17,
  unknown: 18,
  superseded: 19,
  breaker_open: 20,
  concurrency: 21,
  admission: 22,
  window_full: 23,
  link_lost: 24,
  stalled: 25,
  login_failed: 26,
  detached: 27,
  user_present: 28,
  protocol: 500,
  version: 501,
  unauthenticated: 502,
  ticket_invalid: 503,
  taken_over: 504,
  kicked: 505,
  no_route: 506,
  no_service: 507,
  not_allowed: 508,
  too_large: 509,
  spent: 510,
  closed: 511,
  handler_failed: 512,
  reset: 513,
  undelivered: 514,
  not_found: 515,
  banned: 516,
  wrong_security: 517,
  too_many_channels: 518,
  too_many_requests: 519,
  invalid_payload: 520,
  link_auth: 521,
  key_reused: 522,
  replaced: 523,
} as const

/** The name of a code; a number that this version does not know is named after its retry class. */
export function codeName(number: number): string {
  return byNumber.get(number)?.name ?? (number < 500 ? 'other_retry' : 'other_final')
}

/** Whether a client should come back after this code. Unknown codes follow their range. */
export function comesBack(number: number): boolean {
  return number < 500
}

/** WebSocket close code of a code of ours. */
export const webSocketCloseCode = (number: number): number => 4000 + number

/** The code in a WebSocket close, or undefined where the close was not ours. */
export function codeOfWebSocketClose(closeCode: number): number | undefined {
  return closeCode >= 4000 && closeCode <= 4999 ? closeCode - 4000 : undefined
}
