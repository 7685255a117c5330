// What one request costs in a circuit breaker: asked, and its outcome recorded. Beside opossum with the settings it is
// best at, in the same run: requests that go well, and one failure in five below the threshold. Run it with
// `node bench/micro/breaker.ts`.
import Opossum from 'opossum'
import { CircuitBreaker } from '../../policies/circuit-breaker.ts'
import { type Case, measure, printRatio } from './measure.ts'

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

function ours(failEvery: number): Case['run'] {
  const breaker = new CircuitBreaker(settings, () => {}, 0)
  let at = 0
  return (count) => {
    for (let i = 0; i < count; i++) {
      const now = ++at >> 4
      breaker.record(breaker.ask(now), failEvery > 0 && i % failEvery === 0, 3, i, now)
    }
    kept += breaker.counts(0).failed
  }
}

function theirs(failEvery: number): Case['run'] {
  const failure = new Error('failed')
  const breaker = new Opossum(
    (i: number) => (failEvery > 0 && i % failEvery === 0 ? Promise.reject(failure) : Promise.resolve(i)),
    {
      timeout: false,
      errorThresholdPercentage: 50,
      volumeThreshold: 1e9,
      rollingPercentilesEnabled: false,
      enableSnapshots: false,
    },
  )
  breakers.push(breaker)
  return async (count) => {
    for (let i = 0; i < count; i++) await breaker.fire(i).catch(() => kept++)
  }
}

const breakers: Opossum[] = []
for (const [name, failEvery] of [
  ['all go well', 0],
  ['one in five fails', 5],
] as const) {
  const cases = [
    { what: 'skewer', run: ours(failEvery) },
    { what: 'opossum', run: theirs(failEvery) },
  ]
  const [own, other] = await measure(`request in a breaker, ${name}`, cases)
  printRatio('  opossum / skewer', own, other)
}
for (const breaker of breakers) breaker.shutdown()
if (kept === 0) throw new Error('nothing failed')
