// Large replies in fewer bytes, where the caller says that it takes them: br before gzip. The work is done beside the event
// loop; when much of it waits already, replies go as they are.
import type { InputType } from 'node:zlib'
import zlib from 'node:zlib'

export type Coding = 'br' | 'gzip'

const PENDING_MAX = 32
const BROTLI_QUALITY = 4
let pending = 0

/** What an Accept-Encoding takes best of what there is (RFC 9110, 12.5.3). */
export function codingOf(accepted: string | undefined): Coding | undefined {
  if (accepted === undefined) return undefined
  const weights = new Map<string, number>()
  for (const part of accepted.split(',')) {
    const [name, ...parameters] = part.split(';').map((text) => text.trim().toLowerCase())
    const weight = parameters.find((text) => text.startsWith('q='))?.slice(2)
    weights.set(name, weight === undefined ? 1 : Number(weight) || 0)
  }
  const weightOf = (coding: string) => weights.get(coding) ?? weights.get('*') ?? 0
  const br = weightOf('br')
  const gzip = weightOf('gzip')
  if (br === 0 && gzip === 0) return undefined
  return br >= gzip ? 'br' : 'gzip'
}

/** Calls back once, now or later; without a coding where the bytes are as they were. */
export function compressed(
  bytes: Uint8Array,
  coding: Coding | undefined,
  done: (bytes: Uint8Array, used: Coding | undefined) => void,
): void {
  if (coding === undefined || pending >= PENDING_MAX) {
    done(bytes, undefined)
    return
  }
  pending++
  const finished = (error: Error | null, out: Uint8Array) => {
    pending--
    if (error !== null || out.length >= bytes.length) done(bytes, undefined)
    else done(out, coding)
  }
  const input = bytes as InputType
  if (coding === 'gzip') zlib.gzip(input, finished)
  else zlib.brotliCompress(input, { params: { [zlib.constants.BROTLI_PARAM_QUALITY]: BROTLI_QUALITY } }, finished)
}
