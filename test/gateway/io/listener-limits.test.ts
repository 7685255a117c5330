// How many may come by one listener, and how many of them without a login, whatever comes by the others.
import { once } from 'node:events'
import net from 'node:net'
import t from 'tap'
import { kcpFrom } from '../../../config/schema-kcp.ts'
import type { ListenerSettings, Settings } from '../../../config/settings.ts'
import { ListenerPlaces } from '../../../gateway/io/listener-places.ts'
import { IoCounters } from '../../../gateway/io/io-counters.ts'
import { WebSocket } from 'ws'
import { PlainKcpClient } from './plain-kcp-client.ts'
import { overSocket, overWebSocket } from './scripted-client.ts'
import { eventually, started, type Test, testSettings } from './started.ts'

const tcp = (s: Settings, name: string, limits?: ListenerSettings['limits']): ListenerSettings => ({
  ...s.listeners.find(({ transport }) => transport === 'tcp')!,
  name,
  limits,
})

async function gatewayOf(t: Test, listeners: (settings: Settings) => ListenerSettings[]) {
  const settings = testSettings(t, '127.0.0.1:1', (s) => {
    s.listeners = listeners(s)
  })
  const running = await started(t, settings)
  const port = (name: string) => running.addresses.find((address) => address.name === name)!.port
  const connect = (name: string) => {
    const client = overSocket(net.connect(port(name), '127.0.0.1'))
    t.teardown(() => client.pipe.destroy())
    return client
  }
  return { running, port, connect }
}

t.test('connections above those of a listener are refused there, and nowhere else', async (t) => {
  const { running, connect } = await gatewayOf(t, (s) => [tcp(s, 'few', { connectionsMax: 2 }), tcp(s, 'many')])
  const one = connect('few')
  await one.login('one')
  await connect('few').login('two')
  const third = connect('few')
  await third.until(() => third.isGone, 'the refusal')
  t.equal(third.welcome, undefined)
  await connect('many').login('three')
  one.pipe.destroy()
  await eventually(() => running.gateway.connections.size === 2, 'two connections')
  const fourth = connect('few')
  await fourth.login('four')
  t.equal(fourth.welcome?.user, 'four', 'there is room again')
})

t.test('those that do not log in leave room for no more of their kind, and do those no harm who have', async (t) => {
  const { running, connect } = await gatewayOf(t, (s) => [tcp(s, 'few', { handshakesMax: 2 })])
  for (const name of ['a', 'b', 'c', 'd']) await connect('few').login(name)
  const gone = connect('few')
  await gone.login('z')
  gone.pipe.destroy()
  await eventually(() => running.gateway.connections.size === 4, 'the end of one that had logged in')
  const idle = [connect('few'), connect('few')]
  await eventually(() => running.gateway.connections.size === 6, 'the idle ones')
  const refused = connect('few')
  await refused.until(() => refused.isGone, 'the refusal')
  await idle[0].login('e')
  const next = connect('few')
  await next.login('f')
  t.equal(next.welcome?.user, 'f')
  idle[1].pipe.destroy()
  await eventually(() => running.gateway.connections.size === 6, 'its end')
  connect('few')
  await eventually(() => running.gateway.connections.size === 7, 'another idle one')
})

t.test('over WebSocket and UDP, too', async (t) => {
  const limits = { connectionsMax: 1 }
  const { running, port } = await gatewayOf(t, (s) => [
    { ...tcp(s, 'ws', limits), transport: 'websocket', path: '/', origins: [] },
    { ...tcp(s, 'udp', limits), transport: 'udp', security: 'none', kcp: kcpFrom(undefined) },
  ])
  const socket = new WebSocket(`ws://127.0.0.1:${port('ws')}/`)
  t.teardown(() => socket.terminate())
  await once(socket, 'open')
  await overWebSocket(socket).login('ann')
  const second = new WebSocket(`ws://127.0.0.1:${port('ws')}/`)
  second.on('error', () => {})
  await new Promise((resolve) => second.once('close', resolve))
  const { client } = new PlainKcpClient(t, port('udp'))
  await client.login('bob')
  new PlainKcpClient(t, port('udp')).client.login('cid').catch(() => {})
  let metrics = ''
  while (!metrics.includes('{reason="listener_connections"} 2\n')) {
    metrics = await (await fetch(`${running.adminAddress}/metrics`)).text()
  }
  t.equal(running.gateway.connections.size, 2)
  socket.terminate()
  await eventually(() => running.gateway.connections.size === 1, 'its end')
  const third = new WebSocket(`ws://127.0.0.1:${port('ws')}/`)
  t.teardown(() => third.terminate())
  await once(third, 'open')
  await overWebSocket(third).login('dan')
})

t.test('other limits hold for those who come next', async (t) => {
  const counters = new IoCounters()
  const settings = { name: 'x' } as ListenerSettings
  const places = new ListenerPlaces(settings, counters)
  for (let i = 0; i < 3; i++) t.ok(places.take())
  places.configure({ ...settings, limits: { connectionsMax: 3 } })
  t.notOk(places.take())
  places.configure({ ...settings, limits: { handshakesMax: 3 } })
  t.notOk(places.take())
  places.loggedIn++
  t.ok(places.take())
  places.configure(settings)
  t.ok(places.take())
  t.match(counters, { listenerConnectionsRefused: 1, listenerHandshakesRefused: 1 })
})
