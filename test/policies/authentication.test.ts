// What a route needs of a login: authority (T2), labels, renewed ones, and the page's own configuration, running.
import t from 'tap'
import type { AuthenticationSettings } from '../../policies/authentication.ts'
import { verdict } from '../../policies/pipeline.ts'
import { writeReauth } from '../../protocols/client/frames.ts'
import { code } from '../../protocols/codes.ts'
import { laneKind, writeOneway } from '../../protocols/wire/lane-frames.ts'
import { attachedPair, bytes, World } from '../gateway/world.ts'
import { cookbook, pageText } from './cookbook.ts'

const needs = (labels: AuthenticationSettings['labels'] = {}) => ({
  policies: { authentication: { mode: 'enforce', labels, action: 'reject' } as const },
})

t.test('all labels must be there, each with one of its values, and none is inherited', async (t) => {
  for (const [labels, isAllowed] of [
    [{ group: ['blue'] }, true],
    [{ group: ['red', 'blue'] }, true],
    [{ group: ['red'] }, false],
    [{ group: ['blue'], rank: ['1'] }, false],
    [{ constructor: ['x'] }, false],
  ] as [AuthenticationSettings['labels'], boolean][]) {
    const world = new World(needs(labels))
    const { client } = attachedPair(world)
    writeOneway(client.w, 0, 1, 0, bytes('x'))
    client.send()
    const rejects = client.only(laneKind.reject).map((frame) => frame.lane!.code)
    t.same(rejects, isAllowed ? [] : [code.not_allowed], JSON.stringify(labels))
  }
})

t.test('observed, it counts and lets pass; and its refusal has no hint that another policy left', async (t) => {
  const labels = { group: ['red'] }
  const perMinute = { name: 'observed', mode: 'observe', unit: 'messages', perSecond: 1 / 60, burst: 1 } as const
  const limit = { ...perMinute, per: ['session'], action: 'reject', delayMsMax: 0, banMs: 0, banOf: 'address' } as const
  for (const mode of ['observe', 'enforce'] as const) {
    const route = { authentication: { mode, labels, action: 'reject' } as const, rateLimits: [limit] }
    const { client } = attachedPair(new World({ routes: [{ match: 'arena.*', service: 'arena', policies: route }] }))
    for (const number of [1, 2]) writeOneway(client.w, 0, number, 0, bytes('x'))
    client.send()
    const rejects = client.only(laneKind.reject).map(({ lane }) => [lane!.code, lane!.retryMs])
    t.same(rejects, mode === 'observe' ? [] : Array(2).fill([code.not_allowed, 0]), mode)
  }
})

t.test('T2: whoever has to show a new token is told when to try again', async (t) => {
  const world = new World(needs())
  world.logins = (_token, done) => done({ ok: true, user: 'ann', labels: {}, untilWallMs: world.wall + 3000 })
  const { client } = attachedPair(world)
  world.pass(4000)
  writeOneway(client.w, 0, 1, 0, bytes('x'))
  client.send()
  t.match(client.only(laneKind.reject)[0].lane, { code: code.auth_required, retryMs: 1000 })
})

t.test(
  'T2: authority that has run out is asked for on this route, and a new token of the user brings it back',
  async (t) => {
    const world = new World({
      routes: [
        { match: 'arena.slow', service: 'arena', ...needs() },
        { match: 'arena.*', service: 'arena' },
      ],
    })
    world.logins = (token, done) => {
      const labels = { group: token === 'ann' ? 'blue' : 'red' }
      done({ ok: true, user: 'ann', labels, untilWallMs: world.wall + (token === 'ann' ? 3000 : 60_000) })
    }
    const { client } = attachedPair(world)
    const sends = (number: number, route: number): number[] => {
      writeOneway(client.w, 0, number, route, bytes('x'))
      client.send()
      return client.only(laneKind.reject).map((frame) => frame.lane!.code)
    }
    t.same(sends(1, 1), [])
    world.pass(4000)
    t.same(sends(2, 1), [code.auth_required])
    t.same(sends(3, 0), [], 'other routes go on')
    writeReauth(client.w, bytes('again'))
    client.send()
    t.same(sends(4, 1), [])
    t.equal([...world.gateway.connections][0].subject!.labels['group'], 'red')
  },
)

t.test('the page, running', async (t) => {
  const book = await cookbook(t, pageText('authentication'), ['arena.kick', 'arena.buy'])
  const ann = await book.player('ann')
  t.same(await ann.calls('arena.kick', ['bob']), ['not_allowed'])
  t.same(await ann.calls('arena.buy', ['hat']), ['ok'])
  t.same(book.got, ['arena.buy'])
  t.equal(book.count('authentication route arena/arena.kick', verdict.reject), 1)
})
