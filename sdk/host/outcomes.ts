// What a request came to, as the application sees it: a value, or an error that says whether the handler ran (Q2).
import { code, codeName } from '../../protocols/codes.ts'
import type { Outcome } from '../../protocols/session/channel-end.ts'
import type { Codec } from '../codec.ts'
import { SkewerError } from '../error.ts'

const decoder = new TextDecoder()

export function resultOf(outcome: Outcome, codec: Codec): { error: SkewerError | undefined; value: unknown } {
  const { payload, ran, retryMs } = outcome
  if (outcome.code !== code.ok) {
    // The payload of a failure is a sentence of whoever refused.
    const text = payload.length > 0 ? decoder.decode(payload) : codeName(outcome.code)
    return { error: new SkewerError(outcome.code, text, ran, retryMs), value: undefined }
  }
  if (payload.length === 0) return { error: undefined, value: undefined }
  try {
    return { error: undefined, value: codec.decode(payload) }
  } catch {
    const error = new SkewerError(code.invalid_payload, 'the reply could not be decoded', 'yes')
    return { error, value: undefined }
  }
}
