// Authority that ends in mid-session (T2), with both SDKs and a gateway on real sockets: it is renewed, it is not, or
// somebody else's token comes. And logins that a host answers.
import { SignJWT } from 'jose'
import t, { type Test } from 'tap'
import type { Client, Token } from '../../sdk/client/client.ts'
import { connect, json } from '../../sdk/client/index.ts'
import { Refusal, service, startHost } from '../../sdk/host/index.ts'
import { eventually, portOf, started, testSettings } from '../gateway/io/started.ts'
import { echoHost, next, Talker } from './stage.ts'

t.setTimeout(60_000)

const SECRET = 'a secret of at least thirty-two bytes'

const tokenFor = (user: string, lifeMs: number) =>
  new SignJWT({ sub: user, exp: (Date.now() + lifeMs) / 1000 })
    .setProtectedHeader({ alg: 'HS256' })
    .sign(new TextEncoder().encode(SECRET))

async function stage(t: Test, parkMaxMs: number) {
  const { host, taken } = await echoHost(t)
  const settings = testSettings(t, host.address, (s) => {
    s.auth = {
      kind: 'jwt',
      algorithms: ['HS256'],
      secret: SECRET,
      userClaim: 'sub',
      labels: {},
      clockToleranceMs: 5000,
    }
    s.times.parkMaxMs = parkMaxMs
  })
  const running = await started(t, settings)
  const gateways = {
    tcp: `tcp://127.0.0.1:${portOf(running, 'tcp')}?security=none`,
    ws: `ws://127.0.0.1:${portOf(running, 'websocket')}/?security=none`,
  }
  const player = (transport: 'tcp' | 'ws', token: () => Token | Promise<Token>): Client => {
    const client = connect({ gateways: [gateways[transport]], token, codec: json, backoffBaseMs: 5, backoffMaxMs: 50 })
    t.teardown(() => client.close({ timeoutMs: 0 }))
    return client
  }
  return { running, taken, player }
}

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i + 1)

for (const transport of ['tcp', 'ws'] as const) {
  t.test(`T2: over ${transport} a session whose tokens are renewed goes on without a message lost`, async (t) => {
    const { taken, player } = await stage(t, 30_000)
    let asked = 0
    const client = player(transport, () => {
      asked++
      return tokenFor('ann', 300)
    })
    const ends: unknown[] = []
    client.on('disconnected', (end) => ends.push(end))
    const talker = new Talker(client.actor('arena', 'lobby'))
    await talker.goOn(1)
    const { session } = client
    while (asked < 5) await talker.goOn(10)
    const said = await talker.finished()
    t.same(talker.heard, upTo(said))
    t.same(taken.get('ann'), upTo(said))
    t.same(ends, [], 'on one connection')
    t.equal(client.session, session)
  })
}

t.test('T2: a source of tokens that fails for a moment is asked again, and the connection stays', async (t) => {
  const { taken, player } = await stage(t, 5000)
  const error = new Error('the accounts are away')
  let asked = 0
  const client = player('tcp', () => {
    if (++asked === 2) throw error
    if (asked === 3) return Promise.reject(error)
    return tokenFor('ann', asked === 1 ? 400 : 60_000)
  })
  const ends: unknown[] = []
  const failures: unknown[] = []
  client.on('disconnected', (end) => ends.push(end))
  client.on('tokenFailed', (failure) => failures.push(failure))
  const talker = new Talker(client.actor('arena', 'lobby'))
  while (asked < 4) await talker.goOn(10)
  const said = await talker.finished()
  t.same(taken.get('ann'), upTo(said))
  t.match(failures, [
    { error, gateway: /^tcp:/, retryMs: Number },
    { error, gateway: /^tcp:/, retryMs: Number },
  ])
  t.same(ends, [], 'on one connection')
})

t.test(
  'T2: nobody renews it: closed after parkMax, and back with all its messages when there is a token',
  async (t) => {
    const { taken, player, running } = await stage(t, 200)
    let hasToken = true
    const client = player('tcp', () => {
      if (!hasToken) throw new Error('the accounts are away')
      return tokenFor('ann', 400)
    })
    const talker = new Talker(client.actor('arena', 'lobby'))
    await talker.goOn(1)
    const { session } = client
    hasToken = false
    const end = await next(client, 'disconnected')
    t.match(end, { name: 'auth_required' })
    // It comes back with its ticket, is asked for a token, and attaches nothing without one.
    t.match(await next(client, 'disconnected'), { name: 'auth_required' })
    const before = taken.get('ann')!.length
    t.match(await next(client, 'disconnected'), { name: 'auth_required' })
    t.equal(taken.get('ann')!.length, before, 'nothing gets through without authority')
    hasToken = true
    await talker.goOn(20)
    const said = await talker.finished()
    t.same(talker.heard, upTo(said))
    t.same(taken.get('ann'), upTo(said))
    t.equal(client.session, session)
    await eventually(() => running.gateway.sessions().length === 1, 'one session to be left')
  },
)

t.test('T2: a token of another user, or one that is not good, ends the session', async (t) => {
  const { player } = await stage(t, 30_000)
  for (const second of [() => tokenFor('bob', 60_000), async () => 'nonsense']) {
    let asked = 0
    const client = player('tcp', () => (asked++ === 0 ? tokenFor('ann', 300) : second()))
    t.match(await next(client, 'ended'), { name: 'unauthenticated' })
    t.equal(asked, 2)
  }
})

/** A host whose accounts know ann by her password, and a gateway that asks them. */
async function byHost(t: Test, deadlineMs = 2000) {
  const asked: unknown[] = []
  const held: (() => void)[] = []
  const accounts = service('accounts', {
    keys: 'any',
    routes: {
      'accounts.login': async (ctx, payload) => {
        const { token, address } = payload as { token: string; address: string }
        asked.push({ token, address, user: ctx.user })
        if (token === 'slow') await new Promise<void>((resolve) => held.push(resolve))
        if (token === 'broken') throw new Error('the database is away')
        if (token === 'nonsense') return { name: 'ann' }
        if (token !== 'open sesame') throw new Refusal('nobody by that name')
        return { user: 'ann', labels: { track: 'beta' }, until: Date.now() + 60_000 }
      },
    },
  })
  const arena = service('arena', { keys: 'any', routes: { 'arena.who': (ctx) => [ctx.user, ctx.labels] } })
  const host = await startHost({ name: 'local', listen: '127.0.0.1:0', services: [accounts, arena], codec: json })
  const release = () => {
    for (const answer of held.splice(0)) answer()
  }
  t.teardown(() => {
    release()
    return host.close()
  })
  const settings = testSettings(t, host.address, (s) => {
    s.services = ['accounts', 'arena'].map((name) => ({ ...s.services[0], name, keys: 'any' as const }))
    const actors = { key: 'login', actors: 4, underWayMax: 64 }
    s.auth = { kind: 'host', service: 'accounts', route: 'accounts.login', ...actors, deadlineMs }
  })
  const running = await started(t, settings)
  const player = (token: () => string): Client => {
    const gateways = [`tcp://127.0.0.1:${portOf(running, 'tcp')}?security=none`]
    const client = connect({ gateways, token, codec: json, backoffBaseMs: 5, backoffMaxMs: 50 })
    t.teardown(() => client.close({ timeoutMs: 0 }))
    return client
  }
  return { asked, host, release, running, player }
}

t.test('a host says who somebody is, and its labels are there for actors and policies', async (t) => {
  const { asked, player } = await byHost(t)
  const client = player(() => 'open sesame')
  t.same(await client.actor('arena', 'lobby').call('arena.who', null), ['ann', { track: 'beta' }])
  t.same(asked, [{ token: 'open sesame', address: '127.0.0.1', user: '' }])
  t.equal(client.user, 'ann')
})

t.test('whom the host refuses, or of whom it says nothing that can be read, is not let in', async (t) => {
  const { player } = await byHost(t)
  for (const token of ['guess', 'nonsense', '']) {
    t.match(
      await next(
        player(() => token),
        'ended',
      ),
      { name: 'unauthenticated' },
      token,
    )
  }
})

t.test('a host that is broken, silent or gone lets nobody in, and who waits gets in when it is back', async (t) => {
  const { host, release, player, running } = await byHost(t, 200)
  for (const token of ['broken', 'slow']) {
    let shown = token
    const client = player(() => shown)
    t.match(await next(client, 'disconnected'), { name: 'login_failed' }, token)
    shown = 'open sesame'
    await client.ready()
    t.equal(client.user, 'ann')
  }
  release()
  await host.close()
  await eventually(() => !running.gateway.readiness().ready, 'the host to be gone')
  t.match(
    await next(
      player(() => 'open sesame'),
      'disconnected',
    ),
    { name: 'login_failed' },
  )
})
