// What a peer speaks, told from its first bytes, so that a listener that expects something else can say which line of the
// configuration is wrong (docs/spec/secure.md, section 5). A courtesy, not a defence: nothing is decided by it but the
// words of a complaint.
import { clientKind } from '../client/frames.ts'
import { PREAMBLE } from './stream-preamble.ts'

export type Spoken = 'tls' | 'http' | 'skewer-noise' | 'skewer-plain' | 'unknown'

/** No answer needs more bytes than this. */
export const SNIFF_BYTES_MAX = 8
const TLS_HANDSHAKE = 0x16
const TLS_MAJOR = 0x03
const LENGTH_BYTES_MAX = 4
const methods = ['GET ', 'HEAD ', 'POST ', 'PUT ', 'PATCH ', 'DELETE ', 'OPTIONS ', 'CONNECT ', 'TRACE ', 'PRI * ']

/** Undefined while more bytes are needed to tell. */
export function sniff(first: Uint8Array): Spoken | undefined {
  if (first.length === 0) return undefined
  if (first[0] === PREAMBLE[0]) return beginsWith(first, PREAMBLE, 'skewer-noise')
  if (first[0] === TLS_HANDSHAKE && (first.length === 1 || first[1] === TLS_MAJOR)) {
    return first.length === 1 ? undefined : 'tls'
  }
  for (const method of methods) {
    const spoken = beginsWith(first, method, 'http')
    if (spoken !== 'unknown') return spoken
  }
  return plainFrame(first)
}

function beginsWith(first: Uint8Array, expected: Uint8Array | string, spoken: Spoken): Spoken | undefined {
  const whole = Math.min(expected.length, SNIFF_BYTES_MAX)
  for (let i = 0; i < Math.min(first.length, whole); i++) {
    const byte = typeof expected === 'string' ? expected.charCodeAt(i) : expected[i]
    if (first[i] !== byte) return 'unknown'
  }
  return first.length < whole ? undefined : spoken
}

/** A client begins with LOGIN or RESUME, behind the frame's length. */
function plainFrame(first: Uint8Array): Spoken | undefined {
  for (let i = 0; i < LENGTH_BYTES_MAX; i++) {
    if (i >= first.length) return undefined
    if (first[i] < 0x80) {
      if (i + 1 >= first.length) return undefined
      const kind = first[i + 1]
      return kind === clientKind.login || kind === clientKind.resume ? 'skewer-plain' : 'unknown'
    }
  }
  return 'unknown'
}
