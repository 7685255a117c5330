// needs: gcc, openssl
// TLS on the accelerator's sockets: Node's own client at the other end, and a relay between where it matters which bytes
// come together.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import tls from 'node:tls'
import t from 'tap'
import { NativeStream, type NativeStreams, type StreamIo } from '../../../gateway/io/native-stream.ts'
import { type NativeTls, NativeTlsStream, type NotTls } from '../../../gateway/io/native-tls.ts'
import { acceleratedContext, serverOptions } from '../../../gateway/io/tls-context.ts'
import { newcomerShare } from '../../../gateway/io/turn-share.ts'
import { makeCertificate } from '../../config/certificate.ts'
import { builtPart, descriptors, poolOf } from './native-pool.ts'
import { RecordingSink } from './recording-sink.ts'
import { eventually, scratchFolder, type Test } from './started.ts'

const folder = scratchFolder(t)
const { native } = builtPart<NativeTls>(t, 'tls')
const { native: streams } = builtPart<NativeStreams>(t, 'streams')
const { pool, reads } = poolOf(streams)
native.open(reads)
const certFile = path.join(folder, 'gateway.crt')
const keyFile = path.join(folder, 'gateway.key')
makeCertificate(certFile, keyFile)
const options = serverOptions('test', { certFile, keyFile })
const context = acceleratedContext('test', native, options, undefined)

type Met = {
  sink: RecordingSink
  stream: NativeTlsStream
  outcome: Promise<'secured' | 'failed' | NotTls>
  closed: boolean
}
type Port = { port: number; met: Met[] }

/** A port whose connections are greeted; `onSecured` is told of each in the turn in which its handshake ends. */
async function greeting(t: Test, withinMs = 5000, onSecured: (met: Met) => void = () => {}): Promise<Port> {
  const met: Met[] = []
  const port = await descriptors(t, (fd) => {
    const sink = new RecordingSink()
    let tell: (outcome: 'secured' | 'failed' | NotTls) => void
    const one = { sink, closed: false, outcome: new Promise((resolve) => (tell = resolve)) } as Met
    const greeter = {
      secured: (stream: NativeTlsStream) => {
        stream.sink = sink
        onSecured(one)
        tell('secured')
      },
      spokeOtherwise: (_stream: NativeTlsStream, spoken: NotTls) => tell(spoken),
      failed: () => tell('failed'),
    }
    const stream = NativeTlsStream.greet(pool, native, fd, context, {
      remoteAddress: '192.0.2.1',
      withinMs,
      greeter,
    })!
    stream.once('close', () => (one.closed = true))
    one.stream = stream
    met.push(one)
  })
  t.teardown(() => {
    for (const { stream } of met) stream.destroy()
  })
  return { port, met }
}

/** What the client sends behind its first `passed` writes a relay keeps back, and then sends it at once; FIN never passes. */
async function relay(
  t: Test,
  port: number,
  passed = Infinity,
): Promise<{ port: number; answered: Buffer[]; hold(): void; letGo(): void }> {
  const answered: Buffer[] = []
  const sockets: net.Socket[] = []
  let held: Buffer[] | undefined
  let upstream: net.Socket
  const server = net
    .createServer({ allowHalfOpen: true }, (client) => {
      upstream = net.connect({ port, host: '127.0.0.1', noDelay: true })
      sockets.push(client, upstream)
      client.on('data', (bytes: Buffer) => {
        if (passed-- <= 0) held ??= []
        if (held === undefined) upstream.write(bytes)
        else held.push(bytes)
      })
      upstream.on('data', (bytes: Buffer) => {
        answered.push(bytes)
        client.write(bytes)
      })
      for (const one of [client, upstream]) one.on('error', () => {})
    })
    .listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    for (const one of sockets) one.destroy()
  })
  return {
    port: (server.address() as net.AddressInfo).port,
    answered,
    hold: () => (held = []),
    letGo: () => {
      upstream.write(Buffer.concat(held!))
      held = undefined
      passed = Infinity
    },
  }
}

async function connected(t: Test, port: number, more: tls.ConnectionOptions = {}): Promise<tls.TLSSocket> {
  const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...more })
  t.teardown(() => socket.destroy())
  await once(socket, 'secureConnect')
  return socket
}

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  t.test(`${version}: megabytes go both ways, also to a peer that does not read for a while`, async (t) => {
    const { port, met } = await greeting(t)
    const client = await connected(t, port, { minVersion: version, maxVersion: version })
    await eventually(() => met.length === 1, 'the connection')
    const [{ sink, stream, outcome }] = met
    t.equal(await outcome, 'secured')
    client.pause()
    const parts = Array.from({ length: 120 }, (_, i) => Buffer.alloc(100_000 + i, i))
    for (const part of parts) stream.write(part)
    t.ok(stream.writableLength > 1_000_000)
    // While it writes nothing it is heard all the same.
    const up = Buffer.concat(parts.toReversed())
    client.write(up)
    await eventually(() => sink.chunks.reduce((sum, chunk) => sum + chunk.length, 0) === up.length, 'all of it')
    t.ok(Buffer.concat(sink.chunks).equals(up))
    const down: Buffer[] = []
    client.on('data', (chunk: Buffer) => down.push(chunk)).resume()
    await sink.until('drained')
    t.equal(stream.writableLength, 0)
    stream.end()
    await once(client, 'end')
    t.ok(Buffer.concat(down).equals(Buffer.concat(parts)))
    await sink.until('closed')
  })
}

t.test('what comes with the last word of the handshake is heard, by one who is paused when it goes on', async (t) => {
  const { port, met } = await greeting(t, 5000, ({ stream }) => stream.pause())
  // The client's first flight passes, its second one is held with what it says then.
  const between = await relay(t, port, 1)
  const client = await connected(t, between.port)
  client.write('together')
  await new Promise((resolve) => setTimeout(resolve, 50))
  between.letGo()
  const [{ sink, stream, outcome }] = met
  t.equal(await outcome, 'secured')
  await new Promise((resolve) => setTimeout(resolve, 20))
  t.same(sink.said, [])
  stream.resume()
  await sink.until('read')
  t.equal(sink.text, 'together')
})

t.test('an end of TLS that comes with the last words is told, though the connection beneath stays open', async (t) => {
  const { port, met } = await greeting(t)
  const between = await relay(t, port)
  const client = await connected(t, between.port)
  await eventually(() => met.length === 1, 'the connection')
  const [{ sink, outcome }] = met
  await outcome
  between.hold()
  client.end('last words')
  await new Promise((resolve) => setTimeout(resolve, 50))
  between.letGo()
  await sink.until('ended')
  t.equal(sink.text, 'last words')
  t.same(sink.said, ['read', 'ended'])
})

t.test('who is paused by what comes before the end hears of the end when it goes on', async (t) => {
  const { port, met } = await greeting(t)
  const between = await relay(t, port)
  const client = await connected(t, between.port)
  await eventually(() => met.length === 1, 'the connection')
  const [{ sink, stream, outcome }] = met
  await outcome
  sink.onRead = () => stream.pause()
  between.hold()
  client.end('last words')
  await new Promise((resolve) => setTimeout(resolve, 50))
  between.letGo()
  await sink.until('read')
  await new Promise((resolve) => setTimeout(resolve, 20))
  t.same(sink.said, ['read'])
  stream.resume()
  await sink.until('ended')
})

t.test('whoever ended first gets the last word of TLS, too', async (t) => {
  const { port, met } = await greeting(t)
  const between = await relay(t, port)
  // In 1.2 the kind of a record can be read from outside.
  const client = await connected(t, between.port, { maxVersion: 'TLSv1.2' })
  await eventually(() => met.length === 1, 'the connection')
  const [{ sink, stream, outcome }] = met
  await outcome
  client.end('over')
  await sink.until('ended')
  between.answered.length = 0
  stream.end()
  await sink.until('closed')
  await eventually(() => between.answered.length > 0, 'an answer')
  t.equal(Buffer.concat(between.answered)[0], 0x15, 'an alert, which is how TLS says the end')
})

t.test('who has ended gets what was still to be said, and the last word of TLS', async (t) => {
  const { port, met } = await greeting(t)
  // OpenSSL itself says whether the end was one: "read:errno" stands for a connection that was cut off.
  const client = spawn('openssl', ['s_client', '-quiet', '-no_ign_eof', '-connect', `127.0.0.1:${port}`])
  t.teardown(() => client.kill())
  let out = ''
  let errors = ''
  client.stdout.on('data', (text) => (out += text))
  client.stderr.on('data', (text) => (errors += text))
  client.stdin.write('hello\n')
  await eventually(() => met.length === 1, 'the connection')
  const [{ sink, stream, outcome }] = met
  await outcome
  await sink.until('read')
  stream.write(Buffer.from('answer\n'))
  stream.end()
  await once(client, 'close')
  t.equal(out, 'answer\n')
  t.notMatch(errors, /errno|unexpected eof/i)
  await sink.until('closed')
})

t.test('keys are changed while the connection goes on', async (t) => {
  const { port, met } = await greeting(t)
  const client = spawn('openssl', ['s_client', '-tls1_3', '-connect', `127.0.0.1:${port}`])
  t.teardown(() => client.kill())
  let out = ''
  for (const pipe of [client.stdout, client.stderr]) pipe.on('data', (text) => (out += text))
  await eventually(() => met.length === 1, 'the connection')
  const [{ sink, stream, outcome }] = met
  await outcome
  const says = async (line: string, isSo: () => boolean) => {
    client.stdin.write(line)
    await eventually(isSo, line)
  }
  await says('one\n', () => sink.text === 'one\n')
  // New keys for both, then for what the client sends.
  await says('K\n', () => out.split('KEYUPDATE').length === 2)
  await says('two\n', () => sink.text === 'one\ntwo\n')
  await says('k\n', () => out.split('KEYUPDATE').length === 3)
  await says('three\n', () => sink.text === 'one\ntwo\nthree\n')
  stream.write(Buffer.from('still here\n'))
  await eventually(() => out.includes('still here'), 'the answer')
})

t.test('one that has to write before it can be read is read when it could write', async (t) => {
  const server = net.createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const peer = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1')
  const [accepted] = (await once(server, 'connection')) as [net.Socket & { _handle: { fd: number } }]
  const asked: number[] = []
  const io: StreamIo = {
    ...streams,
    send: (fd, bytes) => streams.send(fd, bytes),
    finish: (fd) => streams.finish(fd),
    receive: (fd) => {
      asked.push(fd)
      return asked.length === 1 ? -16 : streams.receive(fd)
    },
  }
  const sink = new RecordingSink()
  const stream = pool.adoptAs(accepted._handle.fd, (own) => new NativeStream(pool, io, own, sink))!
  accepted.destroy()
  t.teardown(() => [peer.destroy(), stream.destroy()])
  peer.write('heard at last')
  await sink.until('read')
  t.equal(sink.text, 'heard at last')
  t.equal(asked.length, 2)
  t.notOk(sink.said.includes('drained'))
})

t.test('who speaks no TLS is known, and gets an answer in the clear', async (t) => {
  const { port, met } = await greeting(t)
  for (const [said, expected] of [
    ['GET / HTTP/1.1\r\n\r\n', 'http'],
    ['something else', 'not tls'],
  ] as const) {
    const client = net.connect(port, '127.0.0.1')
    t.teardown(() => client.destroy())
    client.write(said)
    const count = met.length
    await eventually(() => met.length === count + 1, 'the connection')
    const { outcome, stream } = met[count]
    t.equal(await outcome, expected)
    stream.write(Buffer.from('no TLS here'))
    stream.end()
    t.equal(String((await once(client, 'data'))[0]), 'no TLS here')
    client.end('more of that')
    await eventually(() => met[count].closed, 'the end')
  }
})

t.test('a handshake that is not finished in time, or cut off, has failed, and holds no descriptor', async (t) => {
  const { port, met } = await greeting(t, 100)
  const hello = await firstFlight(t)
  const before = fs.readdirSync('/proc/self/fd').length
  for (const way of ['silent', 'half', 'reset', 'ended'] as const) {
    const client = net.connect(port, '127.0.0.1')
    await once(client, 'connect')
    if (way === 'half' || way === 'ended') client.write(hello.subarray(0, 60))
    if (way === 'ended') client.end()
    if (way === 'reset') client.resetAndDestroy()
    await eventually(() => met.length > 0, 'the connection')
    const { outcome, sink } = met[0]
    t.equal(await outcome, 'failed', way)
    await eventually(() => met[0].closed, 'closed')
    t.same(sink.said, [])
    client.destroy()
    met.length = 0
  }
  await eventually(() => fs.readdirSync('/proc/self/fd').length === before, 'every descriptor')
})

t.test('the time of a handshake is over when that is done', async (t) => {
  const { port, met } = await greeting(t, 100)
  const client = await connected(t, port)
  await new Promise((resolve) => setTimeout(resolve, 200))
  client.write('still here')
  await met[0].sink.until('read')
  t.equal(met[0].closed, false)
})

t.test('more handshakes than a turn has time for wait for the next ones', async (t) => {
  const { port, met } = await greeting(t)
  let waited = 0
  const { wait } = newcomerShare
  newcomerShare.wait = function (waiting) {
    waited++
    wait.call(this, waiting)
  }
  t.teardown(() => (newcomerShare.wait = wait))
  const hello = await firstFlight(t)
  const clients = Array.from({ length: 200 }, () => net.connect({ port, host: '127.0.0.1', noDelay: true }))
  t.teardown(() => clients.map((client) => client.destroy()))
  await eventually(() => met.length === 200, 'all of them')
  const answers = clients.map((client) => once(client, 'data'))
  // All of them are ready when the event loop looks next.
  for (const client of clients) client.write(hello)
  t.equal((await Promise.all(answers)).length, 200)
  t.ok(waited > 0)
})

t.test(
  'who waits here for a turn longer than a handshake may take is not late, but does not wait for ever',
  async (t) => {
    const { port, met } = await greeting(t, 100)
    let isBusyUntil = performance.now() + 150
    const { isSpent } = newcomerShare
    newcomerShare.isSpent = function () {
      return performance.now() < isBusyUntil || isSpent.call(this)
    }
    t.teardown(() => (newcomerShare.isSpent = isSpent))
    await connected(t, port)
    t.equal(await met[0].outcome, 'secured')
    isBusyUntil = Infinity
    const client = net.connect(port, '127.0.0.1')
    t.teardown(() => client.destroy())
    client.write(await firstFlight(t))
    await eventually(() => met.length === 2, 'the other')
    t.equal(await met[1].outcome, 'failed')
    isBusyUntil = 0
  },
)

t.test('what cannot be used is said', (t) => {
  const pem = fs.readFileSync(certFile)
  const key = fs.readFileSync(keyFile)
  const made = (
    cert: Uint8Array,
    with_: Uint8Array,
    authorities?: Uint8Array,
    ciphers = 'ECDHE-ECDSA-AES128-GCM-SHA256',
  ) => native.context(cert, with_, authorities, ciphers, 'TLS_AES_128_GCM_SHA256', undefined)
  makeCertificate(path.join(folder, 'other.crt'), path.join(folder, 'other.key'))
  t.throws(() => made(Buffer.from('nothing'), key), { message: /^certificate: / })
  t.throws(() => made(pem, pem), { message: /^key: / })
  t.throws(() => made(pem, fs.readFileSync(path.join(folder, 'other.key'))), { message: /^key: .*mismatch/ })
  t.throws(() => made(pem, key, Buffer.from('nobody')), { message: /^client CA: / })
  t.throws(() => made(pem, key, undefined, 'NOTHING'), { message: /^ciphers: / })
  t.throws(() => native.ticketKeys({} as never), { message: 'not a context' })
  t.doesNotThrow(() => made(Buffer.concat([pem, pem]), key, pem))
  t.end()
})

/** What a client says first. */
async function firstFlight(t: Test): Promise<Buffer> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = tls.connect((server.address() as net.AddressInfo).port, '127.0.0.1').on('error', () => {})
  const [socket] = (await once(server, 'connection')) as [net.Socket]
  const [bytes] = (await once(socket, 'data')) as [Buffer]
  t.teardown(() => [server.close(), socket.destroy(), client.destroy()])
  return bytes
}
