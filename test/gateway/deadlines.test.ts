// The heap of deadlines, against sorting.
import t from 'tap'
import { Deadline, Deadlines } from '../../gateway/deadlines.ts'

t.test('deadlines expire in order, wherever they were moved or cleared meanwhile', async (t) => {
  let seed = 3
  const random = () => (seed = (Math.imul(seed, 1103515245) + 12345) >>> 0) / 2 ** 32
  const deadlines = new Deadlines()
  const fired: number[] = []
  const owner = { expired: (deadline: Deadline, now: number) => void fired.push(all.indexOf(deadline), now) }
  const all: Deadline[] = Array.from({ length: 200 }, () => new Deadline(owner))
  const expected = new Map<number, number>()
  for (let step = 0; step < 3000; step++) {
    const i = Math.floor(random() * all.length)
    if (random() < 0.3) {
      deadlines.clear(all[i])
      expected.delete(i)
    } else {
      const at = Math.floor(random() * 1000)
      deadlines.set(all[i], at)
      expected.set(i, at)
    }
  }
  t.equal(deadlines.size, expected.size)
  t.equal(deadlines.next(), Math.min(...expected.values()))
  for (let now = 0; now <= 1000; now++) deadlines.expire(now)
  t.equal(fired.length / 2, expected.size)
  for (let k = 0; k < fired.length; k += 2) if (expected.get(fired[k]) !== fired[k + 1]) t.fail(`${fired[k]}`)
  t.equal(deadlines.next(), Infinity)
})

t.test('one that is set again for now waits for the next call', async (t) => {
  const deadlines = new Deadlines()
  let times = 0
  const again: Deadline = new Deadline({
    expired: () => {
      times++
      deadlines.set(again, 0)
    },
  })
  deadlines.set(again, 0)
  deadlines.expire(5)
  t.equal(times, 1)
  t.equal(deadlines.next(), 0)
})

t.test('O1: a shift keeps the order and lets nothing end before its bound', async (t) => {
  const deadlines = new Deadlines()
  const order: string[] = []
  for (const [name, at] of [
    ['b', 20],
    ['a', 10],
    ['c', 5000],
  ] as const) {
    deadlines.set(new Deadline({ expired: () => void order.push(name) }), at)
  }
  deadlines.shift(100, 1000)
  t.equal(deadlines.next(), 1000)
  deadlines.expire(999)
  t.same(order, [])
  deadlines.expire(5100)
  t.same(order.sort(), ['a', 'b', 'c'])
})
