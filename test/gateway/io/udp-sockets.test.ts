// What a socket of UDP owes its listener, of Node's own here; the accelerator's has to do the same (native-udp-socket.test.ts).
import process from 'node:process'
import t from 'tap'
import { DatagramCounters } from '../../../gateway/datagram-counters.ts'
import { acceleratorState } from '../../../gateway/io/accelerator.ts'
import { DgramSocket } from '../../../gateway/io/dgram-socket.ts'
import { type NativeDatagrams, NativeUdpSocket } from '../../../gateway/io/native-udp-socket.ts'
import { openUdpSocket } from '../../../gateway/io/udp-sockets.ts'
import { dropsOf, testUdpSocket } from './udp-socket-duties.ts'

testUdpSocket(t, async (place, counters, sink) => DgramSocket.open(place, counters, sink))

t.test('what the kernel had no room for is counted as dropped and not as sent', async (t) => {
  let meta = new Int32Array()
  const batch = 8
  const accelerator = {
    batch,
    slotBytes: 2048,
    open(...given: unknown[]) {
      meta = new Int32Array(given[7] as ArrayBuffer)
      return {}
    },
    address: () => true,
    flush(_socket: unknown, count: number) {
      meta[batch * 8] = 2
      meta[batch * 8 + 1] = 1
      return count - 3
    },
    close() {},
  } as unknown as NativeDatagrams
  const counters = new DatagramCounters()
  const place = { name: 'udp', host: '127.0.0.1', port: 0 }
  const socket = NativeUdpSocket.open(accelerator, place, counters, { datagram() {} })
  for (const length of [10, 20, 30, 40]) socket.send(new Uint8Array(length), 0, length, '127.0.0.1', 9)
  socket.flush()
  t.same(dropsOf(counters), { send_buffer_full: 2 })
  t.same([counters.sent, counters.sentBytes, counters.socketErrors], [2, 30, 1])
})

t.test('the accelerator is used where it is on, and never with SKEWER_ACCELERATOR=off', async (t) => {
  const kind = async () => {
    const place = { name: 'udp', host: '127.0.0.1', port: 0 }
    const socket = await openUdpSocket(place, new DatagramCounters(), { datagram() {} })
    socket.close()
    return socket.kind
  }
  t.equal(await kind(), acceleratorState() === 'on' ? 'accelerator' : 'node:dgram')
  const before = process.env.SKEWER_ACCELERATOR
  t.teardown(() => {
    if (before === undefined) delete process.env.SKEWER_ACCELERATOR
    else process.env.SKEWER_ACCELERATOR = before
  })
  process.env.SKEWER_ACCELERATOR = 'off'
  t.equal(await kind(), 'node:dgram')
})

t.test('each of more addresses than are kept is heard under its own name', async (t) => {
  let meta = new Int32Array()
  let heard: (count: number, errors: number) => void = () => {}
  const native = {
    batch: 8,
    slotBytes: 2048,
    open(...given: unknown[]) {
      meta = new Int32Array(given[5] as ArrayBuffer)
      heard = given[8] as typeof heard
      return {}
    },
    text: (_socket: unknown, slot: number) => meta.subarray(slot * 8 + 2, slot * 8 + 7).join('.'),
    close() {},
  } as unknown as NativeDatagrams
  const names: string[] = []
  const sink = {
    datagram: (_bytes: Uint8Array, _start: number, _end: number, ip: string, port: number) =>
      void names.push(`${ip} ${port}`),
  }
  NativeUdpSocket.open(native, { name: 'udp', host: '127.0.0.1', port: 0 }, new DatagramCounters(), sink)
  for (let n = 0; n < 20_000; n++) {
    const words = [(n % 10_000) * 0x01000193, n % 3, 0, 7, n % 2]
    meta.set([4, n & 0xffff, ...words], 8)
    heard(1, 0)
    if (names.pop() !== `${new Int32Array(words).join('.')} ${n & 0xffff}`) t.fail(`peer ${n}`)
  }
})
