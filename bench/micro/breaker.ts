// What one request costs in a circuit breaker: asked, and its outcome recorded. Beside opossum with the settings it is
// best at, in the same run: requests that go well, and one failure in five below the threshold. Run it with
// `node bench/micro/breaker.ts`.
import Opossum from 'opossum'
import { CircuitBreaker } from '../../policies/circuit-breaker.ts'

const ROUNDS = 7
const settings = {
  errorRate: 0.5,
  slowRate: 0.5,
  slowAfterMs: 1000,
  consecutiveFailures: 1000,
  volume: 1e9,
  windowMs: 10_000,
  openMs: 5000,
  openMsMax: 5000,
  probes: 3,
}

let kept = 0

function ours(failEvery: number): number {
  const count = 2_000_000
  const breaker = new CircuitBreaker(settings, () => {}, 0)
  const from = process.hrtime.bigint()
  for (let i = 0; i < count; i++) {
    const now = i >> 4
    breaker.record(breaker.ask(now), i % failEvery === 0, 3, i, now)
  }
  kept += breaker.counts(0).failed
  return Number(process.hrtime.bigint() - from) / count
}

async function theirs(failEvery: number): Promise<number> {
  const count = 100_000
  const failure = new Error('failed')
  const breaker = new Opossum((i: number) => (i % failEvery === 0 ? Promise.reject(failure) : Promise.resolve(i)), {
    timeout: false,
    errorThresholdPercentage: 50,
    volumeThreshold: 1e9,
    rollingPercentilesEnabled: false,
    enableSnapshots: false,
  })
  const from = process.hrtime.bigint()
  for (let i = 0; i < count; i++) await breaker.fire(i).catch(() => kept++)
  const spent = Number(process.hrtime.bigint() - from) / count
  breaker.shutdown()
  return spent
}

const median = (values: number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]

for (const [name, failEvery] of [
  ['all go well', Infinity],
  ['one in five fails', 5],
] as const) {
  const a: number[] = []
  const b: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    a.push(ours(failEvery))
    b.push(await theirs(failEvery))
  }
  const ratio = median(b.map((value, i) => value / a[i]))
  console.log(
    `${name.padEnd(18)} skewer ${median(a).toFixed(1)} ns  opossum ${median(b).toFixed(0)} ns  opossum / skewer ${ratio.toFixed(0)}`,
  )
}
if (kept < 0) throw new Error('never')
