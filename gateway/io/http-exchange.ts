// One request and its one answer, which is counted by its status and says to browsers what the configuration allows their
// page. What is refused is a problem (RFC 9457): the code and its name, whether the call ran, and when to come back.
import type http from 'node:http'
import { STATUS_CODES } from 'node:http'
import type { HttpSettings } from '../../config/settings.ts'
import { codeName, codeRows } from '../../protocols/codes.ts'
import { httpStatusOf } from '../../protocols/http-status.ts'
import type { IoCounters } from './io-counters.ts'

export type Ran = 'yes' | 'no' | 'unknown'
export type Refusal = {
  /** For a person; default: what the code says. */
  detail?: string
  /** Default: no. */
  ran?: Ran
  /** Where the caller should come back: after this long. */
  retryMs?: number
  /** Instead of the code's own. */
  status?: number
  headers?: readonly string[]
}

/** Says, when the answer goes out, whether its connection closes behind it. */
export type Closing = { readonly isLast: boolean }

const RETRY_MS = 1000
const ALLOWED_HEADERS =
  'Authorization, Content-Type, Idempotency-Key, Skewer-Connection, Skewer-Key, Skewer-Sequence, Skewer-Timeout'
const EXPOSED_HEADERS = 'Retry-After, Skewer-Expected'
/** How long a browser may keep the answer to its question. */
const PREFLIGHT_SECONDS = 7200
const NO_HEADERS: readonly string[] = []
const rows = new Map(codeRows.map((row) => [row.number, row]))

export class HttpExchange {
  readonly request: http.IncomingMessage
  readonly response: http.ServerResponse
  readonly settings: HttpSettings
  /** Without the query. */
  readonly path: string
  readonly #counters: IoCounters
  readonly #connection: Closing

  constructor(
    request: http.IncomingMessage,
    response: http.ServerResponse,
    path: string,
    settings: HttpSettings,
    counters: IoCounters,
    connection: Closing,
  ) {
    this.request = request
    this.response = response
    this.path = path
    this.settings = settings
    this.#counters = counters
    this.#connection = connection
  }

  /** The body of an answer is the receiver's to keep. */
  send(status: number, headers: readonly string[], body?: Uint8Array | string): void {
    const { response } = this
    if (response.headersSent || response.destroyed) return
    this.#counters.httpByStatus[status]++
    const length = body === undefined ? 0 : typeof body === 'string' ? Buffer.byteLength(body) : body.length
    const raw = status === 204 ? [...headers] : [...headers, 'Content-Length', String(length)]
    this.#frame(raw)
    response.writeHead(status, raw)
    if (length === 0 || this.request.method === 'HEAD') response.end()
    else response.end(body)
  }

  /** The head of an answer whose body comes by and by. */
  begin(status: number, headers: readonly string[]): void {
    this.#counters.httpByStatus[status]++
    const raw = [...headers]
    this.#frame(raw)
    this.response.writeHead(status, raw)
    this.response.flushHeaders()
  }

  problem(why: number, a: Refusal = {}): void {
    const row = rows.get(why)
    const status = a.status ?? httpStatusOf(why)
    const comesLater = row?.retry === 'later' || a.retryMs !== undefined
    const retryMs = a.retryMs ?? RETRY_MS
    const headers = [...(a.headers ?? NO_HEADERS), 'Content-Type', 'application/problem+json']
    headers.push('Cache-Control', 'no-store')
    if (status === 401) headers.push('WWW-Authenticate', 'Bearer')
    if (comesLater) headers.push('Retry-After', String(Math.max(1, Math.ceil(retryMs / 1000))))
    const body = {
      title: STATUS_CODES[status],
      status,
      detail: a.detail ?? row?.says ?? '',
      code: why,
      name: codeName(why),
      ran: a.ran ?? 'no',
      ...(comesLater ? { retryMs } : {}),
    }
    this.send(status, headers, `${JSON.stringify(body)}\n`)
  }

  /** The same, with the rest of the request unread: its connection ends. */
  cutOff(why: number, a: Refusal = {}): void {
    this.problem(why, { ...a, headers: [...(a.headers ?? NO_HEADERS), 'Connection', 'close'] })
  }

  /** 405, or the answer to a browser that asks what it may do. */
  otherMethod(methods: string): void {
    if (this.request.method !== 'OPTIONS') {
      this.send(405, ['Allow', `${methods}, OPTIONS`, 'Content-Type', 'text/plain'], `this takes ${methods}\n`)
      return
    }
    const headers = ['Allow', `${methods}, OPTIONS`]
    if (this.#allowedOrigin() !== undefined) {
      headers.push('Access-Control-Allow-Methods', methods, 'Access-Control-Allow-Headers', ALLOWED_HEADERS)
      headers.push('Access-Control-Max-Age', String(PREFLIGHT_SECONDS))
    }
    this.send(204, headers)
  }

  #frame(raw: string[]): void {
    if (this.#connection.isLast) raw.push('Connection', 'close')
    const { corsOrigins } = this.settings
    if (corsOrigins.length === 0) return
    raw.push('Vary', 'Origin')
    const origin = this.#allowedOrigin()
    if (origin === undefined) return
    raw.push('Access-Control-Allow-Origin', origin, 'Access-Control-Expose-Headers', EXPOSED_HEADERS)
  }

  #allowedOrigin(): string | undefined {
    const { origin } = this.request.headers
    if (origin === undefined) return undefined
    const { corsOrigins } = this.settings
    if (corsOrigins.includes('*')) return '*'
    return corsOrigins.some((allowed) => allowed.toLowerCase() === origin.toLowerCase()) ? origin : undefined
  }
}
