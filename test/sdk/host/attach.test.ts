// The attach step of a host: what is answered (A5), the fence (A6), what is said again (X2), and who is kept out (A11).
import t from 'tap'
import { resetReason, writeClose } from '../../../protocols/client/frames.ts'
import { code } from '../../../protocols/codes.ts'
import type { LinkAttach } from '../../../protocols/link/frames.ts'
import { linkKind, writeLinkAttach, writeLocate, writeLocated } from '../../../protocols/link/frames.ts'
import { writeAck, writeOneway, writeSkip } from '../../../protocols/wire/lane-frames.ts'
import { SkewerError } from '../../../sdk/error.ts'
import type { ServiceDefinition } from '../../../sdk/host/service.ts'
import { service } from '../../../sdk/host/service.ts'
import type { ScriptedGateway } from './scripted-gateway.ts'
import { attachDefaults, Bed, Later, text, utf8 } from './scripted-gateway.ts'

type Told = { ends: string[]; said: string[] }

function echo(told: Told, more: Partial<ServiceDefinition> = {}) {
  return service('echo', {
    routes: {
      'echo.say': (_ctx, payload) => {
        told.said.push(text(payload))
      },
      'echo.news': (ctx, payload) => {
        ctx.push(ctx.session, 'news', payload)
      },
    },
    onEnd(_ctx, ending) {
      told.ends.push(`${ending.name} unknown:${ending.unknown.map((m) => text(m.payload))}`)
    },
    ...more,
  })
}

const bedOf = (more: Partial<ServiceDefinition> = {}, options = {}) => {
  const told: Told = { ends: [], said: [] }
  return { told, bed: new Bed([echo(told, more)], options) }
}

/** Attached on handle 0 with two messages taken and one push under way; returns its life. */
function established(g: ScriptedGateway): bigint {
  g.attach({ epoch: 5, ticketGeneration: 3 })
  const { life } = g.one('attached')
  g.oneway(0, 1, 'echo.say', 'one')
  g.oneway(0, 2, 'echo.news', 'tidings')
  g.seen()
  return life as bigint
}

// A5, one row a branch: what a second attach says, what it gets, and what the actor is told.
const A5: { name: string; a: Partial<LinkAttach>; usesLife?: boolean; gets: object; ends: string[] }[] = [
  {
    name: 'a spent ticket generation',
    a: { epoch: 6, ticketGeneration: 2 },
    usesLife: true,
    gets: { kind: 'spent', epoch: 6, have: 3 },
    ends: [],
  },
  { name: 'an epoch that is not above', a: { epoch: 5 }, usesLife: true, gets: { kind: 'stale', have: 5 }, ends: [] },
  {
    name: 'the same life goes on',
    a: { epoch: 6, received: 0, sent: 2 },
    usesLife: true,
    gets: { kind: 'attached', epoch: 6, received: 2, settled: 2 },
    ends: [],
  },
  {
    name: 'a client without its life gets a new record and no reset',
    a: { epoch: 6, life: 0n },
    gets: { kind: 'attached', received: 0, settled: 0 },
    ends: ['reset unknown:tidings'],
  },
  {
    name: 'another life gets a reset',
    a: { epoch: 6, life: 99n },
    gets: { kind: 'reset', reason: resetReason.lifeUnknown, hadReceived: 0 },
    ends: ['reset unknown:tidings'],
  },
  {
    name: 'the host has less than was acknowledged',
    a: { epoch: 6, acked: 3, sent: 3 },
    usesLife: true,
    gets: { kind: 'reset', reason: resetReason.stateBehind, hadReceived: 2 },
    ends: ['reset unknown:tidings'],
  },
  {
    name: 'the client has more than was ever sent',
    a: { epoch: 6, received: 2 },
    usesLife: true,
    gets: { kind: 'reset', reason: resetReason.stateBehind, hadReceived: 2 },
    ends: ['reset unknown:tidings'],
  },
]

for (const row of A5) {
  t.test(`A5: ${row.name}`, async (t) => {
    const { bed, told } = bedOf()
    const g = bed.gateway()
    const life = established(g)
    const handle = 2
    g.attach({ ticketGeneration: 3, ...row.a, handle, ...(row.usesLife === true ? { life } : {}) })
    const seen = g.seen()
    const answer = seen.find(({ channel }) => channel === handle)
    t.match(answer, row.gets)
    t.same(told.ends, row.ends)
    const isAttached = answer?.kind === 'attached' || answer?.kind === 'reset'
    // Fence first, answer second, on one link and in one write (A6); a handle without an attachment is closed (L2).
    const closes = seen.filter(({ kind }) => kind === 'closeHandle')
    t.match(closes, [isAttached ? { handle: 0, code: code.superseded } : { handle }])
    if (isAttached) t.ok(seen.indexOf(closes[0]) < seen.indexOf(answer!), 'the old handle is killed before the answer')
  })
}

t.test('A5, X3: without a record', async (t) => {
  const rows: [Partial<LinkAttach>, object][] = [
    [{ life: 0n }, { kind: 'attached', received: 0 }],
    [{ life: 5n }, { kind: 'notHere', host: '' }],
    [
      { life: 5n, pinned: true },
      { kind: 'reset', reason: resetReason.recordLost },
    ],
    [
      { life: 5n, pinnedGone: true },
      { kind: 'reset', reason: resetReason.recordLost },
    ],
  ]
  for (const [a, gets] of rows) {
    const { bed } = bedOf()
    const g = bed.gateway()
    g.attach(a)
    t.match(g.seen()[0], gets)
  }
})

t.test('A6: nothing that still arrives on the old handle is taken, on whichever link it was', async (t) => {
  const { bed, told } = bedOf()
  const g = bed.gateway('g1', '', 1, 1n)
  const other = bed.gateway('g2', '', 1, 2n)
  const life = established(g)
  other.attach({ epoch: 6, ticketGeneration: 3, life, sent: 2 })
  t.match(g.seen(), [{ kind: 'closeHandle', handle: 0, code: code.superseded }])
  t.match(other.seen(), [
    { kind: 'attached', received: 2 },
    { kind: 'route', name: 'news' },
    { kind: 'oneway', number: 1, payload: 'tidings' },
  ])
  g.oneway(0, 3, 'echo.say', 'late')
  t.same(told.said, ['one'])
  t.equal(bed.core.counters.framesOnClosedHandles, 1)
})

t.test('A7: ATTACHED, then the lane from their received + 1, then new messages', async (t) => {
  const { bed } = bedOf()
  const g = bed.gateway()
  g.attach({})
  const { life } = g.one('attached')
  for (let n = 1; n <= 4; n++) g.oneway(0, n, 'echo.news', `n${n}`)
  g.seen()
  g.lose()
  const again = bed.gateway('g1', '', 2, 100n)
  again.attach({ epoch: 2, life: life as bigint, received: 2, settled: 1, sent: 4, acked: 4 })
  t.match(again.seen(), [
    { kind: 'attached', received: 4, settled: 4 },
    { kind: 'route', name: 'news' },
    { kind: 'oneway', number: 3, payload: 'n3' },
    { kind: 'oneway', number: 4, payload: 'n4' },
  ])
})

t.test('R2: refused numbers are listed at the next attach until they are known to be known', async (t) => {
  const { bed } = bedOf()
  const g = bed.gateway()
  g.attach({})
  const life = g.one('attached').life as bigint
  g.oneway(0, 1, 'echo.say', 'a')
  writeSkip(g.w, 0, 2, 2, code.rate_limited)
  g.deliver()
  g.attach({ handle: 2, epoch: 2, life, sent: 3 })
  const refused = [
    { number: 2, code: code.rate_limited },
    { number: 3, code: code.rate_limited },
  ]
  t.match(g.one('attached'), { received: 3, settled: 3, refused })
  g.attach({ handle: 4, epoch: 3, life, sent: 3, acked: 2 })
  t.match(g.one('attached'), { refused: [refused[1]] })
  g.attach({ handle: 6, epoch: 4, life, sent: 3, acked: 3 })
  t.same(g.one('attached').refused, [])
})

t.test('X2: a reset and its lane are offered again until they are confirmed', async (t) => {
  const { bed, told } = bedOf({
    onAttached: (ctx) => {
      if (ctx.session === 'S') ctx.push('S', 'news', utf8(`hello ${ctx.sessions.length}`))
    },
  })
  const g = bed.gateway()
  g.attach({ life: 77n, pinned: true })
  const first = g.one('reset')
  g.attach({ handle: 2, epoch: 2, life: 77n, pinned: true })
  const seen = g.seen()
  t.match(
    seen.find(({ kind }) => kind === 'reset'),
    { life: first.life, reason: resetReason.recordLost },
    'the same life',
  )
  t.match(
    seen.find(({ kind }) => kind === 'oneway'),
    { number: 1, payload: 'hello 1' },
    'with the same lane',
  )
  t.same(told.ends, [])
  writeAck(g.w, 2, 1)
  g.deliver()
  g.attach({ handle: 4, epoch: 3, life: 77n, pinned: true })
  t.match(g.one('reset'), { reason: resetReason.lifeUnknown })
  t.same(told.ends, ['reset unknown:hello 1'], 'a frame has confirmed it: now it is another life')
})

t.test('A5: while a life is not confirmed, only the end that it was offered to is offered it again', async (t) => {
  const { bed, told } = bedOf()
  const g = bed.gateway()
  g.attach({ end: 1n })
  const { life } = g.one('attached')
  g.attach({ handle: 2, epoch: 2, end: 1n })
  t.equal(g.one('attached').life, life)
  g.attach({ handle: 4, epoch: 3, end: 2n })
  t.not(g.one('attached').life, life, 'another process of the session')
  t.same(told.ends, ['reset unknown:'])
})

t.test('S2: a record that is apart for `keep` expires, and the actor is told what is unknown', async (t) => {
  const { bed, told } = bedOf({}, { keepMs: 5000, heartbeatMs: 60_000 })
  const g = bed.gateway()
  const life = established(g)
  g.closeHandle(0)
  t.match(g.seen(), [{ kind: 'closeHandle', handle: 0 }])
  bed.pass(4999)
  t.same(told.ends, [])
  bed.pass(1)
  t.same(told.ends, ['expired unknown:tidings'])
  g.attach({ handle: 2, epoch: 6, ticketGeneration: 3, life })
  t.match(g.seen()[0], { kind: 'notHere' })
})

t.test(
  'X4: a channel closes by a FIN each way, and the record still answers an end that missed the last ACK',
  async (t) => {
    const { bed, told } = bedOf()
    const g = bed.gateway()
    g.attach({})
    const life = g.one('attached').life as bigint
    g.oneway(0, 1, 'echo.say', 'bye')
    g.fin(0, 2, code.closed)
    t.match(
      g.seen(),
      [
        { kind: 'fin', number: 1, code: code.closed },
        { kind: 'ack', number: 2 },
      ],
      'the ACK of a FIN does not wait (W3)',
    )
    t.same(told.ends, [])
    g.ack(0, 1)
    t.match(g.seen(), [{ kind: 'closeHandle', code: code.closed }], 'the last ACK went first')
    t.same(told.ends, ['closed unknown:'])
    g.attach({ handle: 2, epoch: 2, life, received: 1, settled: 1, acked: 1, sent: 2 })
    t.match(g.one('attached'), { received: 2, settled: 2 })
    g.attach({ handle: 4, epoch: 3, life: 0n })
    t.match(g.seen(), [
      { kind: 'closeHandle', handle: 2 },
      { kind: 'attached', received: 0 },
    ])
    t.same(told.ends, ['closed unknown:'], 'told once')
  },
)

t.test('X4: a kick is a FIN, a mark, and a code that does not come back', async (t) => {
  const told: Told = { ends: [], said: [] }
  const guard = echo(told, {
    routes: {
      'echo.cheat': (ctx) => ctx.kick(ctx.session),
      'echo.say': (_ctx, payload) => {
        told.said.push(text(payload))
      },
    },
  })
  const bed = new Bed([guard], { authUntilMs: 60_000, heartbeatMs: 1e9 })
  const g = bed.gateway()
  g.attach({})
  const life = g.one('attached').life as bigint
  writeOneway(g.w, 0, 1, g.route('echo.cheat'), utf8(''))
  writeOneway(g.w, 0, 2, g.route('echo.say'), utf8('still here?'))
  g.deliver()
  t.match(g.seen().slice(0, 2), [
    { kind: 'fin', code: code.kicked },
    { kind: 'kick', session: 'S', code: code.kicked },
  ])
  t.same(told.said, [], 'nothing of it runs any more')
  g.closeHandle(0, code.kicked)
  t.same(told.ends, ['kicked unknown:'])
  g.seen()
  g.attach({ handle: 2, epoch: 2, life })
  t.match(g.seen()[0], { kind: 'refused', code: code.kicked })
  bed.pass(60_000)
  g.attach({ handle: 4, epoch: 3 })
  t.match(g.seen()[0], { kind: 'attached' })
})

t.test('A11: keys, the hook, and services that are not here', async (t) => {
  const asked: string[] = []
  const { bed } = bedOf({
    onAttach: (request) => {
      asked.push(`${request.session} ${request.user} ${request.service}/${request.key}`)
      if (request.session === 'T') throw new SkewerError(code.banned)
      return request.session !== 'B'
    },
  })
  const g = bed.gateway()
  const rows: [Partial<LinkAttach>, number][] = [
    [{ key: 'bob' }, code.not_allowed],
    [{ service: 'chess' }, code.no_service],
    [{ session: 'B' }, code.not_allowed],
    [{ session: 'T' }, code.banned],
  ]
  for (const [i, [a, why]] of rows.entries()) {
    g.attach({ handle: i * 2, ...a })
    t.match(g.seen(), [
      { kind: 'refused', channel: i * 2, code: why },
      { kind: 'closeHandle', handle: i * 2 },
    ])
  }
  g.attach({ handle: 10 })
  const life = g.one('attached').life as bigint
  g.attach({ handle: 12, epoch: 2, life })
  t.equal(asked.filter((who) => who.startsWith('S')).length, 1, 'who has a channel is not asked again')
})

t.test('A11: a hook may take its time, and everything is judged anew when it has decided', async (t) => {
  const waiting: Later[] = []
  const { bed } = bedOf({ onAttach: () => waiting[waiting.push(new Later()) - 1] })
  const g = bed.gateway()
  g.attach({ epoch: 1 })
  g.attach({ handle: 2, epoch: 2 })
  t.same(g.kinds(), [])
  waiting[1].resolve(true)
  bed.turn()
  t.match(g.one('attached'), { channel: 2, epoch: 2 })
  waiting[0].resolve(true)
  bed.turn()
  t.match(g.seen()[0], { kind: 'stale', channel: 0, have: 2 })
})

t.test('A11: an attach that its gateway gave up meanwhile, and a hook that never decides', async (t) => {
  const waiting: Later[] = []
  const { bed } = bedOf({ onAttach: () => waiting[waiting.push(new Later()) - 1] })
  const g = bed.gateway()
  g.attach({ epoch: 1 })
  g.closeHandle(0)
  t.same(g.kinds(), ['closeHandle'])
  waiting[0].resolve(false)
  bed.turn()
  t.same(g.kinds(), [])
  g.attach({ handle: 2, epoch: 2 })
  bed.pass(10_000)
  t.match(g.seen(), [{ kind: 'refused', code: code.busy }, { kind: 'closeHandle' }])
})

t.test('A11: attaches are limited for a session and for the host', async (t) => {
  const { bed } = bedOf(
    { keys: 'any' },
    { attachesPerSession: { perSecond: 10, burst: 2 }, attachesPerHost: { perSecond: 10, burst: 4 } },
  )
  const g = bed.gateway()
  let handle = -2
  const attach = (session: string) => {
    handle += 2
    g.attach({ handle, session, key: 'room' })
    return g.seen().find(({ channel }) => channel === handle)
  }
  t.match(attach('S'), { kind: 'attached' })
  t.match(attach('S'), { kind: 'stale' })
  t.match(attach('S'), { kind: 'refused', code: code.busy, retryMs: 100 })
  t.match(attach('A'), { kind: 'attached' })
  t.match(attach('B'), { kind: 'attached' })
  t.match(attach('C'), { kind: 'refused', code: code.busy }, 'the host has had four')
  bed.pass(100)
  t.match(attach('C'), { kind: 'attached' })
})

t.test('L2: a handle is used again only after both sides have closed it', async (t) => {
  const { bed } = bedOf({ keys: 'any' })
  const g = bed.gateway()
  g.attach({})
  g.closeHandle(0)
  t.same(g.kinds(), ['attached', 'closeHandle'])
  g.attach({ epoch: 2, session: 'T', key: 'room' })
  t.match(g.seen(), [{ kind: 'attached', channel: 0 }], 'both have')
  g.attach({ handle: 2, epoch: 3, session: 'T', key: 'room' })
  g.seen()
  g.attach({ handle: 0, session: 'U', key: 'room' })
  t.match(g.seen(), [{ kind: 'close', code: code.protocol }], 'the gateway has not')
  t.equal(g.isClosed, true)
})

t.test('P2: the other hosts are asked before a key is activated for the first time', async (t) => {
  const { bed } = bedOf({ keys: 'any' })
  const g = bed.gateway('g1', '', 1, 1n)
  const other = bed.gateway('g2', '', 1, 2n)
  g.answersLocate = other.answersLocate = false
  g.attach({ key: 'room' })
  g.attach({ handle: 2, session: 'T', key: 'room' })
  const asked = [g.one('locate'), other.one('locate')]
  t.match(asked, [
    { service: 'echo', key: 'room' },
    { service: 'echo', key: 'room' },
  ])
  writeLocated(g.w, { id: asked[0].id as number, here: false, host: '' })
  g.deliver()
  t.same(g.kinds(), [], 'one has not answered')
  writeLocated(other.w, { id: asked[1].id as number, here: true, host: 'h2' })
  other.deliver()
  const seen = g.seen()
  t.match(
    seen.filter(({ kind }) => kind === 'notHere'),
    [
      { handle: 0, host: 'h2' },
      { handle: 2, host: 'h2' },
    ],
  )
})

t.test('P2: silence is no answer, and a pin beats the question', async (t) => {
  const { bed } = bedOf({ keys: 'any' })
  const g = bed.gateway()
  g.answersLocate = false
  g.attach({ key: 'room' })
  t.same(g.kinds(), ['locate'])
  bed.pass(999)
  t.same(g.kinds(), [])
  bed.pass(1)
  t.match(g.seen(), [{ kind: 'refused', code: code.busy, retryMs: 1000 }, { kind: 'closeHandle' }])
  g.attach({ handle: 2, session: 'T', key: 'other', pinned: true })
  t.same(g.kinds(), ['attached'])
  g.attach({ handle: 4, key: 'other' })
  t.same(g.kinds(), ['attached'], 'the actor is here')
  g.attach({ handle: 6, epoch: 2, key: 'room' })
  g.seen()
  g.lose()
  t.equal(bed.core.actor('echo', 'room'), undefined)
  const other = bed.gateway('g2', '', 1, 2n)
  const third = bed.gateway('g3', '', 1, 3n)
  other.answersLocate = third.answersLocate = false
  other.attach({ epoch: 3, key: 'room' })
  writeLocated(other.w, { id: other.one('locate').id as number, here: false, host: '' })
  other.deliver()
  t.same(other.kinds(), [])
  third.lose()
  t.same(other.kinds(), ['attached'], 'a gateway that is lost is not waited for')
})

t.test('P2: a host answers LOCATE from what it holds', async (t) => {
  const { bed } = bedOf()
  const g = bed.gateway()
  g.attach({})
  g.seen()
  writeLocate(g.w, { id: 9, service: 'echo', key: 'ann', asker: 'h2' })
  writeLocate(g.w, { id: 10, service: 'echo', key: 'bob', asker: 'h2' })
  g.deliver()
  t.match(g.seen(), [
    { kind: 'located', id: 9, here: true, host: 'h1' },
    { kind: 'located', id: 10, here: false, host: '' },
  ])
})

t.test('P2: of two hosts that ask at once the lower name goes on, and the other one yields', async (t) => {
  for (const [asker, here, gets] of [
    ['h2', true, 'attached'],
    ['h0', false, 'notHere'],
  ] as const) {
    const { bed } = bedOf({ keys: 'any' })
    const g = bed.gateway()
    g.answersLocate = false
    g.attach({ key: 'room' })
    const question = g.one('locate')
    t.match(question, { asker: 'h1' })
    writeLocate(g.w, { id: 9, service: 'echo', key: 'room', asker })
    g.deliver()
    const seen = g.seen()
    t.match(
      seen.find(({ kind }) => kind === 'located'),
      { id: 9, here, host: here ? 'h1' : '' },
    )
    if (here) {
      writeLocated(g.w, { id: question.id as number, here: false, host: '' })
      g.deliver()
      seen.push(...g.seen())
    }
    t.match(
      seen.find(({ channel, handle, kind }) => kind !== 'located' && (channel === 0 || handle === 0)),
      gets === 'notHere' ? { kind: gets, host: 'h0' } : { kind: gets },
    )
  }
})

t.test('N3: a gap closes the handle, not the link, and the record goes on', async (t) => {
  const { bed, told } = bedOf()
  const g = bed.gateway()
  g.attach({})
  const life = g.one('attached').life as bigint
  g.oneway(0, 2, 'echo.say', 'too far')
  t.match(g.seen(), [{ kind: 'closeHandle', handle: 0, code: code.protocol }])
  t.equal(g.isClosed, false)
  g.closeHandle(0)
  g.attach({ epoch: 2, life })
  t.match(g.one('attached'), { received: 0 })
  t.same(told.said, [])
})

t.test('a lane frame before ATTACHED ends the link (A7)', async (t) => {
  const { bed } = bedOf({ onAttach: () => new Later() })
  const g = bed.gateway()
  writeLinkAttach(g.w, attachDefaults)
  writeOneway(g.w, 0, 1, g.route('echo.say'), utf8('early'))
  g.deliver()
  t.match(g.seen().at(-1), { kind: 'close', code: code.protocol })
})

t.test('a draining host activates no new actor', async (t) => {
  const { bed } = bedOf()
  const g = bed.gateway()
  g.attach({})
  g.seen()
  bed.core.drain(bed.now)
  bed.turn()
  t.match(g.seen(), [{ kind: 'drain', code: code.going_away }])
  g.attach({ handle: 2, session: 'T', user: 'bob', key: 'bob' })
  t.match(g.seen()[0], { kind: 'refused', code: code.going_away })
  bed.core.close(bed.now)
  t.match(g.seen().at(-1), { kind: 'goodbye' })
  t.equal(g.isClosed, true)
})

t.test('nothing new is started over a link whose gateway drains', async (t) => {
  const { bed } = bedOf()
  const g = bed.gateway()
  writeClose(g.w, linkKind.drain, { code: code.going_away, retryMs: 1000, text: '' })
  g.deliver()
  bed.core.actorHere('echo', 'ann', bed.now).reach('S', bed.now)
  bed.turn()
  t.same(g.kinds(), [])
})
