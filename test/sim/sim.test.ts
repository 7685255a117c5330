// needs nothing but Node: a few seeds of the simulator in every test run; `npm run sim -- --seeds 500` is the long one.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { runSeed } from './run-seed.ts'

const kept: number[] = JSON.parse(readFileSync(new URL('./seeds.json', import.meta.url), 'utf8'))

t.test('seeds that failed once pass, and so do the first ones', async (t) => {
  for (const seed of [...kept, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
    t.equal(runSeed(seed, undefined).failure, '', `seed ${seed}`)
})

t.test('a seed runs the same way twice', async (t) => {
  const histories = [0, 1].map(() => {
    const lines: string[] = []
    runSeed(21, (line) => lines.push(line))
    return lines
  })
  t.ok(histories[0].length > 100)
  t.same(histories[0], histories[1])
})
