// What every way of checking a token shares: reading it as text, and saying that it was not accepted.
import { code } from '../../protocols/codes.ts'
import type { LoginResult } from '../seams.ts'

const decoder = new TextDecoder('utf-8', { fatal: true })

/** Undefined where the bytes are not UTF-8. */
export function tokenText(token: Uint8Array): string | undefined {
  try {
    return decoder.decode(token)
  } catch {
    return undefined
  }
}

/** The text goes to the client: never what was expected of it. */
export const unauthenticated = (text: string): LoginResult => ({ ok: false, code: code.unauthenticated, text })
