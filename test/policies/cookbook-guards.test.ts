// The pages on limits of requests under way and on canaries, running: what they promise happens to players.
import t from 'tap'
import { service } from '../../sdk/host/index.ts'
import type { SkewerError } from '../../sdk/error.ts'
import { eventually } from '../gateway/io/started.ts'
import { type Cookbook, cookbookOf, pageText } from './cookbook.ts'

const guardOf = (book: Cookbook, name: string) =>
  book.running.gateway.guards.list(performance.now()).find(({ guard }) => guard === name)!

const errorOf = (call: Promise<unknown>): Promise<SkewerError> =>
  call.then(
    () => Promise.reject(new Error('it was answered')),
    (error) => error as SkewerError,
  )

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
