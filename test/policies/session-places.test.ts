// What limits per session count by: nobody gets new buckets by logging in anew.
import t from 'tap'
import { PLACES_MAX, SessionPlaces } from '../../policies/session-places.ts'
import { code } from '../../protocols/codes.ts'
import { laneKind, writeOneway } from '../../protocols/wire/lane-frames.ts'
import { attachedPair, bytes, World } from '../gateway/world.ts'

t.test('the next session of a user takes a place that was given up, and a new one while all are taken', (t) => {
  const places = new SessionPlaces()
  t.same([places.take('ann'), places.take('ann'), places.take('ann'), places.take('bob')], [0, 1, 2, 0])
  places.giveBack('ann', 1)
  places.giveBack('ann', 0)
  t.same([places.take('ann'), places.take('ann'), places.take('ann')], [0, 1, 3])
  for (const place of [3, 0, 2, 1]) places.giveBack('ann', place)
  t.equal(places.size, 1, 'users without a session take no memory')
  t.equal(places.take('ann'), 0)
  places.giveBack('bob', 0)
  places.giveBack('nobody', 0)
  t.equal(places.size, 1)
  t.end()
})

t.test('however many sessions somebody opens, they have so many places', (t) => {
  const places = new SessionPlaces()
  const taken = Array.from({ length: 1000 }, () => places.take('mallory'))
  t.equal(new Set(taken).size, PLACES_MAX)
  for (const place of taken.slice(PLACES_MAX)) places.giveBack('mallory', place)
  t.same([...new Set(Array.from({ length: 3 }, () => places.take('mallory')))], [0, 1, 2], 'shared out evenly')
  t.end()
})

t.test('whoever comes back with a new login finds the bucket as it was left', async (t) => {
  const rate = { unit: 'messages', perSecond: 1, burst: 3, per: ['session'], action: 'reject' } as const
  const limit = { ...rate, name: 'test', mode: 'enforce', delayMsMax: 0, banMs: 0, banOf: 'address' } as const
  const world = new World({ policies: { rateLimits: [limit] } })
  const { client, host } = attachedPair(world)
  const refusals = (who: typeof client) => {
    for (let n = 1; n <= 3; n++) writeOneway(who.w, 0, n, 0, bytes('x'))
    who.send()
    return who.only(laneKind.reject).length
  }
  const again = (key: string) => {
    const next = world.client().login('ann')
    next.attach({ key })
    host.attached(host.attaches()[0])
    next.route(0, 'arena.move')
    next.take()
    return next
  }
  t.equal(refusals(client), 0)
  const beside = again('beside')
  t.equal(refusals(beside), 0, 'a second session beside it has a bucket of its own')
  client.carrier.events!.closed(world.now)
  t.equal(refusals(again('after')), 3)
  t.equal(refusals(again('third')), 0, 'a third one at a time has one, too')
  t.equal(world.gateway.counters.refusedByCode[code.rate_limited], 3)
})
