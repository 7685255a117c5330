// needs: gcc
// The accelerator's datagrams, over sockets of the OS: what is asked of Node's own, and what is only theirs.
import { execFileSync } from 'node:child_process'
import { createRequire } from 'node:module'
import path from 'node:path'
import process from 'node:process'
import t from 'tap'
import { build } from '../../../cli/commands/accelerate.ts'
import { acceleratorPlace } from '../../../gateway/io/accelerator.ts'
import { type NativeDatagrams, NativeUdpSocket } from '../../../gateway/io/native-udp-socket.ts'
import { eventually, scratchFolder } from './started.ts'
import { dropsOf, opened, peer, testUdpSocket } from './udp-socket-duties.ts'

const built = path.join(scratchFolder(t), 'datagrams.node')
build(acceleratorPlace('datagrams').source, built)
const native = createRequire(import.meta.url)(built) as NativeDatagrams

const open: Parameters<typeof testUdpSocket>[1] = async (place, counters, sink) =>
  NativeUdpSocket.open(native, place, counters, sink)
testUdpSocket(t, open)

t.test('what is longer than a slot is dropped and counted, and what comes behind it is not', async (t) => {
  const { socket, heard, counters } = await opened(t, open)
  const client = await peer(t)
  client.send(Buffer.alloc(native.slotBytes + 1), socket)
  client.send(Buffer.alloc(60_000), socket)
  client.send(Buffer.alloc(native.slotBytes, 1), socket)
  await eventually(() => heard.length === 1, 'the one that fits')
  t.same(heard[0].bytes, Buffer.alloc(native.slotBytes, 1))
  t.same(dropsOf(counters), { too_large: 2 })
  socket.send(new Uint8Array(3000), 0, 3000, '127.0.0.1', client.port)
  t.same([socket.isHolding, dropsOf(counters).too_large], [false, 3])
})

t.test('more than a batch leaves in order; none is sent before the flush, or the batch is full', async (t) => {
  const { socket, counters } = await opened(t, open)
  const client = await peer(t)
  const count = native.batch * 2 + 1
  for (let i = 0; i < count; i++) {
    socket.send(Uint8Array.of(i), 0, 1, '127.0.0.1', client.port)
    t.equal(socket.isHolding, (i + 1) % native.batch !== 0)
  }
  socket.flush()
  await eventually(() => client.received.length === count, 'all of them')
  t.same(
    client.received.map(([first]) => first),
    Array.from({ length: count }, (_, i) => i),
  )
  t.same([counters.sent, counters.sentBytes], [count, count])
})

t.test('datagrams that the kernel refuses are counted, those beside them are sent', async (t) => {
  const { socket, counters } = await opened(t, open)
  const client = await peer(t)
  socket.send(Uint8Array.of(1), 0, 1, '127.0.0.1', client.port)
  socket.send(Uint8Array.of(2), 0, 1, '192.0.2.1', 9)
  socket.send(Uint8Array.of(3), 0, 1, 'no address', 9)
  socket.send(Uint8Array.of(4), 0, 1, '127.0.0.1', client.port)
  socket.flush()
  await eventually(() => client.received.length === 2, 'the two others')
  t.same(Buffer.concat(client.received), Buffer.from([1, 4]))
  t.equal(counters.socketErrors, 2)
})

t.test('wrong arguments are errors, whatever they are', async (t) => {
  const calls = native as unknown as Record<string, (...given: unknown[]) => unknown>
  const { socket } = await opened(t, open)
  for (const name of ['open', 'port', 'text', 'address', 'flush', 'close']) {
    for (const given of [[], [1], ['a', 'b', 'c'], [{}, 1, 2], [undefined, null, []], new Array(9).fill(0)]) {
      t.throws(() => calls[name](...given), `${name}(${given.length})`)
    }
  }
  const small = new ArrayBuffer(8)
  t.throws(() => native.open('127.0.0.1', false, 0, 1, small, small, small, small, () => {}))
  t.throws(() => native.open('not an address', false, 0, 1, small, small, small, small, () => {}))
  t.equal(typeof socket.port, 'number')
})

t.test('sockets that nobody closes do not keep a worker thread, or a process that ends, from ending', async (t) => {
  const module = (name: string) => JSON.stringify(new URL(`../../../gateway/${name}`, import.meta.url).href)
  const body = `
    const { NativeUdpSocket } = await import(${module('io/native-udp-socket.ts')})
    const { DatagramCounters } = await import(${module('datagram-counters.ts')})
    const native = (await import('node:module')).createRequire('/')(${JSON.stringify(built)})
    const place = { name: 'u', host: '127.0.0.1', port: 0 }
    const socket = NativeUdpSocket.open(native, place, new DatagramCounters(), { datagram() {} })
    `
  const main = `
    import { Worker } from 'node:worker_threads'
    ${body}
    const worker = new Worker(new URL('data:text/javascript,' + encodeURIComponent(${JSON.stringify(body)} + "console.log('in a worker', socket.kind)")))
    await new Promise((resolve) => worker.once('online', () => setTimeout(resolve, 500)))
    console.log('ended', await worker.terminate())
    process.exit(0)`
  const said = execFileSync(process.execPath, ['--input-type=module', '-e', main], {
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: '' },
    timeout: 30_000,
  })
  t.match(said, /in a worker accelerator\nended 1\n/)
})
