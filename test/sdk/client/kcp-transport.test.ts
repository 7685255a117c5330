// kcp:// on real sockets, sealed and plain, against the protocols' server side.
import dns from 'node:dns'
import type { Test } from 'tap'
import t from 'tap'
import type { Channel } from '../../../sdk/client/channel.ts'
import type { Client, ConnectOptions } from '../../../sdk/client/client.ts'
import type { ClientEvents } from '../../../sdk/client/events.ts'
import { connect, json } from '../../../sdk/client/index.ts'
import { DatagramGateway, gatewayKey } from './datagram-gateway.ts'
import { EchoGateway } from './echo-gateway.ts'

type Options = Partial<ConnectOptions>

function clientOf(t: Test, gateways: ConnectOptions['gateways'], options: Options = {}): Client {
  const client = connect({ gateways, token: 'ana', codec: json, backoffBaseMs: 5, ...options })
  t.teardown(() => client.close({ timeoutMs: 0 }))
  return client
}

const next = <E extends keyof ClientEvents>(client: Client, event: E): Promise<ClientEvents[E]> =>
  new Promise((resolve) => {
    const off = client.on(event, (what) => {
      off()
      resolve(what)
    })
  })

/** Says numbers, as fast as the window allows, and resolves with what was echoed when all are back. */
async function talk(room: Channel, from: number, count: number, onHeard = (_count: number) => {}): Promise<number[]> {
  const heard: number[] = []
  const all = new Promise<void>((resolve) => {
    room.on('echo.said', (payload) => {
      heard.push(payload as number)
      onHeard(heard.length)
      if (heard.length === count) resolve()
    })
  })
  let number = from
  while (number < from + count) {
    try {
      room.send('echo.say', number)
      number++
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
  }
  await all
  return heard
}

const numbers = (from: number, count: number) => Array.from({ length: count }, (_, i) => from + i)

for (const [name, isSealed] of [
  ['sealed', true],
  ['plain', false],
] as const) {
  t.test(`kcp://, ${name}: calls, large payloads, an end that both sides know of`, async (t) => {
    const echoes = new EchoGateway()
    const gateway = await new DatagramGateway(t, echoes, isSealed).listen()
    const address = `kcp://localhost:${gateway.port}?${isSealed ? `key=${gatewayKey}` : 'security=none'}`
    const client = clientOf(t, [address])
    const room = client.actor('echo', 'room')
    t.equal(await room.call('echo.ask', 1), 1)
    t.equal(client.transport, 'kcp')
    const big = 'x'.repeat(1900)
    t.equal(await room.call('echo.ask', big), big)
    t.same(await talk(room, 0, 500), numbers(0, 500))
    await client.close()
    while (echoes.connections.size > 0) await new Promise((resolve) => setTimeout(resolve, 5))
  })
}

t.test('unreliable and latest go beside the stream, both ways, once their route is known', async (t) => {
  const echoes = new EchoGateway()
  const gateway = await new DatagramGateway(t, echoes).listen()
  const client = clientOf(t, [`kcp://127.0.0.1:${gateway.port}?key=${gatewayKey}`])
  const room = client.actor('echo', 'room')
  const heard: unknown[] = []
  room.on('chat.said', (payload) => heard.push(payload))
  await room.call('echo.ask', 0)
  room.unreliable('echo.move', 1)
  room.latest('echo.aim', 'gun', 2)
  await room.call('echo.ask', 0)
  t.equal(echoes.datagrams, 0, 'a route that was not announced travels with its announcement')
  room.unreliable('echo.move', 3)
  room.latest('echo.aim', 'gun', 4)
  room.unreliable('echo.move', 'y'.repeat(1500))
  while (echoes.unnumbered.length < 5) await room.call('echo.ask', 0)
  t.equal(echoes.datagrams, 2, 'what no datagram holds goes in the stream')
  t.same(echoes.unnumbered.map((line) => line.slice(0, 14)).sort(), [
    'echo.aim gun 2',
    'echo.aim gun 4',
    'echo.move  "yy',
    'echo.move  1',
    'echo.move  3',
  ])
  // kind UNRELIABLE, alias 0, epoch 1, route 2 (chat.said), payload; then of another epoch, another route, another kind.
  for (const bytes of [
    '0a0001025b315d',
    '0a0000025b325d',
    '0a0001095b335d',
    '0a0901025b345d',
    '01000100025b355d',
    '',
    '0a',
  ]) {
    gateway.sendBare(Buffer.from(bytes, 'hex'))
  }
  while (heard.length < 1) await room.call('echo.ask', 0)
  await room.call('echo.ask', 0)
  t.same(heard, [[1]], 'what does not belong here is dropped, and nothing else happens')
})

t.test('garbage into the client’s socket changes nothing', async (t) => {
  const gateway = await new DatagramGateway(t, new EchoGateway()).listen()
  const client = clientOf(t, [`kcp://127.0.0.1:${gateway.port}?key=${gatewayKey}`])
  const ends: unknown[] = []
  client.on('disconnected', (end) => ends.push(end))
  const room = client.actor('echo', 'room')
  await room.call('echo.ask', 0)
  const junk = setInterval(() => {
    for (const type of [0x00, 0x01, 0x02, 0x03, 0x10, 0x51]) {
      const bytes = Buffer.alloc(Math.floor(Math.random() * 1400), Math.random().toString())
      if (bytes.length > 0) bytes[0] = type
      gateway.spray(bytes)
    }
  }, 1)
  t.teardown(() => clearInterval(junk))
  t.same(await talk(room, 0, 1000), numbers(0, 1000))
  t.same(ends, [])
})

t.test('a name with several addresses: the next one is tried where nothing listens', async (t) => {
  const gateway = await new DatagramGateway(t, new EchoGateway()).listen()
  const addresses = [
    { address: '127.0.0.2', family: 4 },
    { address: '127.0.0.1', family: 4 },
  ]
  t.capture(dns, 'lookup', ((_name: string, _options: object, done: (error: null, found: object[]) => void) =>
    done(null, addresses)) as never)
  const client = clientOf(t, [`kcp://gateway.example:${gateway.port}?key=${gatewayKey}`])
  t.equal(await client.actor('echo', 'room').call('echo.ask', 1), 1)
})

t.test('nothing listens: told at once', async (t) => {
  const gateway = await new DatagramGateway(t, new EchoGateway()).listen()
  gateway.kill()
  const since = performance.now()
  const client = clientOf(t, [`kcp://127.0.0.1:${gateway.port}?key=${gatewayKey}`], { backoffBaseMs: 1000 })
  const { code, text } = await next(client, 'disconnected')
  t.equal(code, 0)
  t.match(text, /ECONNREFUSED/)
  t.ok(performance.now() - since < 2000)
})

t.test('another key, or UDP that is swallowed: silence, and a clear word of what it may be', async (t) => {
  const gateway = await new DatagramGateway(t, new EchoGateway()).listen()
  const otherKey = Buffer.alloc(32, 9).toString('base64url')
  const client = clientOf(t, [`kcp://127.0.0.1:${gateway.port}?key=${otherKey}`], { handshakeMs: 300 })
  const { text } = await next(client, 'disconnected')
  t.match(text, /nothing listens there, UDP is blocked, or the gateway has another key/)
})

t.test('a gateway that was killed and comes back on its port: the session goes on, nothing is lost', async (t) => {
  const echoes = new EchoGateway()
  const gateway = await new DatagramGateway(t, echoes).listen()
  const client = clientOf(t, [`kcp://127.0.0.1:${gateway.port}?key=${gatewayKey}`])
  const room = client.actor('echo', 'room')
  await room.call('echo.ask', 0)
  let killedAt = 0
  const talking = talk(room, 0, 3000, (count) => {
    if (count !== 1000) return
    killedAt = performance.now()
    gateway.kill()
  })
  await next(client, 'disconnected')
  t.ok(performance.now() - killedAt < 1500, 'where the kernel says that nobody listens, that is sooner than a silence')
  await gateway.listen()
  t.same(await talking, numbers(0, 3000))
  t.equal(echoes.sessions, 1)
  t.ok(echoes.resumes >= 1)
})
