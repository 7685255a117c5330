import fs from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { readNoiseKey } from '../../../config/noise-keys.ts'
import { kcpFrom } from '../../../config/schema-kcp.ts'
import type { Settings } from '../../../config/settings.ts'
import { code } from '../../../protocols/codes.ts'
import { writeUnreliable } from '../../../protocols/wire/lane-frames.ts'
import { Writer } from '../../../protocols/wire/writer.ts'
import { ScriptedHost } from './scripted-host.ts'
import { SealedKcpClient, type Weather } from './sealed-kcp-client.ts'
import { eventually, portOf, started, type Test, testSettings } from './started.ts'

const payload = (n: number) => new TextEncoder().encode(`message ${n}`)
const texts = (received: Uint8Array[]) => received.map((bytes) => Buffer.from(bytes).toString())
const wanted = (count: number) => Array.from({ length: count }, (_, i) => `message ${i}`)

async function gatewayWithHost(t: Test, change: (settings: Settings) => void = () => {}) {
  const host = new ScriptedHost({ name: 'local' })
  t.teardown(() => host.close())
  const settings = testSettings(t, await host.listen(), (settings) => {
    const [first] = settings.listeners
    const kcp = kcpFrom(undefined)
    settings.listeners = [{ ...first, name: 'udp', transport: 'udp', security: 'noise', port: 0, kcp }]
    change(settings)
  })
  const running = await started(t, settings)
  const { publicKey: key } = readNoiseKey(fs.readFileSync(path.join(settings.stateDir, 'noise.key'), 'utf8'))!
  const publicKey = new Uint8Array(Buffer.from(key, 'base64url'))
  const client = (weather?: Weather) => new SealedKcpClient(t, portOf(running, 'udp'), publicKey, weather)
  return { running, host, client }
}

t.test('messages go to the host and back in sealed datagrams', async (t) => {
  const { running, client: open } = await gatewayWithHost(t)
  const { client } = open()
  await client.login('ada')
  t.equal(client.welcome?.user, 'ada')
  await client.attach('arena', 'a1')
  for (let i = 0; i < 100; i++) client.send(payload(i))
  await client.until(() => client.received.length === 100, '100 echoes')
  t.same(texts(client.received), wanted(100))
  const [session] = running.gateway.sessions()
  t.equal(session.connections[0].transport, 'kcp-noise')
  t.equal(session.connections[0].address, '127.0.0.1')
})

t.test('loss, doubles and damage on the way change nothing but the time it takes', async (t) => {
  const { client: open } = await gatewayWithHost(t)
  let count = 0
  const { client } = open((datagram) => {
    count++
    if (count % 7 === 0) return []
    if (count % 11 === 0) return [datagram, datagram]
    if (count % 13 !== 0) return [datagram]
    const damaged = datagram.slice()
    damaged[damaged.length >> 1] ^= 1
    return [damaged]
  })
  await client.login('ada')
  await client.attach('arena', 'a1')
  for (let i = 0; i < 300; i++) client.send(payload(i))
  await client.until(() => client.received.length === 300, '300 echoes')
  t.same(texts(client.received), wanted(300))
})

t.test('a client whose port changes, or whose network does, goes on without a handshake', async (t) => {
  const { running, client: open } = await gatewayWithHost(t)
  const peer = open()
  const { client } = peer
  await client.login('ada')
  await client.attach('arena', 'a1')
  for (const move of [() => peer.rebind(), () => peer.move()]) {
    move()
    const before = client.received.length
    const handshakes = peer.sent.filter(([type]) => type === 1).length
    for (let i = 0; i < 50; i++) client.send(payload(before + i))
    await client.until(() => client.received.length === before + 50, '50 echoes more')
    t.equal(peer.sent.filter(([type]) => type === 1).length, handshakes)
  }
  t.same(texts(client.received), wanted(100))
  t.equal(running.gateway.connections.size, 1)
})

t.test('frames beside KCP go both ways, and are lost where they mean nothing', async (t) => {
  const { running, client: open } = await gatewayWithHost(t)
  const peer = open()
  const { client } = peer
  await client.login('ada')
  await client.attach('arena', 'a1')
  client.send(payload(0))
  await client.until(() => client.received.length === 1, 'the echo')
  const w = new Writer(64)
  writeUnreliable(w, 0, 1, 0, payload(9))
  const frame = w.drain().subarray(1)
  await eventually(() => peer.line.queuedBytes === 0, 'the confirmation')
  t.ok(peer.line.sendBare(Uint8Array.of(1, 2, 3)))
  t.ok(peer.line.sendBare(frame))
  await eventually(() => peer.bare.length === 1, 'the echo beside KCP')
  t.same(peer.bare[0], frame)
  t.equal(running.gateway.connections.size, 1)
})

t.test('closing tells clients by a datagram of its own, and leaves no socket behind', async (t) => {
  const { running, client: open } = await gatewayWithHost(t)
  const { client } = open()
  await client.login('ada')
  await running.close()
  await client.until(() => client.isGone, 'the end')
  t.equal(client.closedWith?.code, code.going_away)
  t.same(await running.closed, { code: 0, reason: 'closed' })
})
