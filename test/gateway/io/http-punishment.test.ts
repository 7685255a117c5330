// What the actions `close` and `ban` of a limit are over HTTP: to calls the refusal is the answer, the carrier of a session ends,
// and who was banned is refused from then on.
import t from 'tap'
import type { RateLimitSettings } from '../../../policies/rate-limit.ts'
import { code } from '../../../protocols/codes.ts'
import { connect, json } from '../../../sdk/client/index.ts'
import { ask, httpGateway } from './http-rig.ts'
import { eventually } from './started.ts'

const two = (action: RateLimitSettings['action'], banOf: RateLimitSettings['banOf'] = 'user'): RateLimitSettings => ({
  name: 'two',
  mode: 'enforce',
  unit: 'messages',
  perSecond: 1 / 60,
  burst: 2,
  per: ['user'],
  action,
  delayMsMax: 0,
  banMs: 60_000,
  banOf,
})
const ran: string[] = []
const echo = {
  'arena.echo': (ctx: { user: string }, payload: unknown) => {
    ran.push(ctx.user)
    return payload
  },
}
const call = (port: number, user: string) => ask(port, '/call/arena.echo', user, { body: '1' })

t.beforeEach(() => void (ran.length = 0))

t.test('close: a call beyond the limit is refused with a hint, and another user is not meant', async (t) => {
  const { port, running } = await httpGateway(t, echo, (s) => {
    s.policies = { rateLimits: [two('close')] }
  })
  t.same([(await call(port, 'ann')).status, (await call(port, 'ann')).status], [200, 200])
  const refused = await call(port, 'ann')
  t.equal(refused.status, 429)
  t.match(refused.json, { name: 'rate_limited', ran: 'no' })
  t.ok(Number(refused.headers['retry-after']) > 10)
  t.equal((await call(port, 'bob')).status, 200)
  t.same(ran, ['ann', 'ann', 'bob'], 'what was refused has not run')
  t.equal(running.gateway.policing.isBanned('127.0.0.1', 'ann', performance.now()), false)
})

for (const banOf of ['user', 'address'] as const) {
  t.test(`ban: whoever calls beyond the limit is kept out by ${banOf}`, async (t) => {
    const { port, running } = await httpGateway(t, echo, (s) => {
      s.policies = { rateLimits: [two('ban', banOf)] }
    })
    for (let i = 0; i < 2; i++) t.equal((await call(port, 'ann')).status, 200)
    t.not((await call(port, 'ann')).status, 200)
    const { policing, env } = running.gateway
    t.ok(policing.isBanned(banOf === 'address' ? '127.0.0.1' : '192.0.2.1', 'ann', env.now()))
    const isOut = (user: string) =>
      call(port, user).then(
        ({ status }) => status !== 200,
        () => true,
      )
    t.ok(await isOut('ann'))
    t.equal(await isOut('bob'), banOf === 'address', 'only an address is others, too')
    await eventually(() => ran.length >= 2, 'what was let in')
    t.equal(ran.filter((user) => user === 'ann').length, 2)
  })
}

for (const action of ['close', 'ban'] as const) {
  t.test(`H2: ${action} ends the carrier of a session over HTTP, and what was refused has not run`, async (t) => {
    const { port, running } = await httpGateway(t, echo, (s) => {
      s.policies = { rateLimits: [two(action)] }
    })
    const client = connect({ gateways: [`http://127.0.0.1:${port}`], token: 'ann', codec: json })
    t.teardown(() => client.close())
    const room = client.actor('arena', 'ann')
    t.same([await room.call('arena.echo', 1), await room.call('arena.echo', 2)], [1, 2])
    await t.rejects(room.call('arena.echo', 3))
    const { counters, policing, env } = running.gateway
    const why = action === 'close' ? code.rate_limited : code.banned
    await eventually(() => counters.closedByCode[why] > 0, 'the end of the carrier')
    t.same(ran, ['ann', 'ann'])
    t.equal(policing.isBanned('192.0.2.1', 'ann', env.now()), action === 'ban')
  })
}
