// PROXY headers on UDP: who is behind a trusted proxy, how answers find the way back, and silence for everybody else.
import dgram from 'node:dgram'
import { once } from 'node:events'
import t from 'tap'
import { kcpFrom } from '../../../config/schema-kcp.ts'
import type { ListenerSettings } from '../../../config/settings.ts'
import { DatagramProxies } from '../../../gateway/io/datagram-proxies.ts'
import { PlainKcpClient } from './plain-kcp-client.ts'
import { ScriptedHost } from './scripted-host.ts'
import { portOf, started, type Test, testSettings } from './started.ts'

const SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex')

/** A header of version 2; `family` as on the wire: 0x12 is UDP over IPv4. */
function header(source: string, port: number, family = 0x12, command = 0x21): Buffer {
  const body = Buffer.alloc(12)
  for (const [i, part] of source.split('.').entries()) body[i] = Number(part)
  body.writeUInt16BE(port, 8)
  return Buffer.concat([SIGNATURE, Buffer.from([command, family, 0, body.length]), body])
}

const trusted = { proxyProtocol: ['10.0.0.0/8'] } as ListenerSettings
const hello = Buffer.from('twenty-four bytes or more')
const [PROXY, ELSEWHERE] = ['10.0.0.9', '203.0.113.9']

t.test('what a trusted proxy sends is its client, with a header each time or at first only', async (t) => {
  const proxies = new DatagramProxies(trusted)
  const datagram = Buffer.concat([header('192.0.2.1', 4000), hello])
  t.ok(proxies.read(datagram, PROXY, 1))
  t.match(proxies, { ip: '192.0.2.1', port: 4000, start: 28 })
  t.ok(proxies.read(hello, PROXY, 1))
  t.match(proxies, { ip: '192.0.2.1', port: 4000, start: 0 })
  t.match(proxies.towards('192.0.2.1', 4000), { proxyIp: PROXY, proxyPort: 1 })
  // The proxy has given its port to another client.
  t.ok(proxies.read(Buffer.concat([header('192.0.2.2', 5), hello]), PROXY, 1))
  t.equal(proxies.towards('192.0.2.1', 4000), undefined)
  t.match(proxies.towards('192.0.2.2', 5), { proxyPort: 1 })
  // A client that comes by another flow is answered by that one.
  t.ok(proxies.read(Buffer.concat([header('192.0.2.2', 5), hello]), PROXY, 2))
  t.match(proxies.towards('192.0.2.2', 5), { proxyPort: 2 })
  t.ok(proxies.read(Buffer.concat([header('192.0.2.3', 6), hello]), PROXY, 1))
  t.match(proxies.towards('192.0.2.2', 5), { proxyPort: 2 }, 'its former flow is of no matter any more')
})

t.test('a trusted proxy that does not say for whom is not read', async (t) => {
  const proxies = new DatagramProxies(trusted)
  const bad = {
    'no header': hello,
    'a flow of TCP': Buffer.concat([header('192.0.2.1', 1, 0x11), hello]),
    'for itself': Buffer.concat([header('192.0.2.1', 1, 0x12, 0x20), hello]),
    'of another version': Buffer.concat([header('192.0.2.1', 1, 0x12, 0x31), hello]),
    'cut in the middle': header('192.0.2.1', 1).subarray(0, 20),
    'version 1': Buffer.from('PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n'),
    nothing: Buffer.alloc(0),
  }
  for (const [what, datagram] of Object.entries(bad)) t.notOk(proxies.read(datagram, PROXY, 1), what)
  t.equal(proxies.towards('192.0.2.1', 1), undefined)
})

t.test('the header of anybody else is no header', async (t) => {
  const proxies = new DatagramProxies(trusted)
  const datagram = Buffer.concat([header('192.0.2.1', 4000), hello])
  t.ok(proxies.read(datagram, ELSEWHERE, 7))
  t.match(proxies, { ip: ELSEWHERE, port: 7, start: 0 })
  t.equal(proxies.towards('192.0.2.1', 4000), undefined)
  t.ok(proxies.read(datagram, PROXY, 1))
  proxies.read(Buffer.concat([header('192.0.2.1', 4000), hello]), ELSEWHERE, 7)
  t.match(proxies.towards('192.0.2.1', 4000), { proxyIp: PROXY }, 'nobody draws away the answers to another')
})

t.test('flows are bounded: those silent longest are forgotten', async (t) => {
  const proxies = new DatagramProxies(trusted, 3)
  for (let port = 1; port <= 3; port++) proxies.read(header('192.0.2.1', port), PROXY, port)
  proxies.read(hello, PROXY, 1)
  proxies.read(header('192.0.2.1', 4), PROXY, 4)
  t.same(
    [1, 2, 3, 4].map((port) => proxies.towards('192.0.2.1', port) !== undefined),
    [true, false, true, true],
  )
  t.notOk(proxies.read(hello, PROXY, 2))
})

/** In front of a gateway: one flow, with a header before each datagram or before the first. */
async function proxy(t: Test, port: number, mode: 'each' | 'first'): Promise<number> {
  const front = dgram.createSocket('udp4').bind(0, '127.0.0.1')
  const back = dgram.createSocket('udp4')
  t.teardown(() => {
    front.close()
    back.close()
  })
  let isFirst = true
  let client = 0
  front.on('message', (bytes, from) => {
    client = from.port
    const head = mode === 'each' || isFirst ? header('192.0.2.77', 4321) : Buffer.alloc(0)
    isFirst = false
    back.send(Buffer.concat([head, bytes]), port, '127.0.0.1')
  })
  back.on('message', (bytes) => front.send(bytes, client, '127.0.0.1'))
  await once(front, 'listening')
  return front.address().port
}

async function gatewayBehind(t: Test, from: string[]) {
  const host = new ScriptedHost({ name: 'local' })
  t.teardown(() => host.close())
  const settings = testSettings(t, await host.listen(), (s) => {
    const [first] = s.listeners
    const udp = { ...first, name: 'udp', transport: 'udp', security: 'none', port: 0, kcp: kcpFrom(undefined) } as const
    s.listeners = [{ ...udp, proxyProtocol: from }]
  })
  return started(t, settings)
}

t.test('a session goes through a trusted proxy, under the address of its client', async (t) => {
  for (const mode of ['each', 'first'] as const) {
    const running = await gatewayBehind(t, ['127.0.0.1'])
    const { client } = new PlainKcpClient(t, await proxy(t, portOf(running, 'udp'), mode))
    await client.login('ada')
    await client.attach('arena', 'a1')
    for (let i = 0; i < 20; i++) client.send(new Uint8Array([i]))
    await client.until(() => client.received.length === 20, '20 echoes')
    t.equal(running.gateway.sessions()[0].connections[0].address, '192.0.2.77', mode)
  }
})

t.test('a header from elsewhere gets silence', async (t) => {
  const running = await gatewayBehind(t, ['10.0.0.0/8'])
  const port = portOf(running, 'udp')
  const stranger = new PlainKcpClient(t, await proxy(t, port, 'each'))
  let answers = 0
  stranger.socket.on('message', () => answers++)
  stranger.greet().catch(() => {})
  const dropped = async () =>
    (await (await fetch(`${running.adminAddress}/metrics`)).text()).match(/no_conversation"} (\d+)/)
  while (Number((await dropped())?.[1] ?? 0) === 0) stranger.raw(stranger.last)
  t.equal(answers, 0)
  t.equal(running.gateway.connections.size, 0)
  const { client } = new PlainKcpClient(t, port)
  await client.login('bob')
  t.equal(client.welcome?.user, 'bob', 'who comes directly is served')
})
