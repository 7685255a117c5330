// needs: gcc
// The accelerator's streams, over sockets of the OS: what gateway/io/onread-socket.ts says of a socket holds for them too.
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import net from 'node:net'
import t from 'tap'
import type { NativeStream, NativeStreams } from '../../../gateway/io/native-stream.ts'
import { builtPart, poolOf } from './native-pool.ts'
import { RecordingSink } from './recording-sink.ts'

const { native, built } = builtPart<NativeStreams>(t, 'streams')
/** What the kernel was asked, by name. */
const asked: Record<string, number> = {}
const counted = new Proxy(native, {
  get: (target, name: keyof NativeStreams) => {
    asked[name] = (asked[name] ?? 0) + 1
    return target[name]
  },
})
const { pool } = poolOf(counted)

/** A stream of what a server accepted, and its peer. */
async function pair(
  t: { teardown(done: () => void): void },
  allowHalfOpen = false,
): Promise<{ stream: NativeStream; sink: RecordingSink; peer: net.Socket }> {
  const server = net.createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  const peer = net.connect({ port, host: '127.0.0.1', allowHalfOpen })
  const [accepted] = (await once(server, 'connection')) as [net.Socket & { _handle: { fd: number } }]
  const sink = new RecordingSink()
  const stream = pool.adopt(accepted._handle.fd, sink)!
  accepted.destroy()
  server.close()
  t.teardown(() => {
    peer.destroy()
    stream.destroy()
  })
  peer.on('error', () => {})
  return { stream, sink, peer }
}

t.test('bytes go both ways once the socket that Node had is given up', async (t) => {
  const { stream, sink, peer } = await pair(t)
  peer.write('to the gateway')
  await sink.until('read')
  t.equal(sink.text, 'to the gateway')
  stream.write(Buffer.from('and back'))
  t.equal(String((await once(peer, 'data'))[0]), 'and back')
  t.equal(stream.writableLength, 0)
})

t.test('what a peer does not take waits in order, is counted, and its end is told', async (t) => {
  const { stream, sink, peer } = await pair(t)
  const parts = Array.from({ length: 200 }, (_, i) => Buffer.alloc(100_000, i))
  peer.pause()
  for (const part of parts) stream.write(part)
  t.ok(stream.writableLength > 1_000_000)
  const kept = Buffer.from(parts[199])
  parts[199].fill(7)
  t.notSame(sink.said, ['drained'])
  const got: Buffer[] = []
  let length = 0
  peer.on('data', (chunk: Buffer) => {
    got.push(chunk)
    length += chunk.length
    if (length === 200 * 100_000) peer.emit('all')
  })
  peer.resume()
  await once(peer, 'all')
  await sink.until('drained')
  t.equal(stream.writableLength, 0)
  parts[199] = kept
  t.ok(Buffer.concat(got).equals(Buffer.concat(parts)), 'nothing lost, doubled, reordered, or changed by its lender')
})

t.test('a peer that ends is told of, and what is written still reaches it', async (t) => {
  const { stream, sink, peer } = await pair(t, true)
  peer.end('last words')
  await sink.until('ended')
  t.equal(sink.text, 'last words')
  stream.write(Buffer.from('answer'))
  stream.end()
  stream.write(Buffer.from('never'))
  t.equal(String((await once(peer, 'data'))[0]), 'answer')
  await sink.until('closed')
  t.same(sink.said, ['read', 'ended', 'closed'])
})

t.test('an end goes behind what waits, and the socket lives until its peer ends too', async (t) => {
  const { stream, sink, peer } = await pair(t)
  peer.pause()
  const told: string[] = []
  stream.once('close', () => told.push('one'))
  stream.once('close', () => told.push('two'))
  stream.write(Buffer.alloc(20_000_000))
  stream.end()
  let length = 0
  peer.on('data', (chunk: Buffer) => {
    length += chunk.length
  })
  peer.resume()
  await sink.until('closed')
  t.equal(length, 20_000_000)
  t.same(sink.said, ['ended', 'closed'])
  t.same(told, ['one', 'two'])
})

t.test('a reset is a failure and an end, once', async (t) => {
  const { stream, sink, peer } = await pair(t)
  peer.resetAndDestroy()
  await sink.until('closed')
  t.same(sink.said, ['failed ECONNRESET', 'closed'])
  stream.write(Buffer.from('into nothing'))
  stream.end()
  stream.destroy()
  await new Promise((resolve) => setImmediate(resolve))
  t.equal(sink.said.length, 2)
})

t.test('who is paused is not read; what its peer does meanwhile costs nothing, and is heard afterwards', async (t) => {
  const { stream, sink, peer } = await pair(t)
  stream.pause()
  peer.end('while paused')
  await once(peer, 'finish')
  const before = asked.receive ?? 0
  for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve))
  t.equal(asked.receive ?? 0, before)
  t.same(sink.said, [])
  stream.resume()
  await sink.until('ended')
  t.equal(sink.text, 'while paused')
})

t.test('a stream that another of the same turn has destroyed is not read any more', async (t) => {
  const one = await pair(t)
  const two = await pair(t)
  const [a, b] = [one, two].map(({ stream, sink }) => ({ stream, sink }))
  a.sink.onRead = () => b.stream.destroy()
  b.sink.onRead = () => a.stream.destroy()
  // Both are ready when the event loop looks next.
  spawnSync('true')
  one.peer.write('1')
  two.peer.write('2')
  await Promise.race([a.sink.until('closed'), b.sink.until('closed')])
  t.equal(a.sink.chunks.length + b.sink.chunks.length, 1)
})

t.test('a closed descriptor serves again: thousands come and go', async (t) => {
  const server = net.createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as net.AddressInfo
  const closed: Promise<void>[] = []
  server.on('connection', (accepted: net.Socket & { _handle: { fd: number } }) => {
    const sink = new RecordingSink()
    const stream = pool.adopt(accepted._handle.fd, sink)!
    accepted.destroy()
    sink.onRead = () => {
      stream.write(sink.chunks[0])
      stream.end()
    }
    closed.push(sink.until('closed'))
  })
  for (let round = 0; round < 20; round++) {
    const peers = Array.from({ length: 100 }, (_, i) => {
      const peer = net.connect(port, '127.0.0.1')
      peer.write(`${round}-${i}`)
      return once(peer, 'data').then(([said]) => {
        t.equal(String(said), `${round}-${i}`)
        return once(peer, 'close')
      })
    })
    await Promise.all(peers)
  }
  t.equal((await Promise.all(closed)).length, 2000)
})

t.test('an error in a sink is uncaught like any other, and without sockets the process ends by itself', (t) => {
  const script = `
    const net = require('node:net')
    const native = require(${JSON.stringify(built)})
    const table = new Int32Array(512), reads = new Uint8Array(100)
    let own
    native.open(table, reads, () => {
      if (native.receive(own) === 0) { native.close(own); return }
      throw new Error('from a sink')
    })
    process.on('uncaughtException', (error) => console.log('uncaught:', error.message))
    const server = net.createServer({ pauseOnConnect: true }, (socket) => {
      own = native.adopt(socket._handle.fd)
      native.watch(own, 0, 1)
      socket.destroy()
      server.close()
    }).listen(0, () => net.connect(server.address().port).end('x'))
    process.on('exit', () => console.log('ends'))`
  const { stdout, status } = spawnSync(process.execPath, ['-e', script], { encoding: 'utf8', timeout: 20_000 })
  t.equal(status, 0)
  t.equal(stdout, 'uncaught: from a sink\nends\n')
  t.end()
})
