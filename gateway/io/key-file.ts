// A gateway without configured ticket keys makes its own, once, and keeps it in its state folder (T3): a restart, also
// after kill -9, opens the tickets that it sealed. The file appears whole or not at all: it is written under another name,
// synced, and linked to its own name, which fails if somebody else was first; then theirs is read.
//
//   keys.json: { "keys": ["<base64>", ...] }   0600; the first is the current one, a second the previous
import { randomBytes } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { newKey, readKey } from '../../config/keys.ts'
import type { TicketKeySettings } from '../../config/settings.ts'

/** The keys in `stateDir`, made if there are none. Throws where they cannot be read or kept. */
export function ownKeys(stateDir: string): TicketKeySettings {
  const file = path.join(stateDir, 'keys.json')
  return readKeys(file) ?? makeKeys(stateDir, file)
}

function makeKeys(stateDir: string, file: string): TicketKeySettings {
  const text = `${JSON.stringify({ keys: [newKey()] })}\n`
  try {
    fs.mkdirSync(stateDir, { recursive: true, mode: 0o700 })
    const draft = path.join(stateDir, `keys.${process.pid}.${randomBytes(6).toString('hex')}`)
    const fd = fs.openSync(draft, 'wx', 0o600)
    try {
      fs.writeSync(fd, text)
      fs.fsyncSync(fd)
    } finally {
      fs.closeSync(fd)
    }
    try {
      fs.linkSync(draft, file)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    } finally {
      fs.unlinkSync(draft)
    }
  } catch (error) {
    throw new Error(`ticket keys cannot be kept in ${stateDir}: ${(error as Error).message}`)
  }
  const keys = readKeys(file)
  if (keys === undefined) throw new Error(`ticket keys cannot be kept in ${stateDir}: ${file} vanished`)
  return keys
}

function readKeys(file: string): TicketKeySettings | undefined {
  let text: string
  try {
    text = fs.readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new Error(`ticket keys cannot be read from ${file}: ${(error as Error).message}`)
  }
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
