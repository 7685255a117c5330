// The accelerator: native/streams.c, built on demand (`skewer accelerate`) and never needed. It serves where it lies in the
// package and loads, unless SKEWER_ACCELERATOR=off is in the environment.
import fs from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import process from 'node:process'
import { NativePool, type NativeStreams } from './native-stream.ts'

let pool: NativePool | undefined
let isTried = false

/** Where its sources lie in this package, and what is built of them. Each is built for one kind of machine. */
export function acceleratorPlace(): { source: string; built: string } {
  let folder = import.meta.dirname
  while (!fs.existsSync(path.join(folder, 'native', 'streams.c')) && path.dirname(folder) !== folder) {
    folder = path.dirname(folder)
  }
  const name = `streams-${process.platform}-${process.arch}.node`
  return { source: path.join(folder, 'native', 'streams.c'), built: path.join(folder, 'native', 'out', name) }
}

/** The pool of this process; undefined where there is no accelerator. The first call says what its streams read into. */
export function accelerator(reads: Uint8Array, viewOf: (length: number) => Uint8Array): NativePool | undefined {
  if (isTried) return pool
  isTried = true
  const native = load()
  if (native !== undefined) pool = new NativePool(native, reads, viewOf)
  return pool
}

/** What the log says of it. One that was built for another Node does not load; everything works without it. */
export function acceleratorState(): 'on' | 'off' | 'not built' | 'does not load' {
  if (process.env.SKEWER_ACCELERATOR === 'off') return 'off'
  if (!fs.existsSync(acceleratorPlace().built)) return 'not built'
  return load() === undefined ? 'does not load' : 'on'
}

function load(): NativeStreams | undefined {
  if (process.env.SKEWER_ACCELERATOR === 'off') return undefined
  try {
    return createRequire(import.meta.url)(acceleratorPlace().built) as NativeStreams
  } catch {
    return undefined
  }
}
