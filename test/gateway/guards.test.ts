// Circuit breakers and limits of requests under way, in the gateway: what they see pass by, what they refuse and how (R1 on
// a route, R5 for hosts and services), and canaries that a breaker takes back.
import t from 'tap'
import type { BreakerSettings, RouteSettings, Settings } from '../../config/settings.ts'
import { writeLoose, writeLooseReply } from '../../protocols/client/frames.ts'
import { Guard } from '../../gateway/guard.ts'
import { code } from '../../protocols/codes.ts'
import { laneKind, writeOneway, writeReply, writeRequest } from '../../protocols/wire/lane-frames.ts'
import { bytes, clientKind, EMPTY, host as hostSettings, linkKind, read, World } from './world.ts'
import type { TestClient, TestHost } from './world.ts'

const breaker: BreakerSettings = {
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
const arena = { name: 'arena', keys: 'any', whenAway: 'park' } as const
const buy: RouteSettings = { match: 'arena.buy', service: 'arena' }

function worldOf(route: Partial<RouteSettings>, change: Partial<Settings> = {}): { world: World; host: TestHost } {
  const routes = [
    { ...buy, ...route },
    { match: 'arena.*', service: 'arena' },
  ]
  const world = new World({ services: [arena], routes, ...change })
  return { world, host: world.host() }
}

/** A client attached to an actor of its own; route 0 is arena.buy, 1 arena.move. */
class Player {
  readonly client: TestClient
  readonly host: TestHost
  readonly handle: number
  #up = 0
  #down = 0

  constructor(world: World, host: TestHost, name: string) {
    this.client = world.client().login(name)
    this.client.attach({ key: name })
    this.host = host
    const attach = host.attaches()[0]
    host.attached(attach)
    host.route(5, 'arena.told')
    this.handle = attach.handle
    this.client.route(0, 'arena.buy').route(1, 'arena.move').take()
  }

  /** A request on arena.buy; the codes of refusals that came at once. */
  ask(id: number, deadlineMs = 0): number[] {
    writeRequest(this.client.w, 0, ++this.#up, 0, id, deadlineMs, bytes('sword'))
    this.client.send()
    return this.client.only(laneKind.reject).map((frame) => frame.lane!.code)
  }

  tell(route: number): number[] {
    writeOneway(this.client.w, 0, ++this.#up, route, bytes('x'))
    this.client.send()
    return this.client.only(laneKind.reject).map((frame) => frame.lane!.code)
  }

  answer(id: number, answer: number): void {
    writeReply(this.host.w, this.handle, ++this.#down, id, answer, EMPTY)
    this.host.send()
  }
}

const guardOf = (world: World, name: string) =>
  world.gateway.guards.list(world.now).find((snapshot) => snapshot.guard === name)!

t.test('R1: requests that fail open the breaker of their route, for everybody, and other routes go on', async (t) => {
  const { world, host } = worldOf({ breaker })
  const players = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => new Player(world, host, name))
  for (const player of players) {
    t.same(player.ask(1), [])
    player.answer(1, code.handler_failed)
  }
  t.equal(guardOf(world, 'route arena arena.buy').state, 'open')
  t.match(world.event('breaker_changed'), [{ guard: 'route arena arena.buy', from: 'closed', to: 'open' }])
  host.take()
  world.pass(1000)
  writeRequest(players[0].client.w, 0, 2, 0, 2, 0, bytes('sword'))
  players[0].client.send()
  const [reject] = players[0].client.only(laneKind.reject)
  t.match(reject.lane, { code: code.breaker_open, retryMs: 4000 })
  world.turn()
  const skips = host.only(laneKind.skip)
  t.match(skips[0].lane, { number: 2, count: 1, code: code.breaker_open }, 'the host is told in its place')
  t.same(players[1].tell(1), [], 'another route')
  t.same(players[1].tell(0), [code.breaker_open], 'a one-way message on the route')
})

t.test('half open, real requests decide: two that go well close it', async (t) => {
  const { world, host } = worldOf({ breaker })
  const players = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => new Player(world, host, name))
  for (const player of players) {
    player.ask(1)
    player.answer(1, code.handler_failed)
  }
  world.pass(5000)
  t.same(players[0].ask(3), [])
  t.same(players[1].ask(3), [])
  t.same(players[2].ask(3), [code.breaker_open], 'a third is too many')
  players[0].answer(3, code.ok)
  t.equal(guardOf(world, 'route arena arena.buy').state, 'half_open')
  players[1].answer(3, code.ok)
  t.equal(guardOf(world, 'route arena arena.buy').state, 'closed')
  t.same(players[2].ask(4), [])
})

t.test('one client cannot open it for others; a host that answers late or never does', async (t) => {
  const { world, host } = worldOf({ breaker })
  const bad = new Player(world, host, 'bad')
  for (let id = 1; id <= 40; id++) {
    bad.ask(id)
    bad.answer(id, code.handler_failed)
  }
  t.match(guardOf(world, 'route arena arena.buy'), { state: 'closed', failed: 1 })
  const players = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => new Player(world, host, name))
  for (const player of players) player.ask(1, 1500)
  world.pass(1000)
  t.equal(guardOf(world, 'route arena arena.buy').state, 'closed', 'they have time yet')
  world.pass(1500)
  t.equal(guardOf(world, 'route arena arena.buy').state, 'open', 'their deadlines have passed')
})

t.test('observed, it counts what it would refuse and lets everything pass', async (t) => {
  const { world, host } = worldOf({ breaker: { ...breaker, isObserved: true } })
  const players = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => new Player(world, host, name))
  for (const player of players) {
    player.ask(1)
    player.answer(1, code.handler_failed)
  }
  t.match(guardOf(world, 'route arena arena.buy'), { state: 'open', isObserved: true })
  t.same(players[0].ask(2), [])
  t.same(players[0].tell(0), [])
  t.equal(guardOf(world, 'route arena arena.buy').refused, 2)
})

t.test('R5: the open breaker of a host refuses attaches; what is attached goes on', async (t) => {
  const { world, host } = worldOf({}, { hosts: [{ ...hostSettings('h1'), breaker: { ...breaker, volume: 18 } }] })
  const players = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((name) => new Player(world, host, name))
  for (const player of players) {
    player.ask(1)
    player.answer(1, code.handler_failed)
  }
  t.equal(guardOf(world, 'host h1').state, 'closed', 'that handlers throw is not the fault of the host')
  for (const player of players) for (const id of [2, 3, 4]) player.ask(id, 100)
  world.pass(1100)
  t.equal(guardOf(world, 'host h1').state, 'open', 'that it does not answer is')
  t.same(players[0].ask(9), [], 'a channel that is attached')
  const late = world.client().login('late')
  late.attach({ key: 'late' })
  const [refused] = late.only(clientKind.refused).map(read.answer)
  t.match(refused, { code: code.breaker_open })
  t.ok(refused.retryMs > 3000 && refused.retryMs <= 5000)
  world.pass(5000)
  late.attach({ key: 'late', epoch: 2 })
  const attaches = host.attaches().filter(({ key }) => key === 'late')
  t.equal(attaches.length, 1, 'half open, a real attach tries')
  host.attached(attaches[0])
  players[1].answer(2, code.ok)
  players[1].ask(5)
  players[1].answer(5, code.ok)
  t.equal(guardOf(world, 'host h1').state, 'closed')
})

t.test('an attach that nobody answers counts against the host once it had its time', async (t) => {
  const { world, host } = worldOf({}, { hosts: [{ ...hostSettings('h1'), breaker }] })
  const attach = (name: string) => {
    const client = world.client().login(name)
    client.attach({ key: name })
    return client
  }
  const quick = ['q1', 'q2', 'q3', 'q4', 'q5', 'q6', 'q7'].map(attach)
  for (const client of quick) client.carrier.events!.closed(world.now)
  world.turn()
  t.match(guardOf(world, 'host h1'), { state: 'closed', requests: 0 })
  const slow = ['a', 'b', 'c', 'd', 'e', 'f'].map(attach)
  world.pass(3000)
  for (const client of slow) client.carrier.events!.closed(world.now)
  world.turn()
  t.equal(guardOf(world, 'host h1').state, 'open')
  t.equal(host.attaches().length, 13)
})

t.test(
  'so many requests are under way on a route and no more; places come back with answers and with ends',
  async (t) => {
    const { world, host } = worldOf({ concurrency: { isObserved: false, max: 2, isAdaptive: false, min: 1 } })
    const [a, b] = ['a', 'b'].map((name) => new Player(world, host, name))
    t.same([a.ask(1), b.ask(1), a.ask(2)], [[], [], [code.concurrency]])
    t.same(a.tell(0), [], 'a message without an answer takes no place')
    b.answer(1, code.ok)
    t.same(a.ask(3), [])
    t.same(b.ask(2), [code.concurrency])
    a.client.carrier.events!.closed(world.now)
    world.turn()
    t.equal(guardOf(world, 'route arena arena.buy').inFlight, 0)
    t.same(b.ask(3), [])
    b.answer(77, code.ok)
    t.equal(guardOf(world, 'route arena arena.buy').inFlight, 1, 'an answer to nothing gives no place back')
  },
)

/** The calls that came to a host. */
const callsOf = (host: TestHost) => host.only(linkKind.loose).map(read.linkLoose)

/** A loose call on route 0. */
function call(client: TestClient, request: number, deadlineMs = 0): void {
  writeLoose(client.w, { request, route: 0, key: 'k', deadlineMs, payload: bytes('sword') })
  client.send()
}

const callerOf = (world: World, name: string) => world.client().login(name).route(0, 'arena.buy')

const repliesOf = (client: TestClient) => client.only(clientKind.looseReply).map((frame) => read.looseReply(frame).code)

t.test('a loose call to a service whose breaker is open goes to the fallback, or is refused', async (t) => {
  for (const fallback of [undefined, 'shop']) {
    const services = [
      { ...arena, breaker, fallback },
      { ...arena, name: 'shop' },
    ]
    const world = new World({ services, routes: [buy], hosts: [hostSettings('h1'), hostSettings('h2')] })
    const host = world.host('h1', 1n, 1, [{ name: 'arena', weight: 1, keys: 1, park: true }])
    const shop = world.host('h2', 1n, 1, [{ name: 'shop', weight: 1, keys: 1, park: true }])
    const clients = ['a', 'b', 'c', 'd', 'e', 'f', 'g'].map((name) => callerOf(world, name))
    for (const client of clients) call(client, 1)
    for (const { request } of callsOf(host)) {
      writeLooseReply(host.w, linkKind.looseReply, { request, code: code.handler_failed, payload: EMPTY })
    }
    host.send()
    t.equal(guardOf(world, 'service arena').state, 'open')
    for (const client of clients) client.take()
    call(clients[0], 2)
    t.equal(callsOf(host).length, 0)
    t.equal(callsOf(shop).length, fallback === undefined ? 0 : 1)
    t.same(repliesOf(clients[0]), fallback === undefined ? [code.breaker_open] : [])
  }
})

t.test(
  'H1: on an idempotent route, a call whose link is lost is sent once more, within budget and deadline',
  async (t) => {
    const calls = { deadlineMs: 2000, deadlineMsMax: 3000, isIdempotent: true, retryBudget: 0 }
    const { world, host } = worldOf({ calls })
    const client = callerOf(world, 'ann')
    call(client, 1, 60_000)
    call(client, 2)
    const sent = callsOf(host)
    t.match(sent, [{ deadlineMs: 3000 }, { deadlineMs: 2000 }], 'within what the route allows')
    host.carrier.events!.closed(world.now)
    world.turn()
    t.same(repliesOf(client), [code.unknown], 'the budget starts with one retry')
    world.pass(500)
    const again = world.host('h1', 2n, 1)
    world.pass(100)
    const [retried] = callsOf(again)
    t.equal(retried.deadlineMs, 2400)
    writeLooseReply(again.w, linkKind.looseReply, { request: retried.request, code: code.ok, payload: bytes('yes') })
    again.send()
    t.same(repliesOf(client), [code.ok])
    call(client, 3)
    again.carrier.events!.closed(world.now)
    world.turn()
    t.same(repliesOf(client), [code.unknown])
  },
)

t.test(
  'H1: a call that waits for a host to be sent to again ends unknown at its deadline, not as refused',
  async (t) => {
    const calls = { deadlineMs: 2000, deadlineMsMax: 3000, isIdempotent: true, retryBudget: 0.2 }
    const { world, host } = worldOf({ calls })
    const client = callerOf(world, 'ann')
    call(client, 1)
    host.carrier.events!.closed(world.now)
    world.pass(1999)
    t.same(repliesOf(client), [])
    world.pass(101)
    t.same(repliesOf(client), [code.unknown])
  },
)

const canary = { labels: { track: 'canary' }, share: 0.25, rollsBack: true }
const canaryHosts = [
  hostSettings('h1'),
  { ...hostSettings('h2'), labels: { track: 'canary' }, breaker: { ...breaker, errorRate: 0.4, openMs: 1000 } },
]

t.test(
  'a canary gets its share of the actors, always the same ones, and those of sessions with its labels',
  async (t) => {
    const world = new World({ services: [{ ...arena, canary }], hosts: canaryHosts })
    world.host('h1')
    world.host('h2')
    const chosen = (labels = {}) =>
      Array.from({ length: 1000 }, (_, i) => world.gateway.hostTable.choose('arena', `k${i}`, labels)?.name)
    const first = chosen()
    const share = first.filter((name) => name === 'h2').length
    t.ok(share > 200 && share < 300, `${share} of 1000`)
    t.same(chosen(), first)
    t.ok(chosen({ track: 'canary' }).every((name) => name === 'h2'))
    world.gateway.configure(
      { ...world.gateway.settings, services: [{ ...arena, canary: { ...canary, share: 0.5 } }] },
      0,
    )
    const wider = chosen()
    t.ok(
      first.every((name, i) => name === 'h1' || wider[i] === 'h2'),
      'a larger share keeps those that were in it',
    )
  },
)

t.test('a canary whose breaker opens gets no new actor until the operator says so', async (t) => {
  const world = new World({ services: [{ ...arena, canary: { ...canary, share: 1 } }], hosts: canaryHosts })
  world.host('h1')
  const second = world.host('h2')
  const players = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => new Player(world, second, name))
  for (const player of players) player.ask(1, 100)
  world.pass(1100)
  t.equal(guardOf(world, 'host h2').state, 'open')
  t.equal(world.gateway.hostTable.choose('arena', 'k')?.name, 'h1')
  world.pass(10_000)
  t.equal(world.gateway.hostTable.choose('arena', 'k')?.name, 'h1', 'its time is over, and it stays away')
  t.equal(world.gateway.guards.force('host h2', 'auto', world.now), true)
  t.equal(world.gateway.hostTable.choose('arena', 'k')?.name, 'h2')
  t.equal(world.gateway.guards.force('host h9', 'auto', world.now), false)
})

t.test('a breaker that a reload brings is told of requests on channels that were there before', async (t) => {
  const { world, host } = worldOf({ breaker })
  const players = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => new Player(world, host, name))
  for (const player of players) {
    player.ask(1)
    player.answer(1, code.ok)
  }
  const { settings } = world.gateway
  world.gateway.configure({ ...settings, services: [{ ...arena, breaker }] }, world.now)
  for (const player of players) {
    player.ask(2)
    player.answer(2, code.handler_failed)
  }
  t.match(guardOf(world, 'service arena'), { state: 'open' })
})

t.test('what was counted stays over a reload, and goes with the guard', async (t) => {
  const { world, host } = worldOf({ breaker })
  const player = new Player(world, host, 'a')
  player.ask(1)
  player.answer(1, code.handler_failed)
  const { settings } = world.gateway
  world.gateway.configure({ ...settings, routes: [...settings.routes, { match: 'x', service: 'arena' }] }, world.now)
  t.equal(guardOf(world, 'route arena arena.buy').failed, 1)
  player.ask(2)
  world.gateway.configure({ ...settings, routes: [{ match: 'arena.*', service: 'arena' }] }, world.now)
  t.same(world.gateway.guards.list(world.now), [])
  player.answer(2, code.ok)
  player.ask(3)
  player.answer(3, code.ok)
})

t.test(
  'what a client asks beyond what an end may have open is not followed, and takes no place for good',
  async (t) => {
    const { world, host } = worldOf({ concurrency: { isObserved: false, max: 100, isAdaptive: false, min: 1 } })
    const player = new Player(world, host, 'a')
    for (let id = 1; id <= 70; id++) t.same(player.ask(id), [])
    t.equal(guardOf(world, 'route arena arena.buy').inFlight, 64)
  },
)

t.test('R5: the open breaker of a service refuses attaches to it, and of no other', async (t) => {
  const services = [{ ...arena, breaker }, { name: 'chat', keys: 'any', whenAway: 'park' } as const]
  const { world, host } = worldOf({}, { services })
  const players = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => new Player(world, host, name))
  for (const player of players) {
    player.ask(1)
    player.answer(1, code.handler_failed)
  }
  t.equal(guardOf(world, 'service arena').state, 'open')
  const late = world.client().login('late')
  late.attach({ key: 'late' })
  t.match(late.only(clientKind.refused).map(read.answer), [{ code: code.breaker_open }])
  t.equal(host.attaches().length, 0)
  late.attach({ service: 'chat', key: 'late', alias: 1, epoch: 2 })
  t.equal(host.attaches().length, 1)
})

t.test('a probe for which there is no place is given back, so that another may be made', async (t) => {
  const { world, host } = worldOf({
    breaker: { ...breaker, probes: 1 },
    concurrency: { isObserved: false, max: 6, isAdaptive: false, min: 1 },
  })
  const players = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => new Player(world, host, name))
  const late = new Player(world, host, 'late')
  for (const player of players) player.ask(1)
  for (const player of players) player.answer(1, code.handler_failed)
  t.equal(guardOf(world, 'route arena arena.buy').state, 'open')
  // Six that no answer comes to are under way again before its time is over.
  world.gateway.guards.force('route arena arena.buy', 'closed', world.now)
  for (const player of players) t.same(player.ask(2, 60_000), [])
  world.gateway.guards.force('route arena arena.buy', 'auto', world.now)
  for (const player of players.slice(0, 1)) player.answer(2, code.ok)
  t.same(late.ask(1, 60_000), [], 'the place that came free')
  const guard = world.gateway.guards.ofRule[0]!
  for (let client = 0; client < 6; client++) guard.breaker!.record(1, true, 1, client, world.now)
  t.equal(guard.breaker!.state, 'open')
  world.pass(5000)
  t.same(late.ask(2), [code.concurrency], 'a probe without a place')
  players[1].answer(2, code.ok)
  t.same(late.ask(3), [], 'the next one has it')
})

t.test('what is under way stays counted over a reload of its limit, enforced or observed', async (t) => {
  const guard = new Guard('service', 'service arena', () => {})
  const limit = (max: number, isObserved = false) =>
    guard.configure(undefined, { max, min: 1, isAdaptive: false, isObserved }, 0)
  const pass = () => guard.ask(0) !== 0
  limit(2)
  t.same([pass(), pass(), pass()], [true, true, false])
  limit(3)
  t.match(guard.snapshot(0), { inFlight: 2, inFlightMax: 3, concurrencyRefused: 1 })
  t.same([pass(), pass()], [true, false])
  limit(3, true)
  t.ok(pass())
  t.match(guard.snapshot(0), { inFlight: 4, concurrencyRefused: 3 })
  limit(3)
  t.notOk(pass())
  for (let i = 0; i < 2; i++) guard.giveBack(1)
  t.same([pass(), pass()], [true, false])
  guard.configure(undefined, undefined, 0)
  t.ok(pass(), 'one that is taken away refuses nobody')
  t.notOk(guard.isOpen(0), 'and one without a breaker is not open')
})

t.test('what was let pass as a probe and went nowhere makes room for another probe', async (t) => {
  const guard = new Guard('service', 'service arena', () => {})
  guard.configure({ ...breaker, probes: 1 }, undefined, 0)
  guard.breaker!.force('open', 0)
  guard.breaker!.force('auto', 0)
  for (let client = 0; client < 100; client++) guard.settled(1, true, 1, client, 0)
  t.ok(guard.isOpen(0))
  const later = 1e6
  const probe = guard.ask(later)
  t.not(probe, 0)
  t.equal(guard.ask(later), 0)
  guard.giveBack(probe)
  t.equal(guard.ask(later), probe)
})

t.test('an observed limit lets pass what it counts, and counts it down again', async (t) => {
  const { world, host } = worldOf({ concurrency: { isObserved: true, max: 1, isAdaptive: false, min: 1 } })
  const player = new Player(world, host, 'a')
  for (let id = 1; id <= 3; id++) t.same(player.ask(id), [])
  t.match(guardOf(world, 'route arena arena.buy'), { inFlight: 3, concurrencyRefused: 2 })
  for (let id = 1; id <= 3; id++) player.answer(id, code.ok)
  t.equal(guardOf(world, 'route arena arena.buy').inFlight, 0)
})

t.test('a canary whose breaker is only observed is not taken back', async (t) => {
  const hosts = [canaryHosts[0], { ...canaryHosts[1], breaker: { ...canaryHosts[1].breaker!, isObserved: true } }]
  const world = new World({ services: [{ ...arena, canary: { ...canary, share: 1 } }], hosts })
  world.host('h1')
  const second = world.host('h2')
  const players = ['a', 'b', 'c', 'd', 'e', 'f'].map((name) => new Player(world, second, name))
  for (const player of players) player.ask(1, 100)
  world.pass(1100)
  t.equal(guardOf(world, 'host h2').state, 'open')
  t.equal(world.gateway.hostTable.choose('arena', 'k')?.name, 'h2')
})
