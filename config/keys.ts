// Sealing keys of tickets (T3): 32 random bytes written as base64, base64url or hex. A key's id is the start of its
// SHA-256, so that every gateway that is given the same key calls it by the same name and nobody has to invent one.
import { createHash, randomBytes } from 'node:crypto'
import type { KeySettings } from './settings.ts'

export const KEY_BYTES = 32
const ID_BYTES = 4

/** Undefined where the text does not hold exactly 32 bytes. */
export function readKey(written: string): KeySettings | undefined {
  const text = written.trim()
  const isHex = /^[0-9a-f]{64}$/i.test(text)
  if (!isHex && !/^[A-Za-z0-9+/_-]{43}=?$/.test(text)) return undefined
  const key = new Uint8Array(Buffer.from(text, isHex ? 'hex' : 'base64'))
  const id = createHash('sha256')
    .update(key)
    .digest('hex')
    .slice(0, 2 * ID_BYTES)
  return { id, key }
}

/** A new key as it is written: 32 random bytes in base64. */
export function newKey(): string {
  return randomBytes(KEY_BYTES).toString('base64')
}
