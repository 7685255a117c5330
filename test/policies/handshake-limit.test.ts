import t from 'tap'
import { HandshakeLimit } from '../../policies/handshake-limit.ts'

const rate = { perSecond: 10, burst: 100 }

t.test('a network has its burst, then its rate', async (t) => {
  const limit = new HandshakeLimit(1)
  let taken = 0
  for (let i = 0; i < 500; i++) if (limit.take('192.0.2.1', '192.0.2.', rate, 1000)) taken++
  t.equal(taken, 100)
  t.ok(limit.take('192.0.2.1', '192.0.2.', rate, 1100), 'a tenth of a second later')
  t.notOk(limit.take('192.0.2.1', '192.0.2.', rate, 1100))
})

t.test('a neighbourhood has ten times as much, however many networks are in it', async (t) => {
  const limit = new HandshakeLimit(2)
  let taken = 0
  for (let i = 0; i < 5000; i++) if (limit.take(`2001:db8:1:${i}::`, '2001:db8:1::', rate, 1000)) taken++
  t.equal(taken, 1000)
  for (let i = 0; i < 5000; i++) if (limit.take(`2001:db8:1:f${i}::`, '2001:db8:1::', rate, 1100)) taken++
  t.equal(taken, 1010, 'and ten times the rate')
  t.ok(limit.take('2001:db8:2:1::', '2001:db8:2::', rate, 1000), 'the next one is not touched')
})

t.test('who empties his own buckets hardly ever keeps another out, and whom depends on the seed', async (t) => {
  const keptOut = (seed: number): string => {
    const limit = new HandshakeLimit(seed)
    for (let network = 0; network < 200; network++) {
      for (let i = 0; i < 200; i++) limit.take(`enemy ${network}`, `enemies ${network}`, rate, 1000)
    }
    const out: number[] = []
    for (let i = 0; i < 2000; i++) if (!limit.take(`player ${i}`, `players ${i}`, rate, 1000)) out.push(i)
    return out.join()
  }
  const [first, second] = [keptOut(3), keptOut(4)]
  t.ok(first.split(',').length < 40, `200 enemies kept out: ${first}`)
  t.not(first, second)
})
