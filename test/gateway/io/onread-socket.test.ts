// How accepted sockets are read: one that floods has a share of each turn, whatever it carries.
import { readFileSync } from 'node:fs'
import net from 'node:net'
import tls from 'node:tls'
import t from 'tap'
import { goOn, hold, readByEvents, readShared, TURN_BYTES, type SocketSink } from '../../../gateway/io/onread-socket.ts'
import { makeCertificate } from '../../config/certificate.ts'
import { eventually, scratchFolder, type Test } from './started.ts'

const FLOOD_BYTES = 8 * 1024 * 1024

/** Counts what comes in each turn of the event loop. */
class Sink implements SocketSink {
  onRead: (() => void) | undefined
  total = 0
  most = 0
  #inTurn = 0
  read(lent: Uint8Array): void {
    if (this.#inTurn === 0) setImmediate(() => (this.#inTurn = 0))
    this.#inTurn += lent.length
    this.total += lent.length
    this.most = Math.max(this.most, this.#inTurn)
    this.onRead?.()
  }
  socketDrained(): void {}
  socketEnded(): void {}
  socketFailed(): void {}
  socketClosed(): void {}
}

type Flooded = { sink: Sink; socket: net.Socket }

/** Begins to be read only when all of the flood that fits waits in the kernel. */
async function flooded(
  t: Test,
  server: net.Server,
  read: typeof readShared,
  dial: (port: number) => net.Socket,
): Promise<Flooded> {
  t.teardown(() => server.close())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const event = server instanceof tls.Server ? 'secureConnection' : 'connection'
  const came = new Promise<Flooded>((resolve) =>
    server.once(event, (accepted: net.Socket) => {
      t.teardown(() => accepted.destroy())
      const sink = new Sink()
      setImmediate(() => resolve({ sink, socket: read(accepted, sink) }))
    }),
  )
  const client = dial((server.address() as net.AddressInfo).port)
  t.teardown(() => client.destroy())
  client.on('error', () => {})
  client.write(Buffer.alloc(FLOOD_BYTES))
  return came
}

t.test('a socket that has more than a buffer waiting gives one of them a turn', async (t) => {
  const server = net.createServer({ pauseOnConnect: true })
  const { sink } = await flooded(t, server, readShared, (port) => net.connect(port, '127.0.0.1'))
  await eventually(() => sink.total === FLOOD_BYTES, 'all of it to come')
  t.equal(sink.most, TURN_BYTES)
})

t.test('the same over TLS, which reads by events', async (t) => {
  const folder = scratchFolder(t)
  const [certFile, keyFile] = [`${folder}/a.crt`, `${folder}/a.key`]
  makeCertificate(certFile, keyFile)
  const server = tls.createServer({ cert: readFileSync(certFile), key: readFileSync(keyFile) })
  const dial = (port: number) => tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
  const { sink } = await flooded(t, server, readByEvents, dial)
  await eventually(() => sink.total === FLOOD_BYTES, 'all of it to come')
  t.ok(sink.most < 4 * TURN_BYTES, `${sink.most}`)
})

t.test('one that its owner holds is not read because a turn has ended', async (t) => {
  const server = net.createServer({ pauseOnConnect: true })
  const { sink, socket } = await flooded(t, server, readShared, (port) => net.connect(port, '127.0.0.1'))
  sink.onRead = () => hold(socket)
  await eventually(() => sink.total > 0, 'something to come')
  const held = sink.total
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
  t.equal(sink.total, held)
  t.equal(held, TURN_BYTES)
  sink.onRead = undefined
  goOn(socket)
  await eventually(() => sink.total === FLOOD_BYTES, 'the rest')
  t.equal(sink.most, TURN_BYTES)
})
