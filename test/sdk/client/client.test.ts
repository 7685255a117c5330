import type { Test } from 'tap'
import t from 'tap'
import { code } from '../../../protocols/codes.ts'
import type { Channel } from '../../../sdk/client/channel.ts'
import type { Client, ConnectOptions } from '../../../sdk/client/client.ts'
import { connect, json, SkewerError } from '../../../sdk/client/index.ts'
import type { Transport } from '../../../sdk/client/transports.ts'
import { EchoGateway } from './echo-gateway.ts'

/** A transport without an operating system: bytes arrive in the next microtask. */
function memory(gateway: EchoGateway): Transport {
  return (_address, events) => {
    let isOpen = true
    const end = () => {
      if (!isOpen) return
      isOpen = false
      queueMicrotask(() => events.closed())
    }
    const later = (run: () => void) => queueMicrotask(() => isOpen && run())
    let theirs: ReturnType<EchoGateway['accept']> | undefined
    later(() => {
      events.opened(new Uint8Array(0))
      theirs = gateway.accept({ write: (bytes) => later(() => events.received(bytes)), close: () => later(end) })
    })
    return {
      write: (bytes) => {
        const copy = bytes.slice()
        later(() => theirs?.receive(copy))
      },
      queuedBytes: () => 0,
      close: () => later(end),
      destroy: end,
    }
  }
}

function connected(t: Test, options: Partial<ConnectOptions> = {}): { gateway: EchoGateway; client: Client } {
  const gateway = new EchoGateway()
  const transports = { mem: memory(gateway), alt: memory(gateway) }
  const client = connect({ gateways: ['mem://a', 'alt://b'], token: 'ana', codec: json, transports, ...options })
  t.teardown(() => client.close({ timeoutMs: 0 }))
  return { gateway, client }
}

/** The first of an event, with a deadline. */
const once = <T>(on: (tell: (what: T) => void) => void): Promise<T> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('waited for nothing')), 5000)
    on((what) => {
      clearTimeout(timer)
      resolve(what)
    })
  })

/** Everything that `room` gets on echo.said, until there are so many. */
function said(room: Channel, count: number): Promise<unknown[]> {
  const all: unknown[] = []
  return once((tell) =>
    room.on('echo.said', (payload) => {
      all.push(payload)
      if (all.length === count) tell(all)
    }),
  )
}

t.test('ten lines: connect, send, be called, ask', async (t) => {
  const { client } = connected(t)
  const room = client.actor('echo', 'room-1')
  const both = said(room, 2)
  t.equal(room.send('echo.say', { n: 1 }), 1, 'before anything is connected')
  t.equal(room.trySend('echo.say', { n: 2 }), 0)
  t.same(await both, [{ n: 1 }, { n: 2 }])
  t.same(await room.call('echo.ask', [1, 2]), [1, 2])
  t.same(await room.call('echo.ask'), undefined)
  await client.ready()
  t.match(client, {
    session: 's1',
    user: 'ana',
    gatewayIndex: 0,
    gateway: 'mem://a',
    transport: 'mem',
    state: 'online',
  })
  t.ok(Math.abs(client.serverTimeMs() - Date.now()) < 1000)
})

t.test('a call says by its error whether it ran', async (t) => {
  const { client } = connected(t)
  const room = client.actor('echo', 'room-1')
  await t.rejects(room.call('echo.fail'), {
    name: 'handler_failed',
    code: code.handler_failed,
    ran: 'yes',
    message: 'it did',
  })
  await t.rejects(room.call('echo.limited'), { name: 'rate_limited', ran: 'no', retryMs: 250 })
  await t.rejects(room.call('echo.silent', 1, { timeoutMs: 30 }), { name: 'unknown', ran: 'unknown' })
  await t.rejects(room.call('echo.ask', 1, { timeoutMs: 0 }), { name: 'RangeError' })
  await t.rejects(room.call('$recover'), { name: 'no_route', ran: 'no' })
})

t.test('what is refused at once throws, or is a code', async (t) => {
  const { client } = connected(t, { window: { count: 2, bytes: 400 } })
  const room = client.actor('echo', 'room-1')
  t.throws(() => room.send('echo.say', 'x'.repeat(200)), { name: 'too_large', code: code.too_large, ran: 'no' })
  room.send('echo.say', 1)
  room.send('echo.say', 2)
  t.throws(() => room.send('echo.say', 3), { name: 'window_full', message: /window_full: too much/ })
  t.equal(room.trySend('echo.say', 3), code.window_full)
  t.throws(() => room.send('', 3), { name: 'no_route' })
  t.throws(() => room.send('echo.say', 1n), TypeError, 'what the codec cannot encode is not sent')
  t.equal(room.unacked, 2)
})

t.test('a refusal on the way is told once, to the channel and to the client', async (t) => {
  const { client } = connected(t)
  const room = client.actor('echo', 'room-1')
  const told = once((tell) => client.on('refused', tell))
  const own = once((tell) => room.on('refused', tell))
  const number = room.send('echo.limited', { x: 1 })
  const refusal = { number, route: 'echo.limited', payload: { x: 1 }, code: code.rate_limited, name: 'rate_limited' }
  t.match(await own, { ...refusal, retryMs: 250 })
  t.equal((await told) && ((await told) as { channel: Channel }).channel, room)
})

t.test('a handler answers what the host asks, with a value, a promise, or an error', async (t) => {
  const { client } = connected(t)
  const errors: unknown[] = []
  client.on('error', ({ error, route }) => errors.push([route, (error as Error).message]))
  const room = client.actor('echo', 'room-1')
  await t.rejects(room.call('echo.call', 1), { code: code.not_found }, 'nobody handles it')
  const answers: unknown[] = [(p: number) => p + 1, async (p: number) => p * 10]
  for (const answer of answers) {
    const off = room.on('ui.ask', answer as (p: unknown) => unknown)
    t.equal(await room.call('echo.call', 4), answer === answers[0] ? 5 : 40)
    off()
  }
  const off = room.on('ui.ask', () => {
    throw new SkewerError(code.not_allowed, 'not now')
  })
  await t.rejects(room.call('echo.call', 1), { code: code.not_allowed, message: 'not now' })
  off()
  room.on('ui.ask', () => Promise.reject(new Error('a secret')))
  await t.rejects(room.call('echo.call', 1), { code: code.handler_failed, message: 'handler_failed' })
  t.same(errors, [
    ['ui.ask', 'not now'],
    ['ui.ask', 'a secret'],
  ])
})

t.test('handlers run one at a time, in order; what is cut lets the next one through', async (t) => {
  const { client } = connected(t, { handlerDeadlineMs: 20 })
  client.on('error', () => {})
  const room = client.actor('echo', 'room-1')
  const seen: string[] = []
  const done = once<void>((tell) => {
    room.on('echo.said', async (payload) => {
      seen.push(`in ${payload}`)
      if (payload === 1) await new Promise(() => {})
      await null
      seen.push(`out ${payload}`)
      if (payload === 3) tell()
    })
  })
  for (const n of [1, 2, 3]) room.send('echo.say', n)
  await done
  t.same(seen, ['in 1', 'in 2', 'out 2', 'in 3', 'out 3'])
  t.match(room.counters, { handlersCut: 1 })
})

t.test('A11: without autoStart nothing is handled before start, and nothing is lost', async (t) => {
  const { client } = connected(t, { autoStart: false })
  const room = client.actor('echo', 'room-1')
  room.send('echo.say', 1)
  await room.call('echo.ask', 'it is there by now')
  const seen = said(room, 1)
  t.equal(room.unacked, 0)
  room.start()
  t.same(await seen, [1])
})

t.test('a network that breaks is repaired: in order, exactly once', async (t) => {
  const { gateway, client } = connected(t)
  await client.ready()
  const room = client.actor('echo', 'room-1')
  const all = said(room, 60)
  for (let n = 0; n < 60; n++) {
    while (room.trySend('echo.say', n) !== 0) await new Promise((resolve) => setImmediate(resolve))
    await new Promise((resolve) => setImmediate(resolve))
    if (n % 13 === 12) gateway.cut()
    if (n % 17 === 9 && client.gatewayIndex >= 0) client.switchTo(1 - client.gatewayIndex)
  }
  t.same(
    await all,
    Array.from({ length: 60 }, (_, n) => n),
  )
  t.equal(gateway.sessions, 1, 'one session all the time')
  t.ok(gateway.resumes > 2, `${gateway.resumes} resumes`)
})

t.test('a host that has lost its record: reset tells what is unknown, and the channel goes on', async (t) => {
  const { gateway, client } = connected(t)
  const room = client.actor('echo', 'room-1')
  await room.call('echo.ask', 1)
  const silent = room.call('echo.silent', 1, { timeoutMs: Infinity })
  const reset = once<{ unknown: unknown[] }>((tell) => room.on('reset', tell))
  await room.call('echo.ask', 2)
  gateway.cut()
  gateway.forget()
  room.send('echo.say', { lost: true })
  const [ending, failure] = await Promise.all([reset, silent.catch((error) => error)])
  t.match(ending, { code: code.reset, name: 'reset', unknown: [{ route: 'echo.say', payload: { lost: true } }] })
  t.match(failure, { name: 'unknown', ran: 'unknown' })
  t.equal(await room.call('echo.ask', 3), 3)
})

t.test('publications go to the handler of their group', async (t) => {
  const { client } = connected(t)
  const room = client.actor('echo', 'room-1')
  const joined = once((tell) => room.on('joined', tell))
  const seen: unknown[] = []
  const two = once<void>((tell) => {
    room.onGroup('chat', (payload, { route, offset, kind }) => {
      seen.push([payload, route, offset, kind])
      if (seen.length === 2) tell()
    })
  })
  room.send('echo.publish', 'a')
  room.send('echo.publish', 'b')
  await two
  t.same(await joined, { group: 'chat', recoverable: true })
  t.same(seen, [
    ['a', 'chat.said', 1, 'publication'],
    ['b', 'chat.said', 2, 'publication'],
  ])
})

t.test('latest and unreliable messages', async (t) => {
  const { gateway, client } = connected(t)
  const room = client.actor('echo', 'room-1')
  t.notOk(room.unreliable('echo.cursor', 1), 'not before it is attached')
  await room.call('echo.ask', 1)
  room.latest('echo.aim', 'me', 1)
  room.latest('echo.aim', 'me', 2)
  t.ok(room.unreliable('echo.cursor', 2))
  t.throws(() => room.latest('echo.aim', 'k'.repeat(65), 1), { name: 'RangeError' })
  await room.call('echo.ask', 1)
  await room.call('echo.ask', 1)
  t.same(gateway.unnumbered.sort(), ['echo.aim me 2', 'echo.cursor  2'])
})

t.test('a message can be taken back in the turn that sent it', async (t) => {
  const { client } = connected(t)
  const room = client.actor('echo', 'room-1')
  const refused = once<{ name: string }>((tell) => room.on('refused', tell))
  t.equal(room.withdraw(room.send('echo.say', 1)), true)
  t.match(await refused, { name: 'withdrawn' })
})

t.test('the own actor: by the first part of the route', async (t) => {
  const { client } = connected(t)
  client.send('echo.say', 1)
  t.equal(await client.call('echo.ask', 7), 7)
  t.equal(client.actor('echo').key, '')
  t.throws(() => client.send('nodot', 1), { name: 'RangeError' })
})

t.test('loose calls', async (t) => {
  const { gateway, client } = connected(t)
  await t.rejects(client.callLoose('echo.ask', 1), { name: 'detached', ran: 'no' })
  await client.ready()
  t.equal(await client.callLoose('echo.ask', 5, { key: 'k', timeoutMs: 2000 }), 5)
  const lost = client.callLoose('echo.ask', 6)
  gateway.cut()
  await t.rejects(lost, { name: 'unknown', ran: 'unknown' })
})

t.test('an actor may open a channel: invited, with handlers added in that turn', async (t) => {
  const { gateway, client } = connected(t)
  await client.ready()
  const channel = once<Channel>((tell) => client.on('invited', tell))
  for (const connection of gateway.connections) connection.invite('mail', 'box')
  t.match(await channel, { service: 'mail', key: 'box' })
})

t.test('close finishes what was sent; afterwards everything says so', async (t) => {
  const { client } = connected(t)
  const room = client.actor('echo', 'room-1')
  const all = said(room, 3)
  const ended = once<{ name: string; unknown: unknown[] }>((tell) => room.on('ended', tell))
  const over = once<{ name: string }>((tell) => client.on('ended', tell))
  for (let n = 0; n < 3; n++) room.send('echo.say', n)
  await client.close()
  t.same(await all, [0, 1, 2])
  t.match(await ended, { name: 'closed', unknown: [] })
  t.match(await over, { name: 'closed' })
  t.equal(client.state, 'offline')
  t.equal(room.state, 'ended')
  t.throws(() => room.send('echo.say', 1), { name: 'closed' })
  t.throws(() => client.actor('echo', 'other'), { name: 'closed' })
  await t.rejects(client.ready(), { name: 'closed' })
  await room.close()
  await client.close()
})

t.test('a channel that the host ends', async (t) => {
  const { client } = connected(t)
  const room = client.actor('echo', 'room-1')
  const ended = once<{ name: string }>((tell) => room.on('ended', tell))
  room.send('echo.close')
  t.match(await ended, { name: 'closed' })
  t.not(client.actor('echo', 'room-1'), room, 'the next one is another channel')
})

t.test('a token that is refused', async (t) => {
  const { client } = connected(t, { token: () => Promise.resolve('bad') })
  const room = client.actor('echo', 'room-1')
  room.send('echo.say', 'never')
  const ended = once<{ unknown: unknown[] }>((tell) => room.on('ended', tell))
  await t.rejects(client.ready(), { name: 'unauthenticated' })
  t.match(await ended, { name: 'unauthenticated', unknown: [{ payload: 'never' }] })
  await t.rejects(client.ready(), { name: 'unauthenticated' })
})

t.test('a token provider that throws is asked again', async (t) => {
  let asked = 0
  const { client } = connected(t, {
    backoffBaseMs: 1,
    token: () => {
      if (++asked < 3) throw new Error('no network yet')
      return 'ana'
    },
  })
  await client.ready()
  t.equal(asked, 3)
})

t.test('interrupt: away for so long, and nothing is lost', async (t) => {
  const { client } = connected(t, { backoffBaseMs: 5, backoffMaxMs: 10 })
  const room = client.actor('echo', 'room-1')
  await room.call('echo.ask', 1)
  const at = performance.now()
  client.interrupt(40)
  t.not(client.state, 'online')
  t.equal(await room.call('echo.ask', 2), 2)
  t.ok(performance.now() - at >= 40)
})

t.test('addresses are judged before anything happens', async (t) => {
  t.throws(() => connect({ gateways: ['nowhere'], token: 'x' }), { name: 'RangeError', message: /tcp:\/\/host:7777/ })
  t.throws(() => connect({ gateways: ['quic://a:1'], token: 'x' }), {
    message: /no transport for quic: .* kcp, tcp, tls, unix/,
  })
  t.throws(() => connect({ gateways: ['kcp://a:1'], token: 'x' }), { name: 'RangeError', message: /kcp:\/\/ needs/ })
  t.throws(() => connect({ gateways: ['tcp://a:1'], gatewayKey: 'x', token: 'x' }), { message: /public key/ })
  t.throws(() => connect({ gateways: [], token: 'x' }), { name: 'RangeError' })
})

t.test('one handler a route, and listeners that throw do not stop others', async (t) => {
  const { client } = connected(t)
  const room = client.actor('echo', 'room-1')
  room.on('echo.said', () => {})
  t.throws(() => room.on('echo.said', () => {}), { name: 'RangeError' })
  const errors = t.capture(console, 'error')
  const attached = once((tell) => {
    room.on('attached', () => {
      throw new Error('a listener of the game')
    })
    room.on('attached', tell)
  })
  await attached
  t.equal(errors().length, 1)
})
