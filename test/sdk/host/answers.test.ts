// H1: a repeated idempotency key gets the first answer, and never a second execution.
import t, { type Test } from 'tap'
import { code } from '../../../protocols/codes.ts'
import { writeLinkLoose } from '../../../protocols/link/frames.ts'
import { Refusal } from '../../../sdk/error.ts'
import { service } from '../../../sdk/host/service.ts'
import { Bed, Later, utf8 } from './scripted-gateway.ts'

type Reply = Record<string, unknown>

function setUp(t: Test) {
  const ran: string[] = []
  const slow: Later[] = []
  const shop = service('shop', {
    keys: 'any',
    routes: {
      'shop.buy': (ctx) => {
        ran.push(`${ctx.user} ${ctx.idempotencyKey}`)
        return slow[slow.push(new Later()) - 1]
      },
      'shop.other': () => utf8('other'),
      'shop.no': () => {
        ran.push('no')
        throw new Refusal('not enough gold')
      },
      'shop.busy': () => {
        ran.push('busy')
        throw new Refusal('later', code.busy)
      },
      'shop.large': () => {
        ran.push('large')
        return new Uint8Array(1024 * 1024)
      },
    },
    idleMs: 1000,
  })
  const bed = new Bed([shop], { heartbeatMs: 3_600_000 })
  const g = bed.gateway()
  let request = 0
  const call = (more = {}) => {
    request++
    writeLinkLoose(g.w, {
      request,
      session: '',
      user: 'ann',
      address: '10.0.0.1',
      service: 'shop',
      key: 'ann',
      route: 'shop.buy',
      deadlineMs: 1000,
      idempotencyKey: 'k',
      payload: utf8('sword'),
      ...more,
    })
    g.deliver()
    return request
  }
  const replies = () => g.seen().filter(({ kind }) => kind === 'looseReply') as Reply[]
  t.ok(g, 'a gateway is linked')
  return { bed, g, call, replies, ran, slow }
}

t.test('what is running is joined, and what is answered is answered again', async (t) => {
  const { bed, call, replies, ran, slow } = setUp(t)
  call()
  call()
  t.same(replies(), [])
  slow[0].resolve(utf8('sold'))
  bed.turn()
  t.match(replies(), [
    { request: 1, code: code.ok, payload: 'sold' },
    { request: 2, code: code.ok, payload: 'sold' },
  ])
  call()
  t.match(replies(), [{ request: 3, code: code.ok, payload: 'sold' }])
  t.same(ran, ['ann k'])
})

t.test('another body under the same key is refused, while it runs and after', async (t) => {
  const { bed, call, replies, ran, slow } = setUp(t)
  call()
  call({ payload: utf8('shield') })
  t.match(replies(), [{ request: 2, code: code.key_reused }])
  slow[0].resolve(utf8('sold'))
  bed.turn()
  replies()
  call({ payload: utf8('shield') })
  t.match(replies(), [{ request: 3, code: code.key_reused }])
  t.equal(ran.length, 1)
})

t.test('another user, route or key is another call', async (t) => {
  const { call, ran, replies } = setUp(t)
  call()
  call({ user: 'bob' })
  call({ idempotencyKey: 'k2' })
  call({ idempotencyKey: '' })
  t.match(replies(), [])
  call({ route: 'shop.other' })
  t.match(replies(), [{ payload: 'other' }].slice(1), 'behind the running one')
  t.same(ran, ['ann k'])
})

t.test('a handler that refuses has run: its refusal is the answer', async (t) => {
  const { call, replies, ran } = setUp(t)
  for (const route of ['shop.no', 'shop.busy']) {
    call({ route })
    const [first] = replies()
    call({ route })
    const [second] = replies()
    t.match(second, { code: first['code'], payload: first['payload'] }, route)
  }
  t.same(ran, ['no', 'busy'])
})

t.test('what no handler was reached with may be called again', async (t) => {
  const { bed, call, replies, ran, slow } = setUp(t)
  call()
  call({ user: 'bob', deadlineMs: 100 })
  bed.pass(200)
  slow[0].resolve(utf8('sold'))
  bed.turn()
  t.match(replies(), [{ request: 1 }, { request: 2, code: code.expired }])
  call({ user: 'bob' })
  t.same(ran, ['ann k', 'bob k'])
  slow[1].resolve(utf8('sold to bob'))
  bed.turn()
  t.match(replies(), [{ request: 3, payload: 'sold to bob' }])
})

t.test('an answer is kept for its time, and keeps its actor alive', async (t) => {
  const { bed, call, replies, ran, slow } = setUp(t)
  call()
  slow[0].resolve(utf8('sold'))
  bed.turn()
  replies()
  bed.pass(599_000)
  call()
  t.match(replies(), [{ request: 2, payload: 'sold' }], 'long after the actor would have been idle')
  bed.pass(1001)
  t.equal(ran.length, 1)
  t.equal(bed.events.filter(({ event }) => event === 'actor_stopped').length, 0)
  bed.pass(1001)
  t.equal(bed.events.filter(({ event }) => event === 'actor_stopped').length, 1, 'idle now')
  call()
  t.equal(ran.length, 2, 'forgotten')
})

t.test(
  'H1: each answer is kept for its own time: none is forgotten with an older one, and none is kept for ever',
  async (t) => {
    const { bed, call, ran } = setUp(t)
    const again = (...keys: string[]): number => {
      const before = ran.length
      for (const idempotencyKey of keys) call({ route: 'shop.no', idempotencyKey })
      return ran.length - before
    }
    t.equal(again('a', 'b'), 2)
    bed.pass(300_000)
    t.equal(again('c'), 1)
    bed.pass(299_000)
    t.equal(again('a', 'b', 'c'), 0)
    bed.pass(2000)
    t.equal(again('c'), 0, 'the younger one is still there')
    t.equal(again('a', 'b'), 2, 'the older ones are not')
    bed.pass(300_000)
    t.equal(again('a', 'b'), 0)
    t.equal(again('c'), 1)
  },
)

t.test('a key gives its place back when its answer is forgotten, or its call never ran', async (t) => {
  const { bed, call, replies, slow } = setUp(t)
  const busy = (more: object): number => {
    for (let i = 0; i < 255; i++) call({ idempotencyKey: `${JSON.stringify(more)} ${i}`, ...more })
    return replies().filter((reply) => reply['code'] === code.busy).length
  }
  call({ user: 'bob' })
  t.equal(busy({ deadlineMs: 100 }), 0)
  bed.pass(200)
  slow[0].resolve(utf8('sold'))
  bed.turn()
  replies()
  t.equal(busy({ route: 'shop.no', n: 1 }), 0, 'after those that expired before they ran')
  bed.pass(601_000)
  t.equal(busy({ route: 'shop.no', n: 2 }), 0, 'after those whose answers are forgotten')
  t.ok(busy({ route: 'shop.no', n: 3 }) > 0)
})

t.test('keys of an actor are bounded, those that run and those that are answered together', async (t) => {
  const { call, replies } = setUp(t)
  for (let user = 0; user < 16; user++) {
    const keys = user === 15 ? 255 : 256
    for (let i = 0; i < keys; i++) call({ route: 'shop.no', user: `u${user}`, idempotencyKey: `${i}` })
  }
  t.equal(replies().filter((reply) => reply['code'] === code.busy).length, 0)
  call({ user: 'last' })
  t.same(replies(), [], 'the last of 4,096 runs')
  call({ user: 'one more' })
  t.match(replies(), [{ code: code.busy }])
})

t.test('the room of answers that are forgotten is there for others', async (t) => {
  const { bed, call, replies } = setUp(t)
  for (let i = 0; i < 4; i++) call({ route: 'shop.large', idempotencyKey: `k${i}` })
  bed.pass(601_000)
  for (let i = 4; i < 9; i++) call({ route: 'shop.large', idempotencyKey: `k${i}` })
  replies()
  for (let i = 4; i < 9; i++) call({ route: 'shop.large', idempotencyKey: `k${i}` })
  t.same(
    replies().map((reply) => reply['code']),
    [code.ok, code.ok, code.ok, code.ok, code.unknown],
    'as many as before: exactly 4 MiB',
  )
})

t.test('keys of one user are bounded, and none is forgotten for another', async (t) => {
  const { call, replies, ran } = setUp(t)
  for (let i = 0; i < 256; i++) call({ route: 'shop.no', idempotencyKey: `k${i}` })
  t.equal(replies().length, 256)
  call({ route: 'shop.no', idempotencyKey: 'one more' })
  t.match(replies(), [{ code: code.busy }])
  call({ route: 'shop.no', idempotencyKey: 'k0' })
  t.match(replies(), [{ code: code.not_allowed }])
  t.equal(ran.length, 256)
  call({ route: 'shop.no', user: 'bob' })
  t.equal(ran.length, 257, 'others have theirs')
})

t.test('answers without room are not run again either', async (t) => {
  const { call, replies, ran } = setUp(t)
  for (let i = 0; i < 6; i++) call({ route: 'shop.large', idempotencyKey: `k${i}` })
  t.ok(replies().every((reply) => reply['code'] === code.ok))
  call({ route: 'shop.large', idempotencyKey: 'k0' })
  call({ route: 'shop.large', idempotencyKey: 'k5' })
  t.match(replies(), [{ code: code.ok }, { code: code.unknown }])
  t.equal(ran.length, 6)
})

t.test('those who join one call are bounded', async (t) => {
  const { bed, call, replies, slow } = setUp(t)
  for (let i = 0; i < 65; i++) call()
  t.match(replies(), [{ request: 65, code: code.busy }])
  slow[0].resolve(utf8('sold'))
  bed.turn()
  t.equal(replies().length, 64)
})

t.test('an actor that stops answers what it was called for: what ran may have, what waited has not', async (t) => {
  const { bed, call, replies } = setUp(t)
  call({ idempotencyKey: '' })
  call({ idempotencyKey: '', route: 'shop.other' })
  call()
  t.same(replies(), [])
  bed.core.actorHere('shop', 'ann', bed.now).stop(code.host_away, bed.now)
  bed.turn()
  t.match(replies(), [
    { request: 1, code: code.unknown },
    { request: 2, code: code.busy },
    { request: 3, code: code.busy },
  ])
})
