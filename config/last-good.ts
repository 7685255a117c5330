// The last good configuration: the text of the file that a gateway ran on, kept as it was written (references are still
// references, so no secret gets here that was not in the file) in the state folder, for its owner only. `skewer run
// --last-good` starts with it when the file itself is broken. The first line says where its relative file names start.
import { randomBytes } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { parse } from 'yaml'
import { type Loaded, type SourceText, loadSettings, loadSettingsText } from './settings-from-yaml.ts'
import { YAML_BYTES_MAX } from './yaml-source.ts'

const FILE_NAME = 'last-good.yaml'
const HEAD = '# Kept by skewer: the configuration that last worked. Relative file names start at '
const STATE_DIR = '.skewer'

/** Writes it whole or not at all; throws where it cannot. */
export function keepLastGood(stateDir: string, { text, directory }: SourceText): void {
  fs.mkdirSync(stateDir, { recursive: true, mode: 0o700 })
  const draft = path.join(stateDir, `last-good.${process.pid}.${randomBytes(6).toString('hex')}`)
  const fd = fs.openSync(draft, 'wx', 0o600)
  try {
    fs.writeSync(fd, `${HEAD}${JSON.stringify(directory)}\n${text}`)
    fs.fsyncSync(fd)
  } finally {
    fs.closeSync(fd)
  }
  fs.renameSync(draft, path.join(stateDir, FILE_NAME))
}

/** Where the last good one of this configuration file is, which may be broken itself, or gone. */
export function lastGoodFile(configFile: string | undefined): string {
  const directory = configFile === undefined ? '.' : path.dirname(configFile)
  return path.resolve(directory, stateDirOf(configFile) ?? STATE_DIR, FILE_NAME)
}

/** Loads it as the file that it was taken from would be. */
export function loadLastGood(file: string, env: NodeJS.ProcessEnv): Loaded {
  const loaded = loadSettings(file, env)
  const text = contentOf(file)
  const directory = text === undefined ? undefined : writtenDirectory(text)
  if (text === undefined || directory === undefined) return loaded
  const original = { text: text.slice(text.indexOf('\n') + 1), directory }
  const again = loadSettingsText(text, { file, directory }, env)
  return again.settings === undefined ? again : { ...again, source: original }
}

function writtenDirectory(text: string): string | undefined {
  if (!text.startsWith(HEAD)) return undefined
  try {
    const directory: unknown = JSON.parse(text.slice(HEAD.length, text.indexOf('\n')))
    return typeof directory === 'string' ? directory : undefined
  } catch {
    return undefined
  }
}

/** What a file that may not be a configuration any more says of its state folder. */
function stateDirOf(configFile: string | undefined): string | undefined {
  const text = configFile === undefined ? undefined : contentOf(configFile)
  if (text === undefined) return undefined
  try {
    const { stateDir } = parse(text, { logLevel: 'silent', maxAliasCount: 100 }) as { stateDir?: unknown }
    if (typeof stateDir === 'string') return stateDir
  } catch {
    // It cannot be parsed: the line alone has to do.
  }
  return /^stateDir: *["']?([^"'#\s{}]+)["']?\s*(#.*)?$/m.exec(text)?.[1]
}

function contentOf(file: string): string | undefined {
  try {
    return fs.statSync(file).size > YAML_BYTES_MAX ? undefined : fs.readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}
