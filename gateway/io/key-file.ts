// A gateway without configured ticket keys makes its own, once, and keeps it in its state folder (T3): a restart, also
// after kill -9, opens the tickets that it sealed.
//
//   keys.json: { "keys": ["<base64>", ...] }   0600; the first is the current one, a second the previous
import path from 'node:path'
import { newKey, readKey } from '../../config/keys.ts'
import type { TicketKeySettings } from '../../config/settings.ts'
import { keepFirst, readKept } from './kept-file.ts'

/** The keys in `stateDir`, made if there are none. Throws where they cannot be read or kept. */
export function ownKeys(stateDir: string): TicketKeySettings {
  const file = path.join(stateDir, 'keys.json')
  return readKeys(file) ?? makeKeys(stateDir, file)
}

function makeKeys(stateDir: string, file: string): TicketKeySettings {
  try {
    keepFirst(file, `${JSON.stringify({ keys: [newKey()] })}\n`)
  } catch (error) {
    throw new Error(`ticket keys cannot be kept in ${stateDir}: ${(error as Error).message}`)
  }
  const keys = readKeys(file)
  if (keys === undefined) throw new Error(`ticket keys cannot be kept in ${stateDir}: ${file} vanished`)
  return keys
}

function readKeys(file: string): TicketKeySettings | undefined {
  let text: string | undefined
  try {
    text = readKept(file)
  } catch (error) {
    throw new Error(`ticket keys cannot be read from ${file}: ${(error as Error).message}`)
  }
  if (text === undefined) return undefined
  const keys = parsedKeys(text).map(readKey)
  const [current, previous] = keys
  if (current === undefined || keys.includes(undefined)) {
    throw new Error(`${file} does not hold ticket keys; remove it to have a new one made`)
  }
  return { current, previous }
}

function parsedKeys(text: string): string[] {
  try {
    const { keys } = JSON.parse(text) as { keys?: unknown }
    return Array.isArray(keys) ? keys.map(String) : []
  } catch {
    return []
  }
}
