// The pages on breakers, limits of requests under way, canaries and calls, running: what they promise happens to players.
import t from 'tap'
import { service } from '../../sdk/host/index.ts'
import type { SkewerError } from '../../sdk/error.ts'
import { eventually } from '../gateway/io/started.ts'
import { type Cookbook, cookbookOf, pageText } from './cookbook.ts'
import { Wire } from './wire.ts'

/** For what takes many requests on a machine that may be busy. */
const BUSY_MS_MAX = 20_000

const guardOf = (book: Cookbook, name: string) =>
  book.running.gateway.guards.list(performance.now()).find(({ guard }) => guard === name)!

const errorOf = (call: Promise<unknown>): Promise<SkewerError> =>
  call.then(
    () => Promise.reject(new Error('it was answered')),
    (error) => error as SkewerError,
  )

t.test('circuit-breaker: a service that fails opens its breaker, and others go to its fallback (R5)', async (t) => {
  let runs = 0
  const buys = (_ctx: unknown, payload: unknown) => {
    runs++
    if (payload === 'bad') throw new Error('out of order')
    return payload
  }
  const book = await cookbookOf(t, pageText('circuit-breaker'), () => [
    service('shop', { keys: 'any', routes: { 'shop.buy': buys } }),
    service('shop-lite', { keys: 'any', routes: { 'shop.buy': () => 'lite', 'shop-lite.see': () => 'seen' } }),
  ])
  const players = []
  for (const name of ['ann', 'bob', 'cid', 'dan']) players.push(await book.player(name, 'till', 'shop'))
  const both = await book.player('eve', 'till', 'shop-lite')
  t.equal(await both.room.call('shop-lite.see'), 'seen')
  for (const [i, player] of players.entries()) {
    t.equal(guardOf(book, 'service shop').state, 'closed', `before player ${i}`)
    // The failures of one client count up to 17: a third of the 50 that would open it.
    const ends = await player.calls('shop.buy', [...Array(10).fill('good'), ...Array(50).fill('bad')])
    t.same(ends, [...Array(10).fill('ok'), ...Array(50).fill('handler_failed')])
  }
  t.match(guardOf(book, 'service shop'), { state: 'open', openings: 1 })
  const before = runs
  t.same(await players[0].calls('shop.buy', ['good']), ['ok'], 'what is attached goes on')
  t.equal(runs, before + 1)
  const late = await book.player('fay', 'till', 'shop')
  t.equal(await late.room.call('shop.buy'), 'lite')
  const channel = both.client.actor('shop', 'till')
  const told = new Promise<{ name: string; retryMs: number }>((resolve) => channel.on('detached', resolve))
  channel.send('shop.buy')
  const { name, retryMs } = await told
  t.equal(name, 'breaker_open')
  t.ok(retryMs > 0 && retryMs <= 5500, `${retryMs}`)
  t.equal(runs, before + 1)
})

t.test('concurrency-limit: of 201 requests under way the last is refused, until one is answered', async (t) => {
  let answer = (_with: string) => {}
  const answered = new Promise<string>((resolve) => (answer = resolve))
  const book = await cookbookOf(t, pageText('concurrency-limit'), () => [
    service('shop', { keys: 'any', routes: { 'shop.buy': () => answered } }),
  ])
  const guard = () => guardOf(book, 'route shop shop.buy')
  const under: Promise<string[]>[] = []
  for (const name of ['ann', 'bob', 'cid', 'dan']) {
    const player = await book.player(name, name, 'shop')
    under.push(player.calls('shop.buy', Array(50).fill('x')))
  }
  await eventually(() => guard().inFlight === 200, '200 requests under way')
  const late = await book.player('eve', 'eve', 'shop')
  const { name, ran, retryMs } = await errorOf(late.room.call('shop.buy'))
  t.same([name, ran, retryMs], ['concurrency', 'no', 100])
  t.match(guard(), { inFlightMax: 200, concurrencyRefused: 1 })
  answer('sold')
  t.ok((await Promise.all(under)).flat().every((end) => end === 'ok'))
  t.equal(await late.room.call('shop.buy'), 'sold')
})

t.test('concurrency-limit: it shrinks to its least while a host is slow, and grows back after', async (t) => {
  let takesMs = 10
  let atOnce = 0
  let most = 0
  const buy = async () => {
    most = Math.max(most, ++atOnce)
    await new Promise((resolve) => setTimeout(resolve, takesMs))
    atOnce--
  }
  const book = await cookbookOf(t, pageText('concurrency-limit'), () => [
    service('shop', { keys: 'any', routes: { 'shop.buy': buy } }),
  ])
  const guard = () => guardOf(book, 'route shop shop.buy')
  // Each with an actor of its own: an actor has one handler at a time.
  const names = Array.from({ length: 40 }, (_, i) => `player-${i}`)
  const players = await Promise.all(names.map((name) => book.player(name, name, 'shop')))
  const ends = new Map<string, number>()
  /** Each player says the next request when the last has ended, until it is so. */
  const busyUntil = async (isSo: () => boolean, what: string) => {
    const until = performance.now() + BUSY_MS_MAX
    const buyer = async ({ room }: (typeof players)[number]) => {
      while (!isSo()) {
        if (performance.now() > until) throw new Error(`waited in vain for ${what}: ${JSON.stringify(guard())}`)
        const end = await room.call('shop.buy').then(
          () => 'ok',
          (error: Error) => error.name,
        )
        ends.set(end, (ends.get(end) ?? 0) + 1)
        // The hint is 100 ms; these are impatient.
        if (end !== 'ok') await new Promise((resolve) => setTimeout(resolve, 5))
      }
    }
    await Promise.all(players.map(buyer))
  }
  await busyUntil(() => (ends.get('ok') ?? 0) >= 400, 'what it takes at rest')
  t.same([...ends.keys()], ['ok'], 'a quick host: nobody is refused')
  t.ok(guard().inFlightMax > 100, `${guard().inFlightMax} of 200`)
  takesMs = 80
  await busyUntil(() => guard().inFlightMax === 10, 'the least')
  most = 0
  const refusedBefore = guard().concurrencyRefused
  await busyUntil(() => guard().concurrencyRefused >= refusedBefore + 200, 'refusals')
  t.ok(most <= 10, `${most} at once`)
  t.same([...ends.keys()].sort(), ['concurrency', 'ok'])
  takesMs = 10
  await busyUntil(() => guard().inFlightMax >= 30, 'growth')
  t.equal(guard().inFlight, 0, 'every place came back')
})

t.test('canary: a small share of the users is there, the same ones when they come back', async (t) => {
  const book = await cookbookOf(t, pageText('canary'), (host) => [
    service('arena', { keys: 'user', routes: { 'arena.where': () => host } }),
  ])
  const whereabouts = async (users: string[]) =>
    Promise.all(
      users.map(async (user) => {
        const { client } = await book.player(user, '')
        const where = await client.callLoose('arena.where')
        await client.close()
        return where
      }),
    )
  const users = Array.from({ length: 100 }, (_, i) => `user-${i}`)
  const first = await whereabouts(users)
  const share = first.filter((where) => where === 'game-2').length
  t.ok(share >= 1 && share <= 12, `${share} of 100`)
  t.same(await whereabouts(users), first)
})

t.test('calls: an idempotent one is sent again when its link is lost, another one is `unknown`', async (t) => {
  const wire = new Wire(t)
  const ran: string[] = []
  const handler = (route: string) => () => {
    ran.push(route)
    if (ran.filter((each) => each === route).length > 1) return 'again'
    wire.cut()
    return 'lost on its way'
  }
  const routes = { 'profile.read': handler('profile.read'), 'profile.write': handler('profile.write') }
  const book = await cookbookOf(t, pageText('calls'), () => [service('profile', { keys: 'user', routes })], {
    between: (address) => wire.to(address),
  })
  const { client } = await book.player('ann', '', 'profile')
  t.equal(await client.callLoose('profile.read'), 'again')
  const lost = await errorOf(client.callLoose('profile.write'))
  t.same([lost.name, lost.ran], ['unknown', 'unknown'])
  t.same(ran, ['profile.read', 'profile.read', 'profile.write'])
})

t.test('calls: one that names no deadline has that of its route', async (t) => {
  let answer = () => {}
  const answered = new Promise<void>((resolve) => (answer = resolve))
  const routes = { 'profile.read': () => answered }
  const book = await cookbookOf(t, pageText('calls'), () => [service('profile', { keys: 'user', routes })])
  const { client } = await book.player('ann', '', 'profile')
  const from = performance.now()
  const late = await errorOf(client.callLoose('profile.read', 'x', { timeoutMs: Infinity }))
  const tookMs = performance.now() - from
  t.same([late.name, late.ran], ['unknown', 'unknown'])
  answer()
  t.ok(tookMs > 1900 && tookMs < 9000, `${tookMs} ms`)
})
