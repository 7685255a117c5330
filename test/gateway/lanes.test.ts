// One message through the gateway: exact bytes, refusals, numbers.
import t from 'tap'
import { code } from '../../protocols/codes.ts'
import {
  laneKind,
  writeAck,
  writeFin,
  writeOneway,
  writeReject,
  writeReply,
  writeRequest,
  writeSkip,
  writeUnreliable,
} from '../../protocols/wire/lane-frames.ts'
import { attachedPair, bytes, clientKind, linkKind, read, testSettings, World } from './world.ts'

const hex = (data: Uint8Array) => Buffer.from(data).toString('hex')

t.test('a message goes up with at most 6 bytes of overhead and arrives with at most 9', async (t) => {
  const world = new World()
  const { client, host } = attachedPair(world)
  host.take()
  writeOneway(client.w, 0, 1, 0, bytes('hello'))
  t.equal(client.w.at - 5, 6)
  client.send()
  const batch = host.carrier.got.slice()
  const frames = host.take()
  t.same(
    frames.map((f) => f.kind),
    [linkKind.route, laneKind.oneway],
  )
  t.equal(read.route(frames[0]).name, 'arena.move')
  t.equal(hex(frames[1].raw), `01${'00'}${'0100'}00${hex(bytes('hello'))}`)
  writeOneway(client.w, 0, 2, 0, bytes('again'))
  client.send()
  const size = host.carrier.got.reduce((sum, each) => sum + each.length, 0)
  t.ok(size - 5 <= 9, `${size - 5}`)
  t.equal(batch.length, 1, 'one write for both frames')
})

t.test('with a flush delay a link gathers what several turns bring, while clients get theirs at once', async (t) => {
  const world = new World()
  const { client, host, handle } = attachedPair(world)
  const settings = testSettings()
  world.gateway.configure({ ...settings, times: { ...settings.times, linkFlushDelayMs: 1 } }, world.now)
  client.take()
  host.take()
  host.carrier.got.length = 0
  writeOneway(client.w, 0, 1, 0, bytes('one'))
  client.send()
  writeOneway(client.w, 0, 2, 0, bytes('two'))
  client.send()
  host.route(5, 'arena.moved')
  writeOneway(host.w, handle, 1, 5, bytes('down'))
  host.send()
  t.same(
    client.take().map((f) => f.kind),
    [clientKind.route, laneKind.oneway],
  )
  t.equal(host.carrier.got.length, 0)
  t.equal(world.linkFlushesAsked, 1)
  world.gateway.flushLinks(world.now)
  t.equal(host.carrier.got.length, 1, 'one write for both')
  const payloads = host.take().filter((f) => f.kind === laneKind.oneway)
  t.same(
    payloads.map((f) => f.payload),
    ['one', 'two'],
  )
})

t.test('a message comes down under the alias of the client, its route announced once', async (t) => {
  const world = new World()
  const { client, host, handle } = attachedPair(world)
  client.take()
  host.route(5, 'arena.moved')
  writeOneway(host.w, handle, 1, 5, bytes('x'))
  writeOneway(host.w, handle, 2, 5, bytes('y'))
  host.send()
  const frames = client.take()
  t.same(
    frames.map((f) => f.kind),
    [clientKind.route, laneKind.oneway, laneKind.oneway],
  )
  t.same(read.route(frames[0]), { number: 0, name: 'arena.moved' })
  t.equal(frames[1].lane!.channel, 0)
  t.equal(frames[1].lane!.number, 1)
  t.equal(frames[2].payload, 'y')
})

t.test('requests, replies and FIN pass both ways with their bodies unread', async (t) => {
  const world = new World()
  const { client, host, handle } = attachedPair(world)
  host.route(0, 'arena.ask')
  host.take()
  client.take()
  writeRequest(client.w, 0, 1, 0, 9, 500, bytes('?'))
  client.send()
  const up = host.only(laneKind.request)[0]
  t.equal(up.lane!.request, 9)
  t.equal(up.lane!.deadlineMs, 500)
  writeReply(host.w, handle, 1, 9, 0, bytes('!'))
  writeRequest(host.w, handle, 2, 0, 4, 100, bytes('?'))
  writeFin(host.w, handle, 3, 0)
  host.send()
  const down = client.take()
  t.same(
    down.map((f) => f.kind),
    [laneKind.reply, clientKind.route, laneKind.request, laneKind.fin],
  )
  t.equal(down[0].lane!.request, 9)
  writeReply(client.w, 0, 2, 4, 0, bytes('yes'))
  client.send()
  t.equal(host.only(laneKind.reply)[0].payload, 'yes')
})

t.test('N2: a run of refusals never makes a SKIP larger than any window', async (t) => {
  const world = new World()
  const { client, host } = attachedPair(world)
  host.take()
  for (let n = 1; n <= 20_000; n++) writeOneway(client.w, 0, n & 0xffff, 1, bytes('x'))
  client.send()
  const skips = host.only(laneKind.skip).map(({ lane }) => lane!.count)
  t.same(skips, [2 ** 14 + 65, 20_000 - 2 - 2 ** 14 - 65])
})

t.test(
  'R1: what the rate refuses is rejected to the client and skipped to the host in its place, runs as one',
  async (t) => {
    const world = new World()
    const { client, host } = attachedPair(world)
    host.take()
    client.take()
    for (let n = 1; n <= 5; n++) writeOneway(client.w, 0, n, 1, bytes(`${n}`))
    writeOneway(client.w, 0, 6, 0, bytes('six'))
    client.send()
    const up = host.take().filter((f) => f.lane)
    t.same(
      up.map((f) => [f.kind, f.lane!.number, f.lane!.count]),
      [
        [laneKind.oneway, 1, 0],
        [laneKind.oneway, 2, 0],
        [laneKind.skip, 3, 3],
        [laneKind.oneway, 6, 0],
      ],
    )
    t.equal(up[2].lane!.code, code.rate_limited)
    const down = client.only(laneKind.reject)
    t.same(
      down.map((f) => f.lane!.number),
      [3, 4, 5],
    )
    t.ok(down[0].lane!.retryMs > 0 && down[0].lane!.retryMs <= 100)
    t.same(
      world.event('message_refused').map((e) => [e.route, e.count]),
      [['arena.slow', 3]],
    )
  },
)

t.test('R1: a run of refusals at the end of a turn is skipped by the end of that turn', async (t) => {
  const world = new World()
  const { client, host } = attachedPair(world)
  host.take()
  for (let n = 1; n <= 3; n++) writeOneway(client.w, 0, n, 1, bytes(`${n}`))
  client.send()
  t.same(
    host.only(laneKind.skip).map((f) => [f.lane!.number, f.lane!.count]),
    [[3, 1]],
  )
})

t.test('R4: size is judged by the payload, and an unknown route is refused as no_route', async (t) => {
  const world = new World()
  const { client, host } = attachedPair(world)
  client.route(3, 'shop.buy').route(4, '$recover')
  host.take()
  client.take()
  writeOneway(client.w, 0, 1, 2, bytes('12345678'))
  writeRequest(client.w, 0, 2, 2, 1, 1000, bytes('12345678'))
  writeOneway(client.w, 0, 3, 2, bytes('123456789'))
  writeOneway(client.w, 0, 4, 3, bytes('x'))
  writeOneway(client.w, 0, 5, 4, bytes('reserved'))
  client.send()
  t.same(
    client.only(laneKind.reject).map((f) => [f.lane!.number, f.lane!.code]),
    [
      [3, code.too_large],
      [4, code.no_route],
    ],
  )
  t.same(
    host
      .take()
      .filter((f) => f.lane)
      .map((f) => [f.kind, f.lane!.number]),
    [
      [laneKind.oneway, 1],
      [laneKind.request, 2],
      [laneKind.skip, 3],
      [laneKind.skip, 4],
      [laneKind.oneway, 5],
    ],
  )
})

t.test('R6: replay gets the credit of the time the lane was quiet, new messages do not', async (t) => {
  const world = new World()
  const h = world.host()
  const c = world.client().login('ann')
  c.attach({ life: 7n, sent: 10 })
  h.attached(h.attaches()[0], { quietForMs: 500, received: 2 })
  c.route(1, 'arena.slow').take()
  h.take()
  for (let n = 3; n <= 12; n++) writeOneway(c.w, 0, n, 1, bytes(`${n}`))
  c.send()
  const passed = h
    .take()
    .filter((f) => f.kind === laneKind.oneway)
    .map((f) => f.lane!.number)
  t.same(passed, [3, 4, 5, 6, 7, 8, 9], 'burst 2 and 10/s x 0.5 s')
})

t.test('R6: the credit is no more than a window, and only for what was sent before the attach', async (t) => {
  const world = new World()
  const h = world.host()
  const c = world.client().login('ann')
  c.attach({ life: 7n, sent: 100 })
  h.attached(h.attaches()[0], { quietForMs: 3_600_000, windowCount: 20 })
  c.route(1, 'arena.slow').take()
  h.take()
  const passed = () => h.take().filter((f) => f.kind === laneKind.oneway).length
  for (let n = 1; n <= 100; n++) writeOneway(c.w, 0, n, 1, bytes('x'))
  c.send()
  t.equal(passed(), 22)
  c.attach({ epoch: 2, life: 7n, received: 0, sent: 103 })
  h.attached(h.attaches()[0], { received: 100, quietForMs: 3_600_000 })
  h.take()
  for (let n = 101; n <= 110; n++) writeOneway(c.w, 0, n, 1, bytes('x'))
  c.send()
  t.equal(passed(), 3, 'the bucket is still empty: three of replay, none of the new')
})

t.test('N3: a gap closes the handle as protocol, a repetition is dropped', async (t) => {
  const world = new World()
  const { client, host, handle } = attachedPair(world)
  host.take()
  client.take()
  writeOneway(client.w, 0, 1, 0, bytes('a'))
  writeOneway(client.w, 0, 1, 0, bytes('a'))
  client.send()
  t.equal(host.only(laneKind.oneway).length, 1)
  writeOneway(client.w, 0, 3, 0, bytes('c'))
  writeOneway(client.w, 0, 4, 0, bytes('d'))
  client.send()
  t.same(read.closeHandle(host.take()[0]), { handle, code: code.protocol, retryMs: 0, host: '' })
  t.equal(read.detached(client.only(clientKind.detached)[0]).code, code.protocol)
  t.equal(client.carrier.closedWith, undefined, 'the session may attach its channel anew')
})

t.test('N2: numbers turn over in the low bits', async (t) => {
  const world = new World({}, 5)
  const { client, host, handle } = attachedPair(world)
  host.take()
  for (let n = 1; n <= 70; n++) {
    writeOneway(client.w, 0, n & 31, 0, bytes(`${n}`))
    client.send()
    writeAck(host.w, handle, n & 31)
    host.send()
  }
  t.equal(host.only(laneKind.oneway).length, 70)
})

t.test('W5: an ACK beyond what was written to the client closes it', async (t) => {
  const world = new World()
  const { client, host, handle } = attachedPair(world)
  host.route(0, 'arena.x')
  writeOneway(host.w, handle, 1, 0, bytes('1'))
  host.send()
  host.take()
  writeAck(client.w, 0, 1)
  client.send()
  t.equal(host.only(laneKind.ack).length, 1)
  writeAck(client.w, 0, 2)
  client.send()
  t.equal(client.carrier.closedWith, code.protocol)
  t.match(read.close(client.only(clientKind.close)[0]), { code: code.protocol, text: 'ACK beyond what was sent' })
  t.equal(world.event('peer_violation').length, 1)
})

t.test('L3: a route number is announced once', async (t) => {
  const { client } = attachedPair(new World())
  client.route(0, 'arena.other')
  t.equal(client.carrier.closedWith, code.protocol)
})

t.test('W5: a client that is closed in the middle of a chunk is not read any further', async (t) => {
  const limits = { ...testSettings().limits, connectionBytesMax: 2000 }
  const world = new World({ limits })
  const { client, host } = attachedPair(world)
  host.take()
  client.carrier.isReading = false
  for (let n = 1; n <= 1000; n++) writeOneway(client.w, 0, n, 1, bytes('refused'))
  client.send()
  t.equal(client.carrier.closedWith, code.slow)
  t.equal(world.event('peer_violation').length, 0)
  t.equal(world.event('connection_closed').length, 1)
})

t.test('N4: a SKIP of the client passes unjudged and consumes its numbers', async (t) => {
  const world = new World()
  const { client, host } = attachedPair(world)
  host.take()
  writeSkip(client.w, 0, 1, 4, code.withdrawn)
  writeOneway(client.w, 0, 5, 0, bytes('five'))
  client.send()
  t.same(
    host
      .take()
      .filter((f) => f.lane)
      .map((f) => [f.kind, f.lane!.number, f.lane!.count]),
    [
      [laneKind.skip, 1, 4],
      [laneKind.oneway, 5, 0],
    ],
  )
})

t.test('C1: unnumbered messages of another epoch are dropped', async (t) => {
  const world = new World()
  const { client, host } = attachedPair(world)
  host.take()
  writeUnreliable(client.w, 0, 9, 0, bytes('old'))
  writeUnreliable(client.w, 0, 1, 0, bytes('new'))
  client.send()
  t.same(
    host.only(laneKind.unreliable).map((f) => f.payload),
    ['new'],
  )
})

t.test('a client that sends what only hosts send, or before ATTACHED, is closed', async (t) => {
  const frames: ((c: ReturnType<typeof attachedPair>['client']) => void)[] = [
    (c) => writeReject(c.w, 0, 1, 0, 0),
    (c) => writeOneway(c.w, 0, 1, 77, bytes('route')),
    (c) => writeOneway(c.w, 9, 1, 0, bytes('alias')),
    (c) => writeSkip(c.w, 0, 1, 0, 0),
    (c) => writeSkip(c.w, 0, 1, 100_000, 0),
  ]
  for (const write of frames) {
    const { client } = attachedPair(new World())
    write(client)
    client.send()
    t.equal(client.carrier.closedWith, code.protocol)
  }
  const world = new World()
  world.host()
  const early = world.client().login('ann').attach()
  early.route(0, 'arena.move')
  writeOneway(early.w, 0, 1, 0, bytes('early'))
  early.send()
  t.equal(early.carrier.closedWith, code.protocol)
})

t.test('N3: a host that leaves out a number loses the handle, and the client attaches anew', async (t) => {
  const world = new World()
  const { client, host, handle } = attachedPair(world)
  host.route(0, 'arena.x').take()
  client.take()
  writeOneway(host.w, handle, 2, 0, bytes('2'))
  host.send()
  t.equal(read.closeHandle(host.take()[0]).code, code.protocol)
  t.equal(read.detached(client.take()[0]).code, code.detached)
})
