// Flow control: what is held for a slow client, what a full link does to its feeders, and what nobody may do to others.
import t from 'tap'
import { REST_MS_MAX } from '../../gateway/client-connection.ts'
import { cell } from '../../gateway/counters.ts'
import type { RateLimitSettings } from '../../policies/rate-limit.ts'
import { code } from '../../protocols/codes.ts'
import { laneKind, writeLatest, writeOneway, writeUnreliable } from '../../protocols/wire/lane-frames.ts'
import { attachedPair, bytes, clientKind, read, testSettings, World } from './world.ts'

const kilobyte = new Uint8Array(1024)

t.test('W5: a client that does not read is closed at the cap, and only that one', async (t) => {
  const world = new World({ limits: { ...testSettings().limits, connectionBytesMax: 100_000 } })
  const { client, host, handle } = attachedPair(world)
  const other = world.client().login('bob').attach({ key: 'other' })
  const otherHandle = host.attaches()[0]
  host.attached(otherHandle)
  other.take()
  host.route(0, 'arena.x')
  client.carrier.isReading = false
  let sent = 0
  while (client.carrier.closedWith === undefined && sent < 1000) {
    sent++
    writeOneway(host.w, handle, sent & 0xffff, 0, kilobyte)
    writeOneway(host.w, otherHandle.handle, sent & 0xffff, 0, bytes('x'))
    host.send()
  }
  t.equal(client.carrier.closedWith, code.slow)
  t.ok(client.carrier.queuedBytes() < 103_000, `${client.carrier.queuedBytes()}`)
  t.equal(other.only(laneKind.oneway).length, sent)
  t.ok(code.slow < 500, 'its session lives')
})

t.test('W5: past half of the cap unreliable frames are dropped first', async (t) => {
  const world = new World({ limits: { ...testSettings().limits, connectionBytesMax: 100_000 } })
  const { client, host, handle } = attachedPair(world)
  host.route(0, 'arena.x')
  client.take()
  client.carrier.isReading = false
  for (let i = 1; i <= 200; i++) {
    writeUnreliable(host.w, handle, 1, 0, kilobyte)
    host.send()
  }
  t.equal(client.carrier.closedWith, undefined)
  const queued = client.carrier.queuedBytes()
  t.ok(queued > 49_000 && queued < 53_000, `${queued}`)
})

t.test('W5: past the budget of all, those that hold most go first', async (t) => {
  const limits = { ...testSettings().limits, queueBytesMax: 60_000 }
  const world = new World({ limits })
  const { client: greedy, host, handle } = attachedPair(world)
  host.route(0, 'arena.x')
  const modest = world.client().login('bob').attach({ key: 'other' })
  const a = host.attaches()[0]
  host.attached(a)
  greedy.carrier.isReading = false
  modest.carrier.isReading = false
  writeOneway(host.w, a.handle, 1, 0, kilobyte)
  host.send()
  for (let i = 1; i <= 70; i++) {
    writeOneway(host.w, handle, i, 0, kilobyte)
    host.send()
  }
  t.ok(greedy.carrier.isDestroyed)
  t.equal(modest.carrier.isDestroyed, false)
})

t.test('C2: while a client is behind only the newest value of each key waits for it', async (t) => {
  const world = new World()
  const { client, host, handle } = attachedPair(world)
  host.route(0, 'arena.x').route(1, 'arena.pos')
  client.take()
  client.carrier.isReading = false
  for (let i = 1; i <= 70; i++) writeOneway(host.w, handle, i, 0, kilobyte)
  host.send()
  for (let i = 0; i < 50; i++) {
    writeLatest(host.w, handle, 1, 1, 'a', i, bytes(`a${i}`))
    writeLatest(host.w, handle, 1, 1, 'b', i, bytes(`b${i}`))
  }
  host.send()
  client.carrier.read(world.now)
  world.turn()
  t.same(
    client.only(laneKind.latest).map((f) => [f.lane!.key, f.lane!.stamp, f.payload]),
    [
      ['a', 49, 'a49'],
      ['b', 49, 'b49'],
    ],
  )
  writeLatest(host.w, handle, 1, 1, 'a', 50, bytes('a50'))
  host.send()
  t.equal(client.only(laneKind.latest)[0].payload, 'a50')
})

t.test('C2: what is held of a channel that was detached meanwhile is not sent', async (t) => {
  const world = new World()
  const { client, host, handle } = attachedPair(world)
  host.route(0, 'arena.x').route(1, 'arena.pos')
  client.carrier.isReading = false
  for (let i = 1; i <= 70; i++) writeOneway(host.w, handle, i, 0, kilobyte)
  host.send()
  writeLatest(host.w, handle, 1, 1, 'a', 1, bytes('old'))
  host.send()
  client.attach({ epoch: 2, received: 70 })
  host.attached(host.attaches()[0])
  client.carrier.read(world.now)
  world.turn()
  t.equal(client.only(laneKind.latest).length, 0)
})

t.test(
  'C1: unnumbered frames take the datagram path where there is one, once their route is known to the client',
  async (t) => {
    const world = new World()
    const { client, host, handle } = attachedPair(world)
    const datagrams: Uint8Array[] = []
    client.carrier.datagram = (frame) => datagrams.push(frame.slice()) < 4
    host.route(0, 'arena.x').take()
    client.take()
    for (let i = 0; i < 2; i++) writeUnreliable(host.w, handle, 1, 0, bytes(`${i}`))
    host.send()
    t.equal(datagrams.length, 0, 'none overtakes the announcement (KCP-7.6)')
    client.carrier.queued = [new Uint8Array(1000)]
    writeUnreliable(host.w, handle, 1, 0, bytes('2'))
    host.send()
    t.equal(datagrams.length, 0, 'nor before the client has confirmed it')
    client.carrier.queued = []
    for (let i = 3; i < 5; i++) writeUnreliable(host.w, handle, 1, 0, bytes(`${i}`))
    writeLatest(host.w, handle, 1, 0, 'a', 1, bytes('newest'))
    writeUnreliable(host.w, handle, 1, 0, bytes('5'))
    host.send()
    t.same(
      client.only(laneKind.unreliable).map((f) => f.payload),
      ['0', '1', '2', '5'],
      'the first ones, and the one that the carrier did not take',
    )
    t.equal(Buffer.from(datagrams[0]).toString('hex'), '0a000100' + '33')
    t.equal(client.only(laneKind.latest).length, 0, 'C2: the newest values go there as well')
    client.carrier.events!.receiveDatagram!(new Uint8Array([laneKind.unreliable, 0, 1, 0, 0x41]), world.now)
    client.carrier.events!.receiveDatagram!(new Uint8Array([laneKind.oneway, 0, 1, 0, 0, 0x41]), world.now)
    client.carrier.events!.receiveDatagram!(new Uint8Array([0xff, 0xff]), world.now)
    world.turn()
    t.same(
      host
        .take()
        .filter((f) => f.lane)
        .map((f) => [f.kind, f.payload]),
      [[laneKind.unreliable, 'A']],
    )
    t.equal(client.carrier.closedWith, undefined)
  },
)

const narrow = () => new World({ limits: { ...testSettings().limits, linkBytesMax: 10_000 } })

t.test('W6: a full link pauses the clients that feed it, and no other; drained, they go on', async (t) => {
  const world = narrow()
  const { client, host } = attachedPair(world)
  const quiet = world.client().login('bob')
  host.carrier.isReading = false
  for (let i = 1; i <= 12; i++) writeOneway(client.w, 0, i, 0, kilobyte)
  client.send()
  t.ok(client.carrier.isPaused)
  t.notOk(quiet.carrier.isPaused)
  t.notOk(host.carrier.isPaused, 'a link is never paused')
  world.pass(900)
  host.carrier.read(world.now)
  world.turn()
  t.notOk(client.carrier.isPaused)
  world.pass(500)
  t.equal(client.only(clientKind.detached).length, 0)
  t.equal(host.only(laneKind.oneway).length, 12)
})

/** So many messages, and then hardly any more. */
const messages = (burst: number): RateLimitSettings => ({
  name: 'messages',
  mode: 'enforce',
  perSecond: 0.001,
  burst,
  unit: 'messages',
  per: ['session'],
  action: 'reject',
  delayMsMax: 0,
  banMs: 0,
  banOf: 'user',
})

/** A client whose messages are all refused from the second on. */
function wasteful() {
  const world = new World({ policies: { rateLimits: [messages(1)] } })
  const { client } = attachedPair(world)
  let number = 0
  const send = (count: number) => {
    for (let i = 0; i < count; i++) writeOneway(client.w, 0, ++number & 0xffff, 0, bytes('x'))
    client.send()
  }
  return { world, client, send }
}

t.test(
  'a client whose messages are refused is read no faster than one in a millisecond; none is forgotten',
  async (t) => {
    const { world, client, send } = wasteful()
    const other = world.client().login('bob')
    send(129)
    t.notOk(client.carrier.isPaused, 'half a window at once is free')
    send(100)
    t.ok(client.carrier.isPaused)
    t.notOk(other.carrier.isPaused)
    world.pass(98)
    t.ok(client.carrier.isPaused)
    world.pass(3)
    t.notOk(client.carrier.isPaused)
    t.equal(client.only(laneKind.reject).length, 228)
    send(1000)
    t.ok(client.carrier.isPaused)
    world.pass(REST_MS_MAX)
    t.notOk(client.carrier.isPaused, 'it rests so long at most')
    world.pass(5000)
    send(128)
    t.notOk(client.carrier.isPaused, 'later it begins anew')
    t.equal(client.carrier.closedWith, undefined)
    t.equal(world.gateway.counters.cells[cell.clientRests], 2)
  },
)

t.test('what is charged for is not waited for as well: frames on a channel that was detached', async (t) => {
  const { world, client, send } = wasteful()
  send(1)
  world.gateway.attaches.end(world.gateway.connections.values().next().value!.aliases[0]!, code.busy, 0)
  send(600)
  t.notOk(client.carrier.isPaused, 'a window of each of its channels may be on the way')
  send(2500)
  t.equal(client.carrier.closedWith, code.rate_limited)
})

t.test('unnumbered messages on a route that is nobody', async (t) => {
  const { client } = wasteful()
  client.route(3, 'nobody.knows')
  for (let i = 0; i < 600; i++) writeUnreliable(client.w, 0, 1, 3, bytes('x'))
  client.send()
  t.ok(client.carrier.isPaused)
})

t.test('O1: nobody is called silent for what waits here', async (t) => {
  const world = new World()
  const { client } = attachedPair(world)
  const { heartbeatMs, handshakeMs } = world.gateway.settings.times
  const other = world.client().login('bob')
  const stranger = world.client()
  for (const { carrier } of [client, stranger]) Object.assign(carrier, { holdsUnread: true })
  world.pass(2 * handshakeMs - 1)
  t.equal(stranger.carrier.closedWith, undefined)
  world.pass(REST_MS_MAX)
  t.equal(stranger.carrier.closedWith, code.handshake_timeout, 'for as long again at most')
  world.pass(2 * heartbeatMs)
  t.equal(other.carrier.closedWith, code.idle)
  t.equal(client.carrier.closedWith, undefined)
  Object.assign(client.carrier, { holdsUnread: false })
  world.pass(REST_MS_MAX)
  t.equal(client.carrier.closedWith, code.idle)
})

t.test('O1: what waits here for ever says nothing, and is no reason to stay', async (t) => {
  const world = new World()
  const { client } = attachedPair(world)
  const { heartbeatMs } = world.gateway.settings.times
  Object.assign(client.carrier, { holdsUnread: true })
  world.pass(4 * heartbeatMs - 1)
  t.equal(client.carrier.closedWith, undefined)
  world.pass(REST_MS_MAX)
  t.equal(client.carrier.closedWith, code.idle)
})

/** A client that feeds a full link, and rests at the same time. */
function fullAndWasteful() {
  const world = new World({
    limits: { ...testSettings().limits, linkBytesMax: 10_000 },
    policies: { rateLimits: [messages(12)] },
  })
  const { client, host } = attachedPair(world)
  host.carrier.isReading = false
  for (let i = 1; i <= 12; i++) writeOneway(client.w, 0, i, 0, kilobyte)
  for (let i = 13; i <= 640; i++) writeOneway(client.w, 0, i, 0, bytes('x'))
  client.send()
  const drain = () => {
    host.carrier.read(world.now)
    world.turn()
  }
  return { world, client, drain }
}

t.test('W6: of a client that rests and feeds a full link both must be over before it is read', async (t) => {
  const { world, client, drain } = fullAndWasteful()
  t.ok(client.carrier.isPaused)
  world.pass(REST_MS_MAX)
  t.ok(client.carrier.isPaused, 'the link is full')
  drain()
  t.notOk(client.carrier.isPaused)
})

t.test('W6: the same where the link is drained first', async (t) => {
  const { world, client, drain } = fullAndWasteful()
  drain()
  t.ok(client.carrier.isPaused, 'it rests')
  world.pass(REST_MS_MAX)
  t.notOk(client.carrier.isPaused)
})

t.test('W6: after a second the channels on that link are detached as busy, and the client is read again', async (t) => {
  const world = narrow()
  const { client, host } = attachedPair(world)
  host.carrier.isReading = false
  for (let i = 1; i <= 12; i++) writeOneway(client.w, 0, i, 0, kilobyte)
  client.send()
  client.take()
  world.pass(999)
  t.ok(client.carrier.isPaused)
  world.pass(1)
  t.notOk(client.carrier.isPaused)
  t.match(read.detached(client.take()[0]), { code: code.busy, retryMs: 1000 })
  client.attach({ epoch: 2, life: 7n })
  t.equal(read.answer(client.take()[0]).code, code.busy)
  host.carrier.read(world.now)
  world.turn()
  client.attach({ epoch: 3, life: 7n })
  t.same(client.kinds(), [])
})

t.test('W6: a burst that the carrier takes at once pauses nobody for longer than the turn', async (t) => {
  const world = narrow()
  const { client } = attachedPair(world)
  for (let i = 1; i <= 30; i++) writeOneway(client.w, 0, i, 0, kilobyte)
  client.send()
  t.notOk(client.carrier.isPaused)
})

t.test('W6: a paused client that goes, or whose link goes, leaves nothing behind', async (t) => {
  for (const end of ['client', 'link']) {
    const world = narrow()
    const { client, host } = attachedPair(world)
    host.carrier.isReading = false
    for (let i = 1; i <= 12; i++) writeOneway(client.w, 0, i, 0, kilobyte)
    client.send()
    const going = end === 'client' ? client : host
    going.carrier.events!.closed(world.now)
    world.turn()
    t.notOk(end === 'link' && client.carrier.isPaused)
    for (const link of world.gateway.links) t.equal(link.paused.length, 0)
    world.pass(2000)
    t.equal(client.only(clientKind.detached).filter((f) => read.detached(f).code === code.busy).length, 0)
  }
})

t.test('one write a peer and turn, however many frames', async (t) => {
  const world = new World()
  const { client, host } = attachedPair(world)
  const before = host.carrier.writes
  for (let i = 1; i <= 100; i++) writeOneway(client.w, 0, i, 0, bytes('x'))
  client.send()
  t.equal(host.carrier.writes, before + 1)
})
