// The accelerator: native/streams.c, native/tls.c, native/datagrams.c and native/aead.c, built on demand (`skewer accelerate`) and never
// needed. Each serves where it lies in the package and loads, unless SKEWER_ACCELERATOR=off is in the environment.
import fs from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import process from 'node:process'
import type { NativeAead } from './native-aead.ts'
import { NativePool, type NativeStreams } from './native-stream.ts'
import type { NativeTls } from './native-tls.ts'
import type { NativeDatagrams } from './native-udp-socket.ts'

/** Its parts, by the names of their sources. */
export const acceleratorParts = ['streams', 'tls', 'datagrams', 'aead'] as const
export type AcceleratorPart = (typeof acceleratorParts)[number]

/** What streams are read and written by. */
export type StreamAccelerator = {
  pool: NativePool
  /** Undefined where this Node has not what it needs. */
  tls: NativeTls | undefined
}

let streams: StreamAccelerator | undefined
let isTried = false

/** Where the source of a part lies in this package, and what is built of it, for one kind of machine. */
export function acceleratorPlace(part: AcceleratorPart): { source: string; built: string } {
  let folder = import.meta.dirname
  while (!fs.existsSync(path.join(folder, 'native', 'streams.c')) && path.dirname(folder) !== folder) {
    folder = path.dirname(folder)
  }
  const name = `${part}-${process.platform}-${process.arch}.node`
  return { source: path.join(folder, 'native', `${part}.c`), built: path.join(folder, 'native', 'out', name) }
}

/** That of this process; undefined where there is none. The first call says what its streams read into. */
export function accelerator(reads: Uint8Array, viewOf: (length: number) => Uint8Array): StreamAccelerator | undefined {
  if (isTried) return streams
  isTried = true
  const native = load<NativeStreams>('streams')
  if (native === undefined) return undefined
  const tls = load<NativeTls>('tls')
  streams = { pool: new NativePool(native, reads, viewOf), tls: tls?.isUsable ? tls : undefined }
  streams.tls?.open(reads)
  return streams
}

/** What reads and writes many datagrams a call; undefined where it is not to be had. */
export const datagramAccelerator = (): NativeDatagrams | undefined => load<NativeDatagrams>('datagrams')

/** What seals and opens; undefined where it is not to be had, or this Node has not what it needs. */
export function aeadAccelerator(): NativeAead | undefined {
  const native = load<NativeAead>('aead')
  return native?.isUsable ? native : undefined
}

/** What the log says of it. One that was built for another Node does not load; everything works without it. */
export function acceleratorState(): 'on' | 'off' | 'not built' | 'does not load' {
  if (process.env.SKEWER_ACCELERATOR === 'off') return 'off'
  if (!acceleratorParts.every((part) => fs.existsSync(acceleratorPlace(part).built))) return 'not built'
  return acceleratorParts.every((part) => load(part) !== undefined) ? 'on' : 'does not load'
}

function load<Native>(part: AcceleratorPart): Native | undefined {
  if (process.env.SKEWER_ACCELERATOR === 'off') return undefined
  try {
    return createRequire(import.meta.url)(acceleratorPlace(part).built) as Native
  } catch {
    return undefined
  }
}
