import fs from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import net from 'node:net'
import path from 'node:path'
import t, { type Test } from 'tap'
import { cell } from '../../../gateway/counters.ts'
import type { BodySink } from '../../../gateway/io/http-body.ts'
import { HttpCarrier as Carrier } from '../../../gateway/io/http-carrier.ts'
import { IoCounters } from '../../../gateway/io/io-counters.ts'
import type { NodeExchange } from '../../../gateway/io/node-exchange.ts'
import { OpenCarriers } from '../../../gateway/io/stream-carrier.ts'
import { clientSlab } from '../../../gateway/io/write-slab.ts'
import type { CarrierEvents } from '../../../gateway/seams.ts'
import { writeLogin } from '../../../protocols/client/frames.ts'
import { Writer } from '../../../protocols/wire/writer.ts'
import { HttpCarrier, type HttpClient } from '../../../sdk/client/http-carrier.ts'
import { connect, json, type Transport } from '../../../sdk/client/index.ts'
import { NodeHttp } from '../../../sdk/client/node-http.ts'
import { makeCertificate } from '../../config/certificate.ts'
import { ask, httpGateway, rawAnswer } from './http-rig.ts'
import { eventually, scratchFolder } from './started.ts'

const chat = () => {
  const heard: number[] = []
  return {
    heard,
    routes: {
      'lobby.echo': (_: unknown, payload: unknown) => payload,
      'lobby.say': (
        ctx: { session: string; push(session: string, route: string, payload: unknown): void },
        n: unknown,
      ) => {
        heard.push(n as number)
        ctx.push(ctx.session, 'lobby.said', n)
      },
    },
  }
}

t.test('H2: a session over POST and server-sent events', async (t) => {
  const { routes } = chat()
  const { port, sharedPort, running } = await httpGateway(t, routes)
  for (const at of [port, sharedPort]) {
    const client = connect({ gateways: [`http://127.0.0.1:${at}`], token: 'ana', codec: json })
    const room = client.actor('lobby', 'room')
    const said: unknown[] = []
    room.on('lobby.said', (payload) => said.push(payload))
    for (let i = 0; i < 20; i++) t.equal(await room.call('lobby.echo', i), i)
    const large = 'x'.repeat(16_000)
    const echoes = await Promise.all(
      Array.from({ length: 20 }, () => room.call('lobby.echo', large).catch(() => large)),
    )
    t.ok(echoes.every((echo) => echo === large))
    room.send('lobby.say', 7)
    await eventually(() => said.length === 1, 'the push')
    t.equal(client.transport, 'http')
    t.equal(running.gateway.sessions()[0].connections[0].transport, 'http')
    await client.close()
    await eventually(() => running.gateway.connections.size === 0, 'the end of the connection')
  }
})

/** Says 300 numbers through whatever `cut` does now and then; both ends must have each once and in order. */
async function sayThrough(
  t: Test,
  gateways: string[],
  heard: number[],
  cut: () => void,
  transports = {},
): Promise<number> {
  const client = connect({ gateways, token: 'ana', codec: json, backoffBaseMs: 5, transports })
  t.teardown(() => client.close())
  const room = client.actor('lobby', 'room')
  const said: unknown[] = []
  let resumes = 0
  client.on('welcomed', () => resumes++)
  room.on('lobby.said', (payload) => said.push(payload))
  for (let n = 0; n < 300; n++) {
    while (room.trySend('lobby.say', n) !== 0) await new Promise((resolve) => setTimeout(resolve))
    if (n % 50 === 25) {
      await eventually(() => heard.length > n - 20, 'some of them')
      cut()
    }
  }
  await eventually(() => said.length >= 300, 'all of them')
  const all = Array.from({ length: 300 }, (_, n) => n)
  t.same(heard, all, 'to the host')
  t.same(said, all, 'and back')
  return resumes
}

t.test('H2: connections that are cut, streams or requests, cost nothing', async (t) => {
  const { routes, heard } = chat()
  const { port, running } = await httpGateway(t, routes)
  const sockets = new Set<net.Socket>()
  let cuts = 0
  const proxy = net.createServer((near) => {
    const far = net.connect(port, '127.0.0.1')
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => {}).on('close', () => sockets.delete(socket))
    }
    near.pipe(far).pipe(near)
    near.on('close', () => far.destroy())
    far.on('close', () => near.destroy())
  })
  t.teardown(() => proxy.close())
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  const address = `http://127.0.0.1:${(proxy.address() as net.AddressInfo).port}`
  await sayThrough(t, [address], heard, () => {
    cuts++
    for (const socket of sockets) if (cuts % 2 === 0 || Math.random() < 0.5) socket.destroy()
  })
  t.ok(running.gateway.counters.cells[cell.resumes] > 2)
})

/** A way to make requests that now and then does to a POST what a bad intermediary does. */
function tricky(trick: (headers: Record<string, string>, again: () => void) => Record<string, string>): Transport {
  return (address, events, { openMs }) => {
    const honest = new NodeHttp(false)
    const other = new NodeHttp(false)
    const client: HttpClient = {
      stream: (url, headers, stream) => honest.stream(url, headers, stream),
      post: (url, headers, body, done) =>
        honest.post(
          url,
          trick(headers, () => other.post(url, headers, body, () => {})),
          body,
          done,
        ),
      end() {
        honest.end()
        other.end()
      },
    }
    return new HttpCarrier(client, address, events, openMs)
  }
}

t.test('H2: requests that come twice or out of order end the carrier, and the session loses nothing', async (t) => {
  for (const what of ['twice', 'a gap', 'an old one'] as const) {
    const { routes, heard } = chat()
    const { port, running } = await httpGateway(t, routes)
    let isTricked = false
    const trick = tricky((headers, again) => {
      if (!isTricked) return headers
      isTricked = false
      if (what === 'twice') again()
      const shift = what === 'a gap' ? 1 : what === 'an old one' ? -1 : 0
      return { ...headers, 'Skewer-Sequence': String(Number(headers['Skewer-Sequence']) + shift) }
    })
    await sayThrough(t, [`http://127.0.0.1:${port}`], heard, () => (isTricked = true), { http: trick })
    t.ok(running.gateway.counters.cells[cell.resumes] > 2, what)
  }
})

type Open = { connection: string; events: string }

async function opened(port: number): Promise<Open> {
  const answer = await ask(port, '/session', undefined)
  return answer.json as unknown as Open
}

const frames = (port: number, connection: string, sequence: number | string, body: Uint8Array | string) =>
  ask(port, '/session/frames', undefined, {
    body,
    headers: {
      'skewer-connection': connection,
      'skewer-sequence': sequence,
      'content-type': 'application/octet-stream',
    },
  })

/** The events of a stream, as they come. */
function streamed(port: number, path: string, method = 'GET') {
  const seen = { status: 0, text: '', isOver: false, headers: {} as http.IncomingHttpHeaders }
  const headers = { accept: 'text/event-stream' }
  const request = http.request({ host: '127.0.0.1', port, path, method, headers, agent: false }, (response) => {
    seen.status = response.statusCode!
    seen.headers = response.headers
    response.on('data', (chunk) => (seen.text += chunk))
    response.on('error', () => {})
    response.on('close', () => (seen.isOver = true))
  })
  request.on('error', () => (seen.isOver = true))
  request.end()
  return { seen, request }
}

t.test('H2: a browser with EventSource alone has its stream at a path that is good once', async (t) => {
  const { port, running } = await httpGateway(t, chat().routes)
  const { connection, events } = await opened(port)
  t.match(events, /^\/session\/events\/[\w-]{24}$/)
  t.notMatch(events, connection, 'what requests are named by is in no URL')
  const { seen } = streamed(port, events)
  await eventually(() => seen.text.includes('data:'), 'the greeting of the gateway')
  t.match(seen.headers, { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-accel-buffering': 'no' })
  const login = new Writer(64)
  writeLogin(login, { version: 1, token: new TextEncoder().encode('ana'), agent: 'test' })
  t.match(await frames(port, connection, 1, login.drain()), { status: 204 })
  await eventually(() => running.gateway.sessions().length === 1, 'the session')
  t.match(await ask(port, events, undefined, { method: 'GET' }), { status: 204 }, 'a reconnect is told to stop')
  t.match(await ask(port, '/session/events/other', undefined, { method: 'GET' }), { status: 204 })
  t.equal(seen.isOver, false)
  const late = await frames(port, connection, 3, 'x')
  t.match(late, {
    status: 409,
    headers: { 'skewer-expected': '2' },
    json: { detail: 'request 3 where 2 was expected' },
  })
  await eventually(() => seen.isOver && running.gateway.connections.size === 0, 'the end')
  t.match(await frames(port, connection, 2, 'x'), { status: 410 })
})

t.test('H2: requests that are none are refused', async (t) => {
  const { port, running } = await httpGateway(t, chat().routes)
  t.match(await frames(port, 'unknown', 1, 'x'), { status: 410 })
  for (const sequence of ['0', '-1', '1.5', '01', 'x', '9'.repeat(16)]) {
    t.match(await frames(port, 'unknown', sequence, 'x'), { status: 400 }, sequence)
  }
  t.match(await ask(port, '/session/frames', undefined), { status: 400 })
  t.match(await ask(port, '/session/other', undefined), { status: 404 })
  t.match(await ask(port, '/session', undefined, { method: 'GET' }), { status: 405 })
  t.match(await ask(port, '/session/frames', undefined, { method: 'PUT' }), { status: 405 })
  t.match(await ask(port, '/session/events/x', undefined, { method: 'POST' }), { status: 405 })
  const { connection } = await opened(port)
  t.match(await frames(port, connection, 1, new Uint8Array(16 * 1024 + 1)), { status: 413 }, 'a stranger says little')
  t.match(await frames(port, connection, 1, 'x'), { status: 410 })
  const garbage = await opened(port)
  t.match(await frames(port, garbage.connection, 1, Uint8Array.of(3, 1, 2, 3)), { status: 204 })
  await eventually(() => running.gateway.connections.size === 0, 'nobody')
})

t.test('H2: who opens and does not listen is bounded, and gone in the time of a handshake', async (t) => {
  const { port, running } = await httpGateway(t, chat().routes, (s) => {
    s.times.handshakeMs = 400
  })
  const answers = await Promise.all(Array.from({ length: 20 }, () => ask(port, '/session', undefined)))
  t.equal(answers.filter(({ status }) => status === 201).length, 16, 'of one address')
  t.match(answers.find(({ status }) => status !== 201)!, { status: 503, json: { name: 'admission' } })
  await eventually(() => running.gateway.connections.size === 0, 'the time of the handshake')
  // Their carriers, which hold the places, hear of that a turn or two later.
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
  t.match(await ask(port, '/session', undefined), { status: 201 })
})

t.test('H2: a body that stays half is the end of its carrier', async (t) => {
  const { port, running } = await httpGateway(t, chat().routes, (s) => {
    for (const { http } of s.listeners) if (http !== undefined) http.requestMs = 300
  })
  const { connection } = await opened(port)
  const head = `POST /session/frames HTTP/1.1\r\nHost: x\r\nSkewer-Connection: ${connection}\r\nSkewer-Sequence: 1\r\n`
  t.match(await rawAnswer(port, `${head}Content-Length: 10\r\n\r\n123`), /^(HTTP\/1.1 408 |$)/)
  await eventually(() => running.gateway.connections.size === 0, 'the end')
})

t.test('H2: what still comes of a request whose carrier is gone is heard by nobody', async (t) => {
  const open: (() => void)[] = []
  const routes = { 'lobby.wait': () => new Promise<void>((resolve) => open.push(resolve)) }
  const { port, running } = await httpGateway(t, routes, (s) => {
    s.times.handshakeMs = 300
  })
  for (const rest of ['4567890', 'x'.repeat(20_000)]) {
    const { connection } = await opened(port)
    // A call that takes its time, and behind it on one socket half of a POST: its answer can go out behind the call's only.
    const call = 'POST /call/lobby.wait HTTP/1.1\r\nHost:x\r\nAuthorization: Bearer ana\r\nContent-Length: 0\r\n\r\n'
    const ids = `Skewer-Connection: ${connection}\r\nSkewer-Sequence: 1\r\nContent-Length: ${3 + rest.length}\r\n`
    const socket = net.connect(port, '127.0.0.1')
    t.teardown(() => socket.destroy())
    let isClosed = false
    socket.on('error', () => {}).on('close', () => (isClosed = true))
    socket.resume().write(`${call}POST /session/frames HTTP/1.1\r\nHost: x\r\n${ids}\r\n123`)
    await eventually(() => open.length === 1, 'the call')
    await eventually(() => running.gateway.connections.size === 0, 'the end of the carrier, which never logged in')
    // The carrier hears of that a turn or two later.
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
    socket.write(rest)
    t.match(await ask(port, '/healthz', undefined, { method: 'GET' }), { status: 200 }, 'the gateway lives')
    open.pop()!()
    await eventually(() => isClosed, 'the end of a connection whose request was cut off')
  }
})

t.test('H2: a stream is not opened behind another answer, where its end would not be heard', async (t) => {
  const { port, running } = await httpGateway(t, chat().routes)
  const open = 'POST /session HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nContent-Length: 0\r\n\r\n'
  const { events } = await opened(port)
  for (const second of [open, `GET ${events} HTTP/1.1\r\nHost: x\r\n\r\n`]) {
    const before = running.gateway.connections.size
    const socket = net.connect(port, '127.0.0.1')
    socket.write(open + second)
    await eventually(() => running.gateway.connections.size > before, 'the first')
    socket.destroy()
    await eventually(() => running.gateway.connections.size === before, 'the end of all that it opened')
  }
  const { seen } = streamed(port, events)
  await eventually(() => seen.text.includes('data:'), 'what was refused there can be opened elsewhere')
})

t.test('W6: while the core does not read a client, its POST waits, whole and unanswered', async (t) => {
  const received: string[] = []
  const answered: number[] = []
  const shared = new Uint8Array(8)
  const home = {
    now: () => 0,
    poke() {},
    carriers: new OpenCarriers(),
    counters: new IoCounters(),
    clientSlab: clientSlab(),
  }
  const carrier = new Carrier(home, 'token', '127.0.0.1', false, () => {})
  carrier.start({
    isLoggedIn: true,
    receive: (bytes) => received.push(Buffer.from(bytes).toString()),
    drained() {},
    closed() {},
  } as CarrierEvents)
  const post = (text: string, sequence: number) => {
    shared.set(Buffer.from(text))
    const exchange = {
      readBody: (_max: number, sink: BodySink) => sink.bodyRead(shared.subarray(0, text.length)),
      send: (status: number) => answered.push(status),
      cutOff: (_code: number, { status = 0 } = {}) => answered.push(status),
    }
    carrier.post(exchange as unknown as NodeExchange, sequence)
  }
  post('one', 1)
  carrier.pause()
  post('two', 2)
  shared.fill(0x78)
  t.same([received, answered], [['one'], [204]])
  carrier.resume()
  t.same(
    [received, answered],
    [
      ['one', 'two'],
      [204, 204],
    ],
  )
  carrier.pause()
  post('three', 3)
  post('four', 4)
  t.same(answered.slice(2), [409], 'one at a time')
})

t.test('H2: a client that does not read its stream costs its window, and is closed in the end', async (t) => {
  const payload = 'x'.repeat(8000)
  const { port, running } = await httpGateway(
    t,
    {
      'lobby.join': (ctx) => ctx.group('all').join(ctx.session),
      'lobby.flood': (ctx) => {
        for (let i = 0; i < 100; i++) ctx.group('all').publish('lobby.said', payload)
      },
    },
    (s) => {
      s.limits.connectionBytesMax = 300_000
    },
  )
  let stream: net.Socket | undefined
  const proxy = net.createServer((near) => {
    const far = net.connect(port, '127.0.0.1')
    for (const socket of [near, far]) socket.on('error', () => {})
    near.pipe(far)
    far.on('data', (bytes) => {
      if (bytes.includes('event-stream')) stream = far
      near.write(bytes)
    })
    near.on('close', () => far.destroy())
    far.on('close', () => near.destroy())
  })
  t.teardown(() => proxy.close())
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  const gateways = [`http://127.0.0.1:${(proxy.address() as net.AddressInfo).port}`]
  const client = connect({ gateways, token: 'ana', codec: json })
  t.teardown(() => client.close())
  const room = client.actor('lobby', 'room')
  await room.call('lobby.join')
  stream!.pause()
  const other = connect({ gateways: [`http://127.0.0.1:${port}`], token: 'bob', codec: json })
  t.teardown(() => other.close())
  const beside = other.actor('lobby', 'room')
  for (let i = 0; i < 40; i++) await beside.call('lobby.flood')
  const held = running.gateway.counters.cells[cell.clientQueueBytes]
  t.ok(held < 1_000_000, `${held} bytes are held`)
  stream!.resume()
})

t.test('calls and sessions over TLS', async (t) => {
  const folder = scratchFolder(t)
  const [certFile, keyFile] = [path.join(folder, 'crt.pem'), path.join(folder, 'key.pem')]
  makeCertificate(certFile, keyFile)
  const { routes, heard } = chat()
  const { port } = await httpGateway(t, routes, (s) => {
    const listener = s.listeners.find(({ name }) => name === 'http')!
    listener.security = 'tls'
    listener.tls = { certFile, keyFile }
  })
  const ca = fs.readFileSync(certFile)
  const client = connect({ gateways: [`https://localhost:${port}`], token: 'ana', codec: json, tls: { ca } })
  const room = client.actor('lobby', 'room')
  t.equal(await room.call('lobby.echo', 1), 1)
  await room.send('lobby.say', 5)
  await eventually(() => heard.length === 1, 'the message')
  t.equal(client.transport, 'https')
  await client.close()
  const agent = new https.Agent({ ca, keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  const headers = { authorization: 'Bearer ana', 'content-type': 'application/json' }
  for (let i = 0; i < 3; i++) {
    const text = await new Promise((resolve, reject) => {
      const options = { host: 'localhost', port, path: '/call/lobby.echo', method: 'POST', headers, agent }
      const request = https.request(options, (response) => response.on('data', (chunk) => resolve(String(chunk))))
      request.on('error', reject)
      request.end(`${i}`)
    })
    t.equal(text, String(i))
  }
})
