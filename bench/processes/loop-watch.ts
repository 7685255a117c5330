// Loaded into a gateway beside it (`node --import`): writes down how late its event loop runs a timer of 5 ms, the most of
// each 50 ms, as `<microseconds of the machine's clock> <milliseconds late>`. What a gateway says of itself is the most since
// its start; here it matters when it was.
import { openSync, writeSync } from 'node:fs'
import process from 'node:process'
import { monotonicUs } from '../clock.ts'

const STEP_MS = 5
const LINE_MS = 50
const file = openSync(process.env.SKEWER_BENCH_LOOP_FILE!, 'a')
let last = performance.now()
let lineAt = last
let most = 0

setInterval(() => {
  const now = performance.now()
  most = Math.max(most, now - last - STEP_MS)
  last = now
  if (now - lineAt < LINE_MS) return
  writeSync(file, `${Math.round(monotonicUs())} ${most.toFixed(2)}\n`)
  most = 0
  lineAt = now
}, STEP_MS).unref()
