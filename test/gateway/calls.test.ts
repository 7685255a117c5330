// Hosts among themselves and outside channels: OPEN, LOCATE, loose calls, broadcasts, INVITE and KICK.
import t from 'tap'
import { writeLoose, writeLooseReply } from '../../protocols/client/frames.ts'
import { code } from '../../protocols/codes.ts'
import {
  writeBroadcast,
  writeKick,
  writeLinkInvite,
  writeLinkLoose,
  writeLocate,
  writeLocated,
} from '../../protocols/link/frames.ts'
import { laneKind, writeAck, writeOneway } from '../../protocols/wire/lane-frames.ts'
import { attachedPair, bytes, clientKind, EMPTY, host as hostSettings, linkKind, read, text, World } from './world.ts'
import type { TestHost } from './world.ts'

const alone = [{ name: 'arena', weight: 1, keys: 1, park: true }]
const other = [{ name: 'chat', weight: 1, keys: 0, park: false }]

/** Two hosts, of which only the second runs `arena`: whoever asks for an arena actor gets to it. */
function pair(): { world: World; from: TestHost; to: TestHost } {
  const world = new World({ hosts: [hostSettings('h1'), hostSettings('h2')] })
  return { world, from: world.host('h1', 1n, 1, other), to: world.host('h2', 1n, 1, alone) }
}

t.test('P6: an actor opens a channel to another over the gateway; the opener is the client end', async (t) => {
  const { from, to } = pair()
  from.openTo({ handle: 1, epoch: 4, from: 'chat/ann', key: 'b' })
  const a = to.attaches()[0]
  t.match(a, { session: 'a:chat/ann', user: '', ticketGeneration: 0, epoch: 4, service: 'arena', key: 'b', handle: 0 })
  to.attached(a)
  const answer = read.attached(from.take()[0])
  t.match(answer, { channel: 1, epoch: 4 })
  t.ok(answer.pin.length > 0)
  from.route(3, 'arena.tell')
  writeOneway(from.w, 1, 1, 3, bytes('up'))
  from.send()
  const up = to.take()
  t.same(
    up.map((f) => f.kind),
    [linkKind.route, laneKind.oneway],
  )
  t.equal(read.route(up[0]).name, 'arena.tell')
  t.equal(up[1].payload, 'up')
  to.route(9, 'chat.told')
  writeAck(to.w, 0, 1)
  writeOneway(to.w, 0, 1, 9, bytes('down'))
  to.send()
  const down = from.take()
  t.same(
    down.map((f) => [f.kind, f.lane?.channel]),
    [
      [laneKind.ack, 1],
      [linkKind.route, undefined],
      [laneKind.oneway, 1],
    ],
  )
  t.equal(down[2].payload, 'down')
})

t.test('P6: either side ends such a channel, and both handles are closed', async (t) => {
  const { from, to } = pair()
  from.openTo({ handle: 1 })
  to.attached(to.attaches()[0])
  from.take()
  from.closeHandle(1, code.detached)
  t.equal(read.closeHandle(to.only(linkKind.closeHandle)[0]).handle, 0)
  t.equal(read.closeHandle(from.only(linkKind.closeHandle)[0]).handle, 1)
  to.closeHandle(0)
  from.openTo({ handle: 1, epoch: 2 })
  const again = to.attaches()[0]
  to.attached(again)
  from.take()
  to.closeHandle(again.handle, code.superseded)
  t.same(from.kinds(), [clientKind.detached, linkKind.closeHandle])
})

t.test('P6: the end of the opener closes the target, the end of the target detaches the opener', async (t) => {
  const { world, from, to } = pair()
  from.openTo({ handle: 1 })
  to.attached(to.attaches()[0])
  from.take()
  to.carrier.events!.closed(world.now)
  world.turn()
  t.equal(read.detached(from.take()[0]).code, code.link_lost)
  const back = world.host('h2', 1n, 2, alone)
  from.openTo({ handle: 3, epoch: 2 })
  back.attached(back.attaches()[0])
  from.carrier.events!.closed(world.now)
  world.turn()
  t.equal(read.closeHandle(back.only(linkKind.closeHandle)[0]).handle, 0)
})

t.test('P6: an OPEN on a handle in use, or far ahead of the others, breaks the protocol', async (t) => {
  const { from } = pair()
  from.openTo({ handle: 1 }).openTo({ handle: 1, epoch: 2 })
  t.equal(from.carrier.closedWith, code.protocol)
  for (const handle of [2, 2051, 1_000_001]) {
    const far = pair().from.openTo({ handle })
    t.equal(far.carrier.closedWith, code.protocol)
  }
  const near = pair().from.openTo({ handle: 2047 })
  t.equal(near.carrier.closedWith, undefined)
})

t.test('P6: an OPEN that is not admitted is refused, and its handle closed', async (t) => {
  const { from } = pair()
  from.openTo({ handle: 1, service: 'shop' })
  const frames = from.take()
  t.equal(read.answer(frames[0]).code, code.no_service)
  t.equal(read.closeHandle(frames[1]).handle, 1)
})

t.test('P2: LOCATE asks every other host of the service and tells who has it', async (t) => {
  const world = new World({ hosts: ['h1', 'h2', 'h3', 'h4'].map((name) => hostSettings(name)) })
  const [h1, h2, h3] = ['h1', 'h2', 'h3'].map((name) => world.host(name, 1n, 1, alone))
  const h4 = world.host('h4', 1n, 1, other)
  writeLocate(h1.w, { id: 71, service: 'arena', key: 'room', asker: '' })
  h1.send()
  t.equal(h1.only(linkKind.locate).length, 0)
  t.equal(h4.only(linkKind.locate).length, 0)
  const asked = [h2, h3].map((h) => read.locate(h.only(linkKind.locate)[0]))
  t.match(asked[0], { service: 'arena', key: 'room' })
  writeLocated(h2.w, { id: asked[0].id, here: false, host: '' })
  h2.send()
  t.equal(h1.only(linkKind.located).length, 0)
  writeLocated(h3.w, { id: asked[1].id, here: true, host: 'h3' })
  h3.send()
  t.same(read.located(h1.only(linkKind.located)[0]), { id: 71, here: true, host: 'h3' })
})

t.test(
  'P2: LOCATE ends when all have said no or nobody is there; a host that stays silent has not said no',
  async (t) => {
    const world = new World({ hosts: [hostSettings('h1'), hostSettings('h2')] })
    const h1 = world.host('h1', 1n, 1, alone)
    writeLocate(h1.w, { id: 1, service: 'arena', key: 'k', asker: '' })
    h1.send()
    t.same(read.located(h1.only(linkKind.located)[0]), { id: 1, here: false, host: '' })
    const h2 = world.host('h2', 1n, 1, alone)
    writeLocate(h1.w, { id: 2, service: 'arena', key: 'k', asker: '' })
    h1.send()
    writeLocated(h2.w, { id: read.locate(h2.only(linkKind.locate)[0]).id, here: false, host: '' })
    h2.send()
    t.same(read.located(h1.only(linkKind.located)[0]), { id: 2, here: false, host: '' })
    writeLocate(h1.w, { id: 3, service: 'arena', key: 'k', asker: '' })
    h1.send()
    const late = read.locate(h2.only(linkKind.locate)[0])
    world.pass(499)
    t.equal(h1.only(linkKind.located).length, 0)
    world.pass(1)
    t.equal(h1.only(linkKind.located).length, 0, 'no guess after half a second')
    writeLocated(h2.w, { id: late.id, here: true, host: 'h2' })
    h2.send()
    t.equal(h1.only(linkKind.located).length, 0)
  },
)

t.test('H1: a loose call goes to the actor of its route, once, and its answer comes back', async (t) => {
  const world = new World()
  const host = world.host()
  const c = world.client().login('ann').route(0, 'chat.say').route(1, 'nowhere')
  c.take()
  writeLoose(c.w, { request: 5, route: 0, key: '', deadlineMs: 1000, payload: bytes('hi') })
  c.send()
  const call = read.linkLoose(host.only(linkKind.loose)[0])
  t.match(call, { session: c.welcome!.session, user: 'ann', service: 'chat', key: 'ann', route: 'chat.say' })
  t.equal(text(call.payload), 'hi')
  writeLooseReply(host.w, linkKind.looseReply, { request: call.request, code: 0, payload: bytes('yes') })
  host.send()
  const reply = read.looseReply(c.only(clientKind.looseReply)[0])
  t.match(reply, { request: 5, code: 0 })
  t.equal(text(reply.payload), 'yes')
  writeLoose(c.w, { request: 6, route: 1, key: '', deadlineMs: 0, payload: EMPTY })
  writeLoose(c.w, { request: 7, route: 0, key: 'bob', deadlineMs: 0, payload: EMPTY })
  c.send()
  t.same(
    c.only(clientKind.looseReply).map((f) => read.looseReply(f).code),
    [code.no_route, code.not_allowed],
  )
})

t.test('H1: without an answer in time, or when the link ends, a loose call is answered unknown, once', async (t) => {
  const world = new World()
  const host = world.host()
  const c = world.client().login('ann').route(0, 'arena.x')
  c.take()
  for (const request of [1, 2])
    writeLoose(c.w, { request, route: 0, key: 'k', deadlineMs: request * 1000, payload: EMPTY })
  c.send()
  const [first] = host.only(linkKind.loose).map(read.linkLoose)
  world.pass(1000)
  t.match(read.looseReply(c.only(clientKind.looseReply)[0]), { request: 1, code: code.unknown })
  writeLooseReply(host.w, linkKind.looseReply, { request: first.request, code: 0, payload: bytes('late') })
  host.send()
  t.equal(c.only(clientKind.looseReply).length, 0)
  host.carrier.events!.closed(world.now)
  world.turn()
  t.match(read.looseReply(c.only(clientKind.looseReply)[0]), { request: 2, code: code.unknown })
  writeLoose(c.w, { request: 3, route: 0, key: 'k', deadlineMs: 0, payload: EMPTY })
  c.send()
  t.equal(read.looseReply(c.only(clientKind.looseReply)[0]).code, code.host_away)
})

t.test('a loose call is answered by the host that it went to, and by no other', async (t) => {
  const { world, from, to } = pair()
  const c = world.client().login('ann').route(0, 'arena.x')
  writeLoose(c.w, { request: 1, route: 0, key: 'k', deadlineMs: 0, payload: EMPTY })
  c.send().take()
  const { request } = read.linkLoose(to.only(linkKind.loose)[0])
  writeLooseReply(from.w, linkKind.looseReply, { request, code: 0, payload: bytes('forged') })
  from.send()
  t.equal(c.only(clientKind.looseReply).length, 0)
})

t.test('Q1: a client has so many loose calls open and no more', async (t) => {
  const world = new World()
  const host = world.host()
  const c = world.client().login('ann').route(0, 'arena.x')
  for (let request = 0; request < 65; request++) {
    writeLoose(c.w, { request, route: 0, key: 'k', deadlineMs: 0, payload: EMPTY })
  }
  c.send()
  t.equal(host.only(linkKind.loose).length, 64)
  t.match(read.looseReply(c.only(clientKind.looseReply)[0]), { request: 64, code: code.too_many_requests })
})

t.test('P6: hosts make loose calls and broadcasts to each other', async (t) => {
  const { from, to } = pair()
  writeLinkLoose(from.w, {
    request: 9,
    session: 'chat/ann',
    user: 'ann',
    address: '',
    service: 'arena',
    key: 'k',
    route: 'arena.ask',
    deadlineMs: 500,
    idempotencyKey: 'once',
    payload: bytes('?'),
  })
  from.send()
  const call = read.linkLoose(to.only(linkKind.loose)[0])
  t.match(call, { session: 'a:chat/ann', key: 'k', route: 'arena.ask', idempotencyKey: 'once', deadlineMs: 500 })
  writeLooseReply(to.w, linkKind.looseReply, { request: call.request, code: code.handler_failed, payload: EMPTY })
  to.send()
  t.match(read.looseReply(from.only(linkKind.looseReply)[0]), { request: 9, code: code.handler_failed })
  writeBroadcast(from.w, { from: 'chat/ann', service: 'arena', route: 'arena.all', payload: bytes('!') })
  from.send()
  t.match(read.broadcast(to.only(linkKind.broadcast)[0]), { from: 'chat/ann', route: 'arena.all' })
  t.equal(from.only(linkKind.broadcast).length, 0)
})

t.test('P5: INVITE reaches the newest connection with a pin that works, or NO_SESSION comes back', async (t) => {
  const world = new World()
  const host = world.host()
  const old = world.client().login('ann')
  const young = world.client().resume(old.welcome!.ticket, old.welcome!.secret)
  young.take()
  const invite = { session: old.welcome!.session, service: 'arena', key: 'room', life: 5n }
  writeLinkInvite(host.w, linkKind.invite, invite)
  host.send()
  t.same(old.kinds(), [])
  const got = read.invite(young.take()[0])
  t.match(got, { service: 'arena', key: 'room', life: 5n })
  young.welcome = old.welcome
  young.attach({ pin: got.pin })
  t.match(host.attaches()[0], { pinned: true })
  writeLinkInvite(host.w, linkKind.invite, { ...invite, session: 'nobody' })
  host.send()
  t.same(read.linkInvite(host.only(linkKind.noSession)[0]), { ...invite, session: 'nobody' })
})

t.test('X4: a kick of the host closes the session for good', async (t) => {
  const world = new World()
  const { client, host } = attachedPair(world)
  writeKick(host.w, { session: client.welcome!.session, code: code.kicked })
  host.send()
  t.equal(client.carrier.closedWith, code.kicked)
  t.equal(world.gateway.sessions().length, 0)
})

t.test('X4: a kick is told to every other host, the operator’s to all', async (t) => {
  const { world, from, to } = pair()
  const c = world.client().login('ann')
  const { session } = c.welcome!
  writeKick(from.w, { session, code: code.ok })
  from.send()
  t.equal(c.carrier.closedWith, code.kicked)
  t.equal(from.only(linkKind.kick).length, 0)
  t.same(read.kick(to.only(linkKind.kick)[0]), { session, code: code.kicked })
  world.gateway.kick('another', code.banned)
  world.turn()
  for (const host of [from, to])
    t.same(read.kick(host.only(linkKind.kick)[0]), { session: 'another', code: code.banned })
})

t.test('P6: the pin of an actor with the longest names fits its frame', async (t) => {
  const name = 'n'.repeat(128)
  const world = new World({ hosts: [hostSettings(name)] })
  const services = [{ name, weight: 1, keys: 1, park: true }]
  world.gateway.configure({ ...world.gateway.settings, services: [{ name, keys: 'any', whenAway: 'park' }] }, world.now)
  const host = world.host(name, 1n, 1, services)
  host.openTo({ from: `${name}/${name}`, service: name, key: name })
  const a = host.attaches()[0]
  t.equal(a.session, `a:${name}/${name}`)
  host.attached(a)
  const { pin } = read.attached(host.take()[0])
  host.closeHandle(1)
  host.openTo({ handle: 3, epoch: 2, from: `${name}/${name}`, service: name, key: name, pin, life: 7n })
  t.match(host.attaches()[0], { pinned: true })
  host.openTo({ handle: 5, from: `${name}/${name}n`, service: name, key: name })
  t.equal(host.only(clientKind.refused).length, 1)
})
