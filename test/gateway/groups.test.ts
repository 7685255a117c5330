// Groups: joined and left by the host, published to once, copied to every member, and honest about what was missed.
import t from 'tap'
import { writeJoin, writePair } from '../../protocols/client/frames.ts'
import { code } from '../../protocols/codes.ts'
import { writePublish } from '../../protocols/link/frames.ts'
import { laneKind, writeOneway } from '../../protocols/wire/lane-frames.ts'
import { bytes, clientKind, linkKind, read, testSettings, text, World } from './world.ts'
import type { TestClient } from './world.ts'

function members(world: World, count: number) {
  const host = world.host()
  const clients: TestClient[] = []
  const handles: number[] = []
  for (let i = 0; i < count; i++) {
    const c = world.client().login(`u${i}`).attach({ key: 'room' })
    const a = host.attaches()[0]
    host.attached(a)
    c.take()
    clients.push(c)
    handles.push(a.handle)
  }
  host.route(0, 'arena.news')
  const join = (i: number, group = 3, name = 'all') => {
    writeJoin(host.w, linkKind.join, { channel: handles[i], group, recoverable: false, name, life: 1n, offset: 0 })
    host.send()
  }
  const publish = (data: string | Uint8Array, excludes: number[] = [], group = 3, offset = 0) => {
    writePublish(host.w, group, 0, offset, excludes, typeof data === 'string' ? bytes(data) : data)
    host.send()
  }
  return { host, clients, handles, join, publish }
}

t.test('G4: a publication is encoded once: every member gets the same bytes and numbers', async (t) => {
  const world = new World()
  const { clients, join, publish } = members(world, 3)
  for (let i = 0; i < 3; i++) join(i)
  const joins = clients.map((c) => read.join(c.only(clientKind.join)[0]))
  t.equal(new Set(joins.map((j) => j.group)).size, 1)
  t.match(joins[0], { channel: 0, name: 'all' })
  publish('news', [], 3, 12)
  const frames = clients.map((c) => c.take())
  t.same(
    frames.map((f) => f.map((each) => each.kind)),
    Array(3).fill([clientKind.route, clientKind.published]),
  )
  t.same(frames[0][1].raw, frames[2][1].raw)
  const published = read.published(frames[0][1])
  t.match(published, { group: joins[0].group, route: 0, offset: 12 })
  t.equal(text(published.payload), 'news')
  publish('more')
  t.same(clients[1].kinds(), [clientKind.published], 'the route is announced once')
})

t.test('a publication leaves out those it excludes, and those that have left', async (t) => {
  const world = new World()
  const { host, clients, handles, join, publish } = members(world, 3)
  for (let i = 0; i < 3; i++) join(i)
  for (const c of clients) c.take()
  publish('x', [handles[1]])
  t.same(
    clients.map((c) => c.only(clientKind.published).length),
    [1, 0, 1],
  )
  writePair(host.w, linkKind.leave, handles[0], 3)
  host.send()
  t.equal(read.number(clients[0].only(clientKind.leave)[0]), 0)
  publish('y')
  t.same(
    clients.map((c) => c.only(clientKind.published).length),
    [0, 1, 1],
  )
})

t.test('G4: membership ends with the handle', async (t) => {
  const world = new World()
  const { host, clients, join, publish } = members(world, 2)
  join(0)
  join(1)
  clients[0].attach({ epoch: 2, key: 'room' })
  host.attached(host.attaches()[0])
  clients[1].carrier.events!.closed(world.now)
  world.turn()
  clients[0].take()
  publish('late')
  t.same(clients[0].kinds(), [])
  t.equal(host.carrier.closedWith, undefined)
})

t.test(
  'G4: a slow member misses publications, the others do not, and LAG tells it when it has caught up',
  async (t) => {
    const world = new World({ limits: { ...testSettings().limits, connectionBytesMax: 100_000 } })
    const { clients, join, publish } = members(world, 2)
    join(0)
    join(1)
    for (const c of clients) c.take()
    clients[0].carrier.isReading = false
    const large = new Uint8Array(10_000)
    for (let i = 0; i < 20; i++) publish(large)
    t.equal(clients[0].carrier.closedWith, undefined, 'publications alone never close a client')
    t.equal(clients[1].only(clientKind.published).length, 20)
    clients[0].carrier.read(world.now)
    world.turn()
    const kinds = clients[0].kinds()
    t.ok(kinds.length > 3 && kinds.length < 10, `${kinds.length}`)
    t.equal(kinds[kinds.length - 1], clientKind.lag)
    publish('again')
    t.same(clients[0].kinds(), [clientKind.published])
  },
)

t.test('groups stay apart, and what a host says of strangers is not listened to', async (t) => {
  const world = new World()
  const { host, clients, handles, join, publish } = members(world, 2)
  join(0, 3)
  join(1, 4)
  for (const c of clients) c.take()
  publish('three', [], 3)
  t.same(
    clients.map((c) => c.only(clientKind.published).length),
    [1, 0],
  )
  writeJoin(host.w, linkKind.join, { channel: 4444, group: 1, recoverable: false, name: 'x', life: 0n, offset: 0 })
  writePair(host.w, linkKind.leave, handles[0], 99)
  writePublish(host.w, 77, 0, 0, [], bytes('nobody'))
  writeOneway(host.w, handles[0], 1, 0, bytes('alive'))
  host.send()
  t.equal(clients[0].only(laneKind.oneway).length, 1)
  writeJoin(host.w, linkKind.join, {
    channel: handles[0],
    group: 1 << 30,
    recoverable: false,
    name: 'x',
    life: 0n,
    offset: 0,
  })
  host.send()
  t.equal(host.carrier.closedWith, code.protocol)
})

t.test('L3: the number of a group that has ended rests before it names another', async (t) => {
  const world = new World()
  const { clients, join, host, handles } = members(world, 1)
  const seen: number[] = []
  for (let i = 0; i < 300; i++) {
    join(0, 3, `g${i}`)
    seen.push(read.join(clients[0].only(clientKind.join)[0]).group)
    writePair(host.w, linkKind.leave, handles[0], 3)
    host.send()
  }
  for (let i = 200; i < seen.length; i++) t.equal(new Set(seen.slice(i - 200, i)).size, 200)
  t.ok(Math.max(...seen) < 300)
})

t.test('G4: a LAG of the host itself reaches every member', async (t) => {
  const world = new World()
  const { host, clients, join } = members(world, 2)
  join(0)
  join(1)
  for (const c of clients) c.take()
  host.w.begin(linkKind.lag).varint(3).end()
  host.send()
  for (const c of clients) t.same(c.kinds(), [clientKind.lag])
})
