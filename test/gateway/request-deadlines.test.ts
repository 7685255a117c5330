// Q1: a route says how long a request on it may wait at most.
import t from 'tap'
import { code } from '../../protocols/codes.ts'
import { laneKind, writeOneway, writeRequest } from '../../protocols/wire/lane-frames.ts'
import { cell } from '../../gateway/counters.ts'
import { attachedPair, bytes, World } from './world.ts'
import type { Frame } from './world.ts'

const routes = [
  { match: 'arena.slow', service: 'arena', requestMsMax: 2000 },
  { match: 'arena.*', service: 'arena' },
]
const deadlines = (frames: Frame[]) =>
  frames.filter(({ kind }) => kind === laneKind.request).map(({ lane }) => lane!.deadlineMs)

t.test('Q1: a deadline that is longer than its route allows is shortened, one that is missing set', async (t) => {
  const world = new World({ routes })
  const { client, host } = attachedPair(world)
  host.take()
  const given = [1999, 2000, 2001, 2 ** 40, 0]
  for (const [i, ms] of given.entries()) writeRequest(client.w, 0, i + 1, 1, 7 + i, ms, bytes('what?'))
  for (const [i, ms] of [1, 2 ** 40, 0].entries()) writeRequest(client.w, 0, i + 6, 0, 20 + i, ms, bytes('what?'))
  writeOneway(client.w, 0, 9, 1, bytes('x'))
  client.send()
  const frames = host.take()
  t.same(deadlines(frames), [1999, 2000, 2000, 2000, 2000, 1, 2 ** 40, 0], 'the other route says nothing')
  const lanes = frames.filter(({ lane }) => lane !== undefined)
  t.same(
    lanes.map(({ lane }) => lane!.number),
    [1, 2, 3, 4, 5, 6, 7, 8, 9],
  )
  t.same(
    lanes.slice(0, 5).map(({ lane, payload }) => [lane!.request, payload]),
    [7, 8, 9, 10, 11].map((request) => [request, 'what?']),
  )
  t.equal(world.gateway.counters.cells[cell.deadlinesShortened], 3)
})

t.test('R1: what was refused before it is told to the host first', async (t) => {
  const limited = { ...routes[0], rate: { perSecond: 1, burst: 1 } }
  const world = new World({ routes: [limited, { ...routes[1], requestMsMax: 5 }] })
  const { client, host } = attachedPair(world)
  host.take()
  writeRequest(client.w, 0, 1, 1, 1, 0, bytes('a'))
  writeRequest(client.w, 0, 2, 1, 2, 0, bytes('b'))
  writeRequest(client.w, 0, 3, 0, 3, 0, bytes('c'))
  client.send()
  const lanes = host.take().flatMap(({ lane }) => (lane === undefined ? [] : [lane]))
  t.match(lanes, [
    { kind: laneKind.request, number: 1, deadlineMs: 2000 },
    { kind: laneKind.skip, number: 2, code: code.rate_limited },
    { kind: laneKind.request, number: 3, deadlineMs: 5 },
  ])
})
