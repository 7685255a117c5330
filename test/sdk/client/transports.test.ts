import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:https'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import tls from 'node:tls'
import type { Test } from 'tap'
import t from 'tap'
import { WebSocketServer } from 'ws'
import { connect, json } from '../../../sdk/client/index.ts'
import { nodeTransports } from '../../../sdk/client/node-transports.ts'
import type { Carrier, Transport } from '../../../sdk/client/transports.ts'
import { makeCertificate } from '../../config/certificate.ts'
import { EchoGateway } from './echo-gateway.ts'

function serveSockets(t: Test, gateway: EchoGateway, listen: net.ListenOptions): Promise<net.Server> {
  const server = net.createServer((socket) => {
    const connection = gateway.accept({ write: (bytes) => socket.write(bytes), close: () => socket.end() })
    socket.on('data', (bytes) => connection.receive(bytes as Buffer))
    socket.on('close', () => connection.cut())
    socket.on('error', () => {})
  })
  t.teardown(() => server.close())
  return new Promise((resolve) => server.listen(listen, () => resolve(server)))
}

async function serveWebSockets(t: Test, gateway: EchoGateway): Promise<number> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 })
  server.on('connection', (socket) => {
    const connection = gateway.accept({ write: (bytes) => socket.send(bytes), close: () => socket.close() })
    socket.on('message', (data) => connection.receive(data as Buffer))
    socket.on('close', () => connection.cut())
  })
  t.teardown(() => server.close())
  await new Promise((resolve) => server.on('listening', resolve))
  return (server.address() as net.AddressInfo).port
}

const portOf = (server: net.Server) => (server.address() as net.AddressInfo).port

async function echoes(t: Test, gateways: string[], options = {}): Promise<void> {
  const client = connect({ gateways, token: 'ana', codec: json, backoffBaseMs: 5, ...options })
  const room = client.actor('echo', 'room')
  const big = 'x'.repeat(1500)
  t.equal(await room.call('echo.ask', big), big)
  t.equal(await room.call('echo.ask', 1), 1)
  t.equal(client.transport, gateways[client.gatewayIndex].split(':')[0])
  await client.close()
}

t.test('tcp, by address and by name', async (t) => {
  const gateway = new EchoGateway()
  const port = portOf(await serveSockets(t, gateway, { host: '127.0.0.1', port: 0 }))
  await echoes(t, [`tcp://127.0.0.1:${port}`])
  await echoes(t, [`tcp://localhost:${port}`])
})

t.test('a Unix socket', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'skewer-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const file = path.join(folder, 'a gateway.sock')
  await serveSockets(t, new EchoGateway(), { path: file })
  await echoes(t, [`unix://${file}`])
})

t.test('tls and wss, with the authority that is given, and not without', async (t) => {
  const gateway = new EchoGateway()
  const folder = mkdtempSync(path.join(tmpdir(), 'skewer-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const [certFile, keyFile] = [path.join(folder, 'cert.pem'), path.join(folder, 'key.pem')]
  makeCertificate(certFile, keyFile)
  const [cert, key] = [readFileSync(certFile), readFileSync(keyFile)]
  const server = tls.createServer({ cert, key }, (socket) => {
    const connection = gateway.accept({ write: (bytes) => socket.write(bytes), close: () => socket.end() })
    socket.on('data', (bytes) => connection.receive(bytes as Buffer))
    socket.on('error', () => {})
  })
  server.on('tlsClientError', () => {})
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const https = createServer({ cert, key })
  const wss = new WebSocketServer({ server: https })
  wss.on('connection', (socket) => {
    const connection = gateway.accept({ write: (bytes) => socket.send(bytes), close: () => socket.close() })
    socket.on('message', (data) => connection.receive(data as Buffer))
  })
  await new Promise<void>((resolve) => https.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.close()
    https.close()
  })
  await echoes(t, [`tls://localhost:${portOf(server)}`], { tls: { ca: cert } })
  await echoes(t, [`wss://localhost:${portOf(https as unknown as net.Server)}/`], { tls: { ca: cert } })
  const stranger = connect({ gateways: [`tls://localhost:${portOf(server)}`], token: 'ana' })
  const ended = await new Promise<{ code: number }>((resolve) => stranger.on('disconnected', resolve))
  t.equal(ended.code, 0)
  await stranger.close({ timeoutMs: 0 })
})

t.test('ws, and from one transport to the other', async (t) => {
  const gateway = new EchoGateway()
  const port = await serveWebSockets(t, gateway)
  await echoes(t, [`ws://127.0.0.1:${port}/`])
  const other = portOf(await serveSockets(t, gateway, { host: '127.0.0.1', port: 0 }))
  const client = connect({
    gateways: [`ws://127.0.0.1:${port}/`, `tcp://127.0.0.1:${other}`],
    token: 'ana',
    codec: json,
  })
  const room = client.actor('echo', 'room')
  const seen: unknown[] = []
  room.on('echo.said', (payload) => seen.push(payload))
  await room.call('echo.ask', 1)
  const attached = new Promise((resolve) => room.on('attached', resolve))
  client.switchTo(1)
  for (let n = 0; n < 20; n++) room.send('echo.say', n)
  await attached
  t.equal(client.transport, 'tcp')
  await room.call('echo.ask', 2)
  await client.close()
  t.same(
    seen,
    Array.from({ length: 20 }, (_, n) => n),
  )
})

t.test('nobody there: the next address in order', async (t) => {
  const closed = await serveSockets(t, new EchoGateway(), { host: '127.0.0.1', port: 0 })
  const nobody = portOf(closed)
  await new Promise((resolve) => closed.close(resolve))
  const port = portOf(await serveSockets(t, new EchoGateway(), { host: '127.0.0.1', port: 0 }))
  const lonely = connect({ gateways: [`tcp://127.0.0.1:${nobody}`], token: 'ana' })
  const ended = await new Promise<{ text: string }>((resolve) => lonely.on('disconnected', resolve))
  t.match(ended, { code: 0, text: /ECONNREFUSED/ })
  await lonely.close({ timeoutMs: 0 })
  await echoes(t, [`tcp://127.0.0.1:${nobody}`, `ws://127.0.0.1:${nobody}/`, `tcp://127.0.0.1:${port}`])
})

t.test('a port that takes connections and says nothing is left after the time to be welcomed', async (t) => {
  const silent = net.createServer((socket) => socket.on('error', () => {}))
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  t.teardown(() => silent.close())
  const port = portOf(await serveSockets(t, new EchoGateway(), { host: '127.0.0.1', port: 0 }))
  const gateways = [`tcp://127.0.0.1:${portOf(silent)}`, `tcp://127.0.0.1:${port}`]
  await echoes(t, gateways, { handshakeMs: 50 })
})

t.test('an application adds a transport by its scheme', async (t) => {
  const gateway = new EchoGateway()
  const port = portOf(await serveSockets(t, gateway, { host: '127.0.0.1', port: 0 }))
  let opened = 0
  const tunnel: Transport = (address, events, options) => {
    opened++
    return nodeTransports.tcp(new URL(`tcp://${address.host}`), events, options)
  }
  await echoes(t, [`tunnel://127.0.0.1:${port}`], { transports: { tunnel } })
  t.equal(opened, 1)
})

t.test('a carrier that takes nothing is seen by what it holds', async (t) => {
  const server = net.createServer((socket) => {
    socket.pause()
    socket.on('error', () => {})
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const told: string[] = []
  const carrier = await new Promise<ReturnType<Transport>>((resolve) => {
    const made = nodeTransports.tcp(
      new URL(`tcp://127.0.0.1:${portOf(server)}`),
      {
        opened: () => resolve(made),
        received: () => {},
        drained: () => told.push('drained'),
        closed: () => told.push('closed'),
      },
      { openMs: 1000 },
    )
  })
  const chunk = new Uint8Array(1 << 20)
  for (let i = 0; i < 16; i++) carrier.write(chunk)
  t.ok(carrier.queuedBytes() > 1 << 20)
  carrier.destroy()
  t.same(told, [])
})

t.test('a carrier that is closed is gone soon, also where nobody reads what is queued', async (t) => {
  const server = net.createServer((socket) => {
    socket
      .on('error', () => {})
      .once('data', (head) => {
        const key = /Sec-WebSocket-Key: (.*)\r\n/.exec(head.toString())?.[1]
        if (key === undefined) return
        const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
        const lines = ['HTTP/1.1 101 x', 'Upgrade: websocket', 'Connection: Upgrade', `Sec-WebSocket-Accept: ${accept}`]
        socket.write(`${lines.join('\r\n')}\r\n\r\n`)
        socket.pause()
      })
  })
  const sockets = new Set<net.Socket>()
  server.on('connection', (socket) => sockets.add(socket))
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  for (const scheme of ['tcp', 'ws']) {
    let closed = () => {}
    const isClosed = new Promise<void>((resolve) => {
      closed = resolve
    })
    const carrier = await new Promise<Carrier>((resolve) => {
      const made: Carrier = nodeTransports[scheme](
        new URL(`${scheme}://127.0.0.1:${portOf(server)}/`),
        { opened: () => setImmediate(() => resolve(made)), received() {}, drained() {}, closed: () => closed() },
        { openMs: 5000 },
      )
    })
    if (scheme === 'tcp') for (const socket of sockets) socket.pause()
    for (let i = 0; i < 40; i++) carrier.write(new Uint8Array(1024 * 1024))
    await new Promise((resolve) => setTimeout(resolve))
    t.ok(carrier.queuedBytes() > 0, `${scheme}: something is queued`)
    const startedAt = performance.now()
    carrier.close()
    await isClosed
    t.ok(performance.now() - startedAt < 4000, `${scheme}: ${performance.now() - startedAt} ms`)
  }
})
