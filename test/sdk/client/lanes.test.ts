import t from 'tap'
import { clientKind, writeDetached, writeRoute } from '../../../protocols/client/frames.ts'
import { code } from '../../../protocols/codes.ts'
import { writeReject } from '../../../protocols/wire/lane-frames.ts'
import type { CoreChannel } from '../../../sdk/client/core-channel.ts'
import { Rig, string, text } from './rig.ts'

function attached(options = {}): { rig: Rig; id: number; channel: CoreChannel } {
  const rig = new Rig(options)
  const channel = rig.channel()
  const id = rig.online()
  rig.accept(id)
  return { rig, id, channel }
}

t.test('W1: the window bounds what is kept, in count and bytes, and refuses synchronously', async (t) => {
  const { rig, channel } = attached()
  t.equal(channel.send('a.big', new Uint8Array(1025), rig.now), -code.too_large, 'more than a quarter')
  for (let n = 1; n <= 8; n++) t.equal(channel.send('a.b', text('x'), rig.now), n)
  t.equal(channel.send('a.b', text('x'), rig.now), -code.window_full)
  t.equal(channel.end.out.sent, 8, 'nothing has happened')
})

t.test('the offline queue is that window; ACK makes room and nothing is written twice on an attach', async (t) => {
  const rig = new Rig({ window: { count: 4, bytes: 4096 } })
  const channel = rig.channel()
  for (let n = 1; n <= 4; n++) channel.send('a.b', text(`${n}`), rig.now)
  t.equal(channel.send('a.b', text('5'), rig.now), -code.window_full)
  const id = rig.online()
  rig.accept(id, { windowCount: 4 })
  t.match(
    rig.frames(id).filter((f) => f.kind === 'oneway'),
    [{ payload: '1' }, { payload: '2' }, { payload: '3' }, { payload: '4' }],
  )
  rig.lane(id, 'ack', 0, 2)
  t.equal(channel.send('a.b', text('5'), rig.now), 5)
  t.match(rig.frames(id), [{ kind: 'oneway', n: 5 }])
})

t.test('A8: after a lost connection what the host has not received is sent again, before anything new', async (t) => {
  const { rig, id, channel } = attached()
  for (const payload of ['1', '2', '3']) channel.send('a.b', text(payload), rig.now)
  rig.frames(id)
  rig.core.lost(id, rig.now)
  channel.send('a.b', text('4'), rig.now)
  rig.pass(0)
  rig.greet(rig.lastDial)
  rig.accept(rig.lastDial, { received: 2, settled: 1 })
  t.match(rig.frames(rig.lastDial), [
    { kind: 'route', number: 1, name: 'a.b' },
    { kind: 'oneway', n: 3, payload: '3' },
    { kind: 'oneway', n: 4, payload: '4' },
  ])
  t.equal(channel.end.out.acked, 1)
})

t.test('A7: nothing is sent between ATTACH and its answer', async (t) => {
  const { rig, id, channel } = attached()
  rig.frames(id)
  const { epoch } = rig.core.attacher
  rig.send(id, (w) => writeDetached(w, { channel: 0, epoch, code: code.busy, retryMs: 0, pin: new Uint8Array(0) }))
  channel.send('a.b', text('1'), rig.now)
  t.equal(channel.unreliable('a.u', text('gone'), rig.now), -code.detached)
  rig.pass(0)
  t.match(rig.frames(id), [{ kind: 'attach', sent: 1 }])
})

t.test('A7: frames that come before the answer of the newest ATTACH are not taken', async (t) => {
  const { rig, id } = attached()
  rig.route(id, 0, 'say')
  rig.oneway(id, 0, 1, 0, 'one')
  const { epoch } = rig.core.attacher
  rig.send(id, (w) => writeDetached(w, { channel: 0, epoch, code: code.busy, retryMs: 0, pin: new Uint8Array(0) }))
  rig.oneway(id, 0, 2, 0, 'of the old handle')
  rig.pass(0)
  rig.oneway(id, 0, 3, 0, 'of the old handle')
  t.equal(rig.accept(id, {}).received, 1)
  rig.oneway(id, 0, 2, 0, 'two')
  t.same(
    rig.delivered.map(({ message }) => string(message.payload)),
    ['one', 'two'],
  )
  t.equal(rig.core.framesIgnored, 2)
})

t.test('N3: a duplicate is dropped; a gap closes the connection, and the channels attach elsewhere', async (t) => {
  const { rig, id, channel } = attached({ addresses: ['a', 'b'] })
  rig.route(id, 0, 'say')
  rig.oneway(id, 0, 1, 0, 'one')
  rig.oneway(id, 0, 1, 0, 'one')
  t.equal(rig.delivered.length, 1)
  rig.oneway(id, 0, 3, 0, 'three')
  t.match(rig.frames(id), [{ kind: 'close', code: code.protocol }])
  t.equal(channel.state, 'apart')
  rig.pass(0)
  t.equal(rig.dials[1].address, 'b')
  rig.greet(rig.lastDial)
  t.match(rig.accept(rig.lastDial), { received: 1, settled: 1 })
})

t.test('L3: a route number that was not announced closes the connection; so does one out of range', async (t) => {
  const one = attached()
  one.rig.oneway(one.id, 0, 1, 5, 'x')
  t.same(one.rig.closed, [one.id])
  const two = attached()
  two.rig.send(two.id, (w) => writeRoute(w, clientKind.route, 1024, 'x'))
  t.same(two.rig.closed, [two.id])
})

t.test('L3: a client uses at most 1,024 names, and says so where it is asked for more', async (t) => {
  const { rig, channel } = attached({ window: { count: 2000, bytes: 1 << 20 } })
  // One is the SDK's own: $recover.
  for (let i = 0; i < 1023; i++) channel.unreliable(`r.${i}`, text(''), rig.now)
  t.equal(channel.send('r.more', text(''), rig.now), -code.no_route)
  t.equal(channel.send('r.7', text(''), rig.now), 1, 'known names go on')
  t.equal(channel.send('', text(''), rig.now), -code.no_route)
  t.equal(channel.send('$recover', text(''), rig.now), -code.no_route, 'names of the SDK are not the game its own')
  t.equal(channel.send('x'.repeat(129), text(''), rig.now), -code.no_route)
})

t.test('R3: REJECT is told once, and the number stays consumed', async (t) => {
  const { rig, id, channel } = attached()
  channel.send('a.b', text('1'), rig.now)
  channel.send('a.b', text('2'), rig.now)
  rig.frames(id)
  rig.send(id, (w) => writeReject(w, 0, 1, code.rate_limited, 250))
  rig.send(id, (w) => writeReject(w, 0, 1, code.rate_limited, 250))
  t.same(rig.refusals, [{ number: 1, code: code.rate_limited, retryMs: 250 }])
  rig.core.lost(id, rig.now)
  rig.pass(0)
  rig.greet(rig.lastDial)
  rig.accept(rig.lastDial, { refused: [{ number: 1, code: code.rate_limited }] })
  t.equal(rig.refusals.length, 1, 'not again by ATTACHED')
  t.match(
    rig.frames(rig.lastDial).filter((f) => f.kind !== 'route'),
    [
      { kind: 'skip', n: 1 },
      { kind: 'oneway', n: 2 },
    ],
  )
})

t.test('N4: what was not transmitted can be taken back; what was cannot', async (t) => {
  const { rig, id, channel } = attached()
  const number = channel.send('a.b', text('1'), rig.now)
  t.equal(channel.withdraw(number, rig.now), true)
  t.same(rig.refusals, [{ number, code: code.withdrawn, retryMs: 0 }])
  t.match(rig.frames(id), [{ kind: 'skip', n: 1 }])
  const next = channel.send('a.b', text('2'), rig.now)
  rig.frames(id)
  t.equal(channel.withdraw(next, rig.now), false)
})

t.test('Q1: a request is answered; a late answer is counted and dropped', async (t) => {
  const { rig, id, channel } = attached()
  const request = channel.request('a.ask', text('?'), rig.now + 500, rig.now)
  t.match(
    rig.frames(id).filter((f) => f.kind === 'request'),
    [{ request, deadlineMs: 500 }],
  )
  rig.reply(id, 0, 1, request, code.ok, 'yes')
  t.match(rig.outcomes, [{ request, outcome: { code: code.ok, ran: 'yes', payload: text('yes') } }])
  const late = channel.request('a.ask', text('?'), rig.now + 500, rig.now)
  rig.frames(id)
  rig.pass(500)
  t.match(rig.outcomes[1], { request: late, outcome: { code: code.unknown, ran: 'unknown' } })
  rig.reply(id, 0, 2, late, code.ok, 'too late')
  t.equal(rig.outcomes.length, 2)
  t.equal(channel.end.lateReplies, 1)
})

t.test('Q2: a request that was never transmitted expires, and has certainly not run', async (t) => {
  const rig = new Rig()
  const channel = rig.channel()
  const request = channel.request('a.ask', text('?'), rig.now + 500, rig.now)
  rig.pass(500)
  t.match(rig.outcomes, [{ request, outcome: { code: code.expired, ran: 'no' } }])
})

t.test('Q2: the deadline travels as the time that remains at each transmission', async (t) => {
  const { rig, id, channel } = attached()
  channel.request('a.ask', text('?'), rig.now + 900, rig.now)
  rig.frames(id)
  rig.core.lost(id, rig.now)
  rig.pass(400)
  rig.greet(rig.lastDial)
  rig.accept(rig.lastDial)
  t.match(
    rig.frames(rig.lastDial).filter((f) => f.kind === 'request'),
    [{ deadlineMs: 500 }],
  )
})

t.test('Q2: a reset ends an open request as unknown, a refused one as not run', async (t) => {
  const { rig, id, channel } = attached()
  const request = channel.request('a.ask', text('?'), Infinity, rig.now)
  rig.frames(id)
  rig.send(id, (w) => writeReject(w, 0, 1, code.rate_limited, 100))
  t.match(rig.outcomes, [{ request, outcome: { code: code.rate_limited, ran: 'no', retryMs: 100 } }])
  channel.request('a.ask', text('?'), Infinity, rig.now)
  rig.frames(id)
  rig.core.close(rig.now)
  t.match(rig.outcomes[1], { outcome: { code: code.unknown, ran: 'unknown' } })
})

t.test('W4: at most 64 requests are open in a direction', async (t) => {
  const { rig, channel } = attached({ limits: { openRequestsMax: 4 } })
  for (let i = 0; i < 4; i++) t.ok(channel.request('a.ask', text('?'), Infinity, rig.now) > 0)
  t.equal(channel.request('a.ask', text('?'), Infinity, rig.now), -code.too_many_requests)
})

t.test('the host asks, and is answered in its lane', async (t) => {
  const { rig, id, channel } = attached()
  rig.settlesAtOnce = false
  rig.route(id, 3, 'ready')
  rig.request(id, 0, 1, 3, 900, 2000)
  const [{ end, message }] = rig.delivered
  t.match(message, { route: 'ready', request: 900, deadlineAt: rig.now + 2000 })
  channel.reply(end, message.request, code.ok, text('go'), rig.now)
  channel.settle(end, message.number, 0, rig.now)
  t.match(rig.frames(id), [{ kind: 'reply', n: 1, request: 900, code: 0, payload: 'go' }])
  rig.pass(250)
  t.match(rig.frames(id), [{ kind: 'ack', n: 1 }])
})

t.test('W3: a settled number is acknowledged within 250 ms, a quarter of the window at once', async (t) => {
  const { rig, id } = attached()
  rig.route(id, 0, 'say')
  rig.oneway(id, 0, 1, 0, 'a')
  rig.pass(249)
  t.same(rig.frames(id), [])
  rig.pass(1)
  t.match(rig.frames(id), [{ kind: 'ack', n: 1 }])
  rig.oneway(id, 0, 2, 0, 'b')
  rig.oneway(id, 0, 3, 0, 'c')
  t.match(rig.frames(id), [{ kind: 'ack', n: 3 }])
})

t.test('X1: a handler of an earlier life settles and answers nothing in a later one', async (t) => {
  const { rig, id, channel } = attached()
  rig.settlesAtOnce = false
  rig.route(id, 0, 'ask')
  rig.request(id, 0, 1, 0, 5)
  rig.core.lost(id, rig.now)
  rig.pass(0)
  rig.greet(rig.lastDial)
  rig.answerReset(rig.lastDial, { life: 8n })
  const [{ end, message }] = rig.delivered
  channel.reply(end, message.request, code.ok, text('old'), rig.now)
  channel.settle(end, message.number, 0, rig.now)
  rig.pass(250)
  t.same(rig.frames(rig.lastDial), [])
  t.equal(channel.end.in.settled, 0)
})

t.test('while a connection takes nothing, lanes wait; its windows bound what is kept', async (t) => {
  const { rig, id, channel } = attached()
  rig.route(id, 0, 'say')
  rig.queued.set(id, 300 * 1024)
  channel.send('a.b', text('1'), rig.now)
  rig.oneway(id, 0, 1, 0, 'an ACK is due for this')
  rig.turn()
  t.same(rig.frames(id), [])
  rig.pass(200)
  t.same(rig.frames(id), [], 'time alone changes nothing, and does not spin')
  t.equal(rig.core.callLoose('a.c', '', text(''), Infinity, rig.now), -code.window_full)
  rig.queued.set(id, 0)
  rig.core.drained(id, rig.now)
  t.match(rig.frames(id), [{ kind: 'route' }, { kind: 'oneway', n: 1 }, { kind: 'ack', n: 1 }])
})

t.test('a turn is one write', async (t) => {
  const { rig, id, channel } = attached()
  rig.turn()
  const writes = rig.writes.length
  for (let i = 0; i < 5; i++) channel.send('a.b', text('x'), rig.now)
  channel.latest('a.l', 'k', text('v'), Infinity, rig.now)
  channel.unreliable('a.u', text('u'), rig.now)
  rig.turn()
  t.equal(rig.writes.length, writes + 1)
  t.equal(rig.frames(id).length, 10, 'three names, five messages, two unnumbered')
})

t.test('C2: the newest value of a key is sent after each attach, and settles as a reliable message', async (t) => {
  const { rig, id, channel } = attached()
  channel.latest('a.l', 'k', text('old'), Infinity, rig.now)
  channel.latest('a.l', 'k', text('new'), 300, rig.now)
  t.match(
    rig.frames(id).filter((f) => f.kind === 'latest'),
    [{ key: 'k', payload: 'new' }],
  )
  rig.pass(300)
  t.match(rig.frames(id), [{ kind: 'oneway', payload: 'new' }])
  rig.lane(id, 'ack', 0, 1)
  rig.core.lost(id, rig.now)
  rig.pass(0)
  rig.greet(rig.lastDial)
  rig.accept(rig.lastDial, { received: 1, settled: 1 })
  t.match(
    rig.frames(rig.lastDial).filter((f) => f.kind === 'latest'),
    [{ payload: 'new' }],
  )
})

t.test('W1: what was accepted before a smaller window was granted goes as far as that window', async (t) => {
  const rig = new Rig({ window: { count: 256, bytes: 65_536 } })
  const channel = rig.channel()
  for (let n = 1; n <= 200; n++) channel.send('a.b', new Uint8Array(n === 7 ? 2000 : 10), rig.now)
  const id = rig.online()
  rig.accept(id, { windowCount: 8, windowBytes: 400 })
  t.match(rig.refusals, [{ number: 7, code: code.too_large }], 'certainly never transmitted')
  let last = 0
  for (let turns = 0; turns < 100 && last < 200; turns++) {
    const sent = rig.frames(id).filter((f) => f.kind === 'oneway' || f.kind === 'skip')
    t.ok(sent.length <= 41, 'at most 400 bytes and a tombstone')
    last = sent.at(-1)?.n as number
    rig.lane(id, 'ack', 0, last)
  }
  t.equal(last, 200)
  t.equal(channel.end.out.acked, 200)
})

t.test('a window that no host can grant is not believed (N2)', async (t) => {
  const rig = new Rig()
  rig.channel()
  const id = rig.online()
  rig.accept(id, { windowCount: 2 ** 14 + 1 })
  t.same(rig.closed, [id])
})
