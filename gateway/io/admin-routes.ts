// What the admin interface answers: views of the gateway, and the few things that an operator may do to it. Each view is
// made when asked for.
import { createHash } from 'node:crypto'
import { problemText } from '../../config/problems.ts'
import { code, codeName } from '../../protocols/codes.ts'
import { type Counters, cellNames, dropReasons } from '../counters.ts'
import type { Gateway } from '../gateway.ts'
import { adminPage } from './admin-page.ts'
import { type AdminAnswer, AdminProblem, type AdminRequest, type AdminRoute, json } from './admin-server.ts'
import type { Ban } from './kept-bans.ts'
import type { EventStream } from './event-stream.ts'
import type { IoCounters } from './io-counters.ts'
import type { ListenerView } from './listeners.ts'
import type { ProcessSample } from './process-sample.ts'
import type { ReloadOutcome } from './reload.ts'

const SESSIONS_MAX = 1000
const SESSIONS_DEFAULT = 100
const BAN_MS_DEFAULT = 24 * 3600 * 1000
const BAN_MS_MAX = 10 * 365 * 24 * 3600 * 1000
const DRAIN_MS_MAX = 24 * 3600 * 1000

/** What the routes show and do. */
export type AdminView = {
  gateway: Gateway
  io: IoCounters
  events: EventStream
  version: string
  sample(): ProcessSample
  metricsText(): Promise<string>
  listeners(): ListenerView[]
  /** Without secrets. */
  config(): unknown
  bans: {
    list(): Ban[]
    /** Returns what is wrong, in words. */
    add(what: string, forMs: number, reason: string): string | undefined
    remove(what: string): boolean
  }
  drain(withinMs: number | undefined): void
  reload(isDryRun: boolean): Promise<ReloadOutcome>
  quit(): void
  logLevel(level: string): boolean
}

export function adminRoutes(view: AdminView): AdminRoute[] {
  const { gateway } = view
  const get = (path: string, answer: AdminRoute['answer'], isOpen = false): AdminRoute => ({
    method: 'GET',
    path,
    answer,
    isOpen,
  })
  const post = (path: string, answer: AdminRoute['answer']): AdminRoute => ({ method: 'POST', path, answer })
  return [
    get('/', () => ({ status: 200, type: 'text/html; charset=utf-8', body: adminPage, headers: pageHeaders }), true),
    get('/live', () => json({ live: true }), true),
    get('/ready', ({ isTrusted }) => ready(gateway, isTrusted), true),
    get('/metrics', async () => ({
      status: 200,
      type: 'text/plain; version=0.0.4; charset=utf-8',
      body: await view.metricsText(),
    })),
    get('/stats', () => json(stats(view))),
    get('/sessions', (request) => json(sessions(gateway, request))),
    get('/hosts', () => json(gateway.hosts())),
    get('/breakers', () => json(gateway.guards.list(gateway.env.now()))),
    get('/listeners', () => json(view.listeners())),
    get('/config', (request) => config(view, request)),
    get('/events', ({ response, query }) => {
      view.events.watch(response, query.get('only'))
      return 'streaming'
    }),
    post('/drain', ({ body }) => {
      const withinMs = optionalNumber(body, 'withinMs', DRAIN_MS_MAX)
      view.drain(withinMs)
      return { status: 202, body: { draining: true, withinMs: withinMs ?? gateway.times.drainMs } }
    }),
    post('/reload', async ({ query }) => reloadAnswer(await view.reload(isAsked(query, 'dryRun')))),
    get('/bans', () => json(view.bans.list().map(banView))),
    post('/bans', ({ body }) => changeBan(view, body)),
    post('/kick', ({ body }) => {
      if (typeof body.user === 'string') {
        const kicked = gateway.kickUser(body.user, code.kicked)
        if (kicked === 0) throw new AdminProblem(404, 'no session of that user is connected here')
        return json({ user: body.user, kicked })
      }
      if (typeof body.session !== 'string') throw new AdminProblem(400, 'session: the name of a session is expected')
      if (!gateway.kick(body.session, code.kicked)) throw new AdminProblem(404, 'no such session is connected here')
      return json({ kicked: body.session })
    }),
    post('/breakers', ({ body }) => forceBreaker(gateway, body)),
    post('/log-level', ({ body }) => {
      const isTaken = typeof body.level === 'string' && view.logLevel(body.level)
      if (!isTaken)
        throw new AdminProblem(400, 'level: one of trace, debug, info, warn, error, fatal, silent is expected')
      return json({ level: body.level })
    }),
    post('/quit', () => {
      setImmediate(view.quit)
      return { status: 202, body: { quitting: true } }
    }),
  ]
}

// The page fetches from where it came, and runs only what is in it.
const pageHeaders = {
  'Content-Security-Policy':
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'",
  'X-Frame-Options': 'DENY',
}

/** Reasons name hosts: whoever has no token learns the answer only. */
function ready(gateway: Gateway, isTrusted: boolean): AdminAnswer {
  const { ready, reasons } = gateway.readiness()
  return { status: ready ? 200 : 503, body: isTrusted ? { ready, reasons } : { ready } }
}

function stats(view: AdminView): unknown {
  const { gateway, io, version } = view
  const { counters } = gateway
  return {
    name: gateway.settings.name,
    version,
    ...gateway.readiness(),
    process: view.sample(),
    counters: Object.fromEntries(cellNames.map((name, i) => [name, counters.cells[i]])),
    dropped: Object.fromEntries(dropReasons.map((reason, i) => [reason, counters.drops[i]])),
    ...codeCounts(counters),
    edge: { ...io },
  }
}

function codeCounts(counters: Counters): Record<string, Record<string, number>> {
  return {
    messagesRefused: byCode(counters.refusedByCode),
    attachesRefused: byCode(counters.attachRefusedByCode),
    connectionsClosed: byCode(counters.closedByCode),
    channelsDetached: byCode(counters.detachedByCode),
  }
}

function byCode(cells: Float64Array): Record<string, number> {
  const counts: Record<string, number> = {}
  for (let i = 0; i < cells.length; i++) if (cells[i] > 0) counts[codeName(i)] = cells[i]
  return counts
}

/** ?session=NAME: that one; ?limit=N: at most so many. */
function sessions(gateway: Gateway, { query }: AdminRequest): unknown {
  const name = query.get('session')
  if (name !== null) {
    const found = gateway.session(name)
    if (found === undefined) throw new AdminProblem(404, 'no such session is connected here')
    return [found]
  }
  const limit = Number(query.get('limit') ?? SESSIONS_DEFAULT)
  if (!Number.isInteger(limit) || limit < 1 || limit > SESSIONS_MAX) {
    throw new AdminProblem(400, `limit: 1 to ${SESSIONS_MAX} is expected`)
  }
  return gateway.sessions(limit)
}

function config(view: AdminView, { ifNoneMatch }: AdminRequest): AdminAnswer {
  const body = view.config()
  const etag = `"${createHash('sha256').update(JSON.stringify(body)).digest('base64url').slice(0, 22)}"`
  return { status: ifNoneMatch === etag ? 304 : 200, body, headers: { ETag: etag } }
}

const banView = ({ what, untilWallMs, reason }: Ban) => ({
  what,
  until: new Date(untilWallMs).toISOString(),
  reason,
})

/** {what, forMs, reason} bans, {remove} takes a ban back. */
function changeBan(view: AdminView, body: Record<string, unknown>): AdminAnswer {
  const { what, remove, reason = '' } = body
  if (typeof remove === 'string') {
    if (!view.bans.remove(remove)) throw new AdminProblem(404, `there is no ban of ${remove}`)
    return json({ removed: remove })
  }
  if (typeof what !== 'string') throw new AdminProblem(400, 'what: user:NAME, an address or a network is expected')
  if (typeof reason !== 'string' || reason.length > 200) throw new AdminProblem(400, 'reason: a short text is expected')
  const forMs = optionalNumber(body, 'forMs', BAN_MS_MAX) ?? BAN_MS_DEFAULT
  const problem = view.bans.add(what, forMs, reason)
  if (problem !== undefined) throw new AdminProblem(400, problem)
  return json({ banned: what, forMs })
}

/** {guard, to}: what an operator says of a breaker. */
function forceBreaker(gateway: Gateway, body: Record<string, unknown>): AdminAnswer {
  const { guard, to } = body
  if (typeof guard !== 'string')
    throw new AdminProblem(400, 'guard: the name of a breaker is expected, as /breakers has it')
  if (to !== 'open' && to !== 'closed' && to !== 'auto')
    throw new AdminProblem(400, 'to: open, closed or auto is expected')
  if (!gateway.guards.force(guard, to, gateway.env.now())) throw new AdminProblem(404, `there is no breaker ${guard}`)
  return json({ guard, to })
}

/** ?name, ?name=1 or ?name=true. */
function isAsked(query: URLSearchParams, name: string): boolean {
  const value = query.get(name)
  return value !== null && value !== '0' && value !== 'false'
}

/** 422: what the file says cannot be put in use, and nothing has changed. */
function reloadAnswer(outcome: ReloadOutcome): AdminAnswer {
  if (outcome.outcome !== 'refused') {
    const { warnings, ...rest } = outcome
    return json({ ...rest, warnings: warnings.map(problemText) })
  }
  const { reason, problems, changes } = outcome
  const body = { status: 422, error: reason, outcome: 'refused', problems: problems.map(problemText), changes }
  return { status: 422, body }
}

function optionalNumber(body: Record<string, unknown>, name: string, max: number): number | undefined {
  const value = body[name]
  if (value === undefined) return undefined
  if (typeof value === 'number' && value >= 0 && value <= max) return value
  throw new AdminProblem(400, `${name}: a number of 0 to ${max} is expected`)
}
