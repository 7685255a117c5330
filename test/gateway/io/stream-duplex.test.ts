// needs: gcc
// What node:http is given in the place of a socket: node:http itself reads and writes it, Node's client is at the other end.
import { once } from 'node:events'
import http from 'node:http'
import net from 'node:net'
import t from 'tap'
import type { NativeStream, NativeStreams } from '../../../gateway/io/native-stream.ts'
import { StreamDuplex } from '../../../gateway/io/stream-duplex.ts'
import { builtPart, descriptors, poolOf } from './native-pool.ts'
import { RecordingSink } from './recording-sink.ts'
import { eventually, type Test } from './started.ts'

const { pool } = poolOf(builtPart<NativeStreams>(t, 'streams').native)

/** A server of node:http on the accelerator's streams. */
async function serving(t: Test, answer: http.RequestListener) {
  const server = http.createServer(answer)
  const given: { duplex: StreamDuplex; isClosed: boolean }[] = []
  const port = await descriptors(t, (fd) => {
    const stream = pool.adopt(fd, new RecordingSink())!
    const one = { duplex: new StreamDuplex(stream, '192.0.2.1'), isClosed: false }
    one.duplex.once('close', () => (one.isClosed = true))
    given.push(one)
    server.emit('connection', one.duplex)
  })
  t.teardown(() => {
    for (const { duplex } of given) duplex.destroy()
  })
  return { server, port, given }
}

const ask = (port: number, options: http.RequestOptions = {}) => http.request({ port, host: '127.0.0.1', ...options })

async function bodyOf(response: http.IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

const STALL_MS = 1000

/** Takes bytes in steps of a tenth of the time-out, for twice as long as it: the kernel's buffers move at every few. */
async function takeSlowly(response: http.IncomingMessage): Promise<void> {
  for (let step = 0; step < 20; step++) {
    for (let taken = 0; taken < 2_000_000; ) {
      const bytes = response.read() as Buffer | null
      if (bytes === null) await once(response, 'readable')
      taken += bytes?.length ?? 0
    }
    await new Promise((resolve) => setTimeout(resolve, STALL_MS / 10))
  }
}

t.test('requests follow one another, bodies of megabytes go both ways, also to who reads late', async (t) => {
  const { port, given } = await serving(t, (request, response) => {
    // It is not read for a while, and the answer is as large as the question.
    setTimeout(() => void bodyOf(request).then((body) => response.end(body)), 20)
  })
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  for (const length of [0, 10, 5_000_000, 3]) {
    const body = Buffer.alloc(length, length % 251)
    const request = ask(port, { agent, method: 'POST' })
    request.end(body)
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    await new Promise((resolve) => setTimeout(resolve, 20))
    t.ok((await bodyOf(response)).equals(body), `${length} bytes`)
  }
  t.equal(given.length, 1)
  t.equal(given[0].duplex.remoteAddress, '192.0.2.1')
  t.equal(given[0].duplex.isTls, false)
})

t.test('who reads nothing stops what is written to it, and is rid of after the time that was set', async (t) => {
  let written = 0
  const { port, given } = await serving(t, (_request, response) => {
    const more = () => {
      do written += 64 * 1024
      while (response.write(Buffer.alloc(64 * 1024)))
    }
    response.on('drain', more)
    response.setTimeout(STALL_MS)
    more()
  })
  const request = ask(port).end()
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  response.on('error', () => {})
  const { duplex } = given[0]
  await eventually(() => duplex.writableNeedDrain, 'a full socket')
  const before = written
  // Whoever takes a little now and then is left in peace.
  await takeSlowly(response)
  t.ok(written > before)
  t.notOk(given[0].isClosed)
  await eventually(() => given[0].isClosed, 'the time-out')
})

t.test('an idle connection is closed in its time, and one that is cut off at once', async (t) => {
  const { server, port, given } = await serving(t, (_request, response) => response.end('here'))
  server.keepAliveTimeout = 50
  const agent = new http.Agent({ keepAlive: true })
  t.teardown(() => agent.destroy())
  const request = ask(port, { agent }).end()
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  t.equal(String(await bodyOf(response)), 'here')
  await eventually(() => given[0].isClosed, 'the end of the idle one')
  const cut = net.connect(port, '127.0.0.1')
  cut.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf')
  await eventually(() => given.length === 2, 'the other')
  cut.resetAndDestroy()
  await eventually(() => given[1].isClosed, 'the end of the other')
})

t.test('the last answer goes out before the connection ends', async (t) => {
  const body = Buffer.alloc(8_000_000, 3)
  const { port, given } = await serving(t, (_request, response) => {
    response.setHeader('Connection', 'close')
    response.end(body)
  })
  const request = ask(port).end()
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  await new Promise((resolve) => setTimeout(resolve, 50))
  t.ok((await bodyOf(response)).equals(body))
  await eventually(() => given[0].isClosed, 'the end')
})

t.test('who keeps its side open after the last answer is rid of all the same', async (t) => {
  const { port, given } = await serving(t, (_request, response) => response.end('bye'))
  const peer = net.connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  t.teardown(() => peer.destroy())
  peer.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
  peer.resume()
  await eventually(() => given[0]?.isClosed, 'the end')
})

t.test('a body that nobody reads waits where it is', async (t) => {
  const { port, given } = await serving(t, () => {})
  const request = ask(port, { method: 'POST' })
  request.on('error', () => {})
  request.write(Buffer.alloc(30_000_000))
  await eventually(() => (given[0]?.duplex.readableLength ?? 0) > 0, 'the first of it')
  await new Promise((resolve) => setTimeout(resolve, 100))
  t.ok(given[0].duplex.readableLength < 1_000_000)
  request.destroy()
})

t.test('one answer that is taken slowly is not given up', async (t) => {
  const { port, given } = await serving(t, (_request, response) => {
    response.setTimeout(STALL_MS)
    response.end(Buffer.alloc(150_000_000))
  })
  const request = ask(port).end()
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  response.on('error', () => {})
  await takeSlowly(response)
  t.notOk(given[0].isClosed)
  await eventually(() => given[0].isClosed, 'the time-out')
})

t.test('after an upgrade the stream is another sink’s, with nothing lost', async (t) => {
  const { server, port, given } = await serving(t, () => {})
  const sink = new RecordingSink()
  let stream: NativeStream | undefined
  server.on('upgrade', (_request, socket: StreamDuplex, head: Buffer) => {
    stream = socket.handOver(sink)
    stream.write(Buffer.from('HTTP/1.1 101 Switching Protocols\r\n\r\n'))
    if (head.length > 0) sink.read(head)
  })
  const peer = net.connect(port, '127.0.0.1')
  t.teardown(() => [peer.destroy(), stream?.destroy()])
  peer.write('GET / HTTP/1.1\r\nHost: x\r\nUpgrade: w\r\nConnection: Upgrade\r\n\r\nwith it')
  const [answer] = (await once(peer, 'data')) as [Buffer]
  t.match(String(answer), /101/)
  peer.write(', and behind it')
  await eventually(() => sink.text === 'with it, and behind it', 'both')
  stream!.write(Buffer.from('and back'))
  t.equal(String((await once(peer, 'data'))[0]), 'and back')
  peer.end()
  await sink.until('ended')
  t.notOk(given[0].isClosed)
})

t.test('what was read before the upgrade was looked at comes behind its head, in order', async (t) => {
  const sink = new RecordingSink()
  let duplex: StreamDuplex | undefined
  const port = await descriptors(t, (fd) => {
    duplex = new StreamDuplex(pool.adopt(fd, new RecordingSink())!, '192.0.2.1')
  })
  const peer = net.connect(port, '127.0.0.1')
  t.teardown(() => [peer.destroy(), stream?.destroy()])
  let stream: NativeStream | undefined
  peer.write('first')
  await eventually(() => duplex?.readableLength === 5, 'what nobody reads')
  peer.write(', second')
  await eventually(() => duplex?.readableLength === 13, 'more of it')
  stream = duplex!.handOver(sink)
  sink.read(Buffer.from('head, '))
  peer.write(', third')
  await eventually(() => sink.text.length >= 25, 'all of it').catch(() => {})
  t.equal(sink.text, 'head, first, second, third')
})
