// The inside of `npm run fuzz`: runs a target on mutated inputs until the time is over or one breaks it.
import { parentPort, workerData } from 'node:worker_threads'
import { mutate, Random, shrink } from './mutate.ts'
import { corpus, loadTarget } from './targets.ts'

const { name, seed, seconds, shared } = workerData as {
  name: string
  seed: number
  seconds: number
  shared: SharedArrayBuffer
}
const state = new Int32Array(shared, 0, 2)
const current = new Uint8Array(shared, 8)
const target = await loadTarget(name)
const random = new Random(seed)
const pool = [...target.seeds(), ...corpus(name).map(({ bytes }) => bytes)]

/** What the target throws for this input, or nothing. */
function breaks(bytes: Uint8Array): Error | undefined {
  current.set(bytes)
  Atomics.store(state, 1, bytes.length)
  Atomics.add(state, 0, 1)
  try {
    target.fuzz(bytes)
    return undefined
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}

function search(): { done: number } | { broken: Uint8Array; stack: string } {
  const until = performance.now() + seconds * 1000
  let done = 0
  for (; performance.now() < until; done++) {
    const input = done < pool.length ? pool[done] : mutate(pool, random)
    const error = breaks(input)
    if (error === undefined) continue
    const broken = shrink(input, (bytes) => breaks(bytes)?.message === error.message)
    return { broken, stack: breaks(broken)?.stack ?? String(error.stack) }
  }
  return { done }
}

parentPort!.postMessage(search())
