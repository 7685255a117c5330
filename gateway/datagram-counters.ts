// What happens to datagrams before the core hears of anything: counted in plain cells, read by gateway/observe at a scrape.
// Every reason why one was dropped has one name, in code, metric and docs/udp.md.
import { kcpVerdict } from '../protocols/kcp/datagram-check.ts'
import type { DatagramDrop } from '../protocols/secure/datagram-connection.ts'
import type { DatagramRefusal } from '../protocols/secure/datagram-server.ts'

/** By what KCP refuses, in the order of its verdicts (KCP-2); the first is none. */
const kcpReasons = Object.keys(kcpVerdict).map(
  (name) => `kcp_${name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`,
)

const secureReasons: readonly (DatagramRefusal | DatagramDrop)[] = [
  'empty',
  'short',
  'unknown_type',
  'malformed',
  'bad_mac',
  'repeated',
  'full',
  'not_admitted',
  'unknown_connection',
  'replayed',
  'forged',
  'closed',
  'truncated',
  'too_large',
  'bad_key',
  'version',
  'unknown_kind',
]

const edgeReasons = [
  /** From a trusted proxy that does not say for whom. */
  'proxy_header',
  /** From a port of services that reflect (DGM-4.6). */
  'reflection_port',
  /** Of a connection at another gateway or worker; its sender is told that it is not here (DGM-9.2). */
  'stray',
  /** Plain KCP that neither belongs to a conversation nor begins one. */
  'no_conversation',
  /** The listener takes nobody new: it ends. */
  'stopped',
  /** `connectionsMax` are open. */
  'connections_max',
  /** Too many conversations from this address or network. */
  'network_full',
  /** A bare frame while the client is not read (W6). */
  'paused',
  /** Not sent: the socket's buffer is full. */
  'send_buffer_full',
  /** Not sent: who has not proved its address is sent no more than so many times what came from there. */
  'amplification',
] as const

export type DatagramDropReason = DatagramRefusal | DatagramDrop | (typeof edgeReasons)[number]

export const datagramDropReasons: readonly string[] = [...kcpReasons.slice(1), ...secureReasons, ...edgeReasons]
const indexOf = new Map(datagramDropReasons.map((reason, i) => [reason, i]))

export class DatagramCounters {
  received = 0
  receivedBytes = 0
  sent = 0
  sentBytes = 0
  /** Handshakes answered, and those that were not confirmed in time. */
  handshakes = 0
  unconfirmed = 0
  /** Answers to datagrams of connections that are not here: they were, or are at another gateway (DGM-9.2). */
  resets = 0
  /** Unproved conversations of plain KCP that had to go for newer ones. */
  evicted = 0
  /** ICMP answers to what was sent, mostly: nobody is there any more. */
  socketErrors = 0
  /** Changes of a client's address without a handshake. */
  moves = 0
  /** Paths that did not carry datagrams of the listener's `mtu`. */
  narrowPaths = 0
  /** Segments of KCP sent again after a time-out, and because later ones had been confirmed. */
  timedOut = 0
  overtaken = 0
  readonly drops = new Float64Array(datagramDropReasons.length)

  drop(reason: DatagramDropReason): void {
    this.drops[indexOf.get(reason)!]++
  }

  /** A verdict of KCP that is not `accepted`. */
  refuse(verdict: number): void {
    this.drops[verdict - 1]++
  }
}
