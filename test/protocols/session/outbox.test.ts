import t from 'tap'
import { code } from '../../../protocols/codes.ts'
import { Item, Outbox } from '../../../protocols/session/outbox.ts'
import { laneKind } from '../../../protocols/wire/lane-frames.ts'

const oneway = (size: number) => new Item(laneKind.oneway, 'r', new Uint8Array(size))
const filled = (count: number, size = 1) => {
  const out = new Outbox({ count: 8, bytes: 400 })
  for (let i = 0; i < count; i++) out.push(oneway(size))
  return out
}

t.test('W1: a full window refuses by count, then by bytes, and says too_large for what never fits', async (t) => {
  const out = filled(8)
  t.equal(out.admits(1), code.window_full)
  out.ack(1)
  t.equal(out.admits(1), code.ok)
  const heavy = filled(4, 100)
  t.equal(heavy.admits(1), code.window_full, '400 bytes are held')
  t.equal(heavy.admits(101), code.too_large, 'more than a quarter of the window')
})

t.test('W4: replies and FIN are numbered but cost no window', async (t) => {
  const out = filled(8)
  out.push(new Item(laneKind.reply, '', new Uint8Array(100)))
  out.push(new Item(laneKind.fin, '', new Uint8Array(0)))
  t.equal(out.sent, 10)
  t.equal(out.countHeld, 8)
  t.equal(out.bytesHeld, 8)
})

t.test('N1: numbers are 1, 2, 3 and the ring keeps each through growth and wrap', async (t) => {
  const out = new Outbox({ count: 100, bytes: 10_000 })
  for (let round = 0; round < 50; round++) {
    for (let i = 0; i < 37; i++) out.push(oneway(1))
    for (let n = out.acked + 1; n <= out.sent; n++) t.equal(out.at(n)?.number, n)
    out.ack(out.sent - 3)
  }
  t.equal(out.sent, 50 * 37)
  t.equal(out.countHeld, 3)
})

t.test('A7: an attach offers again everything above what the other end has received', async (t) => {
  const out = filled(5)
  t.equal(out.next(), undefined, 'nothing goes out before an attach')
  out.attach(0)
  const first = [out.next(), out.next(), out.next()].map((item) => item?.number)
  t.same(first, [1, 2, 3])
  out.detach()
  out.ack(1)
  out.attach(2)
  const again: (number | undefined)[] = []
  for (let item = out.next(); item; item = out.next()) again.push(item.number)
  t.same(again, [3, 4, 5])
})

t.test('N4: only what certainly has not run can be withdrawn', async (t) => {
  const out = filled(4)
  t.ok(out.canWithdraw(1), 'never transmitted')
  out.attach(0)
  out.next()
  out.next()
  t.notOk(out.canWithdraw(2), 'transmitted on this attach')
  t.ok(out.canWithdraw(3))
  out.detach()
  t.notOk(out.canWithdraw(2), 'apart: it may have been taken')
  out.attach(1)
  t.ok(out.canWithdraw(2), 'the new attach says it was not taken, and it was not sent again')
  t.notOk(out.canWithdraw(1), 'taken')
})

t.test('R3: a buried message keeps its number as a tombstone and is told once', async (t) => {
  const out = filled(3, 10)
  t.equal(out.bury(2, code.rate_limited)?.payload.length, 10)
  t.equal(out.bury(2, code.rate_limited), undefined)
  t.equal(out.bytesHeld, 20)
  t.equal(out.countHeld, 3, 'the number still counts')
  t.same(
    out.unsettled().map((item) => item.number),
    [1, 3],
  )
})
