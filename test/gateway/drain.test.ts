// Draining, readiness, reload and what the admin interface is shown.
import t from 'tap'
import { code } from '../../protocols/codes.ts'
import { laneKind, writeOneway } from '../../protocols/wire/lane-frames.ts'
import { attachedPair, bytes, clientKind, linkKind, read, testSettings, World } from './world.ts'

t.test('readiness needs a linked host and no drain, and says why not', async (t) => {
  const world = new World()
  t.same(world.gateway.readiness(), { ready: false, reasons: ['no host is linked'] })
  world.host()
  t.same(world.gateway.readiness(), { ready: true, reasons: [] })
  world.gateway.drain(1000, world.now)
  t.same(world.gateway.readiness(), { ready: false, reasons: ['draining'] })
})

t.test('O1: a drain tells every client at a rate, with times of their own, and closes what is left', async (t) => {
  const world = new World()
  const host = world.host()
  const clients = Array.from({ length: 100 }, (_, i) => world.client().login(`u${i}`))
  for (const c of clients) c.take()
  world.gateway.drain(2000, world.now)
  world.turn()
  t.equal(read.close(host.only(linkKind.drain)[0]).retryMs, 2000, 'hosts are told too')
  const told = () =>
    clients
      .map((c) => c.only(clientKind.drain))
      .filter((f) => f.length > 0)
      .map((f) => read.close(f[0]))
  world.pass(500)
  const early = told()
  t.ok(early.length > 30 && early.length < 70, `${early.length}`)
  world.pass(600)
  const late = told()
  t.equal(early.length + late.length, 100)
  t.ok(new Set(early.map((d) => d.retryMs)).size > 20)
  t.ok(late.every((d) => d.code === code.going_away && d.retryMs < 2000))
  for (const c of clients.slice(0, 60)) c.carrier.events!.closed(world.now)
  world.pass(1000)
  t.ok(clients.slice(60).every((c) => c.carrier.closedWith === code.going_away))
  t.same(world.event('drain_finished'), [{ event: 'drain_finished', left: 40 }])
})

t.test('a drain is finished when the last client has gone, and takes no new ones', async (t) => {
  const world = new World()
  const c = world.client().login('ann')
  world.gateway.drain(10_000, world.now)
  world.pass(100)
  const late = world.client()
  t.equal(late.carrier.closedWith, code.going_away)
  c.carrier.events!.closed(world.now)
  t.match(world.event('drain_finished'), [{ left: 0 }])
  const empty = new World()
  empty.gateway.drain(10_000, empty.now)
  empty.pass(0)
  t.equal(empty.event('drain_finished').length, 1)
})

t.test('a drain that is taken back closes nobody, and the gateway is ready again', async (t) => {
  const world = new World()
  world.host()
  const c = world.client().login('ann')
  world.gateway.drain(1000, world.now)
  world.gateway.undrain()
  world.pass(4000)
  t.equal(c.carrier.closedWith, undefined)
  t.equal(world.client().login('bob').carrier.closedWith, undefined)
  t.ok(world.gateway.readiness().ready)
})

t.test('a host that the operator sets aside gets no new actors until it is taken back', async (t) => {
  const world = new World()
  const host = world.host()
  t.ok(world.gateway.setAside('h1', true))
  t.notOk(world.gateway.setAside('h9', true))
  const c = world.client().login('ann').attach()
  t.equal(host.attaches().length, 0)
  t.match(world.gateway.hosts(), [{ isDraining: true }])
  world.gateway.setAside('h1', false)
  c.attach({ epoch: 2 })
  t.equal(host.attaches().length, 1)
})

t.test('L3: a reload swaps routes under live channels; a removed route is refused, a new one passes', async (t) => {
  const world = new World()
  const { client, host } = attachedPair(world)
  client.route(5, 'arena.later')
  host.take()
  const settings = testSettings()
  const routes = [{ match: 'arena.later', service: 'arena' }]
  world.gateway.configure({ ...settings, routes }, world.now)
  client.take()
  writeOneway(client.w, 0, 1, 0, bytes('gone'))
  writeOneway(client.w, 0, 2, 5, bytes('new'))
  client.send()
  t.equal(client.only(laneKind.reject)[0].lane!.code, code.no_route)
  t.same(
    host
      .take()
      .filter((f) => f.lane)
      .map((f) => f.kind),
    [laneKind.skip, laneKind.oneway],
  )
})

t.test('sessions and hosts are shown as they are', async (t) => {
  const world = new World()
  const { client } = attachedPair(world)
  t.match(world.gateway.session(client.welcome!.session), {
    user: 'ann',
    connections: [{ transport: 'test', address: '192.0.2.1' }],
    channels: [{ service: 'arena', key: 'room', host: 'h1', state: 'attached', epoch: 1 }],
  })
  t.match(world.gateway.hosts(), [{ host: 'h1', state: 'linked', channels: 1, links: 1, parked: 0 }])
  t.equal(world.gateway.session('nobody'), undefined)
})
