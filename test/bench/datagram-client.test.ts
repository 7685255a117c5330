// A client over datagrams outlives what the network loses, counts it, and hears each message once.
import dgram from 'node:dgram'
import t from 'tap'
import { remarksOf } from '../../bench/bench.ts'
import { monotonicUs } from '../../bench/clock.ts'
import type { LoadEvents } from '../../bench/load/client.ts'
import { DatagramClient, RESEND_MS } from '../../bench/load/datagram-client.ts'
import { Pace } from '../../bench/load/pace.ts'
import { openDatagrams, type OpenStream } from '../../bench/load/stream.ts'
import type { Report } from '../../bench/report.ts'

/** What was written, and the way back. */
class Wire {
  readonly written: Uint8Array[] = []
  echo: (bytes: Uint8Array) => void = () => {}

  readonly open: OpenStream = (_port, events) => {
    this.echo = (bytes) => events.received(bytes)
    queueMicrotask(() => events.opened())
    return { write: (bytes) => void this.written.push(Uint8Array.from(bytes)), queuedBytes: () => 0, close: () => {} }
  }
}

class Ears implements LoadEvents {
  readonly stamps: number[] = []
  turns = 0
  failure = ''
  ready(): void {}
  heard(_client: unknown, stampUs: number): void {
    this.stamps.push(stampUs)
  }
  turnEnded(): void {
    this.turns++
  }
  failed(why: string): void {
    this.failure = why
  }
}

t.test('what has no answer is sent again as it was, counted, and heard once though both echoes come', async (t) => {
  const [wire, ears] = [new Wire(), new Ears()]
  const client = new DatagramClient(wire.open, 1, 64, ears)
  for (const stamp of [11, 12, 13]) client.send(stamp)
  client.flush()
  t.equal(wire.written.length, 1, 'one datagram for what is flushed at once')
  const now = performance.now()
  client.tick(now + RESEND_MS / 2)
  t.equal(client.resent, 0, 'an echo that is only slow')
  client.tick(now + RESEND_MS + 1)
  t.equal(client.resent, 1)
  t.same(wire.written[1], wire.written[0])
  client.tick(now + RESEND_MS + 2)
  t.equal(client.resent, 1, 'and then waits as long again')
  for (const bytes of wire.written) wire.echo(bytes)
  t.same(ears.stamps, [11, 12, 13])
  t.equal(ears.turns, 1)
  client.tick(now + 10 * RESEND_MS)
  t.equal(client.resent, 1, 'nothing is under way')
})

t.test('what does not fit into one datagram goes in several, each with its own fate', async (t) => {
  const [wire, ears] = [new Wire(), new Ears()]
  const client = new DatagramClient(wire.open, 1, 500, ears)
  for (let stamp = 1; stamp <= 5; stamp++) client.send(stamp)
  client.flush()
  t.same(
    wire.written.map(({ length }) => length),
    [1004, 1004, 504],
  )
  wire.echo(wire.written[2])
  wire.echo(Uint8Array.of(1))
  wire.echo(wire.written[0].subarray(0, 400))
  t.same(ears.stamps, [5], 'cut echoes are none')
  client.tick(performance.now() + RESEND_MS)
  t.same([client.resent, wire.written.length], [2, 5])
})

t.test('a closed loop goes on behind an echo that drops', async (t) => {
  const echo = dgram.createSocket('udp4')
  t.teardown(() => echo.close())
  let taken = 0
  let dropped = 0
  echo.on('message', (bytes, { port, address }) => {
    if (taken++ % 40 === 7) dropped++
    else echo.send(bytes, port, address)
  })
  await new Promise<void>((resolve) => echo.bind(0, '127.0.0.1', resolve))
  const wanted = 300
  let heard = 0
  await new Promise<void>((resolve, reject) => {
    const clients: DatagramClient[] = []
    const events: LoadEvents = {
      ready: () => ++ready === 8 && pace.begin(),
      heard(client, stampUs) {
        if (!(monotonicUs() - stampUs >= 0)) reject(new Error('another time came back'))
        pace.heard(client)
        if (++heard === wanted) resolve()
      },
      turnEnded(client) {
        pace.turnEnded(client)
        client.flush()
      },
      failed: (why) => reject(new Error(why)),
    }
    let ready = 0
    for (let i = 0; i < 8; i++) clients.push(new DatagramClient(openDatagrams, echo.address().port, 64, events))
    const pace = new Pace(clients, 1, 0)
    const ticking = setInterval(() => {
      for (const client of clients) client.tick(performance.now())
    }, 5)
    t.teardown(() => {
      clearInterval(ticking)
      for (const client of clients) client.close()
    })
  })
  t.equal(heard, wanted)
  t.ok(dropped >= 5, `${dropped} dropped`)
})

t.test('more than a trifle of datagrams sent again is said beside the table', async (t) => {
  const subject = (resent: number) => ({ name: 'nginx', messages: 30_000, figures: { resent }, limitedBy: 'none' })
  const remarks = (resent: number) =>
    remarksOf({
      subjects: [subject(resent)],
      options: { rounds: 3 },
      machine: { cpus: 2, loadAverage: 0, node: '' },
    } as unknown as Report)
  t.same(remarks(10), [])
  t.match(remarks(11), [/nginx: 11 datagrams .* lossy/])
})
