// Calls that wait for their outcome, by id; the ids are our own.
import { code, codeName } from '../../protocols/codes.ts'
import type { Outcome } from '../../protocols/session/channel-end.ts'
import type { Codec } from '../codec.ts'
import { SkewerError } from '../error.ts'

export type Waiting = { resolve: (value: unknown) => void; reject: (error: SkewerError) => void }

const CALL_TIMEOUT_MS = 10_000
const decoder = new TextDecoder()

export type CallOptions = {
  /** How long the answer is waited for, in milliseconds (more than 0, or Infinity). Default 10,000. */
  timeoutMs?: number
}

export class Calls {
  readonly #codec: Codec
  readonly #waiting: Map<number, Waiting> = new Map()

  constructor(codec: Codec) {
    this.#codec = codec
  }

  wait(request: number): Promise<unknown> {
    return new Promise((resolve, reject) => this.#waiting.set(request, { resolve, reject }))
  }

  conclude(request: number, outcome: Outcome): void {
    const waiting = this.#waiting.get(request)
    if (waiting === undefined) return
    this.#waiting.delete(request)
    const { payload, ran, retryMs } = outcome
    if (outcome.code !== code.ok) {
      // The payload of a failure is a sentence of whoever refused.
      const text = payload.length > 0 ? decoder.decode(payload) : codeName(outcome.code)
      waiting.reject(new SkewerError(outcome.code, text, ran, retryMs))
      return
    }
    try {
      waiting.resolve(payload.length === 0 ? undefined : this.#codec.decode(payload))
    } catch {
      waiting.reject(new SkewerError(code.invalid_payload, 'the reply could not be decoded', 'yes'))
    }
  }
}

/** When a call is given up; throws a RangeError for what is no time. */
export function deadlineOf({ timeoutMs = CALL_TIMEOUT_MS }: CallOptions, now: number): number {
  if (!(timeoutMs > 0)) throw new RangeError('timeoutMs is more than 0')
  return now + timeoutMs
}

/** The error for what is refused here, before anything was sent. */
export function refusalOf(why: number): SkewerError {
  return new SkewerError(why, refusalTexts.get(why) ?? codeName(why))
}

const refusalTexts = new Map<number, string>([
  [code.window_full, 'window_full: too much is unacknowledged; wait for the host to settle some of it'],
  [code.too_large, 'too_large: a message may take a quarter of the window'],
  [
    code.no_route,
    'no_route: a route has a name of 1 to 128 bytes that does not begin with $, and a client uses at most 1,024',
  ],
  [code.detached, 'detached: there is no connection'],
])
