// A file in the state folder that is made once: whole or not at all, and readable by its owner only. It is written under
// another name, synced, and linked to its own name, which fails if somebody else was first; then theirs is the file.
import { randomBytes } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'

/** Its text; undefined where there is none. Throws where it cannot be read. */
export function readKept(file: string): string | undefined {
  try {
    return fs.readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Makes it, and its folder, unless it is there. Throws where it cannot be kept. */
export function keepFirst(file: string, text: string): void {
  const folder = path.dirname(file)
  fs.mkdirSync(folder, { recursive: true, mode: 0o700 })
  const draft = path.join(folder, `${path.basename(file)}.${process.pid}.${randomBytes(6).toString('hex')}`)
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
}
