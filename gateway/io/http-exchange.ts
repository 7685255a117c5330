// One request and its one answer, which is counted by its status and says to browsers what the configuration allows their
// page. What is refused is a problem (RFC 9457): the code and its name, whether the call ran, and when to come back.
import { STATUS_CODES } from 'node:http'
import type { HttpSettings } from '../../config/settings.ts'
import { codeName, codeRows } from '../../protocols/codes.ts'
import { httpStatusOf } from '../../protocols/http-status.ts'
import type { BodySink } from './http-body.ts'
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

/** What is looked at of a request's headers, by their names in lower case; one that came twice is joined by a comma. */
export type RequestHeaders = {
  readonly host?: string | undefined
  readonly origin?: string | undefined
  readonly accept?: string | undefined
  readonly authorization?: string | undefined
  readonly 'content-type'?: string | undefined
  readonly 'content-length'?: string | undefined
  readonly 'accept-encoding'?: string | undefined
  readonly 'idempotency-key'?: string | undefined
  readonly 'skewer-connection'?: string | undefined
  readonly 'skewer-key'?: string | undefined
  readonly 'skewer-sequence'?: string | undefined
  readonly 'skewer-timeout'?: string | undefined
  readonly forwarded?: string | undefined
  readonly 'x-forwarded-for'?: string | string[] | undefined
}

export abstract class HttpExchange {
  readonly method: string
  /** Without the query. */
  readonly path: string
  readonly headers: RequestHeaders
  readonly settings: HttpSettings
  readonly #counters: IoCounters
  readonly #connection: Closing

  constructor(
    method: string,
    path: string,
    headers: RequestHeaders,
    settings: HttpSettings,
    counters: IoCounters,
    connection: Closing,
  ) {
    this.method = method
    this.path = path
    this.headers = headers
    this.settings = settings
    this.#counters = counters
    this.#connection = connection
  }

  abstract readonly hasBody: boolean
  /** Nothing more can be said: it was, or the asker is gone. */
  abstract readonly isAnswered: boolean
  /** Reads the body for the sink, now or later. */
  abstract readBody(bytesMax: number, sink: BodySink): void
  /** Ends the connection behind what was answered. */
  abstract endConnection(): void
  protected abstract write(status: number, raw: string[], body: Uint8Array | string | undefined): void

  /** The body of an answer is the receiver's to keep. */
  send(status: number, headers: readonly string[], body?: Uint8Array | string): void {
    if (this.isAnswered) return
    const length = body === undefined ? 0 : typeof body === 'string' ? Buffer.byteLength(body) : body.length
    const raw = this.framed(status, headers)
    if (status !== 204) raw.push('Content-Length', String(length))
    this.write(status, raw, length === 0 ? undefined : body)
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
    if (this.method !== 'OPTIONS') {
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

  /** Counts an answer, and adds to its headers what is the connection's and the browser's. */
  protected framed(status: number, headers: readonly string[]): string[] {
    this.#counters.httpByStatus[status]++
    const raw = headers.slice()
    if (this.#connection.isLast && !raw.includes('close')) raw.push('Connection', 'close')
    const { corsOrigins } = this.settings
    if (corsOrigins.length === 0) return raw
    raw.push('Vary', 'Origin')
    const origin = this.#allowedOrigin()
    if (origin === undefined) return raw
    raw.push('Access-Control-Allow-Origin', origin, 'Access-Control-Expose-Headers', EXPOSED_HEADERS)
    return raw
  }

  #allowedOrigin(): string | undefined {
    const { origin } = this.headers
    if (origin === undefined) return undefined
    const { corsOrigins } = this.settings
    if (corsOrigins.includes('*')) return '*'
    return corsOrigins.some((allowed) => allowed.toLowerCase() === origin.toLowerCase()) ? origin : undefined
  }
}
