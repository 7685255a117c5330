// Messages both ways on an attached lane: handlers, replies, acknowledgements, pushes, calls of the client.
import t from 'tap'
import { code } from '../../../protocols/codes.ts'
import { SkewerError } from '../../../sdk/error.ts'
import { service } from '../../../sdk/host/service.ts'
import { Bed, text, utf8 } from './scripted-gateway.ts'

t.test('a message reaches its handler, and a request gets what the handler returns', async (t) => {
  const said: string[] = []
  const echo = service('echo', {
    routes: {
      'echo.say': (ctx, payload) => {
        said.push(`${ctx.session} ${ctx.user} ${ctx.key} ${ctx.route} ${text(payload)}`)
      },
      'echo.ask': (_ctx, payload) => payload,
    },
  })
  const bed = new Bed([echo])
  const g = bed.gateway()
  g.attach({})
  t.match(g.one('attached'), { channel: 0, epoch: 1, received: 0, settled: 0 })
  g.oneway(0, 1, 'echo.say', 'hello')
  t.same(said, ['S ann ann echo.say hello'])
  g.request(0, 2, 'echo.ask', 7, 'question')
  t.match(g.seen(), [{ kind: 'reply', handle: 0, number: 1, request: 7, code: 0, payload: 'question' }])
})

t.test('settled messages are acknowledged within 250 ms, or at a quarter of the window (W3)', async (t) => {
  const bed = new Bed([service('echo', { routes: { 'echo.say': () => {} } })], { window: { count: 8, bytes: 65536 } })
  const g = bed.gateway()
  g.attach({})
  g.seen()
  g.oneway(0, 1, 'echo.say', 'a')
  t.same(g.kinds(), [])
  bed.pass(249)
  t.same(g.kinds(), [])
  bed.pass(1)
  t.match(g.seen(), [{ kind: 'ack', number: 1 }])
  g.oneway(0, 2, 'echo.say', 'b')
  g.oneway(0, 3, 'echo.say', 'c')
  t.match(g.seen(), [{ kind: 'ack', number: 3 }], 'two of eight are a quarter')
})

t.test('a push is numbered, kept until it is acknowledged, and refused when the window is full (W1)', async (t) => {
  const refusals: string[] = []
  const echo = service('echo', {
    routes: {
      'echo.flood': (ctx) => {
        for (let i = 1; i <= 3; i++) {
          try {
            ctx.push(ctx.session, 'news', utf8(`n${i}`))
          } catch (error) {
            refusals.push((error as SkewerError).name)
          }
        }
      },
    },
  })
  const bed = new Bed([echo], { window: { count: 2, bytes: 65536 } })
  const g = bed.gateway()
  g.attach({})
  g.seen()
  g.oneway(0, 1, 'echo.flood', '')
  t.match(g.seen(), [
    { kind: 'route', number: 0, name: 'news' },
    { kind: 'oneway', number: 1, route: 0, payload: 'n1' },
    { kind: 'oneway', number: 2, route: 0, payload: 'n2' },
    { kind: 'ack' },
  ])
  t.same(refusals, ['window_full'])
  g.ack(0, 2)
  g.oneway(0, 2, 'echo.flood', '')
  t.match(g.seen()[0], { kind: 'oneway', number: 3, payload: 'n1' })
})

t.test('a handler may wait for the reply of the client it serves (W4)', async (t) => {
  const echo = service('echo', {
    routes: {
      'echo.ask': async (ctx) => text(await ctx.callClient(ctx.session, 'client.name')),
      'echo.fail': async (ctx) => {
        try {
          await ctx.callClient(ctx.session, 'client.name')
        } catch (error) {
          return `${(error as SkewerError).name}: ${(error as SkewerError).message} ${(error as SkewerError).ran}`
        }
      },
    },
  })
  const bed = new Bed([echo])
  const g = bed.gateway()
  g.attach({})
  g.seen()
  g.request(0, 1, 'echo.ask', 1, '')
  t.match(g.seen()[1], { kind: 'request', number: 1, request: 1, deadlineMs: 10_000 })
  g.oneway(0, 2, 'echo.ask', '')
  g.reply(0, 3, 1, code.ok, 'ann')
  await new Promise((resolve) => setImmediate(resolve))
  bed.turn()
  t.match(g.seen()[0], { kind: 'reply', number: 2, request: 1, payload: 'ann' })
})

t.test('errors: a refusal is told in words, anything else is not, and the mailbox goes on', async (t) => {
  const echo = service('echo', {
    routes: {
      'echo.refuse': () => {
        throw new SkewerError(code.not_allowed, 'not tonight')
      },
      'echo.break': () => {
        throw new Error('secret path')
      },
      'echo.ask': () => utf8('fine'),
    },
  })
  const bed = new Bed([echo])
  const g = bed.gateway()
  g.attach({})
  g.seen()
  g.request(0, 1, 'echo.refuse', 1, '')
  t.match(g.seen()[0], { request: 1, code: code.not_allowed, payload: 'not tonight' })
  g.request(0, 2, 'echo.break', 2, '')
  t.match(g.seen()[0], { request: 2, code: code.handler_failed, payload: '' })
  g.request(0, 3, 'echo.nothing', 3, '')
  t.match(g.seen()[0], { request: 3, code: code.not_found })
  g.request(0, 4, 'echo.ask', 4, '')
  t.match(g.seen()[0], { request: 4, code: code.ok, payload: 'fine' })
  t.equal(bed.events.filter(({ event }) => event === 'handler_failed').length, 1)
})

t.test('W5: a host keeps no more for a channel than the gateway granted, at each attach anew', async (t) => {
  const bed = new Bed([service('echo', { routes: { 'echo.flood': flood } })])
  function flood(ctx: { push(session: string, route: string, payload: Uint8Array): void; session: string }) {
    for (let i = 0; i < 10; i++) {
      try {
        ctx.push(ctx.session, 'news', new Uint8Array(100))
      } catch (error) {
        t.equal((error as SkewerError).name, 'window_full')
        return
      }
    }
  }
  const g = bed.gateway()
  const pushed = () => g.seen().filter((frame) => frame.kind === 'oneway').length
  g.attach({ grantedBytes: 350 })
  const life = g.one('attached').life as bigint
  g.oneway(0, 1, 'echo.flood', '')
  t.equal(pushed(), 3)
  g.attach({ handle: 2, epoch: 2, life, acked: 1, sent: 1, received: 3, settled: 3, grantedBytes: 500 })
  g.oneway(2, 2, 'echo.flood', '')
  t.equal(pushed(), 5)
})
