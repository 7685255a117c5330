import t from 'tap'
import { kcpFrom } from '../../../config/schema-kcp.ts'
import type { Settings } from '../../../config/settings.ts'
import { code } from '../../../protocols/codes.ts'
import { PlainKcpClient } from './plain-kcp-client.ts'
import { ScriptedHost } from './scripted-host.ts'
import { eventually, portOf, started, type Test, testSettings } from './started.ts'

const payload = (n: number) => new TextEncoder().encode(`message ${n}`)

function withUdp(settings: Settings, host = '127.0.0.1'): void {
  const [first] = settings.listeners
  settings.listeners = [
    { ...first, name: 'udp', transport: 'udp', security: 'none', host, port: 0, kcp: kcpFrom(undefined) },
  ]
}

async function gatewayWithHost(t: Test, change: (settings: Settings) => void = () => {}) {
  const host = new ScriptedHost({ name: 'local' })
  t.teardown(() => host.close())
  const settings = testSettings(t, await host.listen(), (settings) => {
    withUdp(settings)
    change(settings)
  })
  return started(t, settings)
}

t.test('messages go to the host and back over plain KCP, over IPv4 and IPv6', async (t) => {
  for (const address of ['127.0.0.1', '::1']) {
    const running = await gatewayWithHost(t, (settings) => withUdp(settings, address))
    const { client } = new PlainKcpClient(t, portOf(running, 'udp'), { host: address })
    await client.login('ada')
    t.equal(client.welcome?.user, 'ada')
    await client.attach('arena', 'a1')
    for (let i = 0; i < 100; i++) client.send(payload(i))
    await client.until(() => client.received.length === 100, '100 echoes')
    t.same(
      client.received.map((bytes) => Buffer.from(bytes).toString()),
      Array.from({ length: 100 }, (_, i) => `message ${i}`),
    )
    const [session] = running.gateway.sessions()
    t.equal(session.connections[0].transport, 'kcp')
    t.equal(session.connections[0].address, address)
  }
})

t.test('HELLO comes to who says PING, and the login may wait for it', async (t) => {
  const running = await gatewayWithHost(t)
  const peer = new PlainKcpClient(t, portOf(running, 'udp'))
  await peer.greet()
  await peer.client.login('ada')
  t.equal(peer.client.welcome?.user, 'ada')
})

t.test('with every fifth datagram lost each way, everything comes once and in order', async (t) => {
  const running = await gatewayWithHost(t)
  let count = 0
  const { client } = new PlainKcpClient(t, portOf(running, 'udp'), { drops: () => ++count % 5 === 0 })
  await client.login('ada')
  await client.attach('arena', 'a1')
  for (let i = 0; i < 200; i++) client.send(payload(i))
  await client.until(() => client.received.length === 200, '200 echoes')
  t.same(
    client.received.map((bytes) => Buffer.from(bytes).toString()),
    Array.from({ length: 200 }, (_, i) => `message ${i}`),
  )
})

t.test('what is to be confirmed and has no answer is confirmed before the client sends it again', async (t) => {
  const running = await gatewayWithHost(t)
  const { client, kcp } = new PlainKcpClient(t, portOf(running, 'udp'), { minRtoMs: 2000 })
  await client.login('ada')
  await eventually(() => kcp.unackedBytes === 0, 'the login confirmed')
  const { timedOut } = kcp
  // A frame of a hundred bytes, one after the other: the core has nothing to say to its beginning.
  for (let i = 0; i < 8; i++) {
    client.pipe.write(Uint8Array.of(100))
    await eventually(() => kcp.unackedBytes === 0, `byte ${i} confirmed`)
  }
  t.equal(kcp.timedOut, timedOut)
})

t.test('closing tells clients, and leaves no socket behind', async (t) => {
  const running = await gatewayWithHost(t)
  const { client } = new PlainKcpClient(t, portOf(running, 'udp'))
  await client.login('ada')
  await running.close()
  await client.until(() => client.closedWith !== undefined, 'CLOSE')
  t.equal(client.closedWith?.code, code.going_away)
  t.same(await running.closed, { code: 0, reason: 'closed' })
})

t.test('a client that is silent before its login is closed', async (t) => {
  const running = await gatewayWithHost(t, (settings) => {
    settings.times.handshakeMs = 100
  })
  const peer = new PlainKcpClient(t, portOf(running, 'udp'))
  await peer.greet()
  t.equal(running.gateway.connections.size, 1)
  await peer.client.until(() => peer.client.closedWith !== undefined, 'CLOSE')
  t.equal(peer.client.closedWith?.code, code.handshake_timeout)
  await eventually(() => running.gateway.connections.size === 0, 'no connection')
})
