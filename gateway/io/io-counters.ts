// What happens at the edge, before or below anything the gateway core can count: refused accepts, failed handshakes and
// dials. Read by gateway/observe at a scrape.

import { type AdmissionReason, admissionReasons } from '../../policies/admission.ts'
import { DatagramCounters } from '../datagram-counters.ts'

function byReason(): Record<AdmissionReason, number> {
  return Object.fromEntries(admissionReasons.map((reason) => [reason, 0])) as Record<AdmissionReason, number>
}

export class IoCounters {
  readonly datagrams = new DatagramCounters()
  /** Accepted sockets that are open now, those in a handshake included. */
  socketsOpen = 0
  /** Connections refused because `connectionsMax` were open. */
  connectionsRefused = 0
  /** The same by the limits of one listener. */
  listenerConnectionsRefused = 0
  listenerHandshakesRefused = 0
  /** accept(2) failed; libuv hides the case that no file descriptors are left. */
  acceptErrors = 0
  tlsHandshakesFailed = 0
  noiseHandshakesFailed = 0
  noiseHandshakesTimedOut = 0
  /** Peers that spoke another security than the port does, seen before the core had them. */
  wrongSecurity = 0
  /** Neither upgraded nor answered within the handshake time. */
  upgradesTimedOut = 0
  /** Upgrades refused for their path, origin or form. */
  upgradesRefused = 0
  /** Requests over HTTP that were answered, by status. */
  readonly httpByStatus = new Float64Array(600)
  /** Bytes that were no request, or one that could be read in two ways, or came too slowly. */
  requestsUnreadable = 0
  /** Connections refused by admission, and those that `observe` let in, by reason. */
  readonly admission = { refused: byReason(), observed: byReason() }
  /** Logins refused for being too many, and those that `observe` let in, by what they were counted by. */
  readonly loginsLimited = { refused: { address: 0, user: 0 }, observed: { address: 0, user: 0 } }
  /** Whether the shared store answers: 1 or 0; undefined: there is none. */
  storeUp: number | undefined = undefined
  /** Counts that the store failed at, and those that were not sent: it was away, or too many were under way. */
  storeErrors = 0
  storeMissed = 0
  /** Trusted proxies that sent no PROXY header, or none in time. */
  proxyHeadersBad = 0
  linksOpened = 0
  dialsFailed = 0
  /** Sockets that ended with an error (reset, broken pipe, time-out). */
  socketErrors = 0
  /** Configurations put in use while the gateway runs, refused, and taken back. */
  reloads = 0
  reloadsRefused = 0
  reloadsRolledBack = 0
}
