// `skewer config ...`: the built-in configuration, the one in use without its secrets, the reference page, the schema.
import { stringify } from 'yaml'
import { defaultConfigYaml } from '../../config/default-config.ts'
import { configSchemaJson } from '../../config/json-schema.ts'
import { redactedConfig } from '../../config/redacted.ts'
import { configDocsMarkdown } from '../../config/reference.ts'
import { exitCode } from '../failure.ts'
import { loadConfig } from '../load.ts'
import { printJson } from '../output.ts'

export type ConfigWhat = 'default' | 'dump' | 'docs' | 'schema'

export function config(what: ConfigWhat, flags: { config?: string; json?: boolean }): number {
  if (what === 'dump') dump(flags)
  else {
    const text = { default: defaultConfigYaml, docs: configDocsMarkdown, schema: configSchemaJson }[what]()
    if (!flags.json) process.stdout.write(text)
    else printJson(what === 'schema' ? JSON.parse(text) : { [what]: text })
  }
  return exitCode.ok
}

function dump(flags: { config?: string; json?: boolean }): void {
  const plain = redactedConfig(loadConfig(flags).settings)
  if (flags.json) printJson(plain)
  else process.stdout.write(stringify(plain))
}
