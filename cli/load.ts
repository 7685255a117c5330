// The configuration as commands get at it: found, loaded, its complaints told; a bad one ends the command with exit code 2.
import process from 'node:process'
import { findConfigFile } from '../config/find-config.ts'
import { type Loaded, loadSettings } from '../config/settings-from-yaml.ts'
import type { Settings } from '../config/settings.ts'
import { Failure, exitCode } from './failure.ts'
import { printProblems } from './output.ts'

export type LoadedFile = { settings: Settings; file: string | undefined }

/** The file that flags, environment and folder name; undefined where the built-in configuration holds. */
export function configFile(flags: { config?: string }): string | undefined {
  return findConfigFile(flags, process.env, process.cwd())?.file
}

export function loadConfig(flags: { config?: string }): LoadedFile {
  const file = configFile(flags)
  return { settings: settingsOf(loadSettings(file, process.env), file ?? 'the built-in configuration'), file }
}

/** Warnings are told and let pass. */
export function settingsOf(loaded: Loaded, name: string): Settings {
  printProblems(loaded.problems ?? loaded.warnings)
  if (loaded.settings) return loaded.settings
  throw new Failure(`${name} cannot be used`, exitCode.usage)
}
