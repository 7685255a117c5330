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
