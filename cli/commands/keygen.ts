// `skewer keygen`: 32 random bytes, for `ticketKeys` and `linkKey`.
import { newKey, readKey } from '../../config/keys.ts'
import { exitCode } from '../failure.ts'
import { printJson, printLine } from '../output.ts'

export function keygen(flags: { json?: boolean }): number {
  const key = newKey()
  if (flags.json) printJson({ key, id: readKey(key)!.id })
  else printLine(key)
  return exitCode.ok
}
