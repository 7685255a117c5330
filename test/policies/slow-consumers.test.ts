// Slow consumers: thresholds per listener, observation, being behind for too long; and the page, running.
import t from 'tap'
import type { Entrance } from '../../gateway/seams.ts'
import { verdict } from '../../policies/pipeline.ts'
import { SLOW_CONSUMER_DEFAULTS, type SlowConsumerSettings } from '../../policies/slow-consumers.ts'
import { code } from '../../protocols/codes.ts'
import { laneKind, writeLatest, writeUnreliable } from '../../protocols/wire/lane-frames.ts'
import { attachedPair, bytes, clientKind, read, World } from '../gateway/world.ts'
import { type Context, service } from '../../sdk/host/index.ts'
import { eventually } from '../gateway/io/started.ts'
import { cookbookOf, pageText } from './cookbook.ts'
import { Wire } from './wire.ts'

const slow = (change: Partial<SlowConsumerSettings>) => ({
  policies: { slowConsumers: { ...SLOW_CONSUMER_DEFAULTS, ...change } },
})

function stalledPair(change: Partial<SlowConsumerSettings>) {
  const world = new World(slow(change))
  const pair = attachedPair(world)
  pair.host.route(5, 'arena.seen')
  pair.client.take()
  pair.client.carrier.isReading = false
  const latest = (key: string, size: number, stamp: number) => {
    writeLatest(pair.host.w, pair.handle, 1, 5, key, stamp, bytes('x'.repeat(size)))
    pair.host.send()
  }
  const countOf = (said: number, mode: 'enforced' | 'observed' = 'enforced') =>
    [...world.gateway.policing.counts.all()].find(({ policy }) => policy === 'slow_consumers')![mode][said]
  return { world, ...pair, latest, countOf }
}

t.test(
  'above `latestAbove` the newest value of a key waits alone, and goes out when the client reads again',
  async (t) => {
    const { client, world, latest, countOf } = stalledPair({ latestAboveBytes: 2048, latestKeysMax: 2 })
    latest('a', 2000, 1)
    latest('a', 500, 2)
    for (let stamp = 3; stamp <= 10; stamp++) latest('a', 10, stamp)
    latest('b', 10, 1)
    latest('c', 10, 1)
    t.equal(countOf(verdict.delay), 10)
    client.carrier.read(world.now)
    world.turn()
    const came = client.take().filter((frame) => frame.kind === laneKind.latest)
    t.same(
      came.map(({ lane }) => [lane!.key, lane!.stamp]),
      [
        ['a', 1],
        ['a', 2],
        ['a', 10],
        ['b', 1],
      ],
      'the key beyond `latestKeysMax` was dropped',
    )
  },
)

t.test('above `dropAbove` unreliable messages are dropped', async (t) => {
  const { client, host, handle, world, countOf } = stalledPair({ dropAboveShare: 0.01 })
  const cap = world.gateway.limits.connectionBytesMax * 0.01
  const sent = Math.ceil(cap / 1000) + 4
  for (let i = 0; i < sent; i++) {
    writeUnreliable(host.w, handle, 1, 5, bytes('x'.repeat(1000)))
    host.send()
  }
  t.ok(countOf(verdict.drop) >= 3, `${countOf(verdict.drop)}`)
  client.carrier.read(world.now)
  t.equal(client.only(laneKind.unreliable).length, sent - countOf(verdict.drop))
})

t.test('who is owed something for too long is closed, who catches up is not', async (t) => {
  for (const catchesUp of [false, true]) {
    const { client, world, latest } = stalledPair({ latestAboveBytes: 1024, behindMaxMs: 3000 })
    latest('a', 1500, 1)
    latest('a', 10, 2)
    world.pass(2900)
    if (catchesUp) {
      client.carrier.read(world.now)
      world.turn()
      client.carrier.isReading = false
    }
    world.pass(200)
    client.carrier.read(world.now)
    const closes = client.only(clientKind.close).map((frame) => read.close(frame).code)
    t.same(closes, catchesUp ? [] : [code.slow])
  }
})

t.test('observed, nothing is held, dropped or closed, and all of it is counted', async (t) => {
  const { client, host, handle, world, latest, countOf } = stalledPair({
    mode: 'observe',
    latestAboveBytes: 1024,
    dropAboveShare: 0.003,
  })
  for (let stamp = 1; stamp <= 5; stamp++) latest('a', 600, stamp)
  writeUnreliable(host.w, handle, 1, 5, bytes('x'))
  host.send()
  t.ok(countOf(verdict.delay, 'observed') >= 3)
  t.equal(countOf(verdict.drop, 'observed'), 1)
  client.carrier.read(world.now)
  t.equal(client.take().filter(({ kind }) => kind === laneKind.latest || kind === laneKind.unreliable).length, 6)
})

t.test("a listener's own settings take the place of the gateway's", async (t) => {
  const own = { name: 'web', ...slow({ latestAboveBytes: 1024 }) }
  const base = { transport: 'tcp', host: '', port: 0, security: 'none', path: '/', origins: [] } as const
  const listener = { ...base, origins: [], ...own }
  const world = new World({ ...slow({ latestAboveBytes: 4096 }), listeners: [listener] })
  const of = (entrance?: Entrance): number => {
    const client = world.client('192.0.2.1', entrance)
    client.login('ann')
    return [...world.gateway.connections].at(-1)!.slow().settings.latestAboveBytes
  }
  t.same([of({ settings: listener }), of()], [1024, 4096])
})

t.test('the page, running: who reads late gets the newest value of a key, and all that is reliable', async (t) => {
  const wire = new Wire(t)
  let isHeldBack = () => false
  let sent = 0
  const say = async (ctx: Context<undefined>) => {
    while (!isHeldBack() && sent < 4000) {
      ctx.latest(ctx.session, 'arena.seen', 'me', { stamp: ++sent, fill: 'x'.repeat(32_000) })
      await new Promise(setImmediate)
    }
    // One for each turn: what is sent in the same turn is one value already when it leaves the host.
    for (let i = 0; i < 3; i++) {
      ctx.latest(ctx.session, 'arena.seen', 'me', { stamp: ++sent, fill: '' })
      ctx.push(ctx.session, 'arena.told', i)
      await new Promise(setImmediate)
    }
    return 'said'
  }
  const book = await cookbookOf(t, pageText('slow-consumers'), () => [
    service('arena', { keys: 'any', routes: { 'arena.say': say, 'arena.enter': () => 'in' } }),
  ])
  isHeldBack = () => book.count('slow_consumers gateway', verdict.delay) >= 20
  const ann = await book.player('ann', 'room', 'arena', await wire.to(book.address))
  const seen: number[] = []
  const told: unknown[] = []
  ann.room.on('arena.seen', (payload) => void seen.push((payload as { stamp: number }).stamp))
  ann.room.on('arena.told', (payload) => void told.push(payload))
  t.equal(await ann.room.call('arena.enter'), 'in')
  wire.hold()
  const said = ann.room.call('arena.say', 'x')
  await eventually(isHeldBack, 'values that are held back')
  wire.release()
  t.equal(await said, 'said')
  await eventually(() => seen.at(-1) === sent, 'the newest value')
  t.same(told, [0, 1, 2])
  t.ok(seen.length <= sent - 19, `${seen.length} of ${sent} came`)
  const { compiled } = book.running.gateway.policing
  t.match(compiled.slowConsumers('websocket-8080').settings, { dropAboveShare: 0.25, behindMaxMs: 30_000 })
})
