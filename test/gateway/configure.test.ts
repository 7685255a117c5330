// What a reload does to those who are there: as little as can be.
import t from 'tap'
import type { Settings } from '../../config/settings.ts'
import { writePair } from '../../protocols/client/frames.ts'
import { code } from '../../protocols/codes.ts'
import { laneKind, writeOneway } from '../../protocols/wire/lane-frames.ts'
import type { Entrance } from '../../gateway/seams.ts'
import { attachedPair, bytes, clientKind, linkKind, read, testSettings, World } from './world.ts'

const limited = (rate: string): Settings['routes'] => {
  const [perSecond, burst] = rate.split(' ').map(Number)
  return [
    { match: 'arena.other', service: 'arena' },
    { match: 'arena.move', service: 'arena', rate: { perSecond, burst } },
  ]
}

t.test('a rate that a reload changes holds for sessions that are there, and a reload fills no bucket', async (t) => {
  const world = new World()
  const { client } = attachedPair(world)
  let number = 0
  /** How many of so many messages pass now. */
  const passed = (count: number): number => {
    client.take()
    for (let i = 0; i < count; i++) writeOneway(client.w, 0, ++number, 0, bytes('m'))
    client.send()
    return count - client.only(laneKind.reject).length
  }
  const reload = (routes: Settings['routes']) => world.gateway.configure({ ...testSettings(), routes }, world.now)
  reload(limited('1 5'))
  t.equal(passed(10), 5)
  reload(limited('1 5'))
  t.equal(passed(10), 0, 'the same again')
  reload(limited('1 50').toReversed())
  t.equal(passed(10), 0, 'at another place, with another burst')
  reload(limited('10 50'))
  world.pass(1000)
  t.equal(passed(20), 10)
  reload([{ match: 'arena.*', service: 'arena' }])
  t.equal(passed(100), 100, 'the limit is gone')
})

t.test('a shorter heartbeat closes nobody who keeps to the one that he was told', async (t) => {
  const world = new World()
  const { client, host } = attachedPair(world)
  const settings = testSettings()
  const { heartbeatMs, linkHeartbeatMs } = settings.times
  world.pass(linkHeartbeatMs * 0.9)
  const times = { ...settings.times, heartbeatMs: heartbeatMs / 10, linkHeartbeatMs: linkHeartbeatMs / 10 }
  world.gateway.configure({ ...settings, times }, world.now)
  const steps = Math.ceil((3 * heartbeatMs) / (linkHeartbeatMs / 20))
  for (let i = 0; i < steps; i++) {
    world.pass(linkHeartbeatMs / 20)
    if (i % 20 === 0) {
      writePair(client.w, clientKind.ping, 1, 0)
      client.send()
    }
    for (const ping of host.only(linkKind.ping)) {
      writePair(host.w, linkKind.pong, read.pair(ping).first, 0)
      host.send()
    }
  }
  t.equal(client.carrier.closedWith, undefined)
  t.equal(host.carrier.closedWith, undefined)
})

t.test('a listener that is taken away lets its own clients go, at a rate, and nobody else', async (t) => {
  const world = new World()
  const entrance = (name: string): Entrance => ({
    settings: { name, transport: 'tcp', host: '', port: 0, security: 'none', path: '/', origins: [] },
  })
  const [kept, removed] = [entrance('kept'), entrance('removed')]
  const stays = Array.from({ length: 5 }, (_, i) => world.client('192.0.2.1', kept).login(`s${i}`))
  const goes = Array.from({ length: 50 }, (_, i) => world.client('192.0.2.1', removed).login(`g${i}`))
  for (const c of [...stays, ...goes]) c.take()
  world.gateway.drainEntrance(removed, 2000, world.now)
  world.pass(500)
  const early = goes.filter((c) => c.only(clientKind.drain).length > 0).length
  t.ok(early > 10 && early < 40, `${early}`)
  goes[0].carrier.events!.closed(world.now)
  world.pass(1600)
  t.ok(goes.slice(1).every((c) => c.carrier.closedWith === code.going_away))
  for (const c of stays) {
    t.same(c.take(), [])
    t.equal(c.carrier.closedWith, undefined)
  }
  t.same(world.event('drain_finished'), [])
})
