import type http from 'node:http'
import net from 'node:net'
import t from 'tap'
import { WebSocket } from 'ws'
import type { RunningGateway } from '../../../gateway/io/process.ts'
import { code } from '../../../protocols/codes.ts'
import { overWebSocket } from './scripted-client.ts'
import { ScriptedHost } from './scripted-host.ts'
import { eventually, portOf, started, type Test, testSettings } from './started.ts'

async function gatewayWith(t: Test, origins: string[] = [], hostAddress = '127.0.0.1:1') {
  const settings = testSettings(t, hostAddress, (s) => {
    const listener = s.listeners.find(({ transport }) => transport === 'websocket')!
    listener.path = '/play'
    listener.origins = origins
    s.times.handshakeMs = 300
  })
  return started(t, settings)
}

const url = (running: RunningGateway, path = '/play') => `ws://127.0.0.1:${portOf(running, 'websocket')}${path}`

async function open(socket: WebSocket) {
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject))
  return overWebSocket(socket)
}

/** The status and text with which an upgrade was refused. */
const refusal = (at: string, options = {}) =>
  new Promise<{ status?: number; text: string }>((resolve, reject) => {
    const socket = new WebSocket(at, options)
    socket.once('open', () => reject(new Error('it was let in')))
    socket.once('unexpected-response', (_request, response: http.IncomingMessage) => {
      let text = ''
      response.on('data', (chunk) => (text += chunk))
      response.on('end', () => resolve({ status: response.statusCode, text }))
    })
    socket.on('error', () => {})
  })

/** What a bare socket gets that sends these bytes and waits for the end. */
const answerTo = (port: number, bytes: string | Uint8Array) =>
  new Promise<Buffer>((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write(bytes))
    const chunks: Buffer[] = []
    socket.on('data', (chunk) => chunks.push(chunk as Buffer))
    socket.on('error', () => {})
    socket.on('close', () => resolve(Buffer.concat(chunks)))
  })

t.test('messages of all sizes go to the host and back over a WebSocket', async (t) => {
  const host = new ScriptedHost({ name: 'local' })
  t.teardown(() => host.close())
  const running = await gatewayWith(t, [], await host.listen())
  const client = await open(new WebSocket(url(running)))
  t.teardown(() => client.pipe.destroy())
  await client.login('ada')
  await client.attach('arena', 'a1')
  const sizes = [0, 1, 100, 118, 119, 120, 121, 122, 123, 124, 125, 126, 127, 128, 1000, 8000, 15000]
  for (const [i, size] of sizes.entries()) {
    client.send(Buffer.alloc(size, i))
    await client.until(() => client.received.length === i + 1, 'the echo')
    t.ok(Buffer.alloc(size, i).equals(client.received[i]), `${size} bytes`)
  }
})

t.test('a client whose frames come byte by byte, its first ones with the request, is understood', async (t) => {
  const running = await gatewayWith(t)
  const request = `GET /play HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`
  // A LOGIN as user "ada" with an empty agent; its mask is zero.
  const login = Buffer.from('11 01 03 616461 00'.replaceAll(' ', ''), 'hex')
  const frame = Buffer.concat([Buffer.from([0x82, 0x80 | (login.length + 1), 0, 0, 0, 0, login.length]), login])
  for (const step of [frame.length, 1]) {
    const socket = net.connect(portOf(running, 'websocket'), '127.0.0.1')
    t.teardown(() => socket.destroy())
    let came = Buffer.alloc(0)
    const welcomed = new Promise<void>((resolve) => {
      socket.on('data', (chunk) => {
        came = Buffer.concat([came, chunk as Buffer])
        if (came.includes('guest') || came.includes('ada')) resolve()
      })
    })
    if (step === 1) {
      socket.write(request)
      for (const byte of frame)
        await new Promise((resolve) => socket.write(Uint8Array.of(byte), () => setImmediate(resolve)))
    } else {
      socket.write(Buffer.concat([Buffer.from(request), frame]))
    }
    await welcomed
    t.match(came.toString('latin1'), 'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=', 'the answer of RFC 6455')
  }
})

t.test('a code of ours travels in the close as 4000 + code', async (t) => {
  const running = await gatewayWith(t)
  const socket = new WebSocket(url(running))
  const closed = new Promise<[number, string]>((resolve) => {
    socket.on('close', (closeCode, reason) => resolve([closeCode, reason.toString()]))
  })
  const client = await open(socket)
  client.pipe.write(Uint8Array.of(3, 1, 2, 3))
  const [closeCode, reason] = await closed
  t.equal(closeCode, 4000 + code.protocol)
  t.type(reason, 'string')
  t.equal(client.closedWith?.code, code.protocol)
})

t.test('text messages are closed with 1003', async (t) => {
  const running = await gatewayWith(t)
  const socket = new WebSocket(url(running))
  const closed = new Promise<number>((resolve) => socket.on('close', resolve))
  await open(socket)
  socket.send('hello')
  t.equal(await closed, 1003)
  await eventually(() => running.gateway.connections.size === 0, 'no connection')
})

t.test('pings are answered, closes too', async (t) => {
  const running = await gatewayWith(t)
  const socket = new WebSocket(url(running))
  await open(socket)
  const pong = new Promise((resolve) => socket.once('pong', (payload) => resolve(payload.toString())))
  socket.ping('are you there')
  t.equal(await pong, 'are you there')
  const closed = new Promise<number>((resolve) => socket.on('close', resolve))
  socket.close(4321)
  t.equal(await closed, 4321)
})

t.test('other paths, origins and protocols are refused in plain words', async (t) => {
  const running = await gatewayWith(t, ['https://game.example'])
  t.match(await refusal(url(running, '/')), { status: 404, text: 'the WebSocket path is /play' })
  const evil = await refusal(url(running), { origin: 'https://evil.example' })
  t.match(evil, { status: 403, text: 'origin https://evil.example is not allowed here' })
  const good = await open(new WebSocket(url(running), { origin: 'https://Game.example' }))
  good.pipe.destroy()
  const native = await open(new WebSocket(url(running)))
  native.pipe.destroy()
  const port = portOf(running, 'websocket')
  const upgrade = (headers: string) => `GET /play HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n${headers}\r\n\r\n`
  t.match(String(await answerTo(port, upgrade('Upgrade: h2c'))), /^HTTP\/1.1 426 .*\r\nUpgrade: websocket/)
  const short = 'Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: abc'
  t.match(String(await answerTo(port, upgrade(short))), /^HTTP\/1.1 400 /)
})

t.test('plain requests get an answer', async (t) => {
  const running = await gatewayWith(t)
  const at = url(running, '').replace('ws:', 'http:')
  const ask = async (path: string, method = 'GET') => (await fetch(at + path, { method })).status
  t.same(
    await Promise.all([ask('/'), ask('/health'), ask('/play'), ask('/other'), ask('/', 'POST')]),
    [200, 200, 426, 404, 405],
  )
})

t.test('whoever does not finish the request in the handshake time is gone', async (t) => {
  const running = await gatewayWith(t)
  const port = portOf(running, 'websocket')
  const slow = 'GET /play HTTP/1.1\r\nHost: x\r\n'
  const answers = await Promise.all([answerTo(port, ''), answerTo(port, slow)])
  t.same(
    answers.map((bytes) => bytes.length),
    [0, 0],
  )
  t.match(await (await fetch(`${running.adminAddress}/metrics`)).text(), 'reason="upgrade_timeout"} 2')
})
