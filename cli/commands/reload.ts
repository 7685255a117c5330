// `skewer reload` has a running gateway read its file again; `skewer config diff` says what differs between two files, or
// between a running gateway and a file. Exit code 2: the file cannot be put in use, and nothing has changed.
import process from 'node:process'
import { type Change, compareConfigs, compareSettings } from '../../config/compare.ts'
import { loadSettings } from '../../config/settings-from-yaml.ts'
import type { Settings } from '../../config/settings.ts'
import { type PlainConfig, redactedConfig } from '../../config/redacted.ts'
import { type AdminFlags, askAdmin, callAdmin } from '../admin-client.ts'
import { Failure, exitCode } from '../failure.ts'
import { loadConfig, settingsOf } from '../load.ts'
import { printJson, printLine, printTable } from '../output.ts'

type Answer = { error?: string; problems?: string[]; warnings?: string[]; changes?: Change[] }

export async function reload(flags: AdminFlags & { dryRun?: boolean; json?: boolean }): Promise<number> {
  const path = flags.dryRun ? '/reload?dryRun=1' : '/reload'
  const { status, body } = await callAdmin('POST', path, flags)
  const { error, problems = [], warnings = [], changes = [] } = (body ?? {}) as Answer
  if (status !== 200 && status !== 422) {
    throw new Failure(`the gateway answered ${status} to POST ${path}: ${error ?? JSON.stringify(body)}`)
  }
  if (flags.json) printJson(body)
  else {
    for (const line of [...problems, ...warnings]) process.stderr.write(`${line}\n`)
    if (status === 200) printChanges(changes, flags.dryRun ? 'nothing would change' : 'reloaded, nothing has changed')
    if (status === 200 && !flags.dryRun && changes.length > 0) process.stderr.write('skewer: reloaded\n')
  }
  if (status === 200) return exitCode.ok
  if (!flags.json) process.stderr.write(`skewer: nothing has changed: ${error}\n`)
  return exitCode.usage
}

/** Two files; one file, or the one in use here, against the gateway that runs. */
export async function diff(
  fileA: string | undefined,
  fileB: string | undefined,
  flags: AdminFlags & { json?: boolean },
): Promise<number> {
  const changes =
    fileA !== undefined && fileB !== undefined
      ? compareSettings(settingsOfFile(fileA), settingsOfFile(fileB))
      : await fromRunning(fileA === undefined ? loadConfig(flags).settings : settingsOfFile(fileA), flags)
  if (flags.json) printJson(changes)
  else printChanges(changes, 'no difference')
  return exitCode.ok
}

/** The gateway tells no secrets: whether one was replaced by another is not seen. */
async function fromRunning(settings: Settings, flags: AdminFlags): Promise<Change[]> {
  const running = (await askAdmin('GET', '/config', flags)) as PlainConfig
  return compareConfigs(running, redactedConfig(settings))
}

const settingsOfFile = (file: string): Settings => settingsOf(loadSettings(file, process.env), file)

function printChanges(changes: readonly Change[], none: string): void {
  if (changes.length === 0) printLine(none)
  else {
    printTable(
      changes.map(({ path, before, after, touches, effect }) => ({ key: path, before, after, touches, effect })),
    )
  }
}
