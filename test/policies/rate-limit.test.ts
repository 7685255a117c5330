// Rate limits: what each key counts by, what each action does, replay, reload; and the page's own configuration, running.
import t from 'tap'
import type { Settings } from '../../config/settings.ts'
import { Bans } from '../../policies/bans.ts'
import { BucketTable } from '../../policies/bucket-table.ts'
import { CompileTools, type Place, PolicyCounts, type PolicySet } from '../../policies/compile.ts'
import { Judgement, verdict } from '../../policies/pipeline.ts'
import { RateLimitCheck, type RateLimitSettings } from '../../policies/rate-limit.ts'
import { Pressure } from '../../policies/shedding.ts'
import { Subject } from '../../policies/subject.ts'
import { addressKey, networkKey } from '../../policies/network.ts'
import { writeLogin } from '../../protocols/client/frames.ts'
import { code } from '../../protocols/codes.ts'
import { laneKind, writeOneway, writeSkip, writeUnreliable } from '../../protocols/wire/lane-frames.ts'
import { attachedPair, bytes, clientKind, read, testSettings, World } from '../gateway/world.ts'
import { cookbook, pageText } from './cookbook.ts'

const limit = (change: Partial<RateLimitSettings> = {}): RateLimitSettings => ({
  name: 'test',
  mode: 'enforce',
  unit: 'messages',
  perSecond: 10,
  burst: 2,
  per: ['session'],
  action: 'reject',
  delayMsMax: 0,
  banMs: 0,
  banOf: 'address',
  ...change,
})
const limited = (...limits: Partial<RateLimitSettings>[]): PolicySet => ({
  rateLimits: limits.map((change, i) => limit({ name: `limit ${i}`, ...change })),
})

/** Another session with a channel of its own, alias 0 and routes 0 and 1 ready. */
function another(world: World, h: ReturnType<typeof attachedPair>['host'], user: string, address: string) {
  const client = world.client(address).login(user)
  client.attach({ key: `of ${user} ${address}` })
  h.attached(h.attaches()[0])
  client.route(0, 'arena.move').route(1, 'arena.slow')
  client.take()
  return client
}

/** How many of so many messages, sent one by one from number `first` on, are refused. */
function refusals(
  client: ReturnType<typeof attachedPair>['client'],
  count: number,
  first: number,
  payload = 'x',
): number {
  for (let n = first; n < first + count; n++) writeOneway(client.w, 0, n, 0, bytes(payload))
  client.send()
  return client.only(laneKind.reject).length
}

t.test('exactly the burst passes, then exactly the rate; the hint is when the next one will', async (t) => {
  const world = new World({ policies: limited({}) })
  const { client } = attachedPair(world)
  t.equal(refusals(client, 2, 1), 0)
  writeOneway(client.w, 0, 3, 0, bytes('x'))
  client.send()
  const [reject] = client.only(laneKind.reject)
  t.match(reject.lane, { code: code.rate_limited, retryMs: 100 })
  world.pass(99)
  t.equal(refusals(client, 1, 4), 1)
  world.pass(1)
  t.equal(refusals(client, 2, 5), 1)
})

t.test('a session that comes back at once finds its bucket as it left it', async (t) => {
  const world = new World({ policies: limited({ perSecond: 1, burst: 2 }) })
  const { client, host, pin } = attachedPair(world)
  t.equal(refusals(client, 3, 1), 1)
  const { ticket, secret } = client.welcome!
  client.carrier.events!.closed(world.now)
  const again = world.client().resume(ticket, secret)
  again.attach({ epoch: 2, life: 7n, received: 0, sent: 3, acked: 3, pin })
  host.attached(host.attaches()[0], { received: 3 })
  again.route(0, 'arena.move')
  t.equal(refusals(again, 2, 4), 2)
})

t.test('each key has buckets of its own, and shares them where it is the same', async (t) => {
  const cases: [per: RateLimitSettings['per'], sameUser: number, sameAddress: number, other: number][] = [
    [['connection'], 0, 0, 0],
    [['session'], 0, 0, 0],
    [['user'], 2, 0, 0],
    [['address'], 0, 2, 0],
    [['network'], 0, 2, 2],
    [['global'], 2, 2, 2],
    [['service'], 2, 2, 2],
    [['listener'], 2, 2, 2],
    [['user', 'address'], 0, 0, 0],
  ]
  for (const [per, sameUser, sameAddress, other] of cases) {
    const world = new World({ policies: limited({ per }) })
    const { client, host } = attachedPair(world)
    t.equal(refusals(client, 3, 1), 1, `${per}: the burst`)
    t.equal(refusals(another(world, host, 'ann', '198.51.100.9'), 2, 1), sameUser, `${per}: same user`)
    t.equal(refusals(another(world, host, 'bob', '192.0.2.1'), 2, 1), sameAddress, `${per}: same address`)
    t.equal(refusals(another(world, host, 'cid', '192.0.2.77'), 2, 1), other, `${per}: same network`)
  }
})

t.test('per route each route has a bucket, and a wildcard is one', async (t) => {
  const world = new World({
    routes: [
      { match: 'arena.slow', service: 'arena' },
      { match: 'arena.*', service: 'arena' },
    ],
    policies: limited({ per: ['session', 'route'] }),
  })
  const { client } = attachedPair(world)
  for (let n = 1; n <= 9; n++) writeOneway(client.w, 0, n, n % 3, bytes('x'))
  client.send()
  // Routes 0 (arena.move) and 2 (arena.small) are one rule, 1 (arena.slow) another.
  t.same(
    client.only(laneKind.reject).map((frame) => frame.lane!.number),
    [5, 6, 7, 8, 9].filter((n) => n !== 4),
  )
})

t.test('a limit that is written once has a bucket for all places, but for those that it counts by', async (t) => {
  const cases: [per: RateLimitSettings['per'], listener: boolean, service: boolean, match: boolean][] = [
    [['session'], false, false, false],
    [['user', 'address'], false, false, false],
    [['global'], false, false, false],
    [['listener'], true, false, false],
    [['session', 'listener'], true, false, false],
    [['service'], false, true, false],
    [['user', 'service'], false, true, false],
    [['route'], false, true, true],
    [['session', 'route'], false, true, true],
  ]
  const here: Place = { listener: 'tcp', service: 'arena', match: 'arena.*', levels: [] }
  for (const [per, ...isApart] of cases) {
    for (const [i, elsewhere] of [{ listener: 'ws' }, { service: 'shop' }, { match: 'arena.move' }].entries()) {
      const hashKey = { lo: 1, hi: 2 }
      const state = {
        table: new BucketTable(16),
        hashKey,
        counts: new PolicyCounts(),
        pressure: new Pressure(undefined),
      }
      const tools = new CompileTools(undefined, state, 0)
      const subject = new Subject(hashKey)
      for (const key of ['session', 'user', 'address'] as const) subject.identify(key, 'a')
      const isRefused = (place: Place) =>
        new RateLimitCheck(limit({ per, burst: 1 }), 'gateway', place, tools).judge(new Judgement(subject), 0) !== 0
      t.equal(isRefused(here), false)
      t.equal(isRefused({ ...here, ...elsewhere }), !isApart[i], `${per}, ${Object.keys(elsewhere)}`)
      t.equal(isRefused(here), true)
    }
  }
})

t.test('a limit of a listener, a service or a route holds there only', async (t) => {
  const listener = (name: string, policies?: PolicySet): { settings: Settings['listeners'][number] } => ({
    settings: { name, transport: 'tcp', host: '', port: 0, security: 'none', path: '/', origins: [], policies },
  })
  const [strict, open] = [listener('strict', limited({ burst: 1 })), listener('open')]
  const world = new World({
    listeners: [strict.settings, open.settings],
    services: [
      { name: 'arena', keys: 'any', whenAway: 'park', policies: limited({ burst: 3 }) },
      { name: 'chat', keys: 'any', whenAway: 'park' },
    ],
    routes: [
      { match: 'arena.slow', service: 'arena', policies: limited({ burst: 2 }) },
      { match: '*', service: 'arena' },
      { match: '*', service: 'chat' },
    ],
  })
  const host = world.host()
  const passed = (entrance: typeof strict, service: string, route: number): number => {
    const client = world.client('192.0.2.1', entrance).login('ann')
    client.attach({ service, key: `${service} ${route}` })
    host.attached(host.attaches()[0])
    client.route(0, 'arena.move').route(1, 'arena.slow')
    client.take()
    for (let n = 1; n <= 9; n++) writeOneway(client.w, 0, n, route, bytes('x'))
    client.send()
    return 9 - client.only(laneKind.reject).length
  }
  t.equal(passed(strict, 'arena', 0), 1, 'the listener')
  t.equal(passed(open, 'arena', 0), 3, 'the service')
  t.equal(passed(open, 'arena', 1), 2, 'the route')
  t.equal(passed(open, 'chat', 0), 9, 'none of them')
})

t.test('an IPv6 client is its /64, however many addresses it uses', async (t) => {
  t.equal(addressKey('2001:db8::1'), addressKey('2001:db8:0:0:ffff::2'))
  t.not(addressKey('2001:db8::1'), addressKey('2001:db8:0:1::1'))
  t.equal(networkKey('2001:db8:0:1::1'), networkKey('2001:db8:0:2::1'))
  t.equal(addressKey('::ffff:192.0.2.1'), addressKey('192.0.2.1'))
  t.not(addressKey('192.0.2.1'), addressKey('192.0.2.2'))
  t.equal(networkKey('192.0.2.1'), networkKey('192.0.2.200'))
  t.equal(addressKey('fe80::1%eth0'), addressKey('fe80::2%eth0'))
  t.equal(addressKey('sim-7'), 'sim-7')
  const world = new World({ policies: limited({ per: ['address'] }) })
  const { host } = attachedPair(world)
  t.equal(refusals(another(world, host, 'v1', '2001:db8::1'), 2, 1), 0)
  t.equal(refusals(another(world, host, 'v2', '2001:db8::ffff:1'), 2, 1), 2)
  t.equal(refusals(another(world, host, 'v3', '2001:db8:0:1::1'), 2, 1), 0)
})

t.test('bytes are counted without headers, and what no burst holds is too large', async (t) => {
  const world = new World({ policies: limited({ unit: 'bytes', perSecond: 10, burst: 20 }) })
  const { client } = attachedPair(world)
  t.equal(refusals(client, 2, 1, '0123456789'), 0)
  t.equal(refusals(client, 1, 3, '0'), 1)
  world.pass(100)
  t.equal(refusals(client, 1, 4, '0'), 0)
  world.pass(5000)
  writeOneway(client.w, 0, 5, 0, bytes('0'.repeat(21)))
  client.send()
  t.match(client.only(laneKind.reject)[0].lane, { code: code.too_large, retryMs: 0 })
})

t.test('R4: drop is a refusal without a hint; close is one, then the connection ends', async (t) => {
  const world = new World({ policies: limited({ action: 'drop' }) })
  const { client, host } = attachedPair(world)
  host.take()
  for (let n = 1; n <= 3; n++) writeOneway(client.w, 0, n, 0, bytes('x'))
  client.send()
  t.match(client.only(laneKind.reject)[0].lane, { number: 3, code: code.dropped, retryMs: 0 })
  t.match(host.only(laneKind.skip)[0].lane, { number: 3, count: 1, code: code.dropped })

  const strict = new World({ policies: limited({ action: 'close' }) })
  const pair = attachedPair(strict)
  pair.host.take()
  for (let n = 1; n <= 4; n++) writeOneway(pair.client.w, 0, n, 0, bytes('x'))
  pair.client.send()
  const frames = pair.client.take()
  t.match(frames.find((frame) => frame.kind === laneKind.reject)!.lane, { number: 3, code: code.rate_limited })
  t.match(read.close(frames.find((frame) => frame.kind === clientKind.close)!), {
    code: code.rate_limited,
    retryMs: 100,
  })
  t.equal(frames.filter((frame) => frame.kind === laneKind.reject).length, 1, 'nothing behind it is judged')
  t.match(
    pair.host.only(laneKind.skip)[0].lane,
    { number: 3, count: 1 },
    'and the host was told, so it is not replayed',
  )
})

t.test(
  'R4: delay holds the lane, in order, until there are tokens; what would wait too long is rejected',
  async (t) => {
    const world = new World({ policies: limited({ action: 'delay', delayMsMax: 250 }) })
    const { client, host } = attachedPair(world)
    host.take()
    for (let n = 1; n <= 4; n++) writeOneway(client.w, 0, n, 0, bytes(`${n}`))
    writeSkip(client.w, 0, 5, 1, 0)
    writeUnreliable(client.w, 0, 1, 1, bytes('u'))
    client.send()
    const came = () => host.take().flatMap(({ lane }) => (lane === undefined ? [] : [`${lane.kind}:${lane.number}`]))
    const { oneway, skip, unreliable } = laneKind
    t.same(came(), [`${oneway}:1`, `${oneway}:2`], 'unnumbered messages are not held, and have no token either')
    world.pass(99)
    t.same(came(), [])
    world.pass(1)
    t.same(came(), [`${oneway}:3`])
    world.pass(100)
    t.same(came(), [`${oneway}:4`, `${skip}:5`])
    t.same(client.only(laneKind.reject), [])
    t.ok(unreliable)

    const slow = new World({ policies: limited({ perSecond: 1, action: 'delay', delayMsMax: 250 }) })
    const pair = attachedPair(slow)
    pair.client.take()
    t.equal(refusals(pair.client, 4, 1), 2, 'a second is longer than it may wait')
  },
)

t.test('R4: what a lane holds is dropped with its attach, and bounded', async (t) => {
  const world = new World({ policies: limited({ perSecond: 1, burst: 1, action: 'delay', delayMsMax: 5000 }) })
  const { client, host, pin } = attachedPair(world)
  for (let n = 1; n <= 3; n++) writeOneway(client.w, 0, n, 0, bytes(`${n}`))
  client.send()
  client.attach({ epoch: 2, life: 7n, sent: 3, acked: 0, pin })
  host.attached(host.attaches()[0], { received: 1 })
  host.take()
  for (let n = 2; n <= 3; n++) writeOneway(client.w, 0, n, 0, bytes(`${n}`))
  client.send()
  world.pass(2000)
  t.same(
    host.take().flatMap(({ lane }) => (lane === undefined ? [] : [lane.number])),
    [2, 3],
    'each once',
  )
  client.take()
  let number = 3
  while (client.carrier.closedWith === undefined && number < 20_000) {
    for (let i = 0; i < 500; i++) writeOneway(client.w, 0, ++number & 0xffff, 0, bytes('x'))
    client.send()
  }
  t.ok(number <= 17_000, `closed after ${number}`)
})

t.test('a ban keeps an address or a user away for its time, and nobody else', async (t) => {
  for (const banOf of ['address', 'user'] as const) {
    const world = new World({ policies: limited({ action: 'ban', banMs: 60_000, banOf }) })
    const { client, host } = attachedPair(world)
    const other = another(world, host, 'bob', '198.51.100.1')
    const { ticket, secret } = client.welcome!
    for (let n = 1; n <= 3; n++) writeOneway(client.w, 0, n, 0, bytes('x'))
    client.send()
    const frames = client.take()
    t.match(frames.find((frame) => frame.kind === laneKind.reject)!.lane, { number: 3, code: code.rate_limited })
    t.equal(read.close(frames.find((frame) => frame.kind === clientKind.close)!).code, code.banned)
    t.match(world.event('banned'), [{ of: banOf, user: 'ann', ms: 60_000 }])
    t.equal(refusals(other, 1, 1), 0)

    const answer = (user: string, address: string): number => {
      const late = world.client(address)
      const [close] = late.take().filter((frame) => frame.kind === clientKind.close)
      if (close !== undefined) return read.close(close).code
      writeLogin(late.w, { version: 1, token: bytes(user), agent: 'test' })
      late.send()
      const closes = late.only(clientKind.close)
      return closes.length === 0 ? code.ok : read.close(closes[0]).code
    }
    t.equal(answer('ann', '192.0.2.1'), code.banned)
    t.equal(answer('cid', '192.0.2.1'), banOf === 'address' ? code.banned : code.ok)
    t.equal(answer('ann', '192.0.2.9'), banOf === 'user' ? code.banned : code.ok)
    if (banOf === 'user') {
      t.equal(read.close(world.client().resume(ticket, secret).only(clientKind.close)[0]).code, code.banned)
    }
    world.pass(60_001)
    t.equal(answer('ann', '192.0.2.1'), code.ok)
    t.same(world.gateway.policing.bans.list(world.now), [])
  }
})

t.test('bans are bounded, and can be lifted', async (t) => {
  const bans = new Bans(100)
  for (let i = 0; i < 1000; i++) bans.add('address', `a${i}`, 1000 + i, 'test', 0)
  t.equal(bans.list(0).length, 100)
  t.ok(bans.has('address', 'a999', 1998))
  t.notOk(bans.has('address', 'a999', 1999))
  bans.add('user', 'ann', 5000, 'test', 0)
  bans.add('user', 'ann', 3000, 'test', 0)
  t.ok(bans.has('user', 'ann', 4000), 'never made shorter')
  t.ok(bans.lift('user', 'ann'))
  t.notOk(bans.has('user', 'ann', 4000))
})

t.test('observed limits count what they would have said, and let pass', async (t) => {
  const world = new World({ policies: limited({ mode: 'observe', action: 'close' }) })
  const { client } = attachedPair(world)
  t.equal(refusals(client, 5, 1), 0)
  const [count] = world.gateway.policing.counts.all()
  t.equal(count.observed[verdict.close], 3)
  t.equal(count.enforced[verdict.close], 0)
})

t.test('unnumbered messages are dropped by the same limit', async (t) => {
  const world = new World({ policies: limited({}) })
  const { client, host } = attachedPair(world)
  host.take()
  for (let n = 1; n <= 5; n++) writeUnreliable(client.w, 0, 1, 0, bytes(`${n}`))
  client.send()
  t.equal(host.only(laneKind.unreliable).length, 2)
  t.same(client.only(laneKind.reject), [])
})

t.test('R6: replay has min(window, rate x quiet) more, for messages and for bytes', async (t) => {
  for (const [change, size, expected] of [
    [{ perSecond: 10, burst: 2 }, 1, 2 + 5],
    [{ perSecond: 1000, burst: 2 }, 1, 2 + 8],
    [{ unit: 'bytes', perSecond: 100, burst: 20 }, 10, 2 + 5],
  ] as const) {
    const world = new World({ policies: limited(change) })
    const { client, host, pin } = attachedPair(world)
    refusals(client, 2, 1, 'x'.repeat(size))
    client.attach({ epoch: 2, life: 7n, sent: 20, acked: 2, pin })
    host.attached(host.attaches()[0], { received: 2, quietForMs: 500, windowCount: 8, windowBytes: 65_536 })
    client.take()
    const refused = refusals(client, 18, 3, 'x'.repeat(size))
    t.equal(18 - refused + 2, expected, JSON.stringify(change))
  }
})

t.test('a limit that a reload leaves as it is goes on, and one that it changes keeps its tokens', async (t) => {
  const world = new World({ policies: limited({ perSecond: 1, burst: 4 }) })
  const { client } = attachedPair(world)
  t.equal(refusals(client, 4, 1), 0)
  const reload = (...limits: Partial<RateLimitSettings>[]) =>
    world.gateway.configure({ ...testSettings(), policies: limited(...limits) }, world.now)
  reload({ perSecond: 1, burst: 4 }, { perSecond: 1000, burst: 1000 })
  t.equal(refusals(client, 1, 5), 1)
  reload({ perSecond: 1, burst: 100 })
  t.equal(refusals(client, 1, 6), 1, 'a larger burst is not a full one')
  reload({ perSecond: 1, burst: 4, per: ['global'] })
  t.equal(refusals(client, 5, 7), 1, 'counted by something else it is another limit')
})

t.test('a flood of sessions is held to its addresses, and the honest one passes', async (t) => {
  const world = new World({
    limits: { ...testSettings().limits, connectionsMax: 1000 },
    policies: limited({ perSecond: 10, burst: 10 }, { perSecond: 50, burst: 50, per: ['address'] }),
  })
  const { client: honest, host } = attachedPair(world)
  let passed = 0
  for (let i = 0; i < 60; i++) passed += 10 - refusals(another(world, host, `bot ${i}`, '203.0.113.7'), 10, 1)
  t.equal(passed, 50)
  t.equal(refusals(honest, 10, 1), 0)
})

t.test('the page, running', async (t) => {
  const routes = ['arena.move', 'arena.upload', 'arena.say']
  const book = await cookbook(t, pageText('rate-limit'), routes)
  const ann = await book.player('ann')
  const moves = await ann.calls(
    'arena.move',
    Array.from({ length: 40 }, (_, i) => i),
  )
  t.equal(moves.filter((end) => end === 'ok').length, 20)
  t.equal(moves.filter((end) => end === 'rate_limited').length, 20)
  t.equal(book.count('moves', verdict.reject), 20)
  const kilobytes = Array.from({ length: 30 }, () => 'x'.repeat(1000))
  const uploads = await ann.calls('arena.upload', kilobytes)
  t.ok(uploads.filter((end) => end === 'ok').length < 30, 'uploads are limited by bytes')
  t.ok(book.count('uploads', verdict.reject) > 0)
  t.same(await ann.calls('arena.say', ['hello']), ['ok'])
  t.equal(book.count('households', verdict.reject, 'observed'), 0)
})
