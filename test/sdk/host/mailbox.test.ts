// What a mailbox promises: one handler at a time, in order, each message settled once and each request answered once.
import t from 'tap'
import { code } from '../../../protocols/codes.ts'
import { writeLinkLoose } from '../../../protocols/link/frames.ts'
import { writeLatest, writeOneway, writeRequest, writeUnreliable } from '../../../protocols/wire/lane-frames.ts'
import type { Context } from '../../../sdk/host/context.ts'
import { service } from '../../../sdk/host/service.ts'
import { Bed, Later, text, utf8 } from './scripted-gateway.ts'

t.test('handlers that take their time hold the mailbox, and only theirs', async (t) => {
  const ran: string[] = []
  const slow: Later[] = []
  const echo = service('echo', {
    keys: 'any',
    routes: {
      'echo.slow': (ctx, payload) => {
        ran.push(`${ctx.key} ${text(payload)}`)
        return slow[slow.push(new Later()) - 1]
      },
      'echo.fast': (ctx, payload) => {
        ran.push(`${ctx.key} ${text(payload)}`)
      },
    },
  })
  const bed = new Bed([echo])
  const g = bed.gateway()
  g.attach({ key: 'one' })
  g.attach({ handle: 2, key: 'two', session: 'T' })
  g.seen()
  g.request(0, 1, 'echo.slow', 1, 'a')
  g.oneway(0, 2, 'echo.fast', 'b')
  g.oneway(2, 1, 'echo.fast', 'c')
  t.same(ran, ['one a', 'two c'])
  bed.pass(250)
  t.match(g.seen(), [{ kind: 'ack', handle: 2, number: 1 }], 'received is not settled (W2)')
  slow[0].resolve(utf8('done'))
  bed.turn()
  t.same(ran, ['one a', 'two c', 'one b'])
  t.match(g.seen()[0], { kind: 'reply', request: 1, payload: 'done' })
})

t.test('a rejection is a failure, and the mailbox goes on', async (t) => {
  const later = new Later()
  const echo = service('echo', { routes: { 'echo.slow': () => later, 'echo.fast': () => utf8('next') } })
  const bed = new Bed([echo])
  const g = bed.gateway()
  g.attach({})
  g.seen()
  g.request(0, 1, 'echo.slow', 1, '')
  g.request(0, 2, 'echo.fast', 2, '')
  later.reject(new Error('no'))
  bed.turn()
  t.match(g.seen(), [
    { kind: 'reply', request: 1, code: code.handler_failed },
    { kind: 'reply', request: 2, code: code.ok, payload: 'next' },
  ])
  later.resolve('again')
  bed.turn()
  t.same(g.kinds(), [], 'a thenable that settles twice is heard once')
})

t.test('a thenable that settles at once, and one whose then throws', async (t) => {
  const echo = service('echo', {
    routes: {
      // biome-ignore lint/suspicious/noThenProperty: what handlers return may be any thenable
      'echo.now': () => ({ then: (ok: (value: unknown) => void) => ok(utf8('now')) }),
      'echo.broken': () => ({
        // biome-ignore lint/suspicious/noThenProperty: what handlers return may be any thenable
        then: () => {
          throw new Error('broken')
        },
      }),
    },
  })
  const bed = new Bed([echo])
  const g = bed.gateway()
  g.attach({})
  g.seen()
  g.request(0, 1, 'echo.now', 1, '')
  g.request(0, 2, 'echo.broken', 2, '')
  g.request(0, 3, 'echo.now', 3, '')
  t.match(
    g.seen().filter(({ kind }) => kind === 'reply'),
    [
      { request: 1, payload: 'now' },
      { request: 2, code: code.handler_failed },
      { request: 3, payload: 'now' },
    ],
  )
})

t.test('a handler that never settles is cut at its deadline, and its late result changes nothing', async (t) => {
  const later = new Later()
  const echo = service('echo', { routes: { 'echo.stuck': () => later, 'echo.fast': () => utf8('next') } })
  const bed = new Bed([echo], { handlerDeadlineMs: 3000 })
  const g = bed.gateway()
  g.attach({})
  g.seen()
  g.request(0, 1, 'echo.stuck', 1, '')
  g.request(0, 2, 'echo.fast', 2, '')
  bed.pass(2999)
  t.same(g.kinds(), [])
  bed.pass(1)
  t.match(g.seen().slice(0, 2), [
    { kind: 'reply', request: 1, code: code.handler_failed },
    { kind: 'reply', request: 2, payload: 'next' },
  ])
  t.match(bed.events.at(-1), { event: 'handler_cut', route: 'echo.stuck' })
  later.resolve(utf8('late'))
  bed.turn()
  t.same(
    g.kinds().filter((kind) => kind === 'reply'),
    [],
  )
})

t.test('the late result of a handler that was cut is not taken for that of the next one', async (t) => {
  const slow: Later[] = []
  const echo = service('echo', { routes: { 'echo.slow': () => slow[slow.push(new Later()) - 1] } })
  const bed = new Bed([echo], { handlerDeadlineMs: 3000 })
  const g = bed.gateway()
  g.attach({})
  g.request(0, 1, 'echo.slow', 1, '')
  bed.pass(2000)
  g.request(0, 2, 'echo.slow', 2, '')
  bed.pass(1000)
  g.seen()
  slow[0].resolve(utf8('late'))
  bed.turn()
  t.same(
    g.kinds().filter((kind) => kind === 'reply'),
    [],
  )
  slow[1].resolve(utf8('in time'))
  bed.turn()
  t.match(g.seen()[0], { kind: 'reply', request: 2, payload: 'in time' })
})

t.test('a request whose deadline has passed in the mailbox is not run (Q1)', async (t) => {
  const later = new Later()
  let ran = 0
  const echo = service('echo', {
    routes: {
      'echo.slow': () => later,
      'echo.count': () => {
        ran++
      },
    },
  })
  const bed = new Bed([echo])
  const g = bed.gateway()
  g.attach({})
  g.seen()
  g.oneway(0, 1, 'echo.slow', '')
  g.request(0, 2, 'echo.count', 2, '', 100)
  g.request(0, 3, 'echo.count', 3, '', 1000)
  bed.pass(100)
  later.resolve()
  bed.turn()
  t.match(
    g.seen().filter(({ kind }) => kind === 'reply'),
    [
      { request: 2, code: code.expired },
      { request: 3, code: code.ok },
    ],
  )
  t.equal(ran, 1)
})

t.test('unnumbered messages are bounded: a newer value takes the place of an older one', async (t) => {
  const later = new Later()
  const ran: string[] = []
  const note = (ctx: Context, payload: unknown) => ran.push(`${ctx.latestKey}=${text(payload)}`)
  const echo = service('echo', { routes: { 'echo.slow': () => later, 'echo.at': note, 'echo.loud': note } })
  const bed = new Bed([echo])
  const g = bed.gateway()
  g.attach({ epoch: 1 })
  g.oneway(0, 1, 'echo.slow', '')
  const at = g.route('echo.at')
  const loud = g.route('echo.loud')
  writeLatest(g.w, 0, 1, at, 'x', 1, utf8('1'))
  writeLatest(g.w, 0, 1, at, 'y', 2, utf8('1'))
  writeLatest(g.w, 0, 1, at, 'x', 3, utf8('2'))
  for (let i = 0; i < 100; i++) writeUnreliable(g.w, 0, 1, loud, utf8(`${i}`))
  g.deliver()
  later.resolve()
  bed.turn()
  t.same(ran.slice(0, 3), ['x=2', 'y=1', '=0'])
  t.equal(ran.length, 64)
  t.equal(bed.core.counters.unnumberedDropped, 1 + 38)
})

t.test('an actor starts before its first message, runs timers in its mailbox, and stops when it is idle', async (t) => {
  const log: string[] = []
  const start = new Later()
  const room = service<{ ticks: number }>('echo', {
    keys: 'any',
    idleMs: 1000,
    state: () => ({ ticks: 0 }),
    onStart: (ctx) => {
      log.push(`start ${ctx.key}`)
      return start
    },
    onStop: (ctx) => {
      log.push(`stop ${ctx.state.ticks}`)
    },
    routes: {
      'echo.go': (ctx) => {
        log.push('go')
        const timer = ctx.every(100, () => {
          log.push(`tick ${++ctx.state.ticks}`)
          if (ctx.state.ticks === 3) timer.cancel()
        })
        ctx.timer(150, () => log.push('once'))
      },
    },
  })
  const bed = new Bed([room], { keepMs: 500 })
  const g = bed.gateway()
  g.attach({ key: 'room' })
  g.oneway(0, 1, 'echo.go', '')
  t.same(log, ['start room'])
  start.resolve()
  bed.turn()
  t.same(log, ['start room', 'go'])
  bed.pass(1000)
  t.same(log.slice(2), ['tick 1', 'once', 'tick 2', 'tick 3'])
  g.closeHandle(0)
  bed.pass(500 + 999)
  t.equal(log.includes('stop 3'), false)
  bed.pass(2)
  t.equal(log.at(-1), 'stop 3')
  t.equal(bed.core.actor('echo', 'room'), undefined)
})

t.test('an actor that cannot start takes its sessions with it, and the next attach tries again', async (t) => {
  let starts = 0
  const room = service('echo', {
    routes: {},
    onStart: () => {
      if (++starts === 1) throw new Error('no luck')
    },
  })
  const bed = new Bed([room])
  const g = bed.gateway()
  g.attach({})
  t.match(g.seen(), [{ kind: 'attached' }, { kind: 'closeHandle', code: code.handler_failed }])
  g.closeHandle(0)
  g.attach({ epoch: 2 })
  t.match(g.seen(), [{ kind: 'attached' }])
})

t.test('two actors that answer each other without end do not stop the host', async (t) => {
  let turns = 0
  const ping = service('ping', {
    keys: 'any',
    routes: {
      'ping.go': (ctx) => {
        if (++turns < 20_000) ctx.actor('ping', ctx.key === 'a' ? 'b' : 'a').send('ping.go')
      },
    },
  })
  const bed = new Bed([ping])
  bed.gateway()
  const a = bed.core.actorHere('ping', 'a', bed.now)
  bed.core.actorHere('ping', 'b', bed.now)
  a.hook('go', undefined, (ctx) => ctx.actor('ping', 'b').send('ping.go'))
  bed.core.flush(bed.now)
  t.ok(turns < 5000, 'one turn runs a bounded number of jobs')
  bed.turn()
  t.equal(turns, 20_000)
})

t.test('loose calls run like requests, outside all channels, and are bounded at one actor', async (t) => {
  const later = new Later()
  const seen: string[] = []
  const echo = service('echo', {
    keys: 'any',
    routes: {
      'echo.slow': () => later,
      'echo.ask': (ctx, payload) => {
        seen.push(`${ctx.session} ${ctx.user} ${ctx.address} ${ctx.idempotencyKey}`)
        return payload
      },
    },
  })
  const bed = new Bed([echo])
  const g = bed.gateway()
  const call = (request: number, route: string, more = {}) =>
    writeLinkLoose(g.w, {
      request,
      session: 'S',
      user: 'ann',
      address: '10.0.0.1',
      service: 'echo',
      key: 'room',
      route,
      deadlineMs: 1000,
      idempotencyKey: '',
      payload: utf8('hi'),
      ...more,
    })
  call(1, 'echo.ask', { idempotencyKey: 'k1' })
  call(2, 'echo.none')
  call(3, 'echo.ask', { service: 'chess' })
  g.deliver()
  t.match(
    g.seen().sort((a, b) => (a.request as number) - (b.request as number)),
    [
      { kind: 'looseReply', request: 1, code: code.ok, payload: 'hi' },
      { kind: 'looseReply', request: 2, code: code.not_found },
      { kind: 'looseReply', request: 3, code: code.no_service },
    ],
  )
  t.same(seen, ['S ann 10.0.0.1 k1'])
  call(4, 'echo.slow')
  for (let i = 0; i < 256; i++) call(5 + i, 'echo.ask')
  g.deliver()
  t.match(g.seen(), [{ kind: 'looseReply', request: 260, code: code.busy }])
  bed.pass(1000)
  later.resolve()
  bed.turn()
  t.equal(g.seen().filter((reply) => reply.code === code.expired).length, 255, 'the others waited for too long')
})

t.test('what a channel ended with is not replied to, and runs before its end is told', async (t) => {
  const later = new Later()
  const log: string[] = []
  const echo = service('echo', {
    routes: {
      'echo.slow': () => later,
      'echo.say': (_ctx, payload) => {
        log.push(text(payload))
      },
    },
    onEnd: (_ctx, ending) => {
      log.push(ending.name)
    },
  })
  const bed = new Bed([echo])
  const g = bed.gateway()
  g.attach({})
  writeRequest(g.w, 0, 1, g.route('echo.slow'), 1, 0, utf8(''))
  writeOneway(g.w, 0, 2, g.route('echo.say'), utf8('taken'))
  g.deliver()
  g.attach({ handle: 2, epoch: 2 })
  g.oneway(2, 1, 'echo.say', 'new life')
  g.seen()
  later.resolve(utf8('for nobody'))
  bed.turn()
  t.same(log, ['taken', 'reset', 'new life'])
  t.same(
    g.kinds().filter((kind) => kind === 'reply'),
    [],
  )
})
