// `skewer check [file]`: everything that is wrong with a configuration, without starting anything.
import fs from 'node:fs'
import process from 'node:process'
import { type Loaded, loadSettings, loadSettingsText } from '../../config/settings-from-yaml.ts'
import type { Settings } from '../../config/settings.ts'
import { exitCode } from '../failure.ts'
import { configFile } from '../load.ts'
import { printJson, printLine, printProblems } from '../output.ts'

export function check(file: string | undefined, flags: { config?: string; json?: boolean }): number {
  const name = file ?? configFile(flags)
  const loaded = name === '-' ? loadStandardInput() : loadSettings(name, process.env)
  const isUsable = loaded.settings !== undefined
  if (flags.json) printJson({ ok: isUsable, file: name ?? null, problems: loaded.problems ?? loaded.warnings })
  else {
    printProblems(loaded.problems ?? loaded.warnings)
    if (loaded.settings) printLine(`${name ?? 'built-in configuration'}: ok, ${summary(loaded.settings)}`)
  }
  return isUsable ? exitCode.ok : exitCode.usage
}

function loadStandardInput(): Loaded {
  return loadSettingsText(fs.readFileSync(0, 'utf8'), { file: '-', directory: process.cwd() }, process.env)
}

function summary(settings: Settings): string {
  const { listeners, services, hosts, routes } = settings
  const counts = { listener: listeners.length, service: services.length, host: hosts.length, route: routes.length }
  return Object.entries(counts)
    .map(([word, count]) => `${count} ${word}${count === 1 ? '' : 's'}`)
    .join(', ')
}
