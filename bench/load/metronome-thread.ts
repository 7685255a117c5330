// The thread of a metronome (metronome.ts): sleeps until each beat is due, and tells of it. Beats that it slept through are
// left out: whoever hears one does all that is due.
import { parentPort, workerData } from 'node:worker_threads'
import type { ThreadData } from './metronome.ts'

const { pending, everyMs } = workerData as ThreadData
const asleep = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))

for (let dueAt = performance.now(); ; dueAt += everyMs) {
  const now = performance.now()
  if (dueAt > now) Atomics.wait(asleep, 0, 0, dueAt - now)
  else dueAt = now
  if (Atomics.exchange(pending, 0, 1) === 0) parentPort!.postMessage(0)
}
