// Every fuzz target: what once broke it, then a bounded number of new inputs, from a seed that is told when one breaks.
import t from 'tap'
import { mutate, Random, shrink } from './mutate.ts'
import { corpus, loadTarget, targetNames } from './targets.ts'

const INPUTS_MAX = 20_000
const BUDGET_MS = 2000
const SEED = 1

for (const name of targetNames) {
  t.test(`${name}: no bytes make it throw`, async (t) => {
    const target = await loadTarget(name)
    const kept = corpus(name)
    for (const { file, bytes } of kept) t.doesNotThrow(() => target.fuzz(bytes), `corpus/${name}/${file}`)
    const pool = [...target.seeds(), ...kept.map(({ bytes }) => bytes)]
    t.ok(pool.length > 0, 'there are inputs to begin with')
    const random = new Random(SEED)
    const until = performance.now() + BUDGET_MS
    let inputs = 0
    for (; inputs < INPUTS_MAX && performance.now() < until; inputs++) {
      const input = inputs < pool.length ? pool[inputs] : mutate(pool, random)
      try {
        target.fuzz(input)
      } catch (error) {
        t.error(error, `seed ${SEED}, input ${inputs}: ${Buffer.from(input).toString('hex')}`)
        return
      }
    }
    t.pass(`${inputs} inputs`)
  })
}

t.test('the same seed gives the same inputs', async (t) => {
  const pool = [new Uint8Array([1, 2, 3]), new Uint8Array([9])]
  const run = (seed: number): string => {
    const random = new Random(seed)
    return Array.from({ length: 50 }, () => Buffer.from(mutate(pool, random)).toString('hex')).join()
  }
  t.equal(run(7), run(7))
  t.not(run(7), run(8))
})

t.test('what breaks a target is made as short as it can be', async (t) => {
  const long = new Uint8Array(500).fill(7)
  long[77] = 0xaa
  long[401] = 0xbb
  const short = shrink(long, (bytes) => bytes.includes(0xaa) && bytes.includes(0xbb))
  t.strictSame([...short], [0xaa, 0xbb])
})
