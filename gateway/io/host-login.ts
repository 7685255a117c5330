// Login by a host's actor: the token goes as a loose call (H1) to one of a few actors of a service, which answers who it is
// of. An actor that says no, or something that cannot be read, refuses the token; without an answer in time nobody is let
// in, and the login comes back (`login_failed`).
import { createHash } from 'node:crypto'
import type { HostLoginSettings } from '../../config/settings.ts'
import { code, comesBack } from '../../protocols/codes.ts'
import type { LinkLoose } from '../../protocols/link/frames.ts'
import type { LooseCaller } from '../loose-calls.ts'
import type { Authenticator, LoginResult } from '../seams.ts'
import { isUserName, labelsOf, loginFailed, tokenText, unauthenticated } from './login-token.ts'
import type { Warn } from './remote-key-set.ts'

/** Makes the call; the caller is told once, now or later. */
export type Ask = (call: LinkLoose, caller: LooseCaller) => void

const WARN_EVERY_MS = 10_000
/** Wall times in milliseconds have been beyond this since 1973; in seconds they will be in the year 5138. */
const UNTIL_MIN = 1e11
/** The actor was not reached, or failed at its work: nothing that it thinks of the token. */
const failures = new Set<number>([code.no_service, code.not_found, code.handler_failed])
const encoder = new TextEncoder()
const refused = unauthenticated('the token was not accepted')

export class HostLogin implements Authenticator, LooseCaller {
  readonly #settings: HostLoginSettings
  readonly #warn: Warn
  readonly #ask: Ask
  readonly #waiting = new Map<number, (result: LoginResult) => void>()
  #lastRequest = 0
  #warnedAt = -Infinity

  constructor(settings: HostLoginSettings, warn: Warn, ask: Ask) {
    this.#settings = settings
    this.#warn = warn
    this.#ask = ask
  }

  login(token: Uint8Array, address: string, done: (result: LoginResult) => void): void {
    const { service, route, deadlineMs, underWayMax } = this.#settings
    const text = tokenText(token)
    if (text === undefined) {
      done(unauthenticated('the token is not text'))
      return
    }
    if (this.#waiting.size >= underWayMax) {
      done(loginFailed)
      return
    }
    const request = ++this.#lastRequest
    this.#waiting.set(request, done)
    const call = { request, session: '', user: '', address, service, route, deadlineMs, idempotencyKey: '' }
    const payload = encoder.encode(JSON.stringify({ token: text, address }))
    this.#ask({ ...call, key: this.#actorOf(token), payload }, this)
  }

  looseReplied(request: number, why: number, payload: Uint8Array): void {
    const done = this.#waiting.get(request)!
    this.#waiting.delete(request)
    if (why === code.ok) done(this.#read(payload))
    else done(comesBack(why) || failures.has(why) ? loginFailed : refused)
  }

  /** How many wait for an answer. */
  get size(): number {
    return this.#waiting.size
  }

  /** One token always goes to the same actor, which may remember it. */
  #actorOf(token: Uint8Array): string {
    const { key, actors } = this.#settings
    return `${key}.${createHash('sha256').update(token).digest().readUInt32BE() % actors}`
  }

  #read(payload: Uint8Array): LoginResult {
    const answer = answerOf(payload)
    if (typeof answer !== 'string') return answer
    const now = performance.now()
    if (now - this.#warnedAt >= WARN_EVERY_MS) {
      this.#warnedAt = now
      const { service, route } = this.#settings
      this.#warn(`a login was refused: ${service} answers ${route} with what is no login`, new Error(answer))
    }
    return refused
  }
}

/** The login in an answer, or what is wrong with it. */
function answerOf(payload: Uint8Array): LoginResult | string {
  let answer: unknown
  try {
    answer = JSON.parse(tokenText(payload) ?? '')
  } catch {
    return 'it is not JSON'
  }
  if (typeof answer !== 'object' || answer === null) return 'it is not an object'
  const { user, labels: written, until } = answer as Record<string, unknown>
  if (!isUserName(user)) return '`user` is not a name of 1 to 128 bytes'
  const labels = labelsOf(written)
  if (labels === undefined) return '`labels` are not short strings by name'
  if (until === undefined) return { ok: true, user, labels }
  if (typeof until !== 'number' || !(until > UNTIL_MIN)) return '`until` is not in milliseconds since 1970'
  return until > Date.now() ? { ok: true, user, labels, untilWallMs: until } : 'it ended before it came (`until`)'
}
