// What the load tool's histogram costs for each latency that it takes, and what a percentile costs; `node
// bench/micro/histogram.ts`.
import { Histogram } from '../histogram.ts'
import { measure, repeat } from './measure.ts'

const VALUES = 1 << 12
const values = new Float64Array(VALUES)
let state = 1
for (let i = 0; i < VALUES; i++) {
  state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
  // Many short ones and a long tail, from 10 us to 1 s.
  values[i] = 10 * 1e5 ** (state / 2 ** 32)
}

const histogram = new Histogram()
const whole = new Histogram()
for (const value of values) whole.record(value)
const counts = whole.counts()
let kept = 0

await measure('histogram', [
  {
    what: 'latency recorded',
    run(count) {
      for (let i = 0; i < count; i++) histogram.record(values[i & (VALUES - 1)])
    },
  },
  { what: 'percentile read', run: repeat(() => void (kept += whole.percentile(0.99))) },
  { what: `${counts.length} buckets of another process added`, run: repeat(() => histogram.add(counts)) },
])
if (kept === 0) throw new Error('no percentile')
