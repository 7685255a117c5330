import net from 'node:net'
import t from 'tap'
import { WebSocket } from 'ws'
import { IoCounters } from '../../../gateway/io/io-counters.ts'
import { OpenCarriers, StreamCarrier } from '../../../gateway/io/stream-carrier.ts'
import { clientShare } from '../../../gateway/io/turn-share.ts'
import { clientSlab, WriteSlab } from '../../../gateway/io/write-slab.ts'
import { code } from '../../../protocols/codes.ts'
import { FrameSplitter } from '../../../protocols/wire/splitter.ts'
import { overWebSocket } from './scripted-client.ts'
import { ScriptedHost } from './scripted-host.ts'
import { eventually, portOf, started, type Test, tcpClient, testSettings } from './started.ts'

/** Two ends of a connection of this machine, the accepted one as a carrier. */
async function carried(t: Test, slab: WriteSlab) {
  const home = {
    now: () => 0,
    poke() {},
    counters: new IoCounters(),
    carriers: new OpenCarriers(),
    clientSlab: slab,
  }
  const told = { received: [] as Buffer[], drained: 0, closed: 0 }
  const server = net.createServer({ pauseOnConnect: true })
  t.teardown(() => server.close())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const accepted = new Promise<StreamCarrier>((resolve) => {
    server.once('connection', (socket) => {
      const carrier = new StreamCarrier(home, 'tcp', socket, 'accepted', slab, undefined)
      carrier.start({
        receive: (bytes) => void told.received.push(Buffer.from(bytes)),
        drained: () => void told.drained++,
        closed: () => void told.closed++,
      })
      resolve(carrier)
    })
  })
  const socket = net.connect((server.address() as net.AddressInfo).port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  return { carrier: await accepted, socket, told, home }
}

t.test(
  '20,000 frames to a reader that stops and goes arrive unharmed, though the slab is used again and again',
  async (t) => {
    const slab = clientSlab()
    const slow = await carried(t, slab)
    const quick = await carried(t, slab)
    const FRAMES = 20_000
    const bad = { slow: 0, quick: 0 }
    const count = { slow: 0, quick: 0 }
    const check = (who: 'slow' | 'quick', socket: net.Socket) => {
      const splitter = new FrameSplitter(1024)
      socket.on('data', (chunk) => {
        splitter.receive(chunk as Buffer, {
          frame(bytes, start, end) {
            const number = count[who]++
            if (end - start !== 100) bad[who]++
            for (let i = start; i < end; i++) {
              if (bytes[i] !== (number & 0xff)) {
                bad[who]++
                break
              }
            }
            return true
          },
        })
      })
    }
    check('slow', slow.socket)
    check('quick', quick.socket)
    slow.socket.pause()
    const lent = new Uint8Array(101)
    let backlog = 0
    for (let i = 0; i < FRAMES; i++) {
      lent.fill(i & 0xff)
      lent[0] = 100
      slow.carrier.write(lent)
      quick.carrier.write(lent)
      lent.fill(0xee)
      backlog = Math.max(backlog, slow.carrier.queuedBytes())
      if (i % 500 === 499) await new Promise(setImmediate)
      if (i === FRAMES / 2) slow.socket.setTimeout(20, () => slow.socket.resume())
    }
    // Enough more that the kernel cannot hold it all, whatever its buffers.
    slow.socket.pause()
    let more = 0
    while (slow.carrier.queuedBytes() === 0) {
      lent.fill((FRAMES + more) & 0xff)
      lent[0] = 100
      slow.carrier.write(lent)
      more++
    }
    for (let i = 0; i < 1000; i++, more++) {
      lent.fill((FRAMES + more) & 0xff)
      lent[0] = 100
      slow.carrier.write(lent)
    }
    backlog = slow.carrier.queuedBytes()
    slow.socket.resume()
    await eventually(() => count.slow === FRAMES + more && count.quick === FRAMES, 'all frames')
    t.ok(backlog > 0, 'the slow one was behind')
    t.same(bad, { slow: 0, quick: 0 })
    await eventually(() => slow.told.drained > 0, 'drained')
    t.equal(slow.carrier.queuedBytes(), 0)
  },
)

t.test('the slab is used from its start again while nothing is held, and left to who holds it', async (t) => {
  const slab = new WriteSlab(64)
  const first = slab.bytes
  const taken = { writableLength: 0, write: () => true } as unknown as net.Socket
  slab.write(taken, new Uint8Array(60))
  t.equal(slab.at, 0)
  const held = { writableLength: 1, write: () => false } as unknown as net.Socket
  slab.write(held, new Uint8Array(60))
  t.equal(slab.at, 60)
  slab.write(taken, new Uint8Array(5))
  t.not(slab.bytes, first)
  slab.write(taken, new Uint8Array(3 * 1024 * 1024))
  t.equal(slab.bytes.length, 64, 'a huge batch leaves no huge slab')
})

t.test('close sends what is queued, then ends; nothing is heard any more', async (t) => {
  const { carrier, socket, told } = await carried(t, clientSlab())
  let got = 0
  socket.on('data', (chunk) => {
    got += chunk.length
  })
  carrier.write(new Uint8Array(4_000_000))
  carrier.close(0, '')
  carrier.write(new Uint8Array(10))
  socket.write('too late')
  await new Promise((resolve) => socket.once('close', resolve))
  t.equal(got, 4_000_000)
  await eventually(() => told.closed === 1, 'closed')
  t.same(told.received, [])
})

t.test('a carrier whose peer does not read is gone a second after its close', async (t) => {
  const { carrier, socket, told } = await carried(t, clientSlab())
  socket.pause()
  while (carrier.queuedBytes() === 0) carrier.write(new Uint8Array(65536))
  carrier.close(0, '')
  await eventually(() => told.closed === 1, 'closed')
  t.equal(told.closed, 1)
})

t.test('destroy tells closed once, also when called twice or after close', async (t) => {
  const { carrier, told, home } = await carried(t, clientSlab())
  carrier.close(0, '')
  carrier.destroy()
  carrier.destroy()
  await home.carriers.gone()
  t.equal(told.closed, 1)
})

t.test('a paused carrier delivers nothing, and all of it when it goes on', async (t) => {
  const { carrier, socket, told } = await carried(t, clientSlab())
  carrier.pause()
  await new Promise<void>((resolve) => socket.write('first', () => resolve()))
  await new Promise((resolve) => setImmediate(resolve))
  await new Promise((resolve) => setImmediate(resolve))
  t.same(told.received, [])
  carrier.resume()
  await eventually(() => told.received.length > 0, 'what was sent')
  t.equal(String(Buffer.concat(told.received)), 'first')
})

t.test('a client that stops reading is closed as slow, on both transports, and others are not disturbed', async (t) => {
  const host = new ScriptedHost({ name: 'local', windowCount: 16384 })
  t.teardown(() => host.close())
  const settings = testSettings(t, await host.listen(), (s) => {
    s.limits.connectionBytesMax = 300 * 1024
  })
  const running = await started(t, settings)
  const other = await tcpClient(t, running, 'other')
  await other.attach('arena', 'other')
  const socket = new WebSocket(`ws://127.0.0.1:${portOf(running, 'websocket')}/`)
  await new Promise((resolve) => socket.once('open', resolve))
  const overWs = overWebSocket(socket)
  await overWs.login('websocket')
  const overTcp = await tcpClient(t, running, 'tcp')
  for (const [name, client] of [
    ['tcp', overTcp],
    ['websocket', overWs],
  ] as const) {
    await client.attach('arena', name)
    client.pipe.pause()
    const link = host.links[0]
    const handle = link.channels.findIndex((channel) => channel?.attach.key === name)
    link.announce(5, 'arena.state')
    const session = client.welcome!.session
    for (let i = 0; i < 2000 && running.gateway.session(session) !== undefined; i++) {
      link.push(handle, 5, Buffer.alloc(10_000))
      if (i % 20 === 19) await new Promise((resolve) => setTimeout(resolve, 2))
    }
    t.equal(running.gateway.session(session), undefined, `${name} is closed`)
    other.send(Buffer.from(name))
    await other.until(() => other.received.some((bytes) => Buffer.from(bytes).equals(Buffer.from(name))), 'an echo')
    client.pipe.destroy()
  }
  t.equal(running.gateway.counters.closedByCode[code.slow], 2)
})

t.test(
  'of fifty clients whose reads are slow to take, a turn takes as many as it has time for, and loses none',
  async (t) => {
    const WORK_MS = 2
    const CLIENTS = 50
    const home = {
      now: () => 0,
      poke() {},
      counters: new IoCounters(),
      carriers: new OpenCarriers(),
      clientSlab: clientSlab(),
    }
    let [inTurn, most, taken] = [0, 0, 0]
    const receive = (): void => {
      if (inTurn++ === 0) setImmediate(() => (inTurn = 0))
      const until = performance.now() + WORK_MS
      while (performance.now() < until);
      most = Math.max(most, inTurn)
      taken++
    }
    const carriers: StreamCarrier[] = []
    const server = net.createServer({ pauseOnConnect: true }, (socket) => {
      const carrier = new StreamCarrier(home, 'tcp', socket, 'accepted', home.clientSlab, undefined)
      carrier.start({ receive, drained() {}, closed() {} })
      carriers.push(carrier)
    })
    t.teardown(() => server.close())
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as net.AddressInfo
    const sockets = Array.from({ length: CLIENTS }, () => net.connect(port, '127.0.0.1'))
    t.teardown(() => sockets.forEach((socket) => void socket.destroy()))
    await eventually(() => carriers.length === CLIENTS, 'all of them')
    for (const socket of sockets) socket.write('x')
    await eventually(() => taken === CLIENTS, 'all that was sent')
    // The clock is asked once in eight reads; those that had to wait and those that come then may share a turn.
    t.ok(most <= 24, `${most} in a turn`)
  },
)

t.test('what waits here when the connection breaks is handed on before its end is told', async (t) => {
  const { socket: peer, told } = await carried(t, clientSlab())
  const { isSpent } = clientShare
  t.teardown(() => Object.assign(clientShare, { isSpent }))
  clientShare.isSpent = () => true
  peer.write('the last word')
  await eventually(() => clientShare.keptBytes > 0, 'what was read')
  t.strictSame(told.received, [])
  peer.resetAndDestroy()
  await eventually(() => told.closed === 1, 'the end')
  t.equal(Buffer.concat(told.received).toString(), 'the last word')
  t.equal(clientShare.keptBytes, 0)
})
