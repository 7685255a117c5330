// `skewer keygen`: 32 random bytes, for `ticketKeys` and `linkKey`; `skewer keygen noise`: a file with an X25519 private key
// for `noise.keyFile`, readable by its owner only, and its public key on stdout, which clients are given.
import fs from 'node:fs'
import { newKey, readKey } from '../../config/keys.ts'
import { newNoiseKeyFile, readNoiseKey } from '../../config/noise-keys.ts'
import { Failure, exitCode } from '../failure.ts'
import { printJson, printLine } from '../output.ts'

const NOISE_FILE = 'noise.key'

type Flags = { json?: boolean; force?: boolean; show?: boolean }

export function keygen(kind: 'secret' | 'noise', file: string | undefined, flags: Flags): number {
  if (kind === 'noise') return noiseKey(file ?? NOISE_FILE, flags)
  if (file !== undefined || flags.force || flags.show) {
    throw new Failure('a file, --force and --show go with `keygen noise`; a secret is printed', exitCode.usage)
  }
  const key = newKey()
  if (flags.json) printJson({ key, id: readKey(key)!.id })
  else printLine(key)
  return exitCode.ok
}

function noiseKey(file: string, { json, force, show }: Flags): number {
  if (!show) write(file, newNoiseKeyFile(), force === true)
  const publicKey = publicKeyOf(file)
  if (json) printJson({ file, publicKey })
  else printLine(publicKey)
  return exitCode.ok
}

/** A key that is replaced is gone: that has to be asked for. */
function write(file: string, text: string, isForced: boolean): void {
  try {
    if (isForced) fs.rmSync(file, { force: true })
    fs.writeFileSync(file, text, { flag: 'wx', mode: 0o600 })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'EEXIST') throw new Failure(`${file} cannot be written (${code})`)
    throw new Failure(`${file} exists; --show prints its public key, --force replaces it`, exitCode.usage)
  }
}

function publicKeyOf(file: string): string {
  let text: string
  try {
    text = fs.readFileSync(file, 'utf8')
  } catch (error) {
    throw new Failure(`${file} cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
  const key = readNoiseKey(text)
  if (key === undefined) throw new Failure(`${file} does not hold an X25519 private key`, exitCode.usage)
  return key.publicKey
}
