// Attaching: what is admitted, where it goes, who is fenced, what waits, and how it ends.
import t from 'tap'
import { writeReset, writeStale } from '../../protocols/client/frames.ts'
import { code } from '../../protocols/codes.ts'
import { writeNotHere } from '../../protocols/link/frames.ts'
import { laneKind, writeOneway } from '../../protocols/wire/lane-frames.ts'
import {
  attachedPair,
  bytes,
  clientKind,
  EMPTY,
  hmac,
  host as hostSettings,
  linkKind,
  read,
  testSettings,
  World,
} from './world.ts'

t.test('A4: an attach is forwarded with session, user, address, labels and counters', async (t) => {
  const world = new World()
  const host = world.host()
  const c = world.client('192.0.2.9').login('ann')
  c.attach({
    epoch: 3,
    life: 9n,
    received: 5,
    settled: 4,
    acked: 2,
    sent: 8,
    groups: [{ name: 'g', life: 1n, offset: 6 }],
  })
  t.match(host.attaches()[0], {
    handle: 0,
    epoch: 3,
    ticketGeneration: 1,
    session: c.welcome!.session,
    user: 'ann',
    address: '192.0.2.9',
    labels: { group: 'blue' },
    service: 'arena',
    key: 'room',
    pinned: false,
    pinnedGone: false,
    grantedBytes: 65_536,
    life: 9n,
    received: 5,
    settled: 4,
    acked: 2,
    sent: 8,
    groups: [{ name: 'g', life: 1n, offset: 6 }],
  })
})

t.test('A7: ATTACHED comes back under the alias with the pin; the lane goes on from the counters', async (t) => {
  const world = new World()
  const host = world.host()
  const c = world.client().login('ann')
  c.attach({ alias: 2, epoch: 3, life: 9n, received: 5, settled: 4 })
  const a = host.attaches()[0]
  c.take()
  host.attached(a, { received: 10, settled: 8, refused: [{ number: 9, code: code.rate_limited }], quietForMs: 5 })
  const answer = read.attached(c.take()[0])
  t.match(answer, { channel: 2, epoch: 3, life: 9n, received: 10, settled: 8, quietForMs: 5 })
  t.same(answer.refused, [{ number: 9, code: code.rate_limited }])
  t.ok(answer.pin.length > 0)
  c.route(0, 'arena.move')
  writeOneway(c.w, 2, 11, 0, bytes('eleven'))
  c.send()
  t.equal(host.only(laneKind.oneway).length, 1)
  host.route(0, 'arena.x')
  writeOneway(host.w, a.handle, 6, 0, bytes('six'))
  host.send()
  t.equal(c.only(laneKind.oneway)[0].payload, 'six')
})

t.test('A5: RESET starts both lanes at 1', async (t) => {
  const world = new World()
  const host = world.host()
  const c = world.client().login('ann')
  c.attach({ life: 9n, received: 5, sent: 7 })
  const a = host.attaches()[0]
  c.take()
  writeReset(host.w, {
    channel: a.handle,
    epoch: 1,
    life: 8n,
    reason: 1,
    hadReceived: 4,
    windowCount: 256,
    windowBytes: 65_536,
    pin: EMPTY,
  })
  host.send()
  const reset = read.reset(c.take()[0])
  t.match(reset, { channel: 0, epoch: 1, life: 8n, reason: 1, hadReceived: 4 })
  t.ok(reset.pin.length > 0)
  c.route(0, 'arena.move')
  writeOneway(c.w, 0, 1, 0, bytes('one'))
  c.send()
  t.equal(host.only(laneKind.oneway).length, 1)
  host.route(0, 'arena.x')
  writeOneway(host.w, a.handle, 1, 0, bytes('one'))
  host.send()
  t.equal(c.only(laneKind.oneway).length, 1)
})

t.test('A11: what a session may not attach to is refused', async (t) => {
  const world = new World()
  world.host()
  const c = world.client().login('ann')
  c.take()
  const refused = (change: object) => {
    c.attach(change)
    return read.answer(c.only(clientKind.refused)[0]).code
  }
  t.equal(refused({ service: 'shop' }), code.no_service)
  t.equal(refused({ service: 'chat', key: 'bob', epoch: 2 }), code.not_allowed)
  const nonsense = world.sealer.seal('pin', bytes('nonsense'))
  t.equal(refused({ pin: nonsense, epoch: 3 }), code.not_allowed)
  nonsense[0]++
  t.equal(refused({ pin: nonsense, epoch: 4 }), code.ticket_key_unknown, 'T3: the key may come')
  c.attach({ alias: 255 })
  t.equal(c.carrier.closedWith, undefined)
  c.attach({ alias: 256 })
  t.equal(c.carrier.closedWith, code.protocol)
})

t.test('A11: a service of one actor a user needs no key', async (t) => {
  const world = new World()
  const host = world.host()
  world.client().login('ann').attach({ service: 'chat', key: '' })
  t.equal(host.attaches()[0].key, 'ann')
})

t.test('W6: a session has so many channels and no more; one let go makes room', async (t) => {
  const world = new World({ limits: { ...testSettings().limits, channelsPerSession: 2 } })
  const host = world.host()
  const c = world.client().login('ann')
  c.attach({ alias: 0, key: 'a' }).attach({ alias: 1, key: 'b' }).attach({ alias: 2, key: 'c' })
  t.equal(read.answer(c.only(clientKind.refused)[0]).code, code.too_many_channels)
  t.equal(host.attaches().length, 2)
  c.w.begin(clientKind.detach).varint(0).end()
  c.send()
  c.attach({ alias: 2, epoch: 2, key: 'c' })
  t.equal(host.attaches().length, 1)
})

t.test('P1: the pin of another session, actor or service is refused, and a good one beats the hash', async (t) => {
  const world = new World({ hosts: [hostSettings('h1'), hostSettings('h2')] })
  const hosts = [world.host('h1'), world.host('h2')]
  const ann = world.client().login('ann')
  ann.attach()
  const first = hosts.find((h) => {
    const a = h.attaches()
    if (a.length) h.attached(a[0])
    return a.length
  })!
  const { pin } = read.attached(ann.only(clientKind.attached)[0])
  const bob = world.client().login('bob').attach({ pin })
  t.equal(read.answer(bob.only(clientKind.refused)[0]).code, code.not_allowed)
  ann.attach({ alias: 1, key: 'other room', pin })
  t.equal(read.answer(ann.only(clientKind.refused)[0]).code, code.not_allowed)
  ann.attach({ epoch: 2, life: 7n, pin })
  t.match(first.attaches()[0], { pinned: true, life: 7n })
})

t.test('A4: a newer attach of the same channel fences the older one here, wherever it was', async (t) => {
  const world = new World()
  const host = world.host()
  const old = world.client().login('ann')
  old.attach({ epoch: 1 })
  host.attached(host.attaches()[0])
  old.take()
  const { ticket, secret } = old.welcome!
  const young = world.client().resume(ticket, secret)
  young.welcome = old.welcome
  young.attach({ alias: 4, epoch: 2 })
  const frames = host.take()
  t.same(
    frames.map((f) => f.kind),
    [linkKind.closeHandle, linkKind.attach],
  )
  t.match(read.closeHandle(frames[0]), { handle: 0, code: code.superseded })
  t.equal(read.linkAttach(frames[1]).handle, 2, 'another handle: the first is not closed by both')
  t.match(read.detached(old.take()[0]), { epoch: 1, code: code.superseded })
})

t.test('A2: a late attach with a lower epoch does not cut off the newer one', async (t) => {
  const world = new World()
  const host = world.host()
  const a = world.client().login('ann')
  const b = world.client().resume(a.welcome!.ticket, a.welcome!.secret)
  b.welcome = a.welcome
  b.attach({ epoch: 6 })
  const newer = host.attaches()[0]
  host.attached(newer)
  b.take()
  a.attach({ epoch: 5 })
  const older = host.attaches()[0]
  writeStale(host.w, linkKind.stale, { channel: older.handle, epoch: 5, have: 6 })
  host.send()
  t.match(read.stale(a.only(clientKind.stale)[0]), { channel: 0, epoch: 5, have: 6 })
  t.same(b.kinds(), [])
  t.match(read.closeHandle(host.only(linkKind.closeHandle)[0]), { handle: older.handle })
})

t.test('T1: who shows an older ticket does not cut off the newer one either; the host says SPENT', async (t) => {
  const world = new World()
  const host = world.host()
  const owner = world.client().login('ann')
  const thief = world.client().resume(owner.welcome!.ticket, owner.welcome!.secret)
  thief.welcome = owner.welcome
  owner.attach({ epoch: 1 })
  host.attached(host.attaches()[0])
  owner.attach({ epoch: 2, ticketGeneration: 2 })
  host.attached(host.attaches()[0])
  owner.take()
  thief.attach({ epoch: 99 })
  const a = host.attaches()[0]
  writeStale(host.w, linkKind.spent, { channel: a.handle, epoch: 99, have: 2 })
  host.send()
  t.equal(read.stale(thief.only(clientKind.spent)[0]).have, 2)
  t.same(owner.kinds(), [])
})

t.test('A7: answers that are late, of another epoch or of a closed handle are dropped', async (t) => {
  const world = new World()
  const host = world.host()
  const c = world.client().login('ann')
  c.attach({ epoch: 1 })
  const first = host.attaches()[0]
  c.attach({ epoch: 2 })
  const second = host.attaches()[0]
  c.take()
  host.attached(first)
  t.same(c.kinds(), [])
  host.attached({ ...second, epoch: 1 })
  t.same(c.kinds(), [])
  host.route(0, 'arena.x')
  writeOneway(host.w, second.handle, 1, 0, bytes('early'))
  host.send()
  t.same(c.kinds(), [])
  host.attached(second)
  t.same(c.kinds(), [clientKind.attached, clientKind.ticket])
})

t.test('L2: a handle is used again only after both sides have sent and received CLOSE', async (t) => {
  const world = new World()
  const { client, host, handle } = attachedPair(world)
  client.w.begin(clientKind.detach).varint(0).end()
  client.send()
  t.equal(read.closeHandle(host.only(linkKind.closeHandle)[0]).handle, handle)
  client.attach({ epoch: 2 })
  t.not(host.attaches()[0].handle, handle)
  host.route(0, 'arena.x')
  writeOneway(host.w, handle, 1, 0, bytes('private'))
  host.send()
  t.equal(client.only(laneKind.oneway).length, 0, 'frames of the old handle are dropped')
  host.closeHandle(handle)
  client.attach({ alias: 1, epoch: 1, key: 'b' })
  t.equal(host.attaches()[0].handle, handle)
})

t.test('L2: a handle that the host closes is answered by CLOSE, and the client is told', async (t) => {
  const world = new World()
  const { client, host, handle } = attachedPair(world)
  host.take()
  client.take()
  host.closeHandle(handle, code.superseded)
  t.match(read.closeHandle(host.take()[0]), { handle, code: code.superseded })
  t.match(read.detached(client.take()[0]), { channel: 0, epoch: 1, code: code.superseded })
  writeOneway(client.w, 0, 1, 0, bytes('in flight'))
  client.send()
  t.equal(client.carrier.closedWith, undefined, 'a frame in flight behind DETACHED is honest')
  client.attach({ epoch: 2 })
  t.equal(host.attaches()[0].handle, handle)
})

t.test('A10: MOVED names the new host, and its pin comes with DETACHED', async (t) => {
  const world = new World({ hosts: [hostSettings('h1'), hostSettings('h2')] })
  const h1 = world.host('h1')
  const h2 = world.host('h2')
  const c = world.client().login('ann')
  c.attach()
  const [from, to] = h1.attaches().length ? [h1, h2] : [h2, h1]
  from.attached({ handle: 0, epoch: 1, life: 0n } as never)
  from.closeHandle(0, code.moved, to.name)
  const { pin, code: why } = read.detached(c.only(clientKind.detached)[0])
  t.equal(why, code.moved)
  c.attach({ epoch: 2, life: 7n, pin })
  t.match(to.attaches()[0], { pinned: true, life: 7n })
})

t.test('P2: NOT_HERE is followed to the host it names, so often and no more', async (t) => {
  const world = new World({ hosts: [hostSettings('h1'), hostSettings('h2')] })
  const hosts = [world.host('h1'), world.host('h2')]
  const c = world.client().login('ann')
  c.attach()
  let hops = 0
  for (let round = 0; round < 10; round++) {
    for (const [i, h] of hosts.entries()) {
      for (const a of h.attaches()) {
        hops++
        writeNotHere(h.w, { handle: a.handle, epoch: 1, host: hosts[1 - i].name })
        h.send()
      }
    }
  }
  t.equal(hops, 5)
  t.equal(read.answer(c.only(clientKind.refused)[0]).code, code.not_here)
})

t.test('X3: NOT_HERE without a name refuses what the hash has placed', async (t) => {
  const world = new World()
  const host = world.host()
  const c = world.client().login('ann')
  c.attach({ life: 4n })
  writeNotHere(host.w, { handle: host.attaches()[0].handle, epoch: 1, host: '' })
  host.send()
  t.equal(read.answer(c.only(clientKind.refused)[0]).code, code.not_here)
})

t.test('A4: an attach whose host is away is parked, told so, and goes on when the host comes', async (t) => {
  const world = new World()
  const c = world.client().login('ann')
  c.take()
  c.attach()
  t.match(read.answer(c.only(clientKind.parked)[0]), { channel: 0, epoch: 1, code: 0, retryMs: 30_000 })
  t.equal(world.gateway.parking.count, 1)
  const host = world.dial('h1').open([{ name: 'arena', weight: 1, keys: 1, park: true }], 'between us', 1n, 1)
  world.pass(0)
  t.equal(host.attaches().length, 1)
  t.equal(world.gateway.parking.count, 0)
  world.pass(60_000)
  t.equal(c.only(clientKind.refused).length, 0)
})

t.test('A11: parked attaches are released at a rate', async (t) => {
  const world = new World()
  for (let i = 0; i < 70; i++)
    world
      .client()
      .login(`u${i}`)
      .attach({ key: `k${i}` })
  const host = world.dial('h1').open([{ name: 'arena', weight: 1, keys: 1, park: true }], 'between us', 1n, 1)
  world.pass(0)
  t.equal(host.attaches().length, 20)
  world.pass(10)
  t.equal(host.attaches().length, 20)
  world.pass(20)
  t.equal(host.attaches().length, 30)
  t.equal(world.gateway.parking.count, 0)
})

t.test('A4: parking is bounded in number and in time, and a service may refuse to wait', async (t) => {
  const world = new World({ limits: { ...testSettings().limits, parkedMax: 1 } })
  const c = world.client().login('ann')
  c.take()
  c.attach()
  c.attach({ alias: 1, key: 'b' })
  const answers = c.take()
  t.equal(read.answer(answers[1]).code, code.park_full)
  c.attach({ alias: 2, service: 'chat', key: 'ann' })
  t.equal(read.answer(c.only(clientKind.refused)[0]).code, code.host_away)
  world.pass(19_000)
  c.w.begin(clientKind.ping).varint(0).varint(0).end()
  c.send()
  world.pass(11_000)
  t.match(read.answer(c.only(clientKind.refused)[0]), { channel: 0, code: code.host_away, retryMs: 1000 })
  t.equal(world.gateway.parking.count, 0)
})

t.test('A4: a parked attach that is repeated, or whose client goes, leaves nothing behind', async (t) => {
  const world = new World()
  const c = world.client().login('ann')
  for (let epoch = 1; epoch <= 50; epoch++) c.attach({ epoch })
  t.equal(world.gateway.parking.count, 1)
  t.equal([...world.gateway.hostTable.all()][0].lot.waiting.size, 1)
  c.carrier.events!.closed(world.now)
  t.equal(world.gateway.parking.count, 0)
  t.equal([...world.gateway.hostTable.all()][0].lot.waiting.size, 0)
})

t.test('A10: a lost link detaches its channels, for now', async (t) => {
  const world = new World()
  const { client, host } = attachedPair(world)
  client.take()
  host.carrier.events!.closed(world.now)
  world.turn()
  t.match(read.detached(client.take()[0]), { channel: 0, epoch: 1, code: code.link_lost, retryMs: 0 })
  client.attach({ epoch: 2, life: 7n })
  t.same(client.kinds(), [clientKind.parked])
})

t.test('P3: the pin of a host that is away waits; of one declared gone it is given up, and that is said', async (t) => {
  const world = new World({
    hosts: [hostSettings('h1'), hostSettings('h2')],
    times: { ...testSettings().times, goneAfterMs: 10_000 },
  })
  const hosts = [world.host('h1'), world.host('h2')]
  const c = world.client().login('ann')
  c.attach()
  const pinned = hosts.find((h) => {
    const a = h.attaches()
    if (a.length) h.attached(a[0])
    return a.length
  })!
  const other = hosts[1 - hosts.indexOf(pinned)]
  const { pin } = read.attached(c.only(clientKind.attached)[0])
  pinned.carrier.events!.closed(world.now)
  world.turn()
  c.take()
  c.attach({ epoch: 2, life: 7n, pin })
  t.same(c.kinds(), [clientKind.parked])
  world.pass(9000)
  t.equal(other.attaches().length, 0)
  other.w.begin(linkKind.ping).varint(0).varint(0).end()
  other.send()
  world.pass(1100)
  t.match(other.attaches()[0], { pinned: false, pinnedGone: true, life: 7n })
  t.match(world.event('host_gone'), [{ host: pinned.name }])
})

t.test('A4: an attach that goes on waiting for another host says PARKED once', async (t) => {
  const times = { ...testSettings().times, goneAfterMs: 5000 }
  const world = new World({ hosts: [hostSettings('h1'), hostSettings('h2')], times })
  const c = world.client().login('ann')
  c.take()
  c.attach()
  world.pass(4000)
  const [first] = [...world.gateway.hostTable.all()].filter((each) => each.lot.waiting.size > 0)
  world.gateway.setHosts([hostSettings(first.name === 'h1' ? 'h2' : 'h1')], world.now)
  world.pass(100)
  t.same(c.kinds(), [clientKind.parked])
  t.equal(world.gateway.parking.count, 1)
})

t.test('P3: a gateway that has just started waits for a pinned host it has never met', async (t) => {
  const world = new World({ hosts: [hostSettings('h1')] })
  const host = world.host('h1')
  const c = world.client().login('ann')
  const { sealPin } = await import('../../gateway/pins.ts')
  const pin = sealPin({ sealer: world.sealer, hmac }, c.welcome!.session, 'arena', 'room', 'h9')
  c.take()
  c.attach({ life: 7n, pin })
  t.same(c.kinds(), [clientKind.parked])
  t.equal(host.attaches().length, 0)
})
