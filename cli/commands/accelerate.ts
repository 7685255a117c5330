// `skewer accelerate`: builds the accelerator (native/*.c) with the machine's C compiler for the Node that runs this,
// and tries whether it loads. A gateway that starts from then on uses it.
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { acceleratorParts, acceleratorPlace, acceleratorState } from '../../gateway/io/accelerator.ts'
import { Failure, exitCode } from '../failure.ts'
import { printJson, printLine } from '../output.ts'

type Flags = { json?: boolean; check?: boolean; remove?: boolean }

export function accelerate({ json, check, remove }: Flags): number {
  const places = acceleratorParts.map(acceleratorPlace)
  for (const { source, built } of places) {
    if (remove) fs.rmSync(built, { force: true })
    else if (!check) build(source, built)
  }
  const state = acceleratorState()
  if (json) printJson({ state, files: places.map(({ built }) => built) })
  else
    printLine(
      state === 'on'
        ? `the accelerator is on: ${places.map(({ built }) => built).join(', ')}`
        : `the accelerator is ${sentences[state]}`,
    )
  return check && state !== 'on' ? exitCode.failed : exitCode.ok
}

const sentences = {
  off: 'off: SKEWER_ACCELERATOR=off is in the environment',
  'not built': 'not built: `skewer accelerate` builds it',
  'does not load': 'built for another Node or machine: `skewer accelerate` builds it anew',
}

export function build(source: string, built: string): void {
  if (process.platform !== 'linux') throw new Failure('the accelerator is for Linux; everything works without it')
  const headers = path.join(path.dirname(process.execPath), '..', 'include', 'node')
  if (!fs.existsSync(path.join(headers, 'node_api.h'))) {
    throw new Failure(`the headers of this Node (${process.version}) are not in ${headers}`)
  }
  // Into a file of its own first: a gateway may have the old one mapped, and half of one must not be found.
  const half = `${built.slice(0, -'.node'.length)}-${process.pid}.node`
  try {
    fs.mkdirSync(path.dirname(built), { recursive: true })
  } catch (error) {
    throw new Failure(`${path.dirname(built)} cannot be made (${(error as NodeJS.ErrnoException).code})`)
  }
  const compiler = process.env.CC ?? 'cc'
  const args = ['-O2', '-Wall', '-shared', '-fPIC', `-I${headers}`, source, '-o', half]
  const { error, status, stderr } = spawnSync(compiler, args, { encoding: 'utf8' })
  if (error !== undefined) throw new Failure(`there is no C compiler ${compiler} (Debian: gcc and libc6-dev)`)
  if (status !== 0) {
    fs.rmSync(half, { force: true })
    throw new Failure(`${compiler} failed:\n${stderr}`)
  }
  // Loaded by a process of its own: what does not fit may end it.
  const tried = spawnSync(process.execPath, ['-e', `require(${JSON.stringify(half)})`], { encoding: 'utf8' })
  if (tried.status !== 0) {
    fs.rmSync(half, { force: true })
    throw new Failure(`what ${compiler} built does not load:\n${tried.stderr}`)
  }
  fs.renameSync(half, built)
}
