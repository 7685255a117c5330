// The header of the PROXY protocol, versions 1 and 2 (haproxy's proxy-protocol.txt), by which something that stands in front
// says who the client is. Pure: bytes in, what they are out. What comes from anybody else than a trusted proxy is never
// given to this.

import { isIP } from 'node:net'

const V1 = Buffer.from('PROXY ', 'latin1')
const V2 = Buffer.from([0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a])
/** Of version 1, the line end included. */
const V1_BYTES_MAX = 107
const V2_HEAD_BYTES = 16
/** What version 2 may carry beside addresses; more than any proxy sends. */
const V2_BODY_BYTES_MAX = 4096
export const PROXY_HEADER_BYTES_MAX = V2_HEAD_BYTES + V2_BODY_BYTES_MAX

export type ProxyHeader =
  /** Not all of it is there yet. */
  | { state: 'more' }
  | { state: 'malformed' }
  /** `address` undefined: the proxy speaks for itself (a health check), or says nothing of whom it speaks for. */
  | { state: 'whole'; bytes: number; address: string | undefined; sourcePort: number; isDatagram: boolean }

const more: ProxyHeader = { state: 'more' }
const malformed: ProxyHeader = { state: 'malformed' }

export function readProxyHeader(data: Uint8Array): ProxyHeader {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  if (bytes.length === 0) return more
  if (startsLike(bytes, V2)) return bytes.length < V2_HEAD_BYTES ? more : readV2(bytes)
  if (startsLike(bytes, V1)) return readV1(bytes)
  return malformed
}

function startsLike(bytes: Buffer, mark: Buffer): boolean {
  const length = Math.min(bytes.length, mark.length)
  return bytes.compare(mark, 0, length, 0, length) === 0
}

/** `PROXY TCP4 192.0.2.1 198.51.100.7 40000 443\r\n` */
function readV1(bytes: Buffer): ProxyHeader {
  const end = bytes.indexOf('\r\n', 0, 'latin1')
  if (end === -1 || end + 2 > V1_BYTES_MAX) return bytes.length >= V1_BYTES_MAX || end !== -1 ? malformed : more
  const line = bytes.toString('latin1', 0, end)
  const whole = end + 2
  if (line === 'PROXY UNKNOWN' || line.startsWith('PROXY UNKNOWN ')) {
    return { state: 'whole', bytes: whole, address: undefined, sourcePort: 0, isDatagram: false }
  }
  const found = /^PROXY (TCP4|TCP6) (\S+) (\S+) (\d{1,5}) (\d{1,5})$/.exec(line)
  if (found === null || Number(found[4]) > 65_535 || Number(found[5]) > 65_535) return malformed
  const kind = found[1] === 'TCP4' ? 4 : 6
  const [source, target] = [found[2], found[3]]
  if (isIP(source) !== kind || isIP(target) !== kind) return malformed
  return { state: 'whole', bytes: whole, address: source, sourcePort: Number(found[4]), isDatagram: false }
}

function readV2(bytes: Buffer): ProxyHeader {
  const version = bytes[12] >>> 4
  const command = bytes[12] & 0x0f
  const length = bytes.readUInt16BE(14)
  if (version !== 2 || command > 1 || length > V2_BODY_BYTES_MAX) return malformed
  const whole = V2_HEAD_BYTES + length
  if (bytes.length < whole) return more
  const family = bytes[13] >>> 4
  const isDatagram = (bytes[13] & 0x0f) === 2
  if (command === 0 || family === 0 || family === 3) {
    return { state: 'whole', bytes: whole, address: undefined, sourcePort: 0, isDatagram }
  }
  if (family === 1 && length >= 12) {
    const address = bytes.subarray(16, 20).join('.')
    return { state: 'whole', bytes: whole, address, sourcePort: bytes.readUInt16BE(24), isDatagram }
  }
  if (family === 2 && length >= 36) {
    const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(16 + 2 * i).toString(16))
    return { state: 'whole', bytes: whole, address: groups.join(':'), sourcePort: bytes.readUInt16BE(48), isDatagram }
  }
  return malformed
}
