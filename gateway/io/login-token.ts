// What every way of checking a token shares: reading it as text, reading who it is of, and saying that it was not accepted.
import { code } from '../../protocols/codes.ts'
import { LABELS_MAX, type Labels } from '../../protocols/link/frames.ts'
import { NAME_BYTES_MAX } from '../../protocols/wire/lane-frames.ts'
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

/** Comes back: it is not the token's fault. */
export const loginFailed: LoginResult = { ok: false, code: code.login_failed, text: 'the login failed; try again' }

export const isUserName = (user: unknown): user is string =>
  typeof user === 'string' && user !== '' && Buffer.byteLength(user) <= NAME_BYTES_MAX

/** Short strings by name, few enough; undefined where it is something else. */
export function labelsOf(claim: unknown): Labels | undefined {
  const labels: Labels = Object.create(null)
  if (claim === undefined) return labels
  if (typeof claim !== 'object' || claim === null || Array.isArray(claim)) return undefined
  const entries = Object.entries(claim)
  if (entries.length > LABELS_MAX) return undefined
  for (const [name, value] of entries) {
    if (typeof value !== 'string') return undefined
    if (Buffer.byteLength(name) > NAME_BYTES_MAX || Buffer.byteLength(value) > NAME_BYTES_MAX) return undefined
    labels[name] = value
  }
  return labels
}
