// `npm run fuzz -- <target | all> [--seconds N] [--seed N]`: feeds a target mutated inputs in a worker, and watches from
// outside for what the worker cannot report itself: an input that takes longer than HANG_MS, and memory. What breaks a
// target is shrunk, kept in test/fuzz/corpus and printed; exit code 1.
import { parseArgs } from 'node:util'
import { Worker } from 'node:worker_threads'
import { keep, targetNames } from './targets.ts'

const HANG_MS = 5000
const HEAP_MIB_MAX = 256
const INPUT_BYTES_MAX = 1 << 17

type Told = { done: number } | { broken: Uint8Array; stack: string }

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seconds: { type: 'string', default: '30' }, seed: { type: 'string' } },
})
const seconds = Number(values.seconds)
const seed = values.seed === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(values.seed)
const wanted = positionals.includes('all') ? targetNames : positionals
const unknown = wanted.filter((name) => !targetNames.includes(name))
if (wanted.length === 0 || unknown.length > 0 || !(seconds > 0) || !Number.isInteger(seed)) {
  process.stderr.write(`usage: npm run fuzz -- <${targetNames.join(' | ')} | all> [--seconds N] [--seed N]\n`)
  process.exit(2)
}

/** Runs one target for its time; true when nothing broke. */
function run(name: string): Promise<boolean> {
  // The input under way: how many before it, how long it is, its bytes. All that is left of a worker that hangs.
  const shared = new SharedArrayBuffer(8 + INPUT_BYTES_MAX)
  const state = new Int32Array(shared, 0, 2)
  const worker = new Worker(new URL('worker.ts', import.meta.url), {
    workerData: { name, seed, seconds, shared },
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB_MAX },
  })
  return new Promise((resolve) => {
    let seen = -1
    const finish = (isSound: boolean, says: string): void => {
      clearInterval(watch)
      process.stdout.write(`${name}: ${says}, seed ${seed}\n`)
      void worker.terminate().then(() => resolve(isSound))
    }
    const current = (): Uint8Array => new Uint8Array(shared, 8, Atomics.load(state, 1)).slice()
    const watch = setInterval(() => {
      const count = Atomics.load(state, 0)
      if (count === seen) finish(false, `hangs, kept as ${keep(name, current())}`)
      seen = count
    }, HANG_MS)
    worker.once('message', (told: Told) => {
      if ('done' in told) finish(true, `${told.done} inputs, nothing broke`)
      else finish(false, `broke, kept as ${keep(name, told.broken)}\n${told.stack}\n`)
    })
    // Out of memory, or a target that throws outside its call.
    worker.once('error', (error) => finish(false, `${error}, kept as ${keep(name, current())}`))
  })
}

let isSound = true
for (const name of wanted) isSound = (await run(name)) && isSound
process.exitCode = isSound ? 0 : 1
