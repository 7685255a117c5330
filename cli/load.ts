// The configuration as commands get at it: found, loaded, its complaints told; a bad one ends the command with exit code 2.
import process from 'node:process'
import { findConfigFile } from '../config/find-config.ts'
import { lastGoodFile, loadLastGood } from '../config/last-good.ts'
import { type Loaded, type SourceText, loadSettings } from '../config/settings-from-yaml.ts'
import type { Settings } from '../config/settings.ts'
import { Failure, exitCode } from './failure.ts'
import { printProblems } from './output.ts'

export type LoadedFile = { settings: Settings; file: string | undefined; source?: SourceText }

/** The file that flags, environment and folder name; undefined where the built-in configuration holds. */
export function configFile(flags: { config?: string }): string | undefined {
  return findConfigFile(flags, process.env, process.cwd())?.file
}

export function loadConfig(flags: { config?: string }): LoadedFile {
  const file = configFile(flags)
  const loaded = loadSettings(file, process.env)
  return { settings: settingsOf(loaded, file ?? 'the built-in configuration'), file, source: loaded.source }
}

/** The last good configuration of the file, or the one that `written` names; the file is what a reload reads. */
export function loadLastGoodConfig(flags: { config?: string }, written: string | true): LoadedFile {
  const file = configFile(flags)
  const kept = written === true ? lastGoodFile(file) : written
  const loaded = loadLastGood(kept, process.env)
  return { settings: settingsOf(loaded, kept), file, source: loaded.source }
}

/** Warnings are told and let pass. */
export function settingsOf(loaded: Loaded, name: string): Settings {
  printProblems(loaded.problems ?? loaded.warnings)
  if (loaded.settings) return loaded.settings
  throw new Failure(`${name} cannot be used`, exitCode.usage)
}
