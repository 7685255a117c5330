// Which configuration file is used: the first of `--config`, $SKEWER_CONFIG, ./skewer.yaml, /etc/skewer/skewer.yaml.
// One that was named must exist; of the two usual places, the first that exists is taken.
import fs from 'node:fs'
import path from 'node:path'

export const SYSTEM_CONFIG_FILE = '/etc/skewer/skewer.yaml'

export type FoundConfig = { file: string; from: 'flag' | 'environment' | 'folder' | 'system' }

/** Undefined where there is none: the built-in configuration holds. File names are as an operator would write them. */
export function findConfigFile(
  flags: { config?: string },
  env: NodeJS.ProcessEnv,
  cwd: string,
  exists: (file: string) => boolean = fs.existsSync,
): FoundConfig | undefined {
  if (flags.config) return { file: flags.config, from: 'flag' }
  if (env.SKEWER_CONFIG) return { file: env.SKEWER_CONFIG, from: 'environment' }
  if (exists(path.join(cwd, 'skewer.yaml'))) return { file: 'skewer.yaml', from: 'folder' }
  return exists(SYSTEM_CONFIG_FILE) ? { file: SYSTEM_CONFIG_FILE, from: 'system' } : undefined
}
