// R5: another service takes new channels and calls of one that is away or whose breaker is open, and keeps them (S6).
import t from 'tap'
import type { ServiceSettings } from '../../config/settings.ts'
import { writeLoose, writePair } from '../../protocols/client/frames.ts'
import { code } from '../../protocols/codes.ts'
import { writeOneway } from '../../protocols/wire/lane-frames.ts'
import { bytes, clientKind, host as hostSettings, linkKind, read, World } from './world.ts'
import type { TestClient, TestHost } from './world.ts'

const breaker = {
  isObserved: false,
  errorRate: 0.5,
  slowRate: 1,
  slowAfterMs: Infinity,
  consecutiveFailures: Infinity,
  volume: 6,
  windowMs: 10_000,
  openMs: 5000,
  openMsMax: 60_000,
  probes: 2,
}
const offer = (name: string) => [{ name, weight: 1, keys: 1, park: true }]

type Rig = { world: World; arena: TestHost; lite: TestHost; dead: () => void; back: () => TestHost }

function rig(change: Partial<ServiceSettings> = {}, lite: Partial<ServiceSettings> = {}): Rig {
  const services: ServiceSettings[] = [
    { name: 'arena', keys: 'any', whenAway: 'reject', fallback: 'lite', breaker, ...change },
    { name: 'lite', keys: 'any', whenAway: 'reject', ...lite },
  ]
  const routes = [{ match: 'arena.*', service: 'arena' }]
  const hosts = [
    { ...hostSettings('h1'), services: ['arena'] },
    { ...hostSettings('h2'), services: ['lite'] },
  ]
  const world = new World({ services, routes, hosts })
  const arena = world.host('h1', 1n, 1, offer('arena'))
  return {
    world,
    arena,
    lite: world.host('h2', 1n, 1, offer('lite')),
    dead: () => arena.carrier.events!.closed(world.now),
    back: () => world.host('h1', 1n, 2, offer('arena')),
  }
}

const refusals = (c: TestClient) => c.only(clientKind.refused).map((frame) => read.answer(frame).code)
const openBreaker = (world: World) => world.gateway.guards.force('service arena', 'open', world.now)

t.test('R5: a new channel whose host is away begins at the fallback, under the name that it asked for', async (t) => {
  const { world, lite, dead } = rig()
  dead()
  const c = world.client().login('ann').route(0, 'arena.move')
  c.take()
  c.attach({ key: 'room' })
  const [a] = lite.attaches()
  t.match(a, { service: 'lite', key: 'room', life: 0n })
  lite.attached(a)
  t.equal(c.only(clientKind.attached).length, 1)
  const [session] = [...world.gateway.connections.values()].map(({ session }) => session!)
  t.strictSame(
    session.channels.map(({ service, placedAt }) => [service, placedAt]),
    [['arena', 'lite']],
    'one channel, which counts once',
  )
  writeOneway(c.w, 0, 1, 0, bytes('x'))
  c.send()
  t.equal(lite.take().filter((frame) => frame.payload === 'x').length, 1, 'its own routes lead there')
})

t.test('R5: and so it does while the breaker of its service is open', async (t) => {
  const { world, arena, lite } = rig()
  openBreaker(world)
  world.client().login('ann').attach({ key: 'room' })
  t.equal(arena.attaches().length, 0)
  t.equal(lite.attaches().length, 1)
})

t.test('S6: it stays there, also when its own service is back', async (t) => {
  const { world, lite, dead, back } = rig()
  dead()
  const c = world.client().login('ann')
  c.attach({ key: 'room', epoch: 1 })
  lite.attached(lite.attaches()[0], { life: 9n })
  const { pin } = read.attached(c.only(clientKind.attached)[0])
  const arena = back()
  c.attach({ key: 'room', epoch: 2, life: 9n, pin })
  t.equal(arena.attaches().length, 0)
  t.match(lite.attaches(), [{ service: 'lite', key: 'room', life: 9n, pinned: true }])
  // One that begins anew goes home, and the channel there before is let go.
  c.attach({ key: 'room', epoch: 3 })
  t.match(arena.attaches(), [{ service: 'arena', life: 0n }])
})

t.test('R5: a channel that has begun is not taken elsewhere', async (t) => {
  const { world, arena, lite, dead } = rig()
  const c = world.client().login('ann')
  c.attach({ key: 'room', epoch: 1 })
  arena.attached(arena.attaches()[0], { life: 9n })
  const { pin } = read.attached(c.only(clientKind.attached)[0])
  dead()
  c.take()
  c.attach({ key: 'room', epoch: 2, life: 9n, pin })
  t.same(refusals(c), [code.host_away])
  openBreaker(world)
  c.attach({ key: 'room', epoch: 3, life: 9n })
  t.same(refusals(c), [code.host_away])
  t.equal(lite.attaches().length, 0)
})

t.test('P3: where attaches wait for their host, the fallback gets them when they have waited', async (t) => {
  const { world, lite, dead } = rig({ whenAway: 'park' })
  dead()
  const c = world.client().login('ann')
  c.attach({ key: 'room' })
  t.equal(c.only(clientKind.parked).length, 1)
  t.equal(lite.attaches().length, 0)
  for (let s = 0; s < 29; s++) {
    world.pass(1000)
    for (const peer of [c, lite]) {
      writePair(peer.w, clientKind.ping, 0, 0)
      peer.send()
    }
  }
  t.equal(lite.attaches().length, 0)
  world.pass(1001)
  t.equal(lite.attaches().length, 1)
  t.equal(world.gateway.parking.count, 0)
})

t.test('R5: refused as before where the other service cannot have it either', async (t) => {
  const { world, lite, dead } = rig({}, { keys: 'user' })
  dead()
  const c = world.client().login('ann')
  c.take()
  c.attach({ key: 'room' })
  t.same(refusals(c), [code.host_away], "another user's actor")
  c.attach({ key: 'ann', epoch: 2 })
  t.equal(lite.attaches().length, 1)
  lite.carrier.events!.closed(world.now)
  c.take()
  c.attach({ key: 'ann', epoch: 3 })
  t.same(refusals(c), [code.host_away], 'nobody there')
})

t.test('S2: a session has one channel to an actor, whatever it is called', async (t) => {
  const { world, lite, dead } = rig()
  const c = world.client().login('ann')
  c.attach({ alias: 0, service: 'lite', key: 'room', epoch: 1 })
  lite.attached(lite.attaches()[0])
  dead()
  c.take()
  c.attach({ alias: 1, key: 'room', epoch: 2 })
  t.same(refusals(c), [code.host_away], 'the other one is not cut off')
  t.equal(lite.attaches().length, 0)
  c.attach({ alias: 1, key: 'hall', epoch: 3 })
  lite.attached(lite.attaches()[0])
  c.take()
  c.attach({ alias: 2, key: 'hall', epoch: 4 })
  t.equal(lite.attaches().length, 1, 'a later attach of the same channel')
  t.match(c.only(clientKind.detached).map(read.detached), [{ channel: 1, code: code.superseded }])
})

t.test('R5: calls go there, too, while the host is away', async (t) => {
  const { world, lite, dead } = rig()
  dead()
  const c = world.client().login('ann').route(0, 'arena.buy')
  writeLoose(c.w, { request: 1, route: 0, key: 'k', deadlineMs: 0, payload: bytes('sword') })
  c.send()
  t.match(lite.only(linkKind.loose).map(read.linkLoose), [{ service: 'lite', route: 'arena.buy' }])
})
