import t from 'tap'
import type { Attach } from '../../../protocols/client/frames.ts'
import {
  clientKind,
  resetReason,
  writeAttached,
  writeDetached,
  writeInvite,
  writeReset,
  writeStale,
} from '../../../protocols/client/frames.ts'
import { code } from '../../../protocols/codes.ts'
import { attachedOf, Rig, string, text } from './rig.ts'

const NO_PIN = new Uint8Array(0)

/** The ATTACHes among what the client wrote. */
const attaches = (rig: Rig, id: number) =>
  rig.frames(id).filter((frame) => frame.kind === 'attach') as unknown as Attach[]

t.test('A8: STALE jumps above the epoch that the host has, and tries again', async (t) => {
  const rig = new Rig()
  const channel = rig.channel()
  const id = rig.online()
  const [first] = attaches(rig, id)
  rig.send(id, (w) => writeStale(w, clientKind.stale, { channel: 0, epoch: first.epoch, have: 41 }))
  const [second] = attaches(rig, id)
  t.equal(second.epoch, 42)
  rig.send(id, (w) => writeStale(w, clientKind.stale, { channel: 0, epoch: first.epoch, have: 99 }))
  t.same(attaches(rig, id), [], 'an answer to an older attach is ignored')
  rig.send(id, (w) => writeAttached(w, attachedOf(second)))
  t.equal(channel.state, 'attached')
})

t.test('A8: after three STALEs another client has taken over', async (t) => {
  const rig = new Rig()
  const channel = rig.channel()
  const id = rig.online()
  for (let i = 0; i < 4; i++) {
    const [attach] = attaches(rig, id)
    rig.send(id, (w) => writeStale(w, clientKind.stale, { channel: 0, epoch: attach.epoch, have: attach.epoch + 5 }))
  }
  t.equal(channel.state, 'ended')
  t.match(rig.endings, [{ code: code.taken_over }])
})

t.test('an epoch that cannot be reached ends the channel instead of the client', async (t) => {
  const rig = new Rig()
  const channel = rig.channel()
  const id = rig.online()
  const [attach] = attaches(rig, id)
  rig.send(id, (w) =>
    writeStale(w, clientKind.stale, { channel: 0, epoch: attach.epoch, have: Number.MAX_SAFE_INTEGER }),
  )
  t.equal(channel.state, 'ended')
  t.equal(rig.core.attacher.epoch, 1)
})

t.test('A8: SPENT ends the channel as taken over, and its alias is used again', async (t) => {
  const rig = new Rig()
  const channel = rig.channel()
  const id = rig.online()
  const [attach] = attaches(rig, id)
  channel.send('arena.move', text('x'), rig.now)
  rig.send(id, (w) => writeStale(w, clientKind.spent, { channel: 0, epoch: attach.epoch, have: 4 }))
  t.match(rig.endings, [{ code: code.taken_over, unknown: [{ number: 1 }] }])
  rig.channel('arena', 'other')
  t.match(attaches(rig, id), [{ alias: 0, epoch: 2, key: 'other' }])
})

t.test('A8: DETACHED(superseded) of the newest epoch ends the channel, of an older one it is ignored', async (t) => {
  const rig = new Rig()
  const channel = rig.channel()
  const id = rig.online()
  const attach = rig.accept(id)
  const superseded = (epoch: number) =>
    rig.send(id, (w) => writeDetached(w, { channel: 0, epoch, code: code.superseded, retryMs: 0, pin: NO_PIN }))
  superseded(attach.epoch - 1)
  t.equal(channel.state, 'attached')
  superseded(attach.epoch)
  t.equal(channel.state, 'ended')
  t.match(rig.endings, [{ code: code.taken_over }])
  rig.pass(10_000)
  t.same(attaches(rig, id), [], 'it does not come back')
})

t.test('X1: RESET tells what is unknown and lost, and goes on under the new life', async (t) => {
  const rig = new Rig()
  const channel = rig.channel()
  const id = rig.online()
  rig.accept(id, { life: 5n })
  for (const payload of ['a', 'b', 'c']) channel.send('arena.move', text(payload), rig.now)
  rig.core.lost(id, rig.now)
  rig.pass(0)
  const next = rig.lastDial
  rig.greet(next)
  const [attach] = attaches(rig, next)
  t.match(attach, { life: 5n, sent: 3, acked: 0 })
  t.equal(string(attach.pin), 'pin-a', 'P1: by its pin')
  rig.send(next, (w) =>
    writeReset(w, {
      channel: 0,
      epoch: attach.epoch,
      life: 6n,
      reason: resetReason.recordLost,
      hadReceived: 0,
      windowCount: 8,
      windowBytes: 4096,
      pin: NO_PIN,
    }),
  )
  t.match(rig.endings, [{ code: code.reset, unknown: [{ number: 1 }, { number: 2 }, { number: 3 }] }])
  t.equal(channel.state, 'attached')
  t.equal(channel.send('arena.move', text('d'), rig.now), 1, 'numbers begin again')
  t.match(
    rig.frames(next).filter((frame) => frame.kind === 'oneway'),
    [{ n: 1, payload: 'd' }],
  )
})

t.test('A2: an ATTACH unanswered for three seconds goes to another gateway, under a higher epoch', async (t) => {
  const rig = new Rig({ addresses: ['a', 'b'] })
  const channel = rig.channel()
  const id = rig.online()
  const [first] = attaches(rig, id)
  rig.pass(2999)
  t.equal(rig.dials.length, 1)
  rig.pass(1)
  t.equal(rig.dials[1].address, 'b', 'make before break')
  t.same(rig.closed, [])
  rig.greet(rig.lastDial)
  const [second] = attaches(rig, rig.lastDial)
  t.ok(second.epoch > first.epoch)
  t.same(rig.closed, [id], 'the old one closes afterwards (A3)')
  rig.send(id, (w) => writeAttached(w, attachedOf(first)))
  t.equal(channel.state, 'attaching', 'the late answer is ignored')
  rig.send(rig.lastDial, (w) => writeAttached(w, attachedOf(second)))
  t.equal(channel.state, 'attached')
})

t.test('A2: with one gateway it goes there again; the late answer of the first is ignored', async (t) => {
  const rig = new Rig()
  const channel = rig.channel()
  const id = rig.online()
  const [first] = attaches(rig, id)
  rig.pass(3000)
  const [second] = attaches(rig, id)
  t.equal(second.epoch, first.epoch + 1)
  rig.send(id, (w) => writeAttached(w, attachedOf(first, { life: 9n })))
  t.equal(channel.state, 'attaching')
  rig.send(id, (w) => writeAttached(w, attachedOf(second)))
  t.equal(channel.state, 'attached')
  t.equal(channel.line.life, 7n)
})

t.test('a gateway elsewhere that cannot be reached leaves the channel where it was', async (t) => {
  const rig = new Rig({ addresses: ['a', 'b'] })
  rig.channel()
  const id = rig.online()
  attaches(rig, id)
  rig.pass(3000)
  rig.core.lost(rig.lastDial, rig.now)
  rig.pass(0)
  t.equal(attaches(rig, id).length, 1, 'again on the same connection')
  rig.pass(3000)
  t.equal(rig.dials.length, 2, 'and not to and fro')
})

t.test('A8: REFUSED backs off and comes back; a code that does not come back ends the channel', async (t) => {
  const rig = new Rig()
  const channel = rig.channel()
  const id = rig.online()
  const [first] = attaches(rig, id)
  rig.answer(id, clientKind.refused, first, code.host_away, 1500)
  t.equal(channel.state, 'apart')
  t.equal(rig.core.state, 'degraded')
  rig.pass(1499)
  t.same(attaches(rig, id), [])
  rig.pass(1)
  const [second] = attaches(rig, id)
  t.equal(second.epoch, first.epoch + 1)
  rig.answer(id, clientKind.refused, second, code.not_allowed, 0)
  t.match(rig.endings, [{ code: code.not_allowed }])
})

t.test('a hint for ever is not followed for ever', async (t) => {
  const rig = new Rig()
  rig.channel()
  const id = rig.online()
  const [first] = attaches(rig, id)
  rig.answer(id, clientKind.refused, first, code.busy, Number.MAX_SAFE_INTEGER)
  rig.keepAlive(id, 30_000)
  t.equal(attaches(rig, id).length, 1)
})

t.test('A4: a parked channel waits as long as the gateway said, and a little', async (t) => {
  const rig = new Rig()
  const channel = rig.channel()
  const id = rig.online()
  const [first] = attaches(rig, id)
  rig.answer(id, clientKind.parked, first, 0, 30_000)
  t.equal(channel.state, 'parked')
  t.ok(rig.log.includes('parked room 30000'))
  rig.keepAlive(id, 32_999)
  t.same(attaches(rig, id), [])
  rig.pass(1)
  t.equal(attaches(rig, id).length, 1)
})

t.test('A10: DETACHED attaches again, with the pin it brought; soon repeated ones back off', async (t) => {
  const rig = new Rig()
  const channel = rig.channel()
  const id = rig.online()
  let attach = rig.accept(id)
  const detached = (pin: Uint8Array) =>
    rig.send(id, (w) => writeDetached(w, { channel: 0, epoch: attach.epoch, code: code.moved, retryMs: 0, pin }))
  detached(text('pin-b'))
  rig.pass(0)
  attach = rig.accept(id)
  t.equal(string(attach.pin), 'pin-b')
  detached(NO_PIN)
  rig.pass(0)
  t.same(attaches(rig, id), [], 'the second in a second waits')
  rig.pass(1000)
  attach = rig.accept(id)
  t.equal(channel.state, 'attached')
})

t.test('P5: INVITE makes a channel, by the pin it brings, with life 0', async (t) => {
  const rig = new Rig()
  const id = rig.online()
  const invite = (life: bigint) =>
    rig.send(id, (w) => writeInvite(w, { service: 'mail', key: 'box', life, pin: text('pin-m') }))
  invite(3n)
  t.ok(rig.log.includes('invited mail/box'))
  const [attach] = attaches(rig, id)
  t.match(attach, { service: 'mail', key: 'box', life: 0n, epoch: 1 })
  t.equal(string(attach.pin), 'pin-m')
  invite(3n)
  t.same(attaches(rig, id), [], 'one ATTACH is outstanding')
  rig.send(id, (w) => writeAttached(w, attachedOf(attach, { life: 3n })))
  invite(3n)
  invite(4n)
  t.same(attaches(rig, id), [], 'an attached channel is not attached anew')
})

t.test('P5: an INVITE for a channel that is apart brings it back soon, by its own pin', async (t) => {
  const rig = new Rig()
  rig.channel()
  const id = rig.online()
  rig.accept(id)
  const { epoch } = rig.core.attacher
  rig.send(id, (w) => writeDetached(w, { channel: 0, epoch, code: code.host_lost, retryMs: 20_000, pin: NO_PIN }))
  rig.send(id, (w) => writeInvite(w, { service: 'arena', key: 'room', life: 8n, pin: text('another') }))
  rig.pass(0)
  const [attach] = attaches(rig, id)
  t.match(attach, { life: 7n })
  t.equal(string(attach.pin), 'pin-a')
})

t.test('an INVITE by the name of the user finds the channel to the own actor', async (t) => {
  const rig = new Rig()
  rig.channel('profile', '')
  const id = rig.online()
  rig.accept(id)
  rig.send(id, (w) => writeInvite(w, { service: 'profile', key: 'ana', life: 7n, pin: NO_PIN }))
  t.same(attaches(rig, id), [])
  t.equal(rig.core.channel('profile', 'ana', rig.now), rig.core.channel('profile', '', rig.now))
})

t.test('W6: there are as many channels as the gateway allows', async (t) => {
  const rig = new Rig({ channelsMax: 3 })
  for (const key of ['1', '2', '3']) rig.channel('arena', key)
  t.equal(rig.core.channel('arena', '4', rig.now), -code.too_many_channels)
  const id = rig.online({ channelsMax: 2 })
  t.match(attaches(rig, id), [{ key: '1' }, { key: '2' }])
  t.match(rig.endings, [{ code: code.too_many_channels }])
  rig.send(id, (w) => writeInvite(w, { service: 'mail', key: 'box', life: 1n, pin: NO_PIN }))
  t.same(attaches(rig, id), [], 'and an INVITE beyond is not followed')
})

t.test('S2: a channel that is apart for keep ends, with what is unknown', async (t) => {
  const rig = new Rig({ keepMs: 20_000 })
  const channel = rig.channel()
  const id = rig.online({ keepMs: 20_000 })
  rig.accept(id)
  channel.send('arena.move', text('x'), rig.now)
  rig.core.lost(id, rig.now)
  while (rig.core.state !== 'offline' || rig.endings.length === 0) {
    rig.pass(100)
    if (rig.core.dialer.next?.state === 'dialing') rig.core.lost(rig.lastDial, rig.now)
    if (rig.now > 30_000) break
  }
  t.match(rig.endings, [{ code: code.expired, unknown: [{ number: 1 }] }])
  t.ok(rig.now - 1000 >= 20_000 && rig.now - 1000 < 21_000)
})

t.test('X4: both FINs and their settlement close a channel; then its alias is let go', async (t) => {
  const rig = new Rig()
  const channel = rig.channel()
  const id = rig.online()
  rig.accept(id)
  channel.send('arena.move', text('x'), rig.now)
  channel.close(rig.now)
  t.equal(channel.send('arena.move', text('y'), rig.now), -code.closed)
  t.match(
    rig.frames(id).filter((frame) => frame.kind !== 'route'),
    [{ kind: 'oneway' }, { kind: 'fin', n: 2, code: code.closed }],
  )
  rig.lane(id, 'ack', 0, 2)
  t.equal(channel.state, 'attached', 'the host has not ended its own direction')
  rig.lane(id, 'fin', 0, 1)
  rig.pass(20)
  t.match(rig.frames(id), [
    { kind: 'ack', n: 1 },
    { kind: 'detach', alias: 0 },
  ])
  t.match(rig.endings, [{ code: code.closed, unknown: [] }])
})

t.test('X4: the host may end first; what it asked is answered before our FIN', async (t) => {
  const rig = new Rig()
  rig.settlesAtOnce = false
  const channel = rig.channel()
  const id = rig.online()
  rig.accept(id)
  rig.route(id, 0, 'ask')
  rig.request(id, 0, 1, 0, 77)
  channel.close(rig.now)
  t.same(rig.frames(id), [], 'FIN waits for the reply')
  const { end, message } = rig.delivered[0]
  channel.reply(end, message.request, code.ok, text('yes'), rig.now)
  channel.settle(end, message.number, 0, rig.now)
  t.match(
    rig.frames(id).filter((frame) => frame.kind !== 'ack'),
    [
      { kind: 'reply', n: 1, request: 77, payload: 'yes' },
      { kind: 'fin', n: 2 },
    ],
  )
})

t.test('X4: a channel that is closing closes in its next life, too', async (t) => {
  const rig = new Rig()
  rig.settlesAtOnce = false
  const channel = rig.channel()
  const id = rig.online()
  rig.accept(id)
  rig.route(id, 0, 'ask')
  rig.request(id, 0, 1, 0, 77)
  channel.close(rig.now)
  rig.core.lost(id, rig.now)
  rig.pass(0)
  rig.greet(rig.lastDial)
  rig.answerReset(rig.lastDial)
  t.match(rig.frames(rig.lastDial), [{ kind: 'fin', n: 1, code: code.closed }])
})
