// Message sizes: at the limit, one past it, at several places at once; and the page's own configuration, running.
import t from 'tap'
import { verdict } from '../../policies/pipeline.ts'
import { code } from '../../protocols/codes.ts'
import { laneKind, writeOneway, writeRequest } from '../../protocols/wire/lane-frames.ts'
import { attachedPair, bytes, World } from '../gateway/world.ts'
import { cookbook, pageText } from './cookbook.ts'

t.test('a payload of exactly the size passes, one byte more does not, whatever stands before it', async (t) => {
  const world = new World({ policies: { messageSize: { mode: 'enforce', payloadBytesMax: 8, action: 'reject' } } })
  const { client, host } = attachedPair(world)
  host.take()
  writeOneway(client.w, 0, 1, 0, bytes('12345678'))
  writeRequest(client.w, 0, 2, 0, 999_999, 10_000, bytes('12345678'))
  writeOneway(client.w, 0, 3, 0, bytes('123456789'))
  writeRequest(client.w, 0, 4, 0, 1, 1, bytes('123456789'))
  client.send()
  t.same(
    client.only(laneKind.reject).map(({ lane }) => [lane!.number, lane!.code, lane!.retryMs]),
    [
      [3, code.too_large, 0],
      [4, code.too_large, 0],
    ],
  )
  t.match(host.take().at(-1)!.lane, { kind: laneKind.skip, number: 3, count: 2 })
})

t.test('the smallest of several places decides', async (t) => {
  const size = (payloadBytesMax: number) => ({ mode: 'enforce', payloadBytesMax, action: 'reject' }) as const
  const world = new World({
    services: [{ name: 'arena', keys: 'any', whenAway: 'park', policies: { messageSize: size(4) } }],
    routes: [{ match: 'arena.*', service: 'arena', payloadBytesMax: 6 }],
    policies: { messageSize: size(8) },
  })
  const { client } = attachedPair(world)
  for (const [i, text] of ['1234', '12345', '1234567', '123456789'].entries()) {
    writeOneway(client.w, 0, i + 1, 0, bytes(text))
  }
  client.send()
  t.same(
    client.only(laneKind.reject).map((frame) => frame.lane!.number),
    [2, 3, 4],
  )
})

t.test('the page, running', async (t) => {
  const book = await cookbook(t, pageText('message-size'), ['arena.say', 'arena.move'])
  const ann = await book.player('ann')
  const ends = await ann.calls('arena.say', ['short', 'x'.repeat(2000), 'x'.repeat(5000)])
  t.same(ends, ['ok', 'ok', 'too_large'])
  t.equal(book.count('message_size gateway', verdict.reject, 'observed'), 2)
  t.equal(book.count('message_size service arena', verdict.reject), 1)
  const disconnected = new Promise((resolve) => ann.client.on('ended', resolve))
  ann.room.send('arena.move', 'x'.repeat(100))
  t.match(await disconnected, { name: 'too_large' })
  t.same(book.got, ['arena.say', 'arena.say'])
})
