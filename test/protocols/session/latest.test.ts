import t from 'tap'
import { LatestReceiver, LatestSender } from '../../../protocols/session/latest.ts'

const bytes = (value: number) => new Uint8Array([value])

t.test('C2: a queue keeps only the newest value of a key, in place', async (t) => {
  const sender = new LatestSender()
  sender.set('pos', 'a', bytes(1), Infinity)
  sender.set('pos', 'b', bytes(2), Infinity)
  sender.set('pos', 'a', bytes(3), Infinity)
  t.equal(sender.next()?.payload[0], 3)
  t.equal(sender.next()?.payload[0], 2)
  t.equal(sender.next(), undefined)
})

t.test('C2: after an attach the newest values held are sent again', async (t) => {
  const sender = new LatestSender()
  sender.set('pos', 'a', bytes(1), Infinity)
  sender.next()
  t.notOk(sender.hasWaiting)
  sender.resend()
  t.equal(sender.next()?.payload[0], 1)
})

t.test('C2: 256 keys are held and no more', async (t) => {
  const sender = new LatestSender()
  for (let i = 0; i < 1000; i++) sender.set('pos', String(i), bytes(1), Infinity)
  t.equal(sender.heldCount, 256)
  let waiting = 0
  while (sender.next()) waiting++
  t.equal(waiting, 256)
})

t.test('C2: a quiet key is sent once more as reliable', async (t) => {
  const sender = new LatestSender()
  sender.set('pos', 'a', bytes(1), 100)
  t.equal(sender.deadline(), 100)
  t.same(sender.settled(99), [])
  t.equal(sender.settled(100).length, 1)
  t.same(sender.settled(200), [])
})

t.test('C2: never older after newer, through the wrap of the stamp', async (t) => {
  const seen = new LatestReceiver()
  t.ok(seen.admits('pos', 'a', 0xfffe))
  t.ok(seen.admits('pos', 'a', 1), 'newer over the wrap')
  t.notOk(seen.admits('pos', 'a', 0xffff), 'older')
  t.notOk(seen.admits('pos', 'a', 1), 'the same')
  t.ok(seen.admits('pos', 'b', 0), 'another key has its own newest')
})

t.test('C2: beyond 1,024 keys a floor stands in for the forgotten ones', async (t) => {
  const seen = new LatestReceiver()
  for (let i = 0; i < 2000; i++) seen.admits('pos', String(i), i)
  t.equal(seen.rememberedCount, 1024)
  t.notOk(seen.admits('pos', '3', 3), 'below the floor')
  t.ok(seen.admits('pos', '3', 2001))
})

t.test('keys that look like integers are never map keys by themselves', async (t) => {
  const seen = new LatestReceiver()
  t.ok(seen.admits('', '123', 5))
  t.notOk(seen.admits('', '123', 5))
})
