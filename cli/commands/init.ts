// `skewer init [file]`: the first configuration, with a ticket key and a link key of its own, readable by its owner only;
// and beside it the schema by which editors complete and check it.
import fs from 'node:fs'
import path from 'node:path'
import { initialConfigYaml } from '../../config/default-config.ts'
import { configSchemaJson } from '../../config/json-schema.ts'
import { newKey } from '../../config/keys.ts'
import { Failure, exitCode } from '../failure.ts'
import { printJson, printLine } from '../output.ts'

export function init(file: string, flags: { force?: boolean; json?: boolean }): number {
  const schemaFile = path.join(path.dirname(file), 'skewer.schema.json')
  write(file, initialConfigYaml(newKey(), newKey()), flags.force === true)
  fs.writeFileSync(schemaFile, configSchemaJson())
  if (flags.json) printJson({ file, schemaFile })
  else {
    printLine(`${file} is written, with keys of its own: keep it to yourself (it is readable by you only).`)
    printLine(`Next: \`skewer check ${file}\`, then \`skewer run --config ${file}\`.`)
  }
  return exitCode.ok
}

/** With `force` the file is replaced, not written over: its permissions and links are not taken over. */
function write(file: string, text: string, force: boolean): void {
  try {
    if (force) fs.rmSync(file, { force: true })
    fs.writeFileSync(file, text, { flag: 'wx', mode: 0o600 })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') throw new Failure(`${file} exists; --force replaces it`, exitCode.usage)
    throw new Failure(`${file} cannot be written (${code})`)
  }
}
