import t from 'tap'
import { Histogram } from '../../bench/histogram.ts'

/** The same values on every run. */
function* values(count: number, highest: number): Generator<number> {
  let state = 12_345
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    // Many small ones and a long tail, as latencies are.
    yield Math.floor(highest ** (state / 2 ** 32))
  }
}

const exact = (sorted: readonly number[], share: number): number =>
  sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)]

t.test('percentiles are at most 1/128 above the exact ones and never below', async (t) => {
  for (const [count, highest] of [
    [10, 50],
    [1000, 300],
    [20_000, 1e6],
    [20_000, 2 ** 31 - 1],
  ]) {
    const histogram = new Histogram()
    const all = [...values(count, highest)]
    for (const value of all) histogram.record(value)
    const sorted = all.sort((a, b) => a - b)
    for (const share of [0, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1]) {
      const [found, wanted] = [histogram.percentile(share), exact(sorted, share)]
      const says = `${share} of ${count} up to ${highest}: ${found}, exactly ${wanted}`
      t.ok(found >= wanted && found <= wanted * (1 + 1 / 128), says)
    }
    t.equal(histogram.total, count)
    t.equal(histogram.max, sorted.at(-1))
  }
})

t.test('every value up to 4096 is told exactly or a little higher', async (t) => {
  for (let value = 0; value <= 4096; value++) {
    const histogram = new Histogram()
    histogram.record(value)
    histogram.record(2 ** 30)
    const found = histogram.percentile(0.5)
    if (found < value || found > value * (1 + 1 / 128)) t.fail(`${value} is told as ${found}`)
    if (value < 256 && found !== value) t.fail(`${value} is told as ${found}`)
  }
})

t.test('an empty one knows nothing, a cleared one neither', async (t) => {
  const histogram = new Histogram()
  t.equal(histogram.percentile(0.5), 0)
  histogram.record(7)
  histogram.clear()
  t.equal(histogram.percentile(0.99), 0)
  t.equal(histogram.total, 0)
  t.strictSame(histogram.counts(), [])
})

t.test('times below zero count as zero, endless ones as half an hour', async (t) => {
  const histogram = new Histogram()
  histogram.record(-3)
  t.equal(histogram.percentile(1), 0)
  histogram.record(1e15)
  t.equal(histogram.percentile(1), 2 ** 31 - 1)
})

t.test('histograms of two processes add up', async (t) => {
  const [whole, first, second] = [new Histogram(), new Histogram(), new Histogram()]
  let i = 0
  for (const value of values(5000, 1e5)) {
    whole.record(value)
    if (i++ % 3 === 0) first.record(value)
    else second.record(value)
  }
  first.add(JSON.parse(JSON.stringify(second.counts())))
  t.strictSame(first.counts(), whole.counts())
  t.equal(first.total, whole.total)
  t.equal(first.percentile(0.99), whole.percentile(0.99))
})
