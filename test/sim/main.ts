// `npm run sim -- --seeds 500` runs seeds in parallel processes; `npm run sim -- <seed>` runs one and prints its history.
// Exit code 1 if a seed failed. A seed that ever failed is kept in seeds.json and runs first.
import { fork } from 'node:child_process'
import { readFileSync } from 'node:fs'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { SeedResult } from './run-seed.ts'
import { runSeed } from './run-seed.ts'

const USAGE = `usage: npm run sim -- --seeds N [--first N] [--jobs N] [--json] [--keep-going]
       npm run sim -- <seed> [--trace]`
/** A seed takes a tenth of a second; what takes so long does not end at all. */
const SEED_MS_MAX = 60_000
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seeds: { type: 'string' },
    first: { type: 'string', default: '1' },
    jobs: { type: 'string', default: '2' },
    json: { type: 'boolean', default: false },
    trace: { type: 'boolean', default: false },
    'keep-going': { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
})

if (values.help || (positionals.length === 0 && values.seeds === undefined)) {
  console.log(USAGE)
  process.exit(values.help ? 0 : 2)
}
if (process.env.SIM_WORKER !== undefined) {
  process.on('message', (seed: number) => process.send!(runSeed(seed, undefined)))
} else if (positionals.length > 0) {
  one(whole(positionals[0]))
} else {
  await many(whole(values.seeds!), whole(values.first), whole(values.jobs))
}

function whole(text: string): number {
  const value = Number(text)
  if (Number.isSafeInteger(value) && value >= 0) return value
  console.error(`a whole number is wanted, not ${text}\n${USAGE}`)
  process.exit(2)
}

function one(seed: number): void {
  const lines: string[] = []
  const result = runSeed(seed, (line) => {
    if (values.trace) console.log(line)
    else if (lines.push(line) > 60) lines.shift()
  })
  if (result.failure !== '' && !values.trace) console.log(lines.join('\n'))
  console.log(JSON.stringify(result, undefined, 2))
  process.exit(result.failure === '' ? 0 : 1)
}

async function many(count: number, first: number, jobs: number): Promise<void> {
  const kept: number[] = JSON.parse(readFileSync(new URL('./seeds.json', import.meta.url), 'utf8'))
  const seeds = [...kept, ...Array.from({ length: count }, (_, i) => first + i)]
  const failed: SeedResult[] = []
  let virtualSeconds = 0
  let messages = 0
  let datagrams = 0
  let done = 0
  const started = performance.now()
  let isStopping = false
  await Promise.all(
    Array.from({ length: Math.min(jobs, seeds.length) }, () => {
      return new Promise<void>((resolve) => {
        const worker = fork(fileURLToPath(import.meta.url), ['0'], {
          env: { ...process.env, SIM_WORKER: '1' },
          execArgv: [],
        })
        let current = -1
        let limit: ReturnType<typeof setTimeout> | undefined
        const next = () => {
          clearTimeout(limit)
          const seed = isStopping ? undefined : seeds.shift()
          if (seed === undefined) {
            worker.removeAllListeners('exit')
            worker.kill()
            resolve()
            return
          }
          current = seed
          worker.send(seed)
          limit = setTimeout(() => worker.kill('SIGKILL'), SEED_MS_MAX)
        }
        worker.on('message', (result: SeedResult) => {
          done++
          virtualSeconds += result.virtualSeconds
          messages += result.messages
          datagrams += result.datagrams
          if (result.failure !== '') {
            failed.push(result)
            if (!values.json) console.log(`seed ${result.seed} failed: ${result.failure}`)
            if (!values['keep-going']) isStopping = true
          } else if (!values.json && done % 100 === 0) console.log(`${done} seeds passed`)
          next()
        })
        worker.on('exit', (exitCode, signal) => {
          clearTimeout(limit)
          const failure = signal === 'SIGKILL' ? `did not end within ${SEED_MS_MAX / 1000} s` : `ended with ${exitCode}`
          failed.push({
            seed: current,
            failure: `the process ${failure}`,
            virtualSeconds: 0,
            messages: 0,
            datagrams: 0,
            faults: {},
          })
          isStopping = true
          resolve()
        })
        next()
      })
    }),
  )
  const seconds = (performance.now() - started) / 1000
  if (values.json) {
    console.log(
      JSON.stringify({
        seeds: done,
        failed: failed.length,
        virtualSeconds: Math.round(virtualSeconds),
        messages,
        datagrams,
        failures: failed,
      }),
    )
  } else {
    console.log(
      `${done} seeds, ${failed.length} failed, ${Math.round(virtualSeconds)} virtual seconds, ${messages} messages, ${datagrams} datagrams, in ${seconds.toFixed(0)} s`,
    )
  }
  process.exit(failed.length > 0 ? 1 : 0)
}
