// What the SDKs throw and reject with: one class, with the code of the one table, what to do about it, and whether the
// message ran (Q2). `ran: 'no'` is certain.
import { code, codeName } from '../protocols/codes.ts'

export type Ran = 'yes' | 'no' | 'unknown'

export class SkewerError extends Error {
  /** Number of the code, as in docs/codes.md. */
  readonly code: number
  /** Earliest time to try again, in milliseconds; 0 where no hint was given. */
  readonly retryMs: number
  /** Whether the message's handler ran. */
  readonly ran: Ran

  /** @param text what to tell; without it the code's name stands alone. */
  constructor(code: number, text = '', ran: Ran = 'no', retryMs = 0) {
    super(text === '' ? codeName(code) : text)
    this.name = codeName(code)
    this.code = code
    this.retryMs = retryMs
    this.ran = ran
  }
}

/**
 * What a handler throws to say no: the caller gets the sentence, under `not_allowed` or the code given. Other errors stay
 * on the host.
 *
 * @example
 * if (player.gold < price) throw new Refusal('not enough gold')
 */
export class Refusal extends SkewerError {
  constructor(text: string, refusalCode: number = code.not_allowed) {
    super(refusalCode, text, 'yes')
  }
}
