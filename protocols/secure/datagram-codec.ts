// The bytes of a datagram of the UDP transport (docs/spec/datagram.md, sections 2 and 5), written and taken apart. Little-endian;
// nothing is decided or kept here.
//
//   INIT      01 | kind | versionMin | versionMax | echo 8 | cookie 16 | length u16 | message | mac 16 | zeros to 1,200
//   COOKIE    02 | echo 8 | cookie 16
//   RESPONSE  03 | echo 8 | answer kind | message
//   RESET     04 | connection id 8 | token 16
//   SEALED    10 | connection id 8 | counter u32 | sealed: (kind u8 | content) | tag 16
import { CONNECTION_ID_BYTES, CREDENTIAL_BYTES, RESET_TOKEN_BYTES } from './connection-id.ts'
import { type CryptoProvider, type Hash, TAG_BYTES } from './crypto.ts'
import { MESSAGE_BYTES_MAX } from './handshakes.ts'
import { sameBytes } from '../link/proof.ts'

export const datagramType = { init: 0x01, cookie: 0x02, response: 0x03, reset: 0x04, sealed: 0x10 } as const

/** What is inside a sealed datagram. */
export const sealedKind = {
  data: 0x01,
  bare: 0x02,
  pathChallenge: 0x03,
  pathResponse: 0x04,
  wantConnectionIds: 0x05,
  newConnectionIds: 0x06,
  close: 0x07,
} as const

/** An INIT is this long: nothing that answers it is longer, and a path that carries less cannot carry the game. */
export const INIT_BYTES = 1200
export const ECHO_BYTES = 8
export const COOKIE_BYTES = 16
export const MAC_BYTES = 16
export const SEALED_HEAD_BYTES = 13
/** Where the content of a sealed datagram begins, behind its kind. */
export const SEALED_CONTENT_AT = SEALED_HEAD_BYTES + 1
/** The conversation of KCP in a connection's DATA (KCP-7.2). */
export const SEALED_CONV = 1
/** What a sealed datagram has beside its content. */
export const SEALED_OVERHEAD_BYTES = SEALED_CONTENT_AT + TAG_BYTES
/** The largest payload that UDP over IPv4 can have. */
export const DATAGRAM_BYTES_MAX = 65_507
export const ID_AT = 1
export const COUNTER_AT = 9
const INIT_HEAD_BYTES = 4 + ECHO_BYTES + COOKIE_BYTES + 2
const COOKIE_DATAGRAM_BYTES = 1 + ECHO_BYTES + COOKIE_BYTES
const RESPONSE_HEAD_BYTES = 1 + ECHO_BYTES + 1
/** Shorter than every sealed datagram, which it answers. */
export const RESET_BYTES = 1 + CREDENTIAL_BYTES
const MAC_LABEL = new TextEncoder().encode('skewer/1 mac')

/** Views of the datagram, except that `mac` was not checked yet. */
export type Init = {
  readonly kind: number
  readonly versionMin: number
  readonly versionMax: number
  readonly echo: Uint8Array
  readonly cookie: Uint8Array
  readonly message: Uint8Array
  /** What the mac is over. */
  readonly covered: Uint8Array
  readonly mac: Uint8Array
}

/** Who does not know the gateway's public key cannot make this key, and gets silence ([DGM-4.1]). */
export const macKeyOf = (crypto: CryptoProvider, gatewayKey: Uint8Array): Uint8Array =>
  crypto.hash.sha256(MAC_LABEL, gatewayKey)

export const macIsRight = (hash: Hash, macKey: Uint8Array, init: Init): boolean =>
  sameBytes(hash.hmac(macKey, init.covered).subarray(0, MAC_BYTES), init.mac)

export function writeInit(
  hash: Hash,
  macKey: Uint8Array,
  head: {
    readonly kind: number
    readonly versionMin: number
    readonly versionMax: number
    readonly message: Uint8Array
  },
  echo: Uint8Array,
  cookie: Uint8Array | undefined,
): Uint8Array {
  const { kind, versionMin, versionMax, message } = head
  const out = new Uint8Array(INIT_BYTES)
  out.set([datagramType.init, kind, versionMin, versionMax])
  out.set(echo, 4)
  if (cookie !== undefined) out.set(cookie, 4 + ECHO_BYTES)
  out[INIT_HEAD_BYTES - 2] = message.length
  out[INIT_HEAD_BYTES - 1] = message.length >>> 8
  out.set(message, INIT_HEAD_BYTES)
  const end = INIT_HEAD_BYTES + message.length
  out.set(hash.hmac(macKey, out.subarray(0, end)).subarray(0, MAC_BYTES), end)
  return out
}

export function readInit(datagram: Uint8Array): Init | undefined {
  if (datagram.length < INIT_BYTES) return undefined
  const length = datagram[INIT_HEAD_BYTES - 2] | (datagram[INIT_HEAD_BYTES - 1] << 8)
  if (length > MESSAGE_BYTES_MAX) return undefined
  const end = INIT_HEAD_BYTES + length
  return {
    kind: datagram[1],
    versionMin: datagram[2],
    versionMax: datagram[3],
    echo: datagram.subarray(4, 4 + ECHO_BYTES),
    cookie: datagram.subarray(4 + ECHO_BYTES, 4 + ECHO_BYTES + COOKIE_BYTES),
    message: datagram.subarray(INIT_HEAD_BYTES, end),
    covered: datagram.subarray(0, end),
    mac: datagram.subarray(end, end + MAC_BYTES),
  }
}

export function writeCookie(echo: Uint8Array, cookie: Uint8Array): Uint8Array {
  const out = new Uint8Array(COOKIE_DATAGRAM_BYTES)
  out[0] = datagramType.cookie
  out.set(echo, 1)
  out.set(cookie, 1 + ECHO_BYTES)
  return out
}

/** The cookie in a COOKIE that answers `echo`, copied. */
export function readCookie(datagram: Uint8Array, echo: Uint8Array): Uint8Array | undefined {
  if (datagram.length !== COOKIE_DATAGRAM_BYTES || !sameBytes(datagram.subarray(1, 1 + ECHO_BYTES), echo))
    return undefined
  return datagram.slice(1 + ECHO_BYTES)
}

export function writeResponse(echo: Uint8Array, kind: number, message: Uint8Array): Uint8Array {
  const out = new Uint8Array(RESPONSE_HEAD_BYTES + message.length)
  out[0] = datagramType.response
  out.set(echo, 1)
  out[1 + ECHO_BYTES] = kind
  out.set(message, RESPONSE_HEAD_BYTES)
  return out
}

/** A RESPONSE that answers `echo`; views of the datagram. */
export function readResponse(
  datagram: Uint8Array,
  echo: Uint8Array,
): { readonly kind: number; readonly message: Uint8Array } | undefined {
  if (datagram.length < RESPONSE_HEAD_BYTES || !sameBytes(datagram.subarray(1, 1 + ECHO_BYTES), echo)) return undefined
  return { kind: datagram[1 + ECHO_BYTES], message: datagram.subarray(RESPONSE_HEAD_BYTES) }
}

export function writeReset(bytes: Uint8Array, idAt: number, token: Uint8Array): Uint8Array {
  const out = new Uint8Array(RESET_BYTES)
  out[0] = datagramType.reset
  out.set(bytes.subarray(idAt, idAt + CONNECTION_ID_BYTES), 1)
  out.set(token, 1 + CONNECTION_ID_BYTES)
  return out
}

/** Whether bytes[start, end) is a RESET of this id, proved by this token. */
export function isResetOf(bytes: Uint8Array, start: number, end: number, id: Uint8Array, token: Uint8Array): boolean {
  if (end - start !== RESET_BYTES || bytes[start] !== datagramType.reset || token.length !== RESET_TOKEN_BYTES)
    return false
  const tokenAt = start + 1 + CONNECTION_ID_BYTES
  return sameBytes(bytes.subarray(start + 1, tokenAt), id) && sameBytes(bytes.subarray(tokenAt, end), token)
}

/** The low 32 bits of the counter of the sealed datagram that begins at `start`. */
export function counterAt(bytes: Uint8Array, start: number): number {
  const at = start + COUNTER_AT
  return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0
}

/** Writes the head of a sealed datagram at `start`: what the AEAD covers as associated data. */
export function writeSealedHead(out: Uint8Array, start: number, id: Uint8Array, counter: number): void {
  out[start] = datagramType.sealed
  const idAt = start + ID_AT
  for (let i = 0; i < CONNECTION_ID_BYTES; i++) out[idAt + i] = id[i]
  const at = start + COUNTER_AT
  out[at] = counter
  out[at + 1] = counter >>> 8
  out[at + 2] = counter >>> 16
  out[at + 3] = counter >>> 24
}
