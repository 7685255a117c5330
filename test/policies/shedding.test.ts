// Shedding: levels and their order, one late sample, what is never shed; how old a queue is; and the page, running.
import t from 'tap'
import { Outlet, Turn } from '../../gateway/outlet.ts'
import { QueueAge } from '../../gateway/queue-age.ts'
import { Counters } from '../../gateway/counters.ts'
import { verdict } from '../../policies/pipeline.ts'
import { Pressure, type SheddingSettings } from '../../policies/shedding.ts'
import { code } from '../../protocols/codes.ts'
import { laneKind, writeOneway, writeReply } from '../../protocols/wire/lane-frames.ts'
import { attachedPair, bytes, clientKind, read, TestCarrier, World } from '../gateway/world.ts'
import { cookbook, pageText } from './cookbook.ts'

const settings: SheddingSettings = { mode: 'enforce', eventLoopDelayMs: 100, memoryShare: 0.9, queueAgeMs: 1000 }
const calm = { eventLoopDelayMs: 0, memoryShare: 0.1, queueAgeMs: 0 }

t.test('the level rises with each sample past a threshold and falls a step a second', async (t) => {
  const pressure = new Pressure(settings)
  const levels = (samples: Partial<typeof calm>[], from: number): number[] =>
    samples.map((change, i) => {
      pressure.sample({ ...calm, ...change }, from + i * 100)
      return pressure.level
    })
  t.same(levels([{ memoryShare: 0.9 }, { memoryShare: 0.91 }, { queueAgeMs: 1001 }], 0), [0, 1, 2])
  t.same(levels([{ memoryShare: 1 }, { memoryShare: 1 }], 300), [3, 3])
  const after = levels(
    Array.from({ length: 40 }, () => ({})),
    500,
  )
  t.same([after[8], after[9], after[18], after[19], after[28], after[29]], [3, 2, 2, 1, 1, 0])
  t.same(levels([{ memoryShare: 0.91 }], 5000), [1])
  t.equal(
    levels(
      Array.from({ length: 30 }, () => ({ memoryShare: 0.85 })),
      5100,
    ).at(-1),
    1,
    'nearly is not calm',
  )
})

t.test('one late sample is no overload, several are', async (t) => {
  const pressure = new Pressure(settings)
  pressure.sample({ ...calm, eventLoopDelayMs: 60_000 }, 0)
  t.equal(pressure.level, 0, 'the machine slept')
  pressure.sample(calm, 100)
  t.equal(pressure.level, 0)
  for (let i = 2; i < 12; i++) pressure.sample({ ...calm, eventLoopDelayMs: 150 }, i * 100)
  t.ok(pressure.level > 0)
})

t.test('the delay of the loop is smoothed, and one sample counts for at most twice the threshold', async (t) => {
  const after = (...delays: number[]): number => {
    const pressure = new Pressure(settings)
    for (const [i, eventLoopDelayMs] of delays.entries()) pressure.sample({ ...calm, eventLoopDelayMs }, i * 100)
    return pressure.level
  }
  // Each sample moves it by three tenths of the way: 60, 102 for 200; 72, 80, 86 for 100 from 60.
  t.same([after(200), after(200, 200), after(1e9, 199), after(1e9, 100, 100, 100)], [0, 1, 1, 0])
  t.equal(after(101, 101, 101, 101, 101), 0, 'it takes longer for what is just above')
  t.equal(after(...Array(20).fill(101)) > 0, true)
})

t.test('other thresholds hold from the next sample on, and without any it is calm at once', async (t) => {
  const pressure = new Pressure(settings)
  const strained = { ...calm, memoryShare: 0.85 }
  pressure.sample(strained, 0)
  t.equal(pressure.level, 0)
  pressure.configure({ ...settings, memoryShare: 0.8 })
  t.ok(pressure.sample(strained, 100))
  pressure.configure({ ...settings, memoryShare: 0.84 })
  t.equal(pressure.level, 1, 'a reload makes it no calmer than it is')
  pressure.configure(undefined)
  t.equal(pressure.level, 0)
  t.notOk(pressure.sample({ ...strained, memoryShare: 1 }, 200))
  t.equal(pressure.level, 0)
})

t.test('the lowest priority goes first, critical never, and what has begun goes on', async (t) => {
  const route = (match: string, priority?: 'low' | 'high' | 'critical') => ({
    match,
    service: 'arena',
    policies: { priority },
  })
  const world = new World({
    routes: [
      route('arena.move', 'low'),
      route('arena.slow'),
      route('arena.small', 'high'),
      route('arena.*', 'critical'),
    ],
    policies: { shedding: settings },
  })
  const { client, host, handle } = attachedPair(world)
  client.route(3, 'arena.buy')
  host.route(0, 'arena.ask')
  let number = 0
  const shed = (): number[] => {
    for (let route = 0; route < 4; route++) writeOneway(client.w, 0, ++number, route, bytes('x'))
    client.send()
    const rejects = client.only(laneKind.reject)
    const retryMs = 1000 * world.gateway.policing.pressure.level
    t.ok(
      rejects.every(({ lane }) => lane!.code === code.overloaded && lane!.retryMs === retryMs),
      'later, the worse it is',
    )
    return rejects.map(({ lane }) => lane!.number - number + 3)
  }
  const strain = () => world.gateway.strained(0, 0.99, 0, world.now)
  t.same(shed(), [])
  strain()
  t.same(shed(), [0])
  strain()
  t.same(shed(), [0, 1])
  const waiting = world.client()
  strain()
  t.same(shed(), [0, 1, 2])
  t.same(
    world.event('shedding').map(({ level }) => level),
    [1, 2, 3],
  )

  const late = world.client()
  t.equal(read.close(late.only(clientKind.close)[0]).code, code.overloaded)
  t.ok(waiting.login('bob').welcome, 'a login in progress goes on')
  waiting.attach({ key: 'other' })
  t.equal(host.attaches().length, 1, 'and so do attaches')
  client.take()
  writeReply(client.w, 0, ++number, 1, 0, bytes('yes'))
  client.send()
  t.same(client.only(laneKind.reject), [], 'and replies')
  t.ok(handle >= 0)
})

t.test('what was read and waits for its turn is as old as what waits for a host', async (t) => {
  const world = new World({ policies: { shedding: settings, priority: 'low' } })
  const { client } = attachedPair(world)
  world.gateway.strained(0, 0, settings.queueAgeMs, world.now)
  t.same(world.event('shedding'), [])
  world.gateway.strained(0, 0, settings.queueAgeMs + 1, world.now)
  writeOneway(client.w, 0, 1, 0, bytes('x'))
  client.send()
  t.equal(client.only(laneKind.reject)[0].lane!.code, code.overloaded)
  t.equal(world.event('shedding').length, 1)
})

t.test('observed, it counts and refuses nothing', async (t) => {
  const world = new World({ policies: { shedding: { ...settings, mode: 'observe' }, priority: 'low' } })
  const { client } = attachedPair(world)
  for (let i = 0; i < 3; i++) world.gateway.strained(0, 0.99, 0, world.now)
  writeOneway(client.w, 0, 1, 0, bytes('x'))
  client.send()
  t.same(client.only(laneKind.reject), [])
  t.ok(world.client().login('bob').welcome)
  const count = [...world.gateway.policing.counts.all()].find(
    ({ policy, name }) => policy === 'shedding' && name === 'low',
  )!
  t.equal(count.observed[verdict.reject], 1)
})

t.test('a queue is as old as its oldest byte', async (t) => {
  const carrier = new TestCarrier('h1')
  const outlet = new Outlet(new Turn(new Counters(), () => {}), carrier, true)
  const age = new QueueAge(outlet)
  const write = () => {
    outlet.writer.raw(new Uint8Array(100))
    outlet.flush()
  }
  t.equal(age.sample(0), 0)
  carrier.isReading = false
  write()
  t.same([age.sample(100), age.sample(300)], [0, 200])
  write()
  t.equal(age.sample(400), 300)
  carrier.queued.shift()
  t.equal(age.sample(600), 200, 'the first is gone, the second waits since 400')
  for (let i = 0; i < 1000; i++) {
    write()
    age.sample(700 + i)
  }
  t.equal(age.sample(2000), 1600, 'however many there are')
  carrier.queued.length = 0
  t.equal(age.sample(2100), 0)
})

t.test('the page, running', async (t) => {
  const book = await cookbook(t, pageText('shedding'), ['arena.move', 'arena.buy', 'arena.say'])
  const ann = await book.player('ann')
  t.same(await ann.calls('arena.say', ['x']), ['ok'])
  const { gateway } = book.running
  gateway.strained(0, 0.86, 0, performance.now())
  gateway.strained(0, 0.86, 0, performance.now())
  const [said, moved, bought] = await Promise.all([
    ann.calls('arena.say', ['x']),
    ann.calls('arena.move', ['x']),
    ann.calls('arena.buy', ['x']),
  ])
  t.same([said, moved, bought], [['overloaded'], ['ok'], ['ok']])
})

t.test('where a reload takes shedding away, what was shed goes again at once', async (t) => {
  const pressure = new Pressure(settings)
  for (let i = 0; i < 3; i++) pressure.sample({ ...calm, memoryShare: 1 }, i)
  t.equal(pressure.level, 3)
  pressure.configure(undefined)
  t.equal(pressure.level, 0)
  pressure.configure(settings)
  t.equal(pressure.level, 0, 'nothing is left of it where it comes back')
})
