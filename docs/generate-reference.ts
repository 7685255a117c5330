// Writes what is generated from the configuration's schema and from the commands: docs/configuration.md, docs/cli.md and
// the schema beside the sample configurations. Tests fail when one of them is not current.
import { writeFileSync } from 'node:fs'
import { buildProgram } from '../cli/program.ts'
import { cliDocsMarkdown } from '../cli/reference.ts'
import { configSchemaJson } from '../config/json-schema.ts'
import { configDocsMarkdown } from '../config/reference.ts'

const write = (name: string, text: string) => writeFileSync(new URL(name, import.meta.url), text)

write('configuration.md', configDocsMarkdown())
write('cli.md', cliDocsMarkdown(buildProgram(() => {})))
write('../examples/config/skewer.schema.json', configSchemaJson())
