// One call over HTTP (H1): POST /call/{route} with a bearer token is a loose call to the user's own actor of the route's
// service. The cheapest checks come first; the body is read while the token is checked; then the core judges and sends it,
// once. What comes back is the body of the answer, or a problem.
//
//   Authorization: Bearer <token>      who calls
//   Skewer-Timeout: 1500               milliseconds; default 10,000, at most 120,000
//   Skewer-Key: room-1                 another actor, where the service lets callers name one (percent-encoded)
//   Idempotency-Key: <key>             called again with the same key, the actor gives its first answer
import { type Verdict as Judged, verdict as judged } from '../../policies/pipeline.ts'
import { code } from '../../protocols/codes.ts'
import { NAME_BYTES_MAX } from '../../protocols/wire/lane-frames.ts'
import type { LooseCall, LooseCaller } from '../loose-calls.ts'
import type { BodySink } from './http-body.ts'
import type { HttpExchange, Ran } from './http-exchange.ts'
import { codingOf, compressed } from './http-compression.ts'
import type { Refused, TokenVerdicts, Verdict } from './token-verdicts.ts'

const PREFIX = '/call/'
const TIMEOUT_MS_MAX = 120_000
const EMPTY = new Uint8Array(0)
const VISIBLE = /^[\x21-\x2b\x2d-\x7e]+$/
const QUOTED = /^"([^"\\]*)"$/
/** What hosts answer where no handler was reached. */
const NOT_RUN: readonly number[] = [
  code.busy,
  code.host_away,
  code.overloaded,
  code.expired,
  code.not_here,
  code.not_found,
  code.no_service,
  code.invalid_payload,
  code.kicked,
  code.key_reused,
]

/** What calls need of the process. */
export type CallHome = {
  now(): number
  poke(): void
  verdicts: TokenVerdicts
  /** Returns what the policies said. */
  call(call: LooseCall, caller: LooseCaller, verdict: Verdict, now: number): Judged
}

export const isCall = (path: string): boolean => path.startsWith(PREFIX)

/** Reads the head of a call; where that is in order, the rest follows by events. `ended` is called once. */
export function takeCall(
  exchange: HttpExchange,
  address: string,
  listener: string,
  home: CallHome,
  ended: () => void,
): void {
  const head = headOf(exchange, address, listener)
  if (head === undefined) ended()
  else new HttpCall(exchange, home, head, ended).begin()
}

type Head = {
  route: string
  key: string
  deadlineMs: number
  idempotencyKey: string
  address: string
  listener: string
  token: string
  isBodied: boolean
}

/** Undefined: it was answered already. */
function headOf(exchange: HttpExchange, address: string, listener: string): Head | undefined {
  const { headers, settings } = exchange
  if (exchange.method !== 'POST') {
    exchange.otherMethod('POST')
    return undefined
  }
  const bad = (detail: string): undefined => void exchange.cutOff(code.protocol, { detail })
  const route = decoded(exchange.path.slice(PREFIX.length))
  if (route === undefined || route === '') return bad('the path is /call/ and the name of a route')
  const length = headers['content-length']
  const isBodied = exchange.hasBody
  if (isBodied && !isType(headers['content-type'], settings.contentType)) {
    exchange.cutOff(code.invalid_payload, { status: 415, detail: `a body here is ${settings.contentType}` })
    return undefined
  }
  if (length !== undefined && Number(length) > settings.bodyBytesMax) {
    exchange.cutOff(code.too_large, { detail: `a body has at most ${settings.bodyBytesMax} bytes here` })
    return undefined
  }
  const named = headers['skewer-key']
  const key = named === undefined ? '' : VISIBLE.test(named) ? decoded(named) : undefined
  if (key === undefined) return bad(`Skewer-Key is a name of at most ${NAME_BYTES_MAX} bytes, percent-encoded`)
  const timeout = headers['skewer-timeout']
  const deadlineMs = timeout === undefined ? 0 : Number(timeout)
  if (timeout !== undefined && !(/^\d{1,6}$/.test(timeout) && deadlineMs > 0 && deadlineMs <= TIMEOUT_MS_MAX)) {
    return bad(`Skewer-Timeout is a number of milliseconds from 1 to ${TIMEOUT_MS_MAX}`)
  }
  const written = headers['idempotency-key']
  const idempotencyKey = written === undefined ? '' : (QUOTED.exec(written)?.[1] ?? written)
  if (written !== undefined && (!VISIBLE.test(idempotencyKey) || idempotencyKey.length > NAME_BYTES_MAX)) {
    return bad(`Idempotency-Key is 1 to ${NAME_BYTES_MAX} visible characters without commas`)
  }
  const token = bearerOf(headers.authorization)
  if (token === undefined) {
    exchange.cutOff(code.unauthenticated, { detail: 'a token is required: Authorization: Bearer ...' })
    return undefined
  }
  return { route, key, deadlineMs, idempotencyKey, address, listener, token, isBodied }
}

class HttpCall implements LooseCaller, BodySink {
  readonly #exchange: HttpExchange
  readonly #home: CallHome
  readonly #head: Head
  readonly #ended: () => void
  #verdict: Verdict | undefined
  #body: Uint8Array = EMPTY
  #isRead: boolean
  #isOver = false
  #isSent = false

  constructor(exchange: HttpExchange, home: CallHome, head: Head, ended: () => void) {
    this.#exchange = exchange
    this.#home = home
    this.#head = head
    this.#ended = ended
    this.#isRead = !head.isBodied
  }

  begin(): void {
    const { token, address } = this.#head
    this.#verdict = this.#home.verdicts.known(token, Date.now())
    if (this.#isRead) this.#send()
    else this.#exchange.readBody(this.#exchange.settings.bodyBytesMax, this)
    if (this.#verdict === undefined) this.#home.verdicts.check(token, address, (verdict) => this.#checked(verdict))
  }

  // ---- the request ----

  bodyRead(body: Uint8Array): void {
    this.#body = body
    this.#isRead = true
    if (this.#verdict === undefined) this.#body = Uint8Array.from(body)
    else this.#send()
  }

  bodyTooLarge(): void {
    if (this.#isOver) return
    const { exchange } = this.#over()
    exchange.cutOff(code.too_large, { detail: `a body has at most ${exchange.settings.bodyBytesMax} bytes here` })
  }

  bodyCut(): void {
    this.#finish()
  }

  #checked(verdict: Verdict | Refused): void {
    if (this.#isOver) return
    if ('user' in verdict) {
      this.#allow(verdict)
      return
    }
    const { exchange } = this.#over()
    const says = { detail: verdict.text, retryMs: verdict.retryMs }
    if (this.#isRead) exchange.problem(verdict.code, says)
    else exchange.cutOff(verdict.code, says)
  }

  #allow(verdict: Verdict): void {
    this.#verdict = verdict
    this.#send()
  }

  // ---- the call ----

  #send(): void {
    if (!this.#isRead || this.#verdict === undefined || this.#isOver) return
    const { user } = this.#verdict
    const now = this.#home.now()
    const { route, key, deadlineMs, idempotencyKey, address, listener } = this.#head
    const payload = this.#body
    const call = { request: 0, session: '', user, address, listener, route, key, deadlineMs, idempotencyKey, payload }
    const said = this.#home.call(call, this, this.#verdict, now)
    // What this answer was written to takes no further request.
    if (said >= judged.close) this.#exchange.endConnection()
    this.#isSent = true
    this.#body = EMPTY
    this.#home.poke()
  }

  looseReplied(_request: number, why: number, payload: Uint8Array, retryMs: number): void {
    if (this.#isOver) return
    if (why === code.ok && this.#isCompressed(payload)) {
      this.#compress(payload)
      return
    }
    const { exchange } = this.#over()
    if (why !== code.ok) {
      const ran = this.#isSent ? ranBy(why) : 'no'
      // What a host refuses comes with its sentence.
      const detail = this.#isSent && payload.length > 0 ? Buffer.from(payload).toString() : undefined
      const isReply = why === code.too_large && this.#isSent
      if (isReply) exchange.problem(why, { ran, status: 502, detail: 'the reply is larger than allowed' })
      else exchange.problem(why, { ran, detail, retryMs: retryMs > 0 ? retryMs : undefined })
      return
    }
    if (payload.length === 0) {
      exchange.send(204, [])
      return
    }
    exchange.send(200, ['Content-Type', exchange.settings.contentType], payload)
  }

  #isCompressed({ length }: Uint8Array): boolean {
    const { compressFromBytes } = this.#exchange.settings
    return length > 0 && compressFromBytes > 0 && length >= compressFromBytes
  }

  /** The call is over when its answer is out: a drain waits for that. */
  #compress(payload: Uint8Array): void {
    const exchange = this.#exchange
    compressed(payload, codingOf(exchange.headers['accept-encoding']), (bytes, used) => {
      const headers = ['Content-Type', exchange.settings.contentType, 'Vary', 'Accept-Encoding']
      if (used !== undefined) headers.push('Content-Encoding', used)
      exchange.send(200, headers, bytes)
      this.#finish()
    })
  }

  #over(): { exchange: HttpExchange } {
    this.#finish()
    return { exchange: this.#exchange }
  }

  #finish(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#ended()
  }
}

/** Whether the call reached a handler, by the code of a host or of a link that was lost. */
function ranBy(why: number): Ran {
  if (why === code.unknown || why === code.host_lost || why === code.link_lost || why === code.stalled) return 'unknown'
  return NOT_RUN.includes(why) ? 'no' : 'yes'
}

export function bearerOf(authorization: string | undefined): string | undefined {
  if (authorization === undefined || authorization.length < 8) return undefined
  const scheme = authorization.slice(0, 7)
  const token = scheme === 'Bearer ' || scheme.toLowerCase() === 'bearer ' ? authorization.slice(7).trim() : ''
  return token === '' || token.includes(' ') || token.includes(',') ? undefined : token
}

/** Parameters such as a charset are not looked at. */
function isType(written: string | undefined, wanted: string): boolean {
  if (written === wanted) return true
  const end = written?.indexOf(';') ?? -1
  const type = end < 0 ? written : written!.slice(0, end)
  return type?.trim().toLowerCase() === wanted.toLowerCase()
}

function decoded(written: string): string | undefined {
  let name = written
  if (written.includes('%')) {
    try {
      name = decodeURIComponent(written)
    } catch {
      return undefined
    }
  }
  return name.length > NAME_BYTES_MAX || Buffer.byteLength(name) > NAME_BYTES_MAX ? undefined : name
}
