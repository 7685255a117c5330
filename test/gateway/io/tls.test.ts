import fs from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import tls from 'node:tls'
import t from 'tap'
import { WebSocket } from 'ws'
import { makeCertificate } from '../../config/certificate.ts'
import { overSocket, overWebSocket } from './scripted-client.ts'
import { ScriptedHost } from './scripted-host.ts'
import { eventually, portOf, scratchFolder, started, type Test, testSettings } from './started.ts'

type Pair = { certFile: string; keyFile: string }

function certificate(folder: string, name: string): Pair {
  const pair = { certFile: path.join(folder, `${name}.crt`), keyFile: path.join(folder, `${name}.key`) }
  makeCertificate(pair.certFile, pair.keyFile)
  return pair
}

async function secureGateway(t: Test, pair: Pair & { clientCaFile?: string }, hostAddress = '127.0.0.1:1') {
  const settings = testSettings(t, hostAddress, (s) => {
    for (const listener of s.listeners) {
      listener.security = 'tls'
      listener.tls = pair
    }
    s.times.handshakeMs = 300
  })
  return { settings, running: await started(t, settings) }
}

const connected = (options: tls.ConnectionOptions) =>
  new Promise<tls.TLSSocket>((resolve, reject) => {
    const socket = tls.connect({ host: '127.0.0.1', servername: 'localhost', ...options })
    socket.once('secureConnect', () => resolve(socket)).once('error', reject)
  })

t.test('a PROXY header before TLS names the client behind it', async (t) => {
  const pair = certificate(scratchFolder(t), 'gateway')
  const settings = testSettings(t, '127.0.0.1:1', (s) => {
    for (const listener of s.listeners) {
      Object.assign(listener, { security: 'tls', tls: pair, proxyProtocol: ['127.0.0.0/8'] })
    }
  })
  const running = await started(t, settings)
  const beneath = net.connect(portOf(running, 'tcp'), '127.0.0.1')
  t.teardown(() => beneath.destroy())
  await new Promise((resolve) => beneath.once('connect', resolve))
  beneath.write('PROXY TCP4 203.0.113.9 198.51.100.7 40000 7777\r\n')
  await connected({ socket: beneath, ca: fs.readFileSync(pair.certFile) })
  await eventually(() => running.gateway.connections.size === 1, 'the connection')
  const [{ outlet }] = running.gateway.connections
  t.equal(outlet.carrier.address, '203.0.113.9')
})

t.test('messages go over TLS and over a secure WebSocket', async (t) => {
  const host = new ScriptedHost({ name: 'local' })
  t.teardown(() => host.close())
  const pair = certificate(scratchFolder(t), 'gateway')
  const { running } = await secureGateway(t, pair, await host.listen())
  const ca = fs.readFileSync(pair.certFile)
  const socket = await connected({ port: portOf(running, 'tcp'), ca })
  const webSocket = new WebSocket(`wss://localhost:${portOf(running, 'websocket')}/`, { ca })
  await new Promise((resolve) => webSocket.once('open', resolve))
  for (const [name, client] of [
    ['tls', overSocket(socket)],
    ['websocket-tls', overWebSocket(webSocket)],
  ] as const) {
    await client.login(name)
    await client.attach('arena', name)
    for (let i = 0; i < 50; i++) client.send(Buffer.alloc(3000, i))
    await client.until(() => client.received.length === 50, '50 echoes')
    t.ok(client.received.every((bytes, i) => Buffer.alloc(3000, i).equals(bytes)))
    t.equal(running.gateway.session(client.welcome!.session)?.connections[0].transport, name)
    client.pipe.destroy()
  }
  await eventually(() => running.gateway.connections.size === 0, 'no connection')
})

t.test('TLS 1.1 and suites without authenticated encryption are refused', async (t) => {
  const pair = certificate(scratchFolder(t), 'gateway')
  const { running } = await secureGateway(t, pair)
  const port = portOf(running, 'tcp')
  const old = { port, rejectUnauthorized: false, minVersion: 'TLSv1', maxVersion: 'TLSv1.1' } as const
  await t.rejects(connected({ ...old, ciphers: 'DEFAULT:@SECLEVEL=0' }))
  const weak = { port, rejectUnauthorized: false, maxVersion: 'TLSv1.2' } as const
  await t.rejects(connected({ ...weak, ciphers: 'ECDHE-ECDSA-AES128-SHA256' }))
  await t.resolves(connected({ ...weak }).then((socket) => socket.destroy()))
})

t.test('who speaks plain to a TLS port, or nothing at all, is gone after the handshake time', async (t) => {
  const pair = certificate(scratchFolder(t), 'gateway')
  const { running } = await secureGateway(t, pair)
  for (const first of ['hello, this is not TLS', '']) {
    const client = overSocket(net.connect(portOf(running, 'tcp'), '127.0.0.1'))
    if (first !== '') client.pipe.write(Buffer.from(first))
    await client.until(() => client.isGone, 'the end')
  }
  const answer = await (await fetch(`${running.adminAddress}/metrics`)).text()
  t.match(answer, 'skewer_handshakes_failed_total{reason="tls"} 1')
  t.match(answer, 'skewer_handshakes_failed_total{reason="wrong_security"} 1')
  t.match(answer, 'skewer_sockets_open 0')
})

t.test('a client without a certificate is refused where one is demanded', async (t) => {
  const folder = scratchFolder(t)
  const server = certificate(folder, 'gateway')
  const client = certificate(folder, 'client')
  const { running } = await secureGateway(t, { ...server, clientCaFile: client.certFile })
  const ca = fs.readFileSync(server.certFile)
  const port = portOf(running, 'tcp')
  const cert = fs.readFileSync(client.certFile)
  const known = overSocket(await connected({ port, ca, cert, key: fs.readFileSync(client.keyFile) }))
  await known.login('ada')
  t.equal(known.welcome?.user, 'ada')
  known.pipe.destroy()
  // In 1.3 a client has its part of the handshake done before it is judged.
  const stranger = certificate(folder, 'stranger')
  const shown = { cert: fs.readFileSync(stranger.certFile), key: fs.readFileSync(stranger.keyFile) }
  for (const credentials of [{}, shown]) {
    const unknown = overSocket(await connected({ port, ca, ...credentials }))
    unknown.login('eve').catch(() => {})
    await unknown.until(() => unknown.isGone, 'the refusal')
    t.equal(unknown.welcome, undefined)
  }
})

t.test('who speaks no TLS gets an alert, and nothing else', async (t) => {
  const { running } = await secureGateway(t, certificate(scratchFolder(t), 'gateway'))
  for (const said of ['hello, this is not TLS', 'GET / HTTP/1.1\r\n\r\n']) {
    const socket = net.connect(portOf(running, 'tcp'), '127.0.0.1')
    const answer: Buffer[] = []
    socket.on('data', (bytes: Buffer) => answer.push(bytes)).write(said)
    await new Promise((resolve) => socket.once('close', resolve))
    t.equal(Buffer.concat(answer).toString('hex'), '15030300020228')
  }
})

t.test('a new certificate is served after a reload, and a wrong one changes nothing', async (t) => {
  const folder = scratchFolder(t)
  const first = certificate(folder, 'first')
  const second = certificate(folder, 'second')
  const { settings, running } = await secureGateway(t, first)
  const port = portOf(running, 'tcp')
  const served = async () => {
    const socket = await connected({ port, rejectUnauthorized: false })
    const { fingerprint256 } = socket.getPeerCertificate()
    socket.destroy()
    return fingerprint256
  }
  const before = await served()
  const changed = structuredClone(settings)
  changed.listeners[0].tls = second
  changed.listeners[1].tls = { certFile: first.certFile, keyFile: second.keyFile }
  t.match(await running.configure(changed), { outcome: 'refused', reason: /are not a certificate and its key/ })
  t.equal(await served(), before)
  for (const listener of changed.listeners) listener.tls = second
  t.match(await running.configure(changed), { outcome: 'reloaded' })
  t.not(await served(), before)
})

t.test('a session is resumed by a ticket of TLS, also after a reload of the certificate', async (t) => {
  const pair = certificate(scratchFolder(t), 'gateway')
  const { settings, running } = await secureGateway(t, pair)
  const port = portOf(running, 'tcp')
  const socket = await connected({ port, rejectUnauthorized: false })
  const session = await new Promise<Buffer>((resolve) => {
    socket.once('session', resolve)
    socket.resume()
  })
  socket.destroy()
  t.match(await running.configure(settings), { outcome: 'reloaded', changes: [] })
  const again = await connected({ port, rejectUnauthorized: false, session })
  t.ok(again.isSessionReused())
  again.destroy()
})

t.test('a missing certificate is an error that names the listener and the file', async (t) => {
  const missing = path.join(scratchFolder(t), 'missing.crt')
  await t.rejects(secureGateway(t, { certFile: missing, keyFile: missing }), {
    message: `listener tcp-7777: certificate ${missing} cannot be read (ENOENT)`,
  })
})
