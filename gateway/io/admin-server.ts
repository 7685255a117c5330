// The operator's HTTP interface. It answers what its routes say and nothing else, as JSON, with a problem (status, text)
// where it refuses. Who may ask:
//
//   bound to loopback, no token   whoever reaches it, if the Host header names a loopback address or the bound one: a web
//                                 page that had its own name point here (DNS rebinding) does not pass
//   a token is configured         who brings it (Authorization: Bearer); /live, /ready and the page itself are open
//   bound elsewhere               refuses to start without a token
//
// What changes anything is POST, and is refused when a browser says that another site's page sent it.
import { createHash, timingSafeEqual } from 'node:crypto'
import http from 'node:http'
import type net from 'node:net'
import { isLoopback } from '../../config/networks.ts'
import { listenError } from './acceptor.ts'

const BODY_BYTES_MAX = 64 * 1024
const REQUEST_MS = 5000
const CONNECTIONS_MAX = 256

export type AdminRequest = {
  query: URLSearchParams
  /** Of a POST: its JSON, or {} where there is none. */
  body: Record<string, unknown>
  /** Whether the asker brought the token, or none is wanted. */
  isTrusted: boolean
  response: http.ServerResponse
  ifNoneMatch: string | undefined
}
/** A page of its own kind, or JSON with another status. Whoever returns `streaming` answers through `response` alone. */
export type AdminAnswer =
  | { status: number; body: unknown; type?: string; headers?: Record<string, string> }
  | 'streaming'
export type AdminRoute = {
  method: 'GET' | 'POST'
  path: string
  /** Answered without the token. */
  isOpen?: boolean
  answer(request: AdminRequest): AdminAnswer | Promise<AdminAnswer>
}
export type AdminSettings = { host: string; port: number; token?: string }

/** Thrown by a route: the asker's mistake. */
export class AdminProblem extends Error {
  readonly status: number

  constructor(status: number, text: string) {
    super(text)
    this.status = status
  }
}

export const json = (body: unknown): AdminAnswer => ({ status: 200, body })

export class AdminServer {
  #settings: AdminSettings
  readonly #routes: Map<string, AdminRoute>
  readonly #server: http.Server

  constructor(settings: AdminSettings, routes: readonly AdminRoute[]) {
    if (!isLoopback(settings.host) && settings.token === undefined) {
      throw new Error(
        `admin: it is to listen on ${settings.host}, beyond this machine, and has no token; set admin.token`,
      )
    }
    this.#settings = settings
    this.#routes = new Map(routes.map((route) => [`${route.method} ${route.path}`, route]))
    this.#server = http.createServer({
      requestTimeout: REQUEST_MS,
      headersTimeout: REQUEST_MS,
      maxHeaderSize: 16 * 1024,
    })
    this.#server.maxConnections = CONNECTIONS_MAX
    this.#server.on('request', (request, response) => {
      this.#answer(request, response).catch((error: unknown) => {
        if (!response.headersSent) problem(response, 500, 'the request failed')
        else response.destroy()
        this.#server.emit('requestError', error)
      })
    })
  }

  /** Errors of routes that were not the asker's mistake. */
  onError(listener: (error: unknown) => void): void {
    this.#server.on('requestError', listener)
  }

  /** Who asks from now on brings this token. */
  setToken(token: string | undefined): void {
    this.#settings = { ...this.#settings, token }
  }

  listen(): Promise<{ host: string; port: number }> {
    const { host, port } = this.#settings
    const server = this.#server
    return new Promise((resolve, reject) => {
      const failed = (error: NodeJS.ErrnoException) => reject(new Error(listenError('admin', host, port, error)))
      server.once('error', failed)
      server.listen(port, host, () => {
        server.off('error', failed)
        server.on('error', () => {})
        resolve({ host, port: (server.address() as net.AddressInfo).port })
      })
    })
  }

  close(): void {
    this.#server.close()
    this.#server.closeAllConnections()
  }

  async #answer(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    if (!URL.canParse(`http://x${request.url}`)) return problem(response, 400, 'the path cannot be read')
    const url = new URL(`http://x${request.url}`)
    const method = request.method === 'HEAD' ? 'GET' : request.method
    const route = this.#routes.get(`${method} ${url.pathname}`)
    if (route === undefined) {
      const other = this.#routes.has(`GET ${url.pathname}`) ? 'GET' : 'POST'
      if (!this.#routes.has(`${other} ${url.pathname}`)) return problem(response, 404, `there is no ${url.pathname}`)
      response.setHeader('Allow', other)
      return problem(response, 405, `${url.pathname} takes ${other}`)
    }
    const isTrusted = this.#isTrusted(request)
    if (this.#settings.token === undefined && !this.#isHostOurs(request)) {
      return problem(response, 403, `the admin interface is not called ${request.headers.host}`)
    }
    if (!isTrusted && !route.isOpen) {
      response.setHeader('WWW-Authenticate', 'Bearer')
      return problem(response, 401, 'a token is required: Authorization: Bearer ...')
    }
    if (route.method === 'POST' && isFromElsewhere(request)) {
      return problem(response, 403, 'the page of another site may not do this')
    }
    let answer: AdminAnswer
    try {
      const body = route.method === 'POST' ? await bodyOf(request) : {}
      const ifNoneMatch = request.headers['if-none-match']
      answer = await route.answer({ query: url.searchParams, body, isTrusted, response, ifNoneMatch })
    } catch (error) {
      if (!(error instanceof AdminProblem)) throw error
      return problem(response, error.status, error.message)
    }
    if (answer !== 'streaming') send(response, answer)
  }

  #isTrusted(request: http.IncomingMessage): boolean {
    const { token } = this.#settings
    if (token === undefined) return true
    const written = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1]
    // Digests have one length, so that comparing them tells nothing.
    const digest = (text: string) => createHash('sha256').update(text).digest()
    return written !== undefined && timingSafeEqual(digest(written), digest(token))
  }

  #isHostOurs(request: http.IncomingMessage): boolean {
    const parts = /^(?:\[([^\]]+)\]|([^:]*))(?::\d+)?$/.exec(request.headers.host ?? '')
    const name = (parts?.[1] ?? parts?.[2] ?? '').toLowerCase()
    return isLoopback(name) || name === this.#settings.host.toLowerCase()
  }
}

/** A browser says where the page came from that sends a request; other programs say nothing. */
function isFromElsewhere(request: http.IncomingMessage): boolean {
  const { origin, host } = request.headers
  const site = request.headers['sec-fetch-site']
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return true
  return origin !== undefined && origin !== `http://${host}` && origin !== `https://${host}`
}

async function bodyOf(request: http.IncomingMessage): Promise<Record<string, unknown>> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > BODY_BYTES_MAX) throw new AdminProblem(413, `a body has at most ${BODY_BYTES_MAX} bytes`)
    chunks.push(chunk)
  }
  if (length === 0) return {}
  let body: unknown
  try {
    body = JSON.parse(Buffer.concat(chunks).toString())
  } catch {
    throw new AdminProblem(400, 'the body is not JSON')
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new AdminProblem(400, 'the body is not a JSON object')
  }
  return body as Record<string, unknown>
}

function problem(response: http.ServerResponse, status: number, text: string): void {
  // What is left of a refused body is not read.
  if (status === 413) response.setHeader('Connection', 'close')
  send(response, { status, body: { status, error: text } })
}

function send(response: http.ServerResponse, answer: Exclude<AdminAnswer, 'streaming'>): void {
  const isText = answer.type !== undefined
  const body = answer.status === 304 ? '' : isText ? String(answer.body) : `${JSON.stringify(answer.body)}\n`
  response.writeHead(answer.status, {
    'Content-Type': answer.type ?? 'application/json',
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    ...answer.headers,
  })
  response.end(body)
}
