// The duties of a socket of UDP, asked of whatever has its interface.
import dgram from 'node:dgram'
import { once } from 'node:events'
import type { Test } from 'tap'
import { DatagramCounters, datagramDropReasons } from '../../../gateway/datagram-counters.ts'
import type { DatagramSink, UdpPlace, UdpSocket } from '../../../gateway/io/udp-socket.ts'
import { eventually } from './started.ts'

type Open = (place: UdpPlace, counters: DatagramCounters, sink: DatagramSink) => Promise<UdpSocket>
type Heard = { bytes: Buffer; ip: string; port: number }
const MIB = 1024 * 1024
const text = (n: number) => new TextEncoder().encode(`datagram ${n}`)

export const dropsOf = ({ drops }: DatagramCounters): Record<string, number> =>
  Object.fromEntries(datagramDropReasons.map((reason, i) => [reason, drops[i]]).filter(([, count]) => count !== 0))

export async function opened(t: Test, open: Open, host = '127.0.0.1', onDatagram?: (socket: UdpSocket) => void) {
  const counters = new DatagramCounters()
  const heard: Heard[] = []
  let socket: UdpSocket
  const sink: DatagramSink = {
    datagram(bytes, start, end, ip, port) {
      heard.push({ bytes: Buffer.from(bytes.subarray(start, end)), ip, port })
      onDatagram?.(socket)
    },
  }
  socket = await open({ name: 'udp', host, port: 0 }, counters, sink)
  t.teardown(() => socket.close())
  return { socket, counters, heard }
}

export async function peer(t: Test, host = '127.0.0.1') {
  const socket = dgram.createSocket(host.includes(':') ? 'udp6' : 'udp4')
  socket.bind(0, host)
  await once(socket, 'listening')
  const received: Buffer[] = []
  socket.on('message', (bytes) => received.push(bytes))
  let isClosed = false
  const close = () => {
    if (!isClosed) socket.close()
    isClosed = true
  }
  t.teardown(close)
  const { port } = socket.address()
  return { port, received, close, send: (bytes: Uint8Array, to: UdpSocket) => socket.send(bytes, to.port, host) }
}

export function testUdpSocket(t: Test, open: Open): void {
  t.test('datagrams come and go whole, over IPv4 and IPv6, with who sent them', async (t) => {
    for (const host of ['127.0.0.1', '::1']) {
      const { socket, heard, counters } = await opened(t, open, host)
      const client = await peer(t, host)
      const bytes = [Buffer.alloc(0), Buffer.from([7]), Buffer.alloc(1500, 3)]
      for (const each of bytes) client.send(each, socket)
      await eventually(() => heard.length === 3, 'three datagrams')
      t.same(
        heard.map((each) => each.bytes),
        bytes,
      )
      for (const { ip, port } of heard) t.same([ip, port], [host, client.port])
      const { ip, port } = heard[0]
      // Out of the middle of an array that is somebody else's a moment later.
      const lent = Uint8Array.of(9, 1, 2, 3, 9)
      socket.send(lent, 1, 4, ip, port)
      lent.fill(0)
      socket.send(new Uint8Array(1500).fill(5), 0, 1500, ip, port)
      socket.flush()
      t.equal(socket.isHolding, false)
      await eventually(() => client.received.length === 2, 'two datagrams back')
      t.same(client.received, [Buffer.from([1, 2, 3]), Buffer.alloc(1500, 5)])
      t.same([counters.sent, counters.sentBytes], [2, 1503])
    }
  })

  t.test('each of many peers gets its own, in order', async (t) => {
    const { socket, heard } = await opened(t, open)
    const peers = await Promise.all(Array.from({ length: 150 }, () => peer(t)))
    for (const [n, each] of peers.entries()) each.send(text(n), socket)
    await eventually(() => heard.length === peers.length, 'all of them')
    for (let round = 0; round < 3; round++) {
      for (const { bytes, ip, port } of heard) {
        const answer = Buffer.concat([Buffer.from([round]), bytes])
        socket.send(answer, 0, answer.length, ip, port)
      }
      socket.flush()
      await eventually(() => peers.every(({ received }) => received.length === round + 1), `answer ${round} to each`)
    }
    for (const [n, { received }] of peers.entries()) {
      t.same(
        received,
        [0, 1, 2].map((round) => Buffer.concat([Buffer.from([round]), text(n)])),
      )
    }
  })

  t.test('a peer that is gone, and an address that cannot be reached, stop nobody else', async (t) => {
    const { socket, heard } = await opened(t, open)
    const gone = await peer(t)
    gone.close()
    const client = await peer(t)
    for (let i = 0; i < 50; i++) {
      socket.send(text(i), 0, 4, '127.0.0.1', gone.port)
      // From a socket bound to loopback the kernel sends nothing there.
      socket.send(text(i), 0, 4, '192.0.2.1', 9)
      socket.flush()
      await new Promise((resolve) => setImmediate(resolve))
    }
    socket.send(text(1), 0, text(1).length, '127.0.0.1', client.port)
    socket.flush()
    await eventually(() => client.received.length === 1, 'what was sent to another')
    client.send(text(2), socket)
    await eventually(() => heard.length === 1, 'what another sent')
  })

  t.test('closed by what it delivers, it delivers nothing more and sends nothing', async (t) => {
    const { socket, heard } = await opened(t, open, '127.0.0.1', (socket) => socket.close())
    const client = await peer(t)
    const { port } = socket
    for (let i = 0; i < 20; i++) client.send(text(i), { port } as UdpSocket)
    await eventually(() => heard.length > 0, 'the first')
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
    t.equal(heard.length, 1)
    socket.send(text(1), 0, 4, '127.0.0.1', client.port)
    socket.flush()
    socket.close()
    t.equal(client.received.length, 0)
    // The port is free at once for the next.
    const next = await open({ name: 'udp', host: '127.0.0.1', port }, new DatagramCounters(), { datagram() {} })
    t.equal(next.port, port)
    next.close()
  })

  t.test('what was sent just before it closes leaves', async (t) => {
    const { socket } = await opened(t, open)
    const client = await peer(t)
    socket.send(text(1), 0, text(1).length, '127.0.0.1', client.port)
    socket.close()
    await eventually(() => client.received.length === 1, 'the last word')
  })

  t.test('a port that is taken is named to the operator', async (t) => {
    const { socket } = await opened(t, open)
    await t.rejects(
      open({ name: 'game', host: '127.0.0.1', port: socket.port }, new DatagramCounters(), { datagram() {} }),
      {
        message: `listener game cannot listen on 127.0.0.1:${socket.port}: another process listens there already`,
      },
    )
    await t.rejects(open({ name: 'game', host: '192.0.2.1', port: 0 }, new DatagramCounters(), { datagram() {} }), {
      message: 'listener game cannot listen on 192.0.2.1:0: this machine does not have that address',
    })
  })

  t.test('a flood of garbage, and answers to it, leave no memory behind', async (t) => {
    const { socket, counters, heard } = await opened(t, open)
    const client = await peer(t)
    const garbage = Buffer.alloc(700, 0xa5)
    const flood = async (rounds: number) => {
      for (let round = 0; round < rounds; round++) {
        for (let i = 0; i < 50; i++) {
          client.send(garbage.subarray(0, (i * 37 + round) % 700), socket)
          socket.send(garbage, 0, 600, '127.0.0.1', client.port)
        }
        socket.flush()
        await new Promise((resolve) => setImmediate(resolve))
        heard.length = 0
        client.received.length = 0
      }
    }
    await flood(200)
    const before = process.memoryUsage().rss
    await flood(600)
    t.ok(process.memoryUsage().rss - before < 48 * MIB, 'grown by less than 48 MiB')
    const { sent } = counters
    t.ok(sent > 30_000, 'nearly all were sent')
  })
}
