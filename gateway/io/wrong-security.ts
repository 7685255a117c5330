// Peers that speak another security than their port does. What speaks something else to a port of Noise is told so in its
// own language (SEC-5.5): everybody may know it. What comes to a port of HTTP and is none is looked at, for the log and the
// counters; the server of node:http answers it.
import type net from 'node:net'
import { clientKind, writeClose } from '../../protocols/client/frames.ts'
import { code } from '../../protocols/codes.ts'
import { type Spoken, sniff } from '../../protocols/secure/sniff.ts'
import { Writer } from '../../protocols/wire/writer.ts'
import type { Entrance } from '../seams.ts'
import { addressOf } from './client-address.ts'
import type { ListenerHome } from './tcp-listener.ts'

const TEXT = "this port speaks Noise: give the client the gateway's public key"
const NO_BYTES = new Uint8Array(0)
/** A TLS record with the fatal alert `handshake_failure`. */
export const TLS_ALERT = Uint8Array.of(0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x28)
const HTTP_ANSWER = new TextEncoder().encode(
  `HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: ${TEXT.length + 1}\r\nConnection: close\r\n\r\n${TEXT}\n`,
)

export function farewell(spoken: Spoken): Uint8Array {
  if (spoken === 'tls') return TLS_ALERT
  if (spoken === 'http') return HTTP_ANSWER
  return spoken === 'skewer-plain' ? closeFrame() : NO_BYTES
}

function closeFrame(): Uint8Array {
  const w = new Writer(128)
  writeClose(w, clientKind.close, { code: code.wrong_security, retryMs: 0, text: TEXT })
  return w.drain()
}

/** `error` is what node:http says of bytes that it could not read. */
export function noticeOtherSecurity(
  { settings: { name: listener, security: expected } }: Entrance,
  { counters, observe }: Pick<ListenerHome, 'counters' | 'observe'>,
  error: Error & { rawPacket?: Uint8Array },
  socket: net.Socket,
): void {
  const spoken = sniff(error.rawPacket ?? NO_BYTES)
  if (spoken !== 'tls' && spoken !== 'skewer-noise' && spoken !== 'skewer-plain') return
  counters.wrongSecurity++
  const address = addressOf(socket)
  observe({ event: 'wrong_security', listener, address, code: code.wrong_security, expected, spoken })
}
