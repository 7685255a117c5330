// Whose connection it is: the peer of the socket, unless something trusted in front of us said for whom it speaks, by a
// PROXY header before the first byte or by Forwarded and X-Forwarded-For in a request.
import { isIP, SocketAddress } from 'node:net'
import type net from 'node:net'
import type { Networks } from './networks.ts'
import { note, notesOf } from './socket-notes.ts'

type NamingHeaders = { readonly forwarded?: string; readonly 'x-forwarded-for'?: string | string[] }
/** Addresses in one header, beyond which nothing is believed. */
const HOPS_MAX = 32

/** The client's address without port; IPv4 in its own notation on dual-stack sockets too. */
export function addressOf(socket: Pick<net.Socket, 'remoteAddress'>): string {
  return notesOf(socket)?.address ?? plain(socket.remoteAddress ?? '')
}

/** From now on this socket, and TLS on it, is that client's. */
export function claimAddress(socket: net.Socket, address: string): void {
  note(socket, { address: canonical(address) })
}

/**
 * The client's address of a request: where its connection comes from a trusted proxy (`peer`), the last hop that is none, as
 * Forwarded (RFC 7239) or X-Forwarded-For say it. What cannot be read is not believed: then it is the proxy itself.
 */
export function requestAddress(peer: string, headers: NamingHeaders, trusted: Networks | undefined): string {
  if (trusted === undefined || !trusted.has(peer)) return peer
  const { forwarded } = headers
  const list = headers['x-forwarded-for']
  const hops = forwarded !== undefined ? forwardedHops(forwarded) : typeof list === 'string' ? list.split(',') : []
  if (hops.length > HOPS_MAX) return peer
  let client = peer
  for (const hop of hops.reverse()) {
    const address = hopAddress(hop.trim())
    if (address === undefined) return client
    client = address
    if (!trusted.has(client)) return client
  }
  return client
}

/** The `for` of each element, in order; an element without one is a hop that cannot be read. */
function forwardedHops(header: string): string[] {
  return header.split(',').map((element) => {
    const found = /(?:^|;)\s*for=("?)([^";,]*)\1\s*(?:;|$)/i.exec(element.trim())
    return found === null ? '' : found[2]
  })
}

/** 192.0.2.1, 192.0.2.1:4711, 2001:db8::1, [2001:db8::1]:4711 */
function hopAddress(hop: string): string | undefined {
  const found = /^\[([^\]]+)\](?::\d{1,5})?$/.exec(hop) ?? /^(\d+\.\d+\.\d+\.\d+)(?::\d{1,5})?$/.exec(hop)
  const address = found === null ? hop : found[1]
  return isIP(address) === 0 ? undefined : canonical(address)
}

/** What a proxy wrote, as the socket itself would say it: 0:0:0:0:0:ffff:c000:201 is 192.0.2.1, and no IPv6 /64. */
function canonical(address: string): string {
  if (isIP(address) !== 6) return address
  return plain(new SocketAddress({ address: address.split('%', 1)[0], family: 'ipv6' }).address)
}

function plain(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address
}
