// Reads a call that lies whole in one chunk, which is how callers with a connection of their own send them. It takes one
// narrow form, in which no two programs differ: POST /call/..., every line a name, a colon, a space and printable ASCII, CR
// LF; one length in digits, and no header that changes how the rest is read. Whatever is not of this form is not judged
// here: node:http reads it, and refuses what must be refused (http-server.ts).
export type LeanRequest = {
  path: string
  headers: LeanHeaders
  body: Uint8Array
  /** Where the next request begins. */
  end: number
}

/** What a call says that anybody here looks at, by name; one shape for all. */
class LeanHeaders {
  host: string | undefined = undefined
  connection: string | undefined = undefined
  'content-length': string | undefined = undefined
  'content-type': string | undefined = undefined
  authorization: string | undefined = undefined
  'accept-encoding': string | undefined = undefined
  'idempotency-key': string | undefined = undefined
  'skewer-timeout': string | undefined = undefined
  'skewer-key': string | undefined = undefined
  origin: string | undefined = undefined
  forwarded: string | undefined = undefined
  'x-forwarded-for': string | undefined = undefined

  /** Takes one; false where node:http is to judge it: it comes twice, or changes how the rest is read. */
  take(name: string, value: string): boolean {
    switch (name) {
      case 'te':
      case 'expect':
      case 'upgrade':
      case 'trailer':
      case 'transfer-encoding':
      case 'proxy-connection':
        return false
      case 'host':
        if (this.host !== undefined) return false
        this.host = value
        return true
      case 'connection':
        if (this.connection !== undefined) return false
        this.connection = value
        return true
      case 'content-length':
        if (this['content-length'] !== undefined) return false
        this['content-length'] = value
        return true
      case 'content-type':
        if (this['content-type'] !== undefined) return false
        this['content-type'] = value
        return true
      case 'authorization':
        if (this.authorization !== undefined) return false
        this.authorization = value
        return true
      case 'accept-encoding':
        if (this['accept-encoding'] !== undefined) return false
        this['accept-encoding'] = value
        return true
      case 'idempotency-key':
        if (this['idempotency-key'] !== undefined) return false
        this['idempotency-key'] = value
        return true
      case 'skewer-timeout':
        if (this['skewer-timeout'] !== undefined) return false
        this['skewer-timeout'] = value
        return true
      case 'skewer-key':
        if (this['skewer-key'] !== undefined) return false
        this['skewer-key'] = value
        return true
      case 'origin':
        if (this.origin !== undefined) return false
        this.origin = value
        return true
      case 'forwarded':
        if (this.forwarded !== undefined) return false
        this.forwarded = value
        return true
      case 'x-forwarded-for':
        if (this['x-forwarded-for'] !== undefined) return false
        this['x-forwarded-for'] = value
        return true
      default:
        return true
    }
  }
}

const HEAD_BYTES_MAX = 8192
/** The path without a query, then lines; each quantifier stands before a character that it does not take. */
const FORM = /^POST (\/call\/[\w.:%~/-]+) HTTP\/1\.1\r\n(?:[\w-]+: [\x20-\x7e]*\r\n)+$/
const LENGTH = /^\d{1,7}$/
const END = Buffer.from('\r\n\r\n')

/** Undefined: not of this form, or not all of it is there. The body is a view of the chunk. */
export function readLean(chunk: Buffer): LeanRequest | undefined {
  // 'P', before anything is searched for.
  if (chunk[0] !== 0x50) return undefined
  const bodyAt = chunk.indexOf(END) + 4
  if (bodyAt < 4 || bodyAt > HEAD_BYTES_MAX) return undefined
  const head = chunk.toString('latin1', 0, bodyAt - 2)
  const path = FORM.exec(head)?.[1]
  if (path === undefined) return undefined
  const headers = new LeanHeaders()
  for (let at = head.indexOf('\n') + 1; at < head.length; ) {
    const colon = head.indexOf(':', at)
    const lineEnd = head.indexOf('\r', colon)
    if (!headers.take(head.slice(at, colon).toLowerCase(), head.slice(colon + 2, lineEnd).trim())) return undefined
    at = lineEnd + 2
  }
  const { host, connection } = headers
  if (host === undefined || host.includes(',')) return undefined
  if (connection !== undefined && connection.toLowerCase() !== 'keep-alive') return undefined
  const written = headers['content-length']
  if (written === undefined || !LENGTH.test(written)) return undefined
  const end = bodyAt + Number(written)
  return end > chunk.length ? undefined : { path, headers, body: chunk.subarray(bodyAt, end), end }
}
