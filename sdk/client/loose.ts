// Loose calls: requests outside all channels, to any actor, at most once and in no order (P6, H1). They are never sent
// again; when their connection ends, their outcome is unknown.
import type { LooseReply } from '../../protocols/client/frames.ts'
import { writeLoose } from '../../protocols/client/frames.ts'
import { code } from '../../protocols/codes.ts'
import type { Outcome } from '../../protocols/session/channel-end.ts'
import type { ClientConnection } from './connection.ts'
import type { ClientCore } from './core.ts'

type OpenCall = { request: number; connection: ClientConnection; deadlineAt: number }

const EMPTY = new Uint8Array(0)

export class LooseCalls {
  lateReplies = 0
  readonly #core: ClientCore
  #open: OpenCall[] = []
  #lastRequest = 0
  #dueAt = Infinity

  constructor(core: ClientCore) {
    this.#core = core
  }

  /** Writes a call; its outcome comes under the id returned. Minus a code: refused, nothing has happened. */
  call(route: string, key: string, payload: Uint8Array, deadlineAt: number, now: number): number {
    const core = this.#core
    const connection = core.dialer.active
    if (!core.routes.admit(route)) return -code.no_route
    if (connection === undefined) return -code.detached
    if (this.#open.length >= core.settings.looseMax) return -code.too_many_requests
    if (payload.length > core.settings.frameBytesMax) return -code.too_large
    if (connection.isBlocked) return -code.window_full
    const request = ++this.#lastRequest
    const number = connection.numberOf(route, connection.writer)
    const deadlineMs = deadlineAt === Infinity ? 0 : Math.max(1, Math.ceil(deadlineAt - now))
    writeLoose(connection.writer, { request, route: number, key, deadlineMs, payload })
    this.#open.push({ request, connection, deadlineAt })
    if (deadlineAt < this.#dueAt) this.#dueAt = deadlineAt
    core.wake()
    return request
  }

  isAwaitedOn(connection: ClientConnection): boolean {
    return this.#open.some((open) => open.connection === connection)
  }

  replied(connection: ClientConnection, a: LooseReply): void {
    const at = this.#open.findIndex((open) => open.request === a.request && open.connection === connection)
    if (at < 0) {
      this.lateReplies++
      return
    }
    this.#open.splice(at, 1)
    this.#core.sink.looseOutcome(a.request, { code: a.code, payload: a.payload, ran: ranBy(a.code), retryMs: 0 })
  }

  connectionLost(connection: ClientConnection): void {
    this.#endWhere((open) => open.connection === connection)
  }

  deadline(): number {
    return this.#dueAt
  }

  tick(now: number): void {
    if (this.#dueAt > now) return
    this.#endWhere((open) => open.deadlineAt <= now)
    this.#dueAt = Infinity
    for (const open of this.#open) if (open.deadlineAt < this.#dueAt) this.#dueAt = open.deadlineAt
  }

  #endWhere(isOver: (open: OpenCall) => boolean): void {
    const over = this.#open.filter(isOver)
    if (over.length === 0) return
    this.#open = this.#open.filter((open) => !isOver(open))
    for (const { request } of over) {
      this.#core.sink.looseOutcome(request, { code: code.unknown, payload: EMPTY, ran: 'unknown', retryMs: 0 })
    }
  }
}

/** What a reply's code says of the call: most are refusals on the way; some may come before or after the handler. */
export function ranBy(replyCode: number): Outcome['ran'] {
  switch (replyCode) {
    case code.ok:
    case code.handler_failed:
      return 'yes'
    case code.unknown:
    case code.host_lost:
    case code.link_lost:
    case code.stalled:
    case code.too_large:
      return 'unknown'
    default:
      return 'no'
  }
}
