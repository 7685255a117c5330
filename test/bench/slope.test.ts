import t from 'tap'
import { slopeOf } from '../../bench/slope.ts'

const line = (count: number, at: (i: number) => number) => Array.from({ length: count }, (_, i) => [i, at(i)] as const)

t.test('what grows evenly has its slope, without an error', async (t) => {
  const { perSecond, error } = slopeOf(line(100, (i) => 7 + 3 * i))!
  t.ok(Math.abs(perSecond - 3) < 1e-9 && error < 1e-9)
})

t.test('a saw has none, within its error', async (t) => {
  const { perSecond, error } = slopeOf(line(610, (i) => 1000 + (i % 17)))!
  t.ok(Math.abs(perSecond) < 2 * error && error < 0.01, `${perSecond} +- ${error}`)
})

t.test('a slope below a saw is found', async (t) => {
  const { perSecond, error } = slopeOf(line(610, (i) => 1000 + (i % 17) + 0.1 * i))!
  t.ok(Math.abs(perSecond - 0.1) < 0.01 && perSecond > 5 * error, `${perSecond} +- ${error}`)
})

t.test('a few looks say nothing', async (t) => {
  t.equal(slopeOf(line(59, (i) => i)), undefined)
})
