// Groups: one frame a link, members that were away, and nothing between the last replay and the JOIN (G1-G4).
import t from 'tap'
import { code } from '../../../protocols/codes.ts'
import { decodeRecovered, encodeRecover } from '../../../protocols/session/group-member.ts'
import { writeAck, writeRequest } from '../../../protocols/wire/lane-frames.ts'
import type { Context } from '../../../sdk/host/context.ts'
import type { GroupOptions } from '../../../sdk/host/groups.ts'
import { service } from '../../../sdk/host/service.ts'
import type { ScriptedGateway, Seen } from './scripted-gateway.ts'
import { Bed, utf8 } from './scripted-gateway.ts'

/** A room whose sessions join `all` when they attach; `act` runs something in it. */
function roomOf(group: GroupOptions = {}, options = {}) {
  const room = service('room', {
    keys: 'any',
    onAttached: (ctx) => ctx.group('all', group).join(ctx.session),
    routes: {},
  })
  const bed = new Bed([room], options)
  const act = (run: (ctx: Context) => unknown) => {
    bed.core.actorHere('room', 'r', bed.now).hook('test', undefined, run)
    bed.turn()
  }
  const publish = (text: string, more = {}) => act((ctx) => ctx.group('all').publish('said', utf8(text), more))
  return { bed, act, publish }
}

const attach = (g: ScriptedGateway, handle: number, session: string, more = {}) =>
  g.attach({ handle, session, service: 'room', key: 'r', ...more })

const without = (seen: Seen[], ...kinds: string[]) => seen.filter(({ kind }) => !kinds.includes(kind))

t.test('a publication is one frame a link, whoever is a member there', async (t) => {
  const { bed, publish } = roomOf()
  const g = bed.gateway('g1', '', 1, 1n)
  const other = bed.gateway('g2', '', 1, 2n)
  attach(g, 0, 'A')
  attach(g, 2, 'B')
  attach(other, 0, 'C')
  t.match(without(g.seen(), 'attached'), [
    { kind: 'join', channel: 0, group: 0, name: 'all', recoverable: false },
    { kind: 'join', channel: 2, group: 0 },
  ])
  publish('hello', { except: ['B', 'C', 'nobody'] })
  t.match(without(g.seen(), 'route'), [{ kind: 'publish', group: 0, offset: 0, excludes: [2], payload: 'hello' }])
  t.match(without(other.seen(), 'route', 'attached', 'join'), [{ kind: 'publish', excludes: [0] }])
})

t.test(
  'membership at a gateway ends with the handle; the number is free when the last member has left (G4)',
  async (t) => {
    const { bed, act, publish } = roomOf()
    const g = bed.gateway()
    attach(g, 0, 'A')
    attach(g, 2, 'B')
    g.seen()
    act((ctx) => {
      t.same(ctx.group('all').members, ['A', 'B'])
      t.equal(ctx.group('all').leave('A'), true)
      t.equal(ctx.group('all').leave('A'), false)
      t.throws(() => ctx.group('all').join('Z'), { name: 'detached' })
    })
    t.match(g.seen(), [{ kind: 'leave', first: 0, second: 0 }])
    g.closeHandle(2)
    g.seen()
    publish('to nobody')
    t.same(g.seen(), [])
    act((ctx) => ctx.group('other').join('A'))
    t.match(g.seen(), [{ kind: 'join', name: 'other', group: 0 }])
  },
)

t.test('G2: ATTACHED, what is missing, JOIN, then live, on one link and in this order', async (t) => {
  const { bed, publish } = roomOf({ recoverable: true })
  const g = bed.gateway()
  attach(g, 0, 'A')
  const seen = g.seen()
  const life = seen[0].life as bigint
  const join = seen[1]
  t.match(join, { kind: 'join', recoverable: true, offset: 0 })
  for (let i = 1; i <= 3; i++) publish(`p${i}`)
  g.seen()
  g.closeHandle(0)
  publish('p4')
  g.seen()
  const groups = [{ name: 'all', life: join.life as bigint, offset: 2 }]
  attach(g, 2, 'A', { epoch: 2, life, groups })
  t.match(without(g.seen(), 'closeHandle'), [
    { kind: 'attached' },
    { kind: 'replay', number: 1, group: 'all', offset: 3, payload: 'p3', life: join.life },
    { kind: 'replay', number: 2, offset: 4, payload: 'p4' },
    { kind: 'join', channel: 2, offset: 4, life: join.life },
  ])
  publish('p5')
  t.match(g.seen(), [{ kind: 'publish', offset: 5, payload: 'p5' }])
})

t.test('G2: a JOIN that was lost costs nothing: the member gets all since it was joined', async (t) => {
  const { bed, publish } = roomOf({ recoverable: true })
  const g = bed.gateway()
  attach(g, 0, 'A')
  const life = g.seen()[0].life as bigint
  g.closeHandle(0)
  publish('p1')
  g.seen()
  attach(g, 2, 'A', { epoch: 2, life })
  t.match(without(g.seen(), 'route'), [
    { kind: 'attached' },
    { kind: 'replay', offset: 1 },
    { kind: 'join', offset: 1 },
  ])
})

t.test('G2: JOIN waits until the window has let everything through', async (t) => {
  const { bed, publish } = roomOf({ recoverable: true }, { window: { count: 2, bytes: 65536 } })
  const g = bed.gateway()
  attach(g, 0, 'A')
  const [{ life }, join] = g.seen()
  g.closeHandle(0)
  for (let i = 1; i <= 5; i++) publish(`p${i}`)
  g.seen()
  const groups = [{ name: 'all', life: join.life as bigint, offset: 0 }]
  attach(g, 2, 'A', { epoch: 2, life: life as bigint, groups })
  t.match(without(g.seen(), 'route'), [
    { kind: 'attached' },
    { kind: 'replay', offset: 1 },
    { kind: 'replay', offset: 2 },
  ])
  publish('p6')
  t.same(g.seen(), [], 'nothing live before the JOIN')
  g.ack(2, 2)
  t.match(g.seen(), [{ offset: 3 }, { offset: 4 }])
  g.ack(2, 4)
  t.match(g.seen(), [{ offset: 5 }, { offset: 6 }, { kind: 'join', offset: 6 }])
})

t.test('G2: another life, or too old: JOIN with the place of now', async (t) => {
  const { bed, publish } = roomOf({ recoverable: true, historyCount: 2 })
  const g = bed.gateway()
  attach(g, 0, 'A')
  const [{ life }, join] = g.seen()
  g.closeHandle(0)
  for (let i = 1; i <= 5; i++) publish(`p${i}`)
  g.seen()
  attach(g, 2, 'A', { epoch: 2, life: life as bigint, groups: [{ name: 'all', life: join.life as bigint, offset: 2 }] })
  t.match(g.seen(), [{ kind: 'attached' }, { kind: 'join', offset: 5 }])
  attach(g, 4, 'A', { epoch: 3, life: life as bigint, groups: [{ name: 'all', life: 12345n, offset: 4 }] })
  t.match(without(g.seen(), 'closeHandle'), [{ kind: 'attached' }, { kind: 'join', offset: 5 }])
})

t.test('a group that was left while its member was away is left at the member too', async (t) => {
  const { bed } = roomOf({ recoverable: true })
  const g = bed.gateway()
  attach(g, 0, 'A', { groups: [{ name: 'gone', life: 7n, offset: 2 }] })
  t.match(
    g.seen().filter(({ name, kind }) => name !== 'all' && kind !== 'attached'),
    [
      { kind: 'join', name: 'gone', life: 7n, offset: 2, channel: 0, group: 1 },
      { kind: 'leave', first: 0, second: 1 },
    ],
  )
})

const recover = (g: ScriptedGateway, number: number, request: number, life: bigint, offset: number, name = 'all') => {
  writeRequest(g.w, 0, number, g.route('$recover'), request, 0, encodeRecover({ name, life, offset }))
  g.deliver()
}

/** The answer of a RECOVER, decoded; the scripted gateway shows payloads as text, so it is taken from the lane. */
const answerOf = (bed: Bed, session: string) => {
  const { out } = bed.core.actor('room', 'r')!.bindingOf(session)!.lanes
  return decodeRecovered(out.at(out.sent)!.payload)
}

t.test('G3: RECOVER brings what is missing on the lane, and its answer behind that', async (t) => {
  const { bed, publish } = roomOf({ recoverable: true })
  const g = bed.gateway()
  attach(g, 0, 'A')
  const life = g.seen()[1].life as bigint
  for (let i = 1; i <= 3; i++) publish(`p${i}`)
  g.seen()
  recover(g, 1, 1, life, 1)
  t.match(g.seen(), [
    { kind: 'replay', offset: 2 },
    { kind: 'replay', offset: 3 },
    { kind: 'reply', request: 1, code: code.ok },
  ])
  t.same(answerOf(bed, 'A'), { missed: false, life, offset: 3 })
  recover(g, 2, 2, 99n, 1)
  g.seen()
  t.same(answerOf(bed, 'A'), { missed: true, life, offset: 3 })
  recover(g, 3, 3, life, 1, 'unknown')
  t.match(g.seen()[0], { kind: 'reply', request: 3, code: code.not_found })
  writeRequest(g.w, 0, 4, g.route('$recover'), 4, 0, utf8('\xff'))
  writeRequest(g.w, 0, 5, g.route('$other'), 5, 0, utf8(''))
  g.deliver()
  t.match(
    g.seen().filter(({ kind }) => kind === 'reply'),
    [{ code: code.not_found }, { code: code.not_found }],
  )
})

t.test('G3: what is no longer kept is told as missed, from where the member asks again', async (t) => {
  const { bed, publish } = roomOf({ recoverable: true, historyBytes: 4 })
  const g = bed.gateway()
  attach(g, 0, 'A')
  const life = g.seen()[1].life as bigint
  for (let i = 1; i <= 5; i++) publish(`p${i}`)
  g.seen()
  recover(g, 1, 1, life, 1)
  t.match(g.seen(), [{ kind: 'reply', request: 1 }])
  t.same(answerOf(bed, 'A'), { missed: true, life, offset: 3 })
  recover(g, 2, 2, life, 3)
  t.match(without(g.seen(), 'ack'), [{ offset: 4 }, { offset: 5 }, { kind: 'reply', request: 2 }])
})

t.test('G4: past a full link a plain group loses the publication, a recoverable one catches up', async (t) => {
  for (const recoverable of [false, true]) {
    const { bed, publish } = roomOf({ recoverable })
    const g = bed.gateway()
    attach(g, 0, 'A')
    publish('p1')
    g.seen()
    g.queuedBytes = 2 * 1024 * 1024
    g.ping()
    publish('p2')
    publish('p3')
    t.same(without(g.seen(), 'pong'), [])
    g.queuedBytes = 0
    bed.core.drained(g.link, bed.now)
    bed.turn()
    const caughtUp = [
      { kind: 'replay', offset: 2 },
      { kind: 'replay', offset: 3 },
      { kind: 'join', offset: 3 },
    ]
    t.match(g.seen(), recoverable ? caughtUp : [])
    publish('p4')
    t.match(g.seen(), [{ kind: 'publish', offset: recoverable ? 4 : 0, payload: 'p4' }])
    t.equal(bed.core.counters.publicationsDropped, 2)
  }
})

t.test('what a group refuses', async (t) => {
  const { bed, act } = roomOf({ recoverable: true })
  const g = bed.gateway()
  attach(g, 0, 'A')
  act((ctx) => {
    t.throws(() => ctx.group('all').publish('said', utf8(''), { except: ['A'] }), { name: 'not_allowed' })
    t.throws(() => ctx.group('plain').publish('said', new Uint8Array(100_000)), { name: 'too_large' })
    const many = Array.from({ length: 1025 }, (_, i) => `s${i}`)
    t.throws(() => ctx.group('plain').publish('said', utf8(''), { except: many }), { name: 'too_large' })
    for (let i = 1; i < 64; i++) ctx.group(`g${i}`).join('A')
    t.throws(() => ctx.group('one too many').join('A'), { name: 'not_allowed' })
    t.same(ctx.group('one too many').members, [])
  })
})

t.test('a member of a channel that is over is a member of nothing', async (t) => {
  const { bed, act } = roomOf()
  const g = bed.gateway()
  attach(g, 0, 'A')
  g.fin(0, 1, code.closed)
  writeAck(g.w, 0, 1)
  g.deliver()
  act((ctx) => t.same(ctx.group('all').members, []))
})
