// `skewer version`: of the package and of the Node that runs it.
import process from 'node:process'
import { exitCode } from '../failure.ts'
import { printJson, printLine } from '../output.ts'
import { packageVersion } from '../../gateway/io/package-version.ts'

export function version(flags: { json?: boolean }): number {
  const about = {
    skewer: packageVersion(),
    node: process.versions.node,
    platform: `${process.platform}-${process.arch}`,
  }
  if (flags.json) printJson(about)
  else printLine(`skewer ${about.skewer} (node ${about.node}, ${about.platform})`)
  return exitCode.ok
}
