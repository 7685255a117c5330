// Actors among themselves (P6): over a gateway, in the same process, loose, to all hosts of a service.
import t from 'tap'
import {
  writeAttached,
  writeDetached,
  writeLooseReply,
  writeReset,
  writeStale,
} from '../../../protocols/client/frames.ts'
import { code } from '../../../protocols/codes.ts'
import { linkKind, writeBroadcast, writeCloseHandle, writeLinkLoose } from '../../../protocols/link/frames.ts'
import type { Context } from '../../../sdk/host/context.ts'
import type { ServiceDefinition } from '../../../sdk/host/service.ts'
import { service } from '../../../sdk/host/service.ts'
import type { ScriptedGateway } from './scripted-gateway.ts'
import { Bed, Later, text, utf8 } from './scripted-gateway.ts'

function bedOf(more: Partial<ServiceDefinition> = {}, options = {}) {
  const log: string[] = []
  const node = service('node', {
    keys: 'any',
    routes: {
      'node.say': (ctx, payload) => {
        log.push(`${ctx.key} from ${ctx.session}: ${text(payload)}`)
      },
      'node.ask': (_ctx, payload) => utf8(`${text(payload)}!`),
    },
    onEnd: (ctx, ending) => {
      log.push(`end ${ctx.session} ${ending.name} ${ending.unknown.map(({ payload }) => text(payload))}`)
    },
    ...more,
  })
  const bed = new Bed([node], options)
  const act = (run: (ctx: Context) => unknown, key = 'one') => {
    bed.core.actorHere('node', key, bed.now).hook('test', undefined, run)
    bed.turn()
  }
  return { bed, act, log }
}

const answer = (g: ScriptedGateway, channel: number, epoch: number, more = {}) => {
  writeAttached(g.w, {
    channel,
    epoch,
    life: 9n,
    received: 0,
    settled: 0,
    refused: [],
    quietForMs: 0,
    windowCount: 256,
    windowBytes: 65536,
    pin: utf8('pin'),
    ...more,
  })
  g.deliver()
}

const settled = () => new Promise((resolve) => setImmediate(resolve))

t.test('the sending actor is the client end of a channel, on an odd handle, over any gateway', async (t) => {
  const { bed, act } = bedOf()
  const g = bed.gateway()
  let reply: unknown
  act((ctx) => {
    t.equal(ctx.actor('node', 'two').send('node.say', utf8('first')), 1)
    void ctx
      .actor('node', 'two')
      .call('node.ask', utf8('who'))
      .then((value) => {
        reply = text(value)
      })
  })
  t.match(g.seen(), [
    { kind: 'open', handle: 1, epoch: 1, from: 'node/one', service: 'node', key: 'two', life: 0n, sent: 0 },
  ])
  answer(g, 1, 1)
  t.match(g.seen(), [
    { kind: 'route', name: 'node.say' },
    { kind: 'oneway', handle: 1, number: 1, payload: 'first' },
    { kind: 'route', name: 'node.ask' },
    { kind: 'request', number: 2, request: 1, payload: 'who' },
  ])
  g.reply(1, 1, 1, code.ok, 'two!')
  await settled()
  t.equal(reply, 'two!')
})

t.test('the target sees a session that is the address of the sender, whatever the keys of its service', async (t) => {
  const { bed, log } = bedOf({ keys: 'user' })
  const g = bed.gateway()
  g.attach({ session: 'a:node/far', user: '', service: 'node', key: 'one' })
  g.oneway(0, 1, 'node.say', 'hello')
  t.same(log, ['one from a:node/far: hello'])
})

t.test('STALE: the epoch jumps above what the target has, and stays there (A8)', async (t) => {
  const { bed, act } = bedOf()
  const g = bed.gateway()
  act((ctx) => ctx.actor('node', 'two').send('node.say', utf8('x')))
  g.seen()
  writeStale(g.w, linkKind.stale, { channel: 1, epoch: 1, have: 40 })
  g.deliver()
  t.match(g.seen(), [
    { kind: 'closeHandle', handle: 1 },
    { kind: 'open', handle: 3, epoch: 41 },
  ])
  g.closeHandle(1)
  answer(g, 3, 41)
  t.match(g.seen(), [{ kind: 'route' }, { kind: 'oneway', handle: 3, number: 1 }])
  act((ctx) => ctx.actor('node', 'three').send('node.say'))
  t.match(g.seen(), [{ kind: 'open', handle: 1, epoch: 42 }], 'a handle that both have closed is used again (L2)')
})

t.test(
  'REFUSED backs off, PARKED waits, DETACHED and a lost link attach anew with what the gateway last said',
  async (t) => {
    const { bed, act } = bedOf({}, { heartbeatMs: 1e9 })
    const g = bed.gateway('g1', '', 1, 1n)
    act((ctx) => ctx.actor('node', 'two').send('node.say', utf8('x')))
    g.seen()
    g.answer(linkKind.refused, 1, 1, code.host_away, 500)
    t.same(g.kinds(), ['closeHandle'])
    bed.pass(499)
    t.same(g.kinds(), [])
    bed.pass(1)
    t.match(g.seen(), [{ kind: 'open', epoch: 2, handle: 3 }])
    g.answer(linkKind.parked, 3, 2, 0, 30_000)
    bed.pass(20_000)
    t.same(g.kinds(), [])
    answer(g, 3, 2)
    g.seen()
    writeDetached(g.w, { channel: 3, epoch: 2, code: code.host_lost, retryMs: 0, pin: utf8('newer') })
    writeCloseHandle(g.w, { handle: 3, code: code.host_lost, retryMs: 0, host: '' })
    g.deliver()
    const again = g.one('open')
    t.match(again, { epoch: 3, life: 9n, sent: 1 })
    t.equal(text(again.pin), 'newer')
    const other = bed.gateway('g2', '', 1, 2n)
    g.lose()
    t.match(other.seen(), [{ kind: 'open', epoch: 4, handle: 1 }])
    answer(other, 1, 4, { received: 1, settled: 1 })
    t.same(other.kinds(), [], 'nothing is sent twice')
  },
)

t.test('an OPEN without an answer goes to another gateway after three seconds (A2)', async (t) => {
  const { bed, act } = bedOf({}, { heartbeatMs: 1e9 })
  const g = bed.gateway('g1', '', 1, 1n)
  const other = bed.gateway('g2', '', 1, 2n)
  act((ctx) => ctx.actor('node', 'two').send('node.say'))
  t.same(g.kinds(), ['open'])
  bed.pass(3000)
  t.match(other.seen(), [{ kind: 'open', epoch: 2 }])
  t.same(g.kinds(), ['closeHandle'])
  answer(g, 1, 1)
  t.same(g.kinds(), [], 'an answer on a handle that was let go is nothing')
})

t.test('RESET, and a channel that ends: the sender is told what is unknown (X1, X5)', async (t) => {
  const { bed, act, log } = bedOf({}, { heartbeatMs: 1e9, keepMs: 10_000 })
  const g = bed.gateway()
  act((ctx) => ctx.actor('node', 'two').send('node.say', utf8('lost?')))
  answer(g, 1, 1)
  g.closeHandle(1)
  g.seen()
  writeReset(g.w, {
    channel: 1,
    epoch: 2,
    life: 10n,
    reason: 1,
    hadReceived: 0,
    windowCount: 256,
    windowBytes: 65536,
    pin: new Uint8Array(0),
  })
  g.deliver()
  t.same(log, ['end a:node/two reset lost?'])
  act((ctx) => t.equal(ctx.actor('node', 'two').send('node.say', utf8('again')), 1, 'it goes on from 1'))
  g.lose()
  bed.pass(10_000)
  t.same(log[1], 'end a:node/two expired again')
})

t.test('a refused channel that does not come back ends at once, and its calls did not run for nothing', async (t) => {
  const { bed, act, log } = bedOf()
  const g = bed.gateway()
  let told = ''
  act((ctx) => {
    ctx
      .actor('node', 'two')
      .call('node.ask')
      .catch((error) => {
        told = `${error.name} ${error.ran}`
      })
  })
  g.answer(linkKind.refused, 1, 1, code.no_service)
  await settled()
  t.match(told, /unknown|no/)
  t.same(log, ['end a:node/two no_service '])
})

t.test('an actor of the same host is reached through its mailbox, in order, within the window', async (t) => {
  const later = new Later()
  const ran: string[] = []
  const { bed, act } = bedOf(
    {
      routes: {
        'node.slow': () => later,
        'node.say': (ctx, payload) => {
          ran.push(`${ctx.session} ${text(payload)}`)
        },
        'node.ask': () => utf8('here'),
      },
    },
    { window: { count: 4, bytes: 4096 } },
  )
  bed.core.actorHere('node', 'two', bed.now)
  bed.turn()
  const outcomes: string[] = []
  act((ctx) => {
    const two = ctx.actor('node', 'two')
    two.send('node.slow')
    two.send('node.say', utf8('a'))
    const note = (error: Error & { ran?: string }) => outcomes.push(`${error.name} ${error.ran}`)
    void two.call('node.ask', undefined, { timeoutMs: 100 }).catch(note)
    void two.call('node.ask', undefined, { timeoutMs: 9000 }).then((value) => outcomes.push(text(value)))
    t.throws(() => two.send('node.say', utf8('b')), { name: 'window_full' })
    t.throws(() => two.send('node.say', new Uint8Array(2000)), { name: 'too_large' })
  })
  t.same(ran, [])
  bed.pass(100)
  await settled()
  t.same(outcomes, ['expired no'])
  later.resolve()
  bed.turn()
  await settled()
  t.same(ran, ['a:node/one a'])
  t.same(outcomes, ['expired no', 'here'])
})

t.test('push to an actor is a message to it, and sendList tells who did not take it', async (t) => {
  const { bed, act, log } = bedOf()
  for (const key of ['two', 'three']) bed.core.actorHere('node', key, bed.now)
  act((ctx) => {
    ctx.push('a:node/two', 'node.say', utf8('pushed'))
    const refused = ctx.sendList(
      [
        { service: 'node', key: 'two' },
        { service: 'node', key: 'three' },
      ],
      'node.say',
      utf8('all'),
    )
    t.same(refused, [])
    t.match(ctx.sendList([{ service: 'node', key: 'two' }], 'node.say', new Uint8Array(50_000)), [
      { key: 'two', error: { name: 'too_large' } },
    ])
  })
  t.equal(log[0], 'two from a:node/one: pushed')
  t.same(log.slice(1).sort(), ['three from a:node/one: all', 'two from a:node/one: all'])
})

t.test('a target that stops in the middle of a call leaves it unknown', async (t) => {
  const later = new Later()
  const { bed, act } = bedOf({ routes: { 'node.slow': () => later, 'node.ask': () => utf8('x') } })
  const two = bed.core.actorHere('node', 'two', bed.now)
  bed.turn()
  const outcomes: string[] = []
  const note = (error: Error & { ran?: string }) => outcomes.push(`${error.name} ${error.ran}`)
  act((ctx) => {
    void ctx.actor('node', 'two').call('node.slow').catch(note)
    void ctx.actor('node', 'two').call('node.ask').catch(note)
  })
  two.stop(code.handler_failed, bed.now)
  await settled()
  t.same(outcomes, ['unknown unknown', 'unknown no'])
})

t.test('loose calls: one gateway, one answer, and unknown when the link or the time ends', async (t) => {
  const { bed, act } = bedOf({}, { heartbeatMs: 1e9 })
  const outcomes: string[] = []
  const note = (error: Error & { ran?: string }) => outcomes.push(`${error.name} ${error.ran}`)
  const call = (timeoutMs = 1000) =>
    act((ctx) => {
      void ctx
        .actor('node', 'two')
        .loose('node.ask', utf8('q'), { timeoutMs })
        .then((value) => outcomes.push(text(value)), note)
    })
  call()
  await settled()
  t.same(outcomes.splice(0), ['host_away no'])
  const g = bed.gateway()
  call()
  const loose = g.one('loose')
  t.match(loose, {
    session: 'node/one',
    service: 'node',
    key: 'two',
    route: 'node.ask',
    deadlineMs: 1000,
    payload: 'q',
  })
  const reply = (request: number, why: number, what: string) => {
    writeLooseReply(g.w, linkKind.looseReply, { request, code: why, payload: utf8(what) })
    g.deliver()
  }
  reply(loose.request as number, code.ok, 'a')
  reply(loose.request as number, code.ok, 'again')
  call()
  reply(g.one('loose').request as number, code.no_route, '')
  call()
  bed.pass(1000)
  call()
  g.lose()
  await settled()
  t.same(outcomes, ['a', 'no_route no', 'unknown unknown', 'unknown unknown'])
  bed.core.actorHere('node', 'two', bed.now)
  call()
  await settled()
  t.equal(outcomes.at(-1), 'q!', 'an actor that is here needs no gateway')
})

t.test('a loose call for a key that another host has is answered not_here (P2)', async (t) => {
  const { bed } = bedOf()
  const g = bed.gateway()
  g.answersLocate = false
  writeLinkLoose(g.w, {
    request: 5,
    session: '',
    user: '',
    address: '',
    service: 'node',
    key: 'far',
    route: 'node.ask',
    deadlineMs: 1000,
    idempotencyKey: '',
    payload: utf8(''),
  })
  g.deliver()
  const { id } = g.one('locate')
  bed.core.locates.located([...bed.core.askedLinks()][0], { id: id as number, here: true, host: 'h2' }, bed.now)
  bed.turn()
  t.match(g.one('looseReply'), { request: 5, code: code.not_here })
})

t.test('a broadcast runs once on each host: here at once, elsewhere over one gateway', async (t) => {
  const heard: string[] = []
  const { bed, act } = bedOf({
    broadcasts: {
      'node.news': (ctx, payload) => {
        heard.push(`${ctx.from} ${text(payload)} ${ctx.keys}`)
        ctx.forEachActor((actor) => heard.push(actor.key))
      },
      'node.bad': () => {
        throw new Error('oops')
      },
      'node.worse': () => Promise.reject(new Error('oops')),
    },
  })
  const g = bed.gateway('g1', '', 1, 1n)
  const other = bed.gateway('g2', '', 1, 2n)
  act((ctx) => ctx.broadcast('node', 'node.news', utf8('hi')))
  t.match(g.seen(), [{ kind: 'broadcast', from: 'node/one', service: 'node', route: 'node.news', payload: 'hi' }])
  t.same(other.kinds(), [])
  t.same(heard, ['node/one hi one', 'one'])
  writeBroadcast(g.w, { from: 'node/far', service: 'node', route: 'node.news', payload: utf8('ho') })
  writeBroadcast(g.w, { from: 'node/far', service: 'node', route: 'node.none', payload: utf8('') })
  writeBroadcast(g.w, { from: 'node/far', service: 'node', route: 'node.bad', payload: utf8('') })
  g.deliver()
  t.same(heard.slice(2), ['node/far ho one', 'one'])
  t.match(bed.events.at(-1), { event: 'handler_failed', route: 'node.bad' })
  writeBroadcast(g.w, { from: 'node/far', service: 'node', route: 'node.worse', payload: utf8('') })
  g.deliver()
  await settled()
  t.match(bed.events.at(-1), { event: 'handler_failed', route: 'node.worse' })
})

t.test('a channel that nobody uses is closed, so that actors do not keep each other alive', async (t) => {
  const { bed, act } = bedOf({ idleMs: 5000 }, { heartbeatMs: 1e9 })
  const g = bed.gateway()
  act((ctx) => ctx.every(1000, () => {}))
  act((ctx) => ctx.actor('node', 'two').send('node.say', utf8('x')))
  answer(g, 1, 1)
  g.ack(1, 1)
  g.seen()
  bed.pass(5000)
  t.match(g.seen(), [{ kind: 'fin', handle: 1, number: 2 }])
  g.ack(1, 2)
  g.fin(1, 1, code.closed)
  bed.pass(20)
  t.same(
    g.kinds().filter((kind) => kind !== 'ack'),
    ['closeHandle'],
  )
  t.equal(bed.core.channels.count, 0)
})

t.test('an actor that stops says so on its channels', async (t) => {
  const { bed, act } = bedOf()
  const g = bed.gateway()
  act((ctx) => ctx.actor('node', 'two').send('node.say', utf8('x')))
  answer(g, 1, 1)
  g.seen()
  bed.core.actor('node', 'one')!.stop(code.host_lost, bed.now)
  bed.turn()
  t.match(g.seen(), [
    { kind: 'fin', number: 2 },
    { kind: 'closeHandle', handle: 1 },
  ])
})
