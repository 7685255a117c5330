// Token buckets: full at first, refilled by time alone, never by a clock that goes backwards.
import t from 'tap'
import { TokenBuckets } from '../../policies/token-bucket.ts'

t.test('a bucket gives its burst, then its rate', async (t) => {
  const buckets = new TokenBuckets(2)
  const took = (now: number) => buckets.take(0, 10, 3, 1, now)
  t.same([took(1000), took(1000), took(1000), took(1000)], [true, true, true, false])
  t.same([took(1099), took(1100), took(1150)], [false, true, false])
  t.equal(buckets.take(1, 10, 3, 1, 1150), true, 'the other bucket is its own')
  t.same([took(60_000), took(60_000), took(60_000), took(60_000)], [true, true, true, false])
  t.equal(took(59_000), false)
  t.equal(took(60_050), false, 'and what was taken before it went back is not given again')
  t.equal(took(60_100), true)
})

t.test('a long run gets exactly burst and rate times time', async (t) => {
  const buckets = new TokenBuckets(1)
  let passed = 0
  for (let now = 0; now < 10_000; now++) if (buckets.take(0, 34, 10, 1, now)) passed++
  t.equal(passed, 349)
})
