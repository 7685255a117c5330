import net from 'node:net'
import t from 'tap'
import { newcomerShare } from '../../../gateway/io/turn-share.ts'
import { code } from '../../../protocols/codes.ts'
import { overSocket } from './scripted-client.ts'
import { ScriptedHost } from './scripted-host.ts'
import { eventually, portOf, started, tcpClient, testSettings } from './started.ts'

const payload = (n: number) => new TextEncoder().encode(`message ${n}`)

t.test('messages go to the host and back over real sockets', async (t) => {
  const host = new ScriptedHost({ name: 'local' })
  t.teardown(() => host.close())
  const running = await started(t, testSettings(t, await host.listen()))
  const client = await tcpClient(t, running, 'ada')
  t.equal(client.welcome?.user, 'ada')
  await client.attach('arena', 'a1')
  for (let i = 0; i < 100; i++) client.send(payload(i))
  await client.until(() => client.received.length === 100, '100 echoes')
  t.same(
    client.received.map((bytes) => Buffer.from(bytes).toString()),
    Array.from({ length: 100 }, (_, i) => `message ${i}`),
  )
})

t.test('a client that sends byte by byte is understood', async (t) => {
  const host = new ScriptedHost({ name: 'local' })
  t.teardown(() => host.close())
  const running = await started(t, testSettings(t, await host.listen()))
  const socket = net.connect({ port: portOf(running, 'tcp'), host: '127.0.0.1', noDelay: true })
  const client = overSocket(socket)
  t.teardown(() => socket.destroy())
  let last = Promise.resolve()
  client.pipe.write = (bytes) => {
    for (const byte of bytes) {
      last = last.then(() => new Promise((resolve) => socket.write(Uint8Array.of(byte), () => setImmediate(resolve))))
    }
  }
  await client.login('grace')
  await client.attach('arena', 'a1')
  client.send(payload(1))
  await client.until(() => client.received.length === 1, 'the echo')
  t.same(client.received[0], payload(1))
})

t.test('a silent connection is closed when the time for its handshake is over', async (t) => {
  const settings = testSettings(t, '127.0.0.1:1', (s) => {
    s.times.handshakeMs = 100
  })
  const running = await started(t, settings)
  const client = overSocket(net.connect(portOf(running, 'tcp'), '127.0.0.1'))
  await client.until(() => client.isGone, 'the end')
  t.equal(client.closedWith?.code, code.handshake_timeout)
  await eventually(() => running.gateway.connections.size === 0, 'no connection')
})

t.test('connections above connectionsMax are refused, and counted no longer when they are gone', async (t) => {
  const settings = testSettings(t, '127.0.0.1:1', (s) => {
    s.limits.connectionsMax = 2
  })
  const running = await started(t, settings)
  const one = await tcpClient(t, running, 'one')
  await tcpClient(t, running, 'two')
  const third = overSocket(net.connect(portOf(running, 'tcp'), '127.0.0.1'))
  await third.until(() => third.isGone, 'the refusal')
  t.equal(third.welcome, undefined)
  one.pipe.destroy()
  await eventually(() => running.gateway.connections.size === 1, 'one connection')
  const fourth = await tcpClient(t, running, 'four')
  t.equal(fourth.welcome?.user, 'four')
})

t.test('a client that resets its connection harms nobody', async (t) => {
  const host = new ScriptedHost({ name: 'local' })
  t.teardown(() => host.close())
  const running = await started(t, testSettings(t, await host.listen()))
  const other = await tcpClient(t, running, 'other')
  await other.attach('arena', 'a1')
  const socket = net.connect(portOf(running, 'tcp'), '127.0.0.1')
  const client = overSocket(socket)
  await client.login('rude')
  socket.resetAndDestroy()
  await eventually(() => running.gateway.connections.size === 1, 'the end of the reset connection')
  other.send(payload(1))
  await other.until(() => other.received.length === 1, 'the echo of the other')
})

t.test('closing tells clients and hosts, and leaves no socket behind', async (t) => {
  const host = new ScriptedHost({ name: 'local' })
  t.teardown(() => host.close())
  const running = await started(t, testSettings(t, await host.listen()))
  const client = await tcpClient(t, running, 'ada')
  await client.attach('arena', 'a1')
  await running.close()
  await client.until(() => client.isGone, 'the end')
  t.equal(client.closedWith?.code, code.going_away)
  t.same(await running.closed, { code: 0, reason: 'closed' })
  await eventually(() => host.links.length === 0, 'the end of the link')
})

t.test('a busy port is an error that names the listener and the port', async (t) => {
  const first = await started(t, testSettings(t, '127.0.0.1:1'))
  const port = portOf(first, 'tcp')
  const settings = testSettings(t, '127.0.0.1:1', (s) => {
    s.listeners[0].name = 'game'
    s.listeners[0].port = port
  })
  await t.rejects(started(t, settings), {
    message: `listener game cannot listen on 127.0.0.1:${port}: another process listens there already`,
  })
})

t.test('who was accepted and not met yet when the gateway ends is not met any more', async (t) => {
  const running = await started(t, testSettings(t, '127.0.0.1:1'))
  const { isSpent, wait } = newcomerShare
  t.teardown(() => Object.assign(newcomerShare, { isSpent, wait }))
  let waits = 0
  newcomerShare.isSpent = () => true
  newcomerShare.wait = (newcomer) => {
    waits++
    wait.call(newcomerShare, newcomer)
  }
  const client = overSocket(net.connect(portOf(running, 'tcp'), '127.0.0.1'))
  t.teardown(() => client.pipe.destroy())
  await eventually(() => waits === 1, 'the newcomer')
  const ended = running.close()
  Object.assign(newcomerShare, { isSpent, wait })
  await ended
  await client.until(() => client.isGone, 'its end')
  t.equal(client.welcome, undefined)
  t.equal(running.gateway.connections.size, 0)
})
