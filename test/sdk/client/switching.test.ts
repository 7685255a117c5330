import t from 'tap'
import { clientKind, writeClose } from '../../../protocols/client/frames.ts'
import { code } from '../../../protocols/codes.ts'
import { Rig, string, text } from './rig.ts'

function attached(addresses = ['a', 'b']) {
  const rig = new Rig({ addresses })
  const channel = rig.channel()
  const id = rig.online()
  rig.accept(id)
  return { rig, id, channel }
}

t.test('A3: switching connects first; from the new ATTACH on the old connection is ignored', async (t) => {
  const { rig, id, channel } = attached()
  rig.route(id, 0, 'say')
  rig.oneway(id, 0, 1, 0, 'one')
  rig.core.callLoose('a.loose', '', text(''), Infinity, rig.now)
  rig.core.switchTo(1, rig.now)
  const next = rig.lastDial
  rig.hello(next)
  rig.oneway(id, 0, 2, 0, 'two')
  t.equal(rig.delivered.length, 2, 'before the welcome the old one carries on')
  channel.send('a.b', text('up'), rig.now)
  t.ok(rig.frames(id).some((frame) => frame.kind === 'oneway'))
  rig.welcome(next)
  rig.oneway(id, 0, 3, 0, 'late on the old connection')
  rig.lane(id, 'ack', 0, 1)
  t.equal(rig.delivered.length, 2)
  t.equal(channel.end.out.acked, 0)
  const attach = rig.accept(next)
  t.match(attach, { epoch: 2, received: 2 })
  t.match(
    rig.frames(next).filter((frame) => frame.kind === 'oneway'),
    [{ n: 1, payload: 'up' }],
    'the host had not received it on either',
  )
  rig.oneway(id, 0, 3, 0, 'later still')
  rig.lane(id, 'ack', 0, 1)
  t.equal(channel.end.out.acked, 0)
  rig.route(next, 9, 'say')
  rig.oneway(next, 0, 3, 9, 'three')
  t.same(
    rig.delivered.map(({ message }) => string(message.payload)),
    ['one', 'two', 'three'],
  )
})

t.test('the old connection stays for loose answers only, and not long', async (t) => {
  const { rig, id } = attached()
  const request = rig.core.callLoose('a.loose', '', text(''), Infinity, rig.now)
  const unanswered = rig.core.callLoose('a.loose', '', text(''), Infinity, rig.now)
  rig.core.switchTo(1, rig.now)
  rig.greet(rig.lastDial)
  t.same(rig.closed, [])
  rig.looseReply(id, request, code.ok, 'answer')
  t.match(rig.looseOutcomes, [{ request, outcome: { code: code.ok, ran: 'yes' } }])
  rig.pass(3000)
  t.same(rig.closed, [id])
  t.match(rig.looseOutcomes[1], { request: unanswered, outcome: { code: code.unknown, ran: 'unknown' } })
})

t.test('a switch that fails changes nothing', async (t) => {
  const { rig, id, channel } = attached()
  rig.core.switchTo(1, rig.now)
  rig.hello(rig.lastDial)
  rig.send(rig.lastDial, (w) => writeClose(w, clientKind.close, { code: code.ticket_invalid, retryMs: 0, text: '' }))
  rig.pass(3000)
  t.equal(rig.dials.length, 2)
  t.equal(channel.state, 'attached')
  t.equal(rig.core.state, 'online')
  rig.frames(id)
  channel.send('a.b', text('x'), rig.now)
  t.match(rig.frames(id), [{ kind: 'route' }, { kind: 'oneway' }])
})

t.test('when the old connection is lost during a switch, the new one is waited for', async (t) => {
  const { rig, id, channel } = attached()
  rig.core.switchTo(1, rig.now)
  rig.hello(rig.lastDial)
  rig.core.lost(id, rig.now)
  t.equal(rig.core.state, 'connecting')
  rig.pass(1000)
  t.equal(rig.dials.length, 2, 'no third connection')
  rig.welcome(rig.lastDial)
  rig.accept(rig.lastDial)
  t.equal(channel.state, 'attached')
})

t.test('switching again while switching gives up the first', async (t) => {
  const { rig } = attached(['a', 'b', 'c'])
  rig.core.switchTo(1, rig.now)
  const given = rig.lastDial
  rig.core.switchTo(2, rig.now)
  t.same(rig.closed, [given])
  rig.greet(rig.lastDial)
  rig.accept(rig.lastDial)
  t.equal(rig.core.dialer.active?.address, 2)
  rig.greet(given)
  t.equal(rig.core.dialer.active?.address, 2, 'what still comes of it is nothing')
})

t.test('many switches in a row hold two connections at most', async (t) => {
  const { rig } = attached()
  for (let i = 0; i < 20; i++) {
    rig.core.callLoose('a.loose', '', text(''), Infinity, rig.now)
    rig.core.switchTo(i % 2, rig.now)
    const open = rig.dials.length - rig.closed.length
    t.ok(open <= 2, `${open} connections`)
    rig.greet(rig.lastDial)
    rig.accept(rig.lastDial)
  }
  t.equal(rig.core.attacher.epoch, 21)
})

t.test('O1: DRAIN moves to another gateway within the time, at a moment of its own', async (t) => {
  const { rig, id } = attached()
  const drain = (w: Parameters<typeof writeClose>[0]) =>
    writeClose(w, clientKind.drain, { code: code.going_away, retryMs: 8000, text: '' })
  rig.randomValue = 0.25
  rig.send(id, drain)
  rig.pass(1999)
  t.equal(rig.dials.length, 1)
  rig.pass(1)
  t.equal(rig.dials[1].address, 'b')
  t.same(rig.closed, [], 'first there, then away')
  rig.core.lost(rig.lastDial, rig.now)
  rig.keepAlive(id, 5000)
  t.ok(rig.dials.length > 2, 'and where that fails, again')
  t.ok(
    rig.dials.slice(1).every((dial) => dial.address === 'b'),
    'never to the one that drains',
  )
  rig.greet(rig.lastDial)
  t.equal(rig.core.dialer.active?.address, 1)
})

t.test('DRAIN with one gateway waits for its close, and comes back at once', async (t) => {
  const { rig, id } = attached(['a'])
  rig.send(id, (w) => writeClose(w, clientKind.drain, { code: code.going_away, retryMs: 1000, text: '' }))
  rig.pass(5000)
  t.equal(rig.dials.length, 1)
  rig.send(id, (w) => writeClose(w, clientKind.close, { code: code.going_away, retryMs: 1000, text: '' }))
  rig.pass(0)
  t.equal(rig.dials.length, 2)
})

t.test('there is no address beyond the list', async (t) => {
  const { rig } = attached()
  t.throws(() => rig.core.switchTo(2, rig.now), { name: 'RangeError' })
  t.throws(() => new Rig({ addresses: [] }), { name: 'RangeError' })
})
