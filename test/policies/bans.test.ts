// Bans by policies: each until its time, made longer only, and bounded: room is made by those that are over, else by the one
// that ends first.
import t from 'tap'
import { Bans } from '../../policies/bans.ts'

const names = (bans: Bans, now: number): string[] => bans.list(now).map(({ name }) => name)

t.test('a ban holds until its time, of its own kind only', async (t) => {
  const bans = new Bans()
  t.notOk(bans.has('user', 'ann', 0))
  bans.add('user', 'ann', 100, 'test', 0)
  t.same(
    [bans.has('user', 'ann', 99), bans.has('address', 'ann', 99), bans.has('user', 'an', 99)],
    [true, false, false],
  )
  t.same(names(bans, 99), ['ann'])
  t.same(names(bans, 100), [], 'one that is over is not listed')
  t.notOk(bans.has('user', 'ann', 100))
  t.notOk(bans.lift('user', 'ann'), 'once it is over, it is forgotten')
})

t.test('a ban is made longer, and never shorter', async (t) => {
  const bans = new Bans()
  bans.add('user', 'ann', 100, 'first', 0)
  bans.add('user', 'ann', 50, 'shorter', 0)
  bans.add('user', 'ann', 100, 'as long', 0)
  t.match(bans.list(0), [{ until: 100, reason: 'first' }])
  bans.add('user', 'ann', 200, 'longer', 0)
  t.match(bans.list(0), [{ until: 200, reason: 'longer' }])
})

t.test('where there is no room, those that are over go, and nobody else with them', async (t) => {
  const bans = new Bans(3)
  bans.add('address', 'over', 10, 'test', 0)
  bans.add('address', 'short', 100, 'test', 0)
  bans.add('address', 'long', 200, 'test', 0)
  bans.add('address', 'new', 300, 'test', 10)
  t.same(names(bans, 0), ['short', 'long', 'new'])
})

t.test('where none is over, the one that ends first goes, wherever it stands', async (t) => {
  for (const order of [
    [100, 200, 300],
    [200, 100, 300],
    [300, 200, 100],
  ]) {
    const bans = new Bans(3)
    for (const until of order) bans.add('address', `${until}`, until, 'test', 0)
    bans.add('address', `${order[0]}`, order[0] + 1, 'one that is there needs no room', 0)
    t.equal(bans.list(0).length, 3)
    bans.add('address', '250', 250, 'test', 0)
    t.same(names(bans, 0).toSorted(), ['200', '250', '300'], `${order}`)
  }
})
