import fs from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import t from 'tap'
import type { Settings } from '../../../config/settings.ts'
import type { GatewayEvent } from '../../../gateway/seams.ts'
import { makeCertificate } from '../../config/certificate.ts'
import { ScriptedHost } from './scripted-host.ts'
import { eventually, scratchFolder, started, type Test, tcpClient, testSettings } from './started.ts'

const isLinked = (running: { gateway: { hosts(): { state: string }[] } }) => () =>
  running.gateway.hosts()[0].state === 'linked'

/** Lines of the log that tell why links were refused. */
function refusals(t: Test, address: string, change: (settings: Settings) => void = () => {}) {
  const lines: string[] = []
  const settings = testSettings(t, address, (s) => {
    s.log = { level: 'warn', format: 'json' }
    change(s)
  })
  const logTarget = { write: (line: string) => lines.push(line) }
  const texts = () =>
    lines
      .map((line) => JSON.parse(line) as GatewayEvent)
      .filter((event) => event.event === 'link_refused')
      .map((event) => event.text)
  return { settings, logTarget, texts }
}

t.test('a link over a Unix socket', async (t) => {
  const host = new ScriptedHost({ name: 'local' })
  t.teardown(() => host.close())
  const address = await host.listen(path.join(scratchFolder(t), 'host.sock'))
  const running = await started(t, testSettings(t, address))
  const client = await tcpClient(t, running, 'ada')
  await client.attach('arena', 'a1')
  client.send(Buffer.from('over unix'))
  await client.until(() => client.received.length === 1, 'the echo')
  t.equal(String(Buffer.from(client.received[0])), 'over unix')
})

t.test('a link over TLS, and none where the certificate is not accepted', async (t) => {
  const folder = scratchFolder(t)
  const pair = { certFile: path.join(folder, 'host.crt'), keyFile: path.join(folder, 'host.key') }
  const other = path.join(folder, 'other.crt')
  makeCertificate(pair.certFile, pair.keyFile)
  makeCertificate(other, path.join(folder, 'other.key'))
  const security = { cert: fs.readFileSync(pair.certFile), key: fs.readFileSync(pair.keyFile) }
  const host = new ScriptedHost({ name: 'local' }, security)
  t.teardown(() => host.close())
  const address = await host.listen()
  const secure =
    (caFile: string, serverName = 'localhost') =>
    (s: Settings) => {
      s.hosts[0].security = 'tls'
      s.hosts[0].tls = { caFile, serverName }
    }
  const running = await started(t, testSettings(t, address, secure(pair.certFile)))
  const client = await tcpClient(t, running, 'ada')
  await client.attach('arena', 'a1')
  client.send(Buffer.alloc(200_000 / 16))
  await client.until(() => client.received.length === 1, 'the echo')

  for (const change of [secure(other), secure(pair.certFile, 'elsewhere.example')]) {
    const { settings, logTarget, texts } = refusals(t, address, change)
    await started(t, settings, { logTarget })
    await eventually(() => texts().length > 0, 'a refusal')
    t.match(texts()[0], /certificate|altnames/i)
  }
  const { settings, logTarget, texts } = refusals(t, address, secure(path.join(folder, 'missing.crt')))
  await started(t, settings, { logTarget })
  await eventually(() => texts().length > 0, 'a refusal')
  t.match(texts()[0], /host local: CA .*missing.crt cannot be read \(ENOENT\)/)
})

t.test('a lost link is dialled again, and channels go on', async (t) => {
  const host = new ScriptedHost({ name: 'local' })
  t.teardown(() => host.close())
  const running = await started(t, testSettings(t, await host.listen()))
  const client = await tcpClient(t, running, 'ada')
  await client.attach('arena', 'a1')
  host.links[0].socket.resetAndDestroy()
  await eventually(() => running.gateway.counters.detachedByCode.some((count) => count > 0), 'the detach')
  await eventually(isLinked(running), 'a new link')
  client.attached = false
  await client.attach('arena', 'a1', 2)
  client.send(Buffer.from('again'))
  await client.until(() => client.received.length === 1, 'the echo')
})

t.test('a host that is away is dialled until it is there', async (t) => {
  const address = path.join(scratchFolder(t), 'host.sock')
  const { settings, logTarget, texts } = refusals(t, `unix:${address}`)
  const running = await started(t, settings, { logTarget })
  await eventually(() => texts().length > 0, 'a refusal')
  t.equal(texts()[0], `there is no socket unix:${address}`)
  t.match(running.gateway.readiness(), { ready: false, reasons: ['no host is linked'] })
  const host = new ScriptedHost({ name: 'local' })
  t.teardown(() => host.close())
  await host.listen(address)
  await eventually(isLinked(running), 'the link')
  t.ok(running.gateway.readiness().ready)
})

t.test('a wrong link key is refused on both sides', async (t) => {
  const host = new ScriptedHost({ name: 'local', linkKey: 'theirs' })
  t.teardown(() => host.close())
  const { settings, logTarget, texts } = refusals(t, await host.listen(), (s) => {
    s.linkKey = 'ours'
  })
  await started(t, settings, { logTarget })
  await eventually(() => texts().length > 0, 'a refusal')
  t.equal(texts()[0], 'the link key was not accepted')
})

t.test('a host that accepts and says nothing is given up', async (t) => {
  const mute = net.createServer()
  t.teardown(() => mute.close())
  const sockets: net.Socket[] = []
  mute.on('connection', (socket) => sockets.push(socket))
  await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve))
  const address = `127.0.0.1:${(mute.address() as net.AddressInfo).port}`
  const { settings, logTarget, texts } = refusals(t, address, (s) => {
    s.times.handshakeMs = 100
  })
  const running = await started(t, settings, { logTarget })
  await eventually(() => texts().length > 0, 'a refusal')
  t.equal(texts()[0], 'the handshake was not finished in time')
  await running.close()
  for (const socket of sockets) socket.destroy()
})
