// UDP listeners that change while they run: all clients of one share its socket, so it cannot be closed under them.
import dgram from 'node:dgram'
import fs from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import t from 'tap'
import { readNoiseKey } from '../../../config/noise-keys.ts'
import { kcpFrom } from '../../../config/schema-kcp.ts'
import type { ListenerSettings } from '../../../config/settings.ts'
import { PlainKcpClient } from './plain-kcp-client.ts'
import { ScriptedHost } from './scripted-host.ts'
import { SealedKcpClient } from './sealed-kcp-client.ts'
import { eventually, portOf, started, type Test, testSettings } from './started.ts'

const payload = new TextEncoder().encode('message')

/** A gateway with a TCP and a UDP listener, and how its UDP listener is changed. */
async function stage(t: Test, security: 'none' | 'noise') {
  const host = new ScriptedHost({ name: 'local' })
  t.teardown(() => host.close())
  const settings = testSettings(t, await host.listen(), (settings) => {
    const [first] = settings.listeners
    const kcp = kcpFrom(undefined)
    settings.listeners = [first, { ...first, name: 'udp', transport: 'udp', security, port: 0, kcp }]
    settings.times.drainMs = 500
    settings.policies = undefined
  })
  const running = await started(t, settings)
  const port = portOf(running, 'udp')
  const configure = (change: (udp: ListenerSettings) => Partial<ListenerSettings>[]) => {
    const next = structuredClone(settings)
    const [tcp, udp] = next.listeners
    next.listeners = [tcp, ...change({ ...udp }).map((other) => ({ ...udp, ...other }))]
    return running.configure(next)
  }
  const key = () => {
    const pem = fs.readFileSync(path.join(settings.stateDir, 'noise.key'), 'utf8')
    return new Uint8Array(Buffer.from(readNoiseKey(pem)!.publicKey, 'base64url'))
  }
  return { running, port, configure, key, settings }
}

async function isFree(port: number): Promise<boolean> {
  const socket = dgram.createSocket('udp4')
  return new Promise((resolve) => {
    socket.once('error', () => resolve(false))
    socket.bind(port, '127.0.0.1', () => socket.close(() => resolve(true)))
  })
}

t.test('another preset holds for new connections, and nobody is interrupted', async (t) => {
  const { running, port, configure, key } = await stage(t, 'noise')
  const early = new SealedKcpClient(t, port, key())
  await early.client.login('early')
  await early.client.attach('arena', 'early')
  const { outcome } = await configure(() => [{ kcp: kcpFrom({ preset: 'thrifty', mtu: 600 }) }])
  t.equal(outcome, 'reloaded')
  t.equal(portOf(running, 'udp'), port)
  const late = new SealedKcpClient(t, port, key())
  await late.client.login('late')
  await late.client.attach('arena', 'late')
  const large = new Uint8Array(3000).fill(7)
  for (const { client } of [early, late]) {
    client.send(large)
    await client.until(() => client.received.length === 1, 'the echo')
  }
  t.ok(early.longest > 1000 && early.longest <= 1200, `${early.longest}`)
  t.ok(late.longest > 500 && late.longest <= 600, `${late.longest}`)
})

t.test('a listener that is removed lets its clients go, and its socket with the last', async (t) => {
  const { running, port, configure, key } = await stage(t, 'noise')
  const { client } = new SealedKcpClient(t, port, key())
  await client.login('ada')
  await client.attach('arena', 'a1')
  t.equal((await configure(() => [])).outcome, 'reloaded')
  client.send(payload)
  await client.until(() => client.received.length === 1, 'the echo, though nothing listens any more')
  const stranger = new SealedKcpClient(t, port, key())
  await client.until(() => client.isGone, 'the end of the time to go')
  await eventually(() => running.gateway.connections.size === 0, 'no connection')
  t.equal(stranger.line.isClosed, false, 'nobody new was let in, or told anything')
  t.equal(stranger.arrived, 0)
  let free = false
  await eventually(() => {
    void isFree(port).then((is) => {
      free ||= is
    })
    return free
  }, 'the port')
})

t.test('where the port is needed by another kind of listener it is given up at once', async (t) => {
  const { running, port, configure, key } = await stage(t, 'none')
  const plain = new PlainKcpClient(t, port)
  await plain.client.login('plain')
  const { outcome } = await configure(() => [{ security: 'noise', port }])
  t.equal(outcome, 'reloaded')
  await eventually(() => running.gateway.connections.size === 0, 'the end of those who were there')
  const sealed = new SealedKcpClient(t, port, key())
  await sealed.client.login('sealed')
  t.equal(running.gateway.connections.size, 1)
})

t.test('where the new one cannot listen the old one listens on', async (t) => {
  const { running, port, configure, settings } = await stage(t, 'none')
  const busy = net.createServer()
  t.teardown(() => busy.close())
  await new Promise<void>((resolve) => busy.listen(0, '127.0.0.1', resolve))
  const taken = (busy.address() as net.AddressInfo).port
  await t.rejects(
    configure(() => [
      { security: 'noise', port },
      { name: 'more', transport: 'tcp', security: 'none', port: taken },
    ]).then((outcome) => {
      if (outcome.outcome !== 'reloaded') throw new Error(outcome.outcome)
    }),
  )
  t.equal(running.gateway.settings.listeners[1].security, settings.listeners[1].security)
  const plain = new PlainKcpClient(t, port)
  await plain.client.login('plain')
  t.equal(plain.client.welcome?.user, 'plain')
})

t.test('who has moved leaves the place that it came to', async (t) => {
  const { running, port, key, settings } = await stage(t, 'noise')
  const limits = { isObserved: false, perAddress: 1, perNetwork: Infinity }
  t.equal(
    (await running.configure({ ...settings, admission: { limits, lists: { allow: [], deny: [] } } })).outcome,
    'reloaded',
  )
  const mobile = new SealedKcpClient(t, port, key())
  await mobile.client.login('mobile')
  await mobile.client.attach('arena', 'mobile')
  mobile.rebind('127.0.0.2')
  mobile.client.send(payload)
  await mobile.client.until(() => mobile.client.received.length === 1, 'the echo')
  t.equal(running.gateway.sessions()[0].connections[0].address, '127.0.0.2')
  mobile.line.close(performance.now())
  await eventually(() => running.gateway.connections.size === 0, 'its end')
  const next = new SealedKcpClient(t, port, key())
  await next.client.login('next')
  t.equal(next.client.welcome?.user, 'next')
})

t.test('a port that is taken is an error that names the listener', async (t) => {
  const socket = dgram.createSocket('udp4')
  t.teardown(() => socket.close())
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
  const { port } = socket.address()
  const settings = testSettings(t, '127.0.0.1:1', (settings) => {
    settings.listeners = [{ ...settings.listeners[0], name: 'udp', transport: 'udp', security: 'none', port }]
  })
  await t.rejects(started(t, settings), {
    message: `listener udp cannot listen on 127.0.0.1:${port}: another process listens there already`,
  })
})

t.test('thousands of datagrams from strangers on real sockets leave nothing, and a player plays on', async (t) => {
  const { running, port, key } = await stage(t, 'noise')
  const player = new SealedKcpClient(t, port, key())
  const { client } = player
  await client.login('ada')
  await client.attach('arena', 'a1')
  const sockets = Array.from({ length: 50 }, () => dgram.createSocket('udp4'))
  t.teardown(() => {
    for (const socket of sockets) socket.close()
  })
  const answered: number[] = []
  for (const socket of sockets) socket.on('message', (bytes) => void answered.push(bytes.length))
  const init = player.sent[0]
  const junk = [init, player.sent.at(-1)!, Buffer.alloc(1200, 1), Buffer.alloc(0), Buffer.of(16), Buffer.alloc(200, 16)]
  for (let round = 0; round < 60; round++) {
    for (const [i, socket] of sockets.entries()) socket.send(junk[(i + round) % junk.length], port, '127.0.0.1')
    if (round % 10 === 0) {
      client.send(payload)
      await client.until(() => client.received.length === 1 + round / 10, 'the echo')
    }
  }
  await eventually(() => answered.length > 0, 'a cookie')
  t.equal(running.gateway.connections.size, 1)
  t.ok(
    answered.every((length) => length === 25),
    'nothing but cookies',
  )
  client.send(payload)
  await client.until(() => client.received.length === 7, 'the last echo')
})
