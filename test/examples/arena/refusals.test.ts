// What the arena's page takes off the other side's gaps: refused numbers that it has gone past, in this life of its counting.
import t from 'tap'
import { Refusals } from '../../../examples/arena/refusals.ts'
import { Tally } from '../../../examples/arena/tally.ts'

/** The other side has had these. */
const tallyOf = (...numbers: number[]): Tally => {
  const tally = new Tally()
  for (const n of numbers) tally.take(n)
  return tally
}
const lostOf = ({ summary }: Tally, refusals: Refusals): number => summary.lost - refusals.upTo(summary.last)

t.test('a gap is a loss unless that number was refused', async (t) => {
  const refusals = new Refusals()
  refusals.take(2)
  refusals.take(2)
  t.equal(refusals.count, 1, 'told twice is refused once')
  t.equal(lostOf(tallyOf(1, 3), refusals), 0)
  t.equal(lostOf(tallyOf(1, 3, 5), refusals), 1, '4 is lost')
})

t.test('a number that the other side has not gone past is no gap yet', async (t) => {
  const refusals = new Refusals()
  refusals.take(4)
  t.equal(lostOf(tallyOf(1, 2, 3), refusals), 0)
  t.equal(lostOf(tallyOf(1, 2, 3, 5), refusals), 0)
})

t.test('where the other side begins to count again, refusals of before hide nothing and invent nothing', async (t) => {
  const refusals = new Refusals()
  refusals.take(2)
  t.equal(lostOf(tallyOf(1, 3), refusals), 0)
  refusals.take(9)
  refusals.restart()
  t.equal(lostOf(tallyOf(1, 2, 3), refusals), 0)
  t.equal(lostOf(tallyOf(1, 3), refusals), 1)
  t.equal(refusals.count, 2)
})
