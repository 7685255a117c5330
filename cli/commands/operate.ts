// Commands that ask a running gateway over its admin port: health, stats, sessions, hosts, drain.
import { readDuration } from '../../config/quantities.ts'
import { type AdminFlags, askAdmin, callAdmin } from '../admin-client.ts'
import { Failure, exitCode } from '../failure.ts'
import { type Row, printJson, printLine, printTable } from '../output.ts'

export type OperateFlags = AdminFlags & { json?: boolean }

/** 0 where the gateway is ready; 1, with the reasons, where it is not. */
export async function health(flags: OperateFlags): Promise<number> {
  const { status, body } = await callAdmin('GET', '/ready', flags)
  const isReady = status === 200
  if (flags.json) printJson({ ready: isReady, status, answer: body })
  else printLine(isReady ? 'ready' : `not ready: ${reasonsOf(body)}`)
  return isReady ? exitCode.ok : exitCode.failed
}

export async function stats(flags: OperateFlags): Promise<number> {
  const body = await askAdmin('GET', '/stats', flags)
  if (flags.json) printJson(body)
  else printTable(flattened(body, '').map(([name, value]) => ({ name, value })))
  return exitCode.ok
}

/** What these answer is a list, or a mapping that holds one. */
export async function list(
  what: 'sessions' | 'hosts' | 'breakers' | 'bans',
  flags: OperateFlags & { limit?: number },
): Promise<number> {
  const body = await askAdmin('GET', flags.limit === undefined ? `/${what}` : `/${what}?limit=${flags.limit}`, flags)
  if (flags.json) printJson(body)
  else {
    const rows = rowsOf(body)
    if (rows.length === 0) printLine(`no ${what}`)
    else printTable(rows)
  }
  return exitCode.ok
}

export async function drain(flags: OperateFlags & { within?: string }): Promise<number> {
  const within = flags.within === undefined ? undefined : readDuration(flags.within)
  if (within?.misread)
    throw new Failure(`--within is not a duration: expected ${within.misread.expected}`, exitCode.usage)
  const body = await askAdmin('POST', '/drain', flags, within ? { withinMs: within.value } : {})
  if (flags.json) printJson(body)
  else printLine('the gateway drains: clients are told to attach elsewhere')
  return exitCode.ok
}

/** `guard` as `breaker list` names it. */
export async function breaker(to: 'open' | 'closed' | 'auto', guard: string, flags: OperateFlags): Promise<number> {
  const body = await askAdmin('POST', '/breakers', flags, { guard, to })
  if (flags.json) printJson(body)
  else printLine(to === 'auto' ? `${guard}: goes by outcomes again` : `${guard}: ${to} until \`skewer breaker auto\``)
  return exitCode.ok
}

/** `what` is user:NAME, an address or a network. */
export async function ban(what: string, flags: OperateFlags & { for?: string; reason?: string }): Promise<number> {
  const time = readDuration(flags.for ?? '1d')
  if (time.misread) throw new Failure(`--for is not a duration: expected ${time.misread.expected}`, exitCode.usage)
  const send = { what, forMs: time.value, reason: flags.reason ?? '' }
  const body = await askAdmin('POST', '/bans', flags, send)
  if (flags.json) printJson(body)
  else printLine(`${what} is banned for ${flags.for ?? '1d'}`)
  return exitCode.ok
}

export async function unban(what: string, flags: OperateFlags): Promise<number> {
  const body = await askAdmin('POST', '/bans', flags, { remove: what })
  if (flags.json) printJson(body)
  else printLine(`${what} is banned no more`)
  return exitCode.ok
}

/** Ends one session, or with `user` all of that user. */
export async function kick(session: string | undefined, flags: OperateFlags & { user?: string }): Promise<number> {
  if ((session === undefined) === (flags.user === undefined)) {
    throw new Failure('name a session, or a user with --user', exitCode.usage)
  }
  const body = await askAdmin('POST', '/kick', flags, session === undefined ? { user: flags.user } : { session })
  if (flags.json) printJson(body)
  else printLine(session === undefined ? `the sessions of ${flags.user} are ended` : `${session} is ended`)
  return exitCode.ok
}

function rowsOf(body: unknown): Row[] {
  const list = Array.isArray(body) ? body : Object.values((body ?? {}) as Row).find(Array.isArray)
  return (list ?? []).map((item: unknown) =>
    item !== null && typeof item === 'object' ? (item as Row) : { value: item },
  )
}

function reasonsOf(body: unknown): string {
  const reasons = (body as { reasons?: unknown } | null)?.reasons
  if (Array.isArray(reasons))
    return reasons.map((reason) => (typeof reason === 'string' ? reason : JSON.stringify(reason))).join('; ')
  return typeof body === 'string' ? body : JSON.stringify(body)
}

function flattened(value: unknown, name: string): [string, unknown][] {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return [[name, value]]
  return Object.entries(value).flatMap(([key, item]) => flattened(item, name === '' ? key : `${name}.${key}`))
}
