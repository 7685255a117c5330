// What the impairing proxy does to datagrams, by decision and over real sockets. Everything here is drawn from a seed, so
// that shares are exact numbers.
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import t from 'tap'
import { Impairment, type ImpairmentSettings, unimpaired } from '../../bench/impairment.ts'
import { ImpairingProxy } from '../../bench/impairing-proxy.ts'
import { Random } from '../sim/random.ts'

const numbered = (n: number): Uint8Array => Uint8Array.of(n >> 8, n, 1, 2, 3, 4, 5, 6)
const numberOf = (bytes: Uint8Array): number => (bytes[0] << 8) | bytes[1]

function pass(settings: Partial<ImpairmentSettings>, count: number): { bytes: Uint8Array; afterMs: number }[] {
  const random = new Random(7)
  const impairment = new Impairment({ ...unimpaired, ...settings }, () => random.unit())
  const delivered: { bytes: Uint8Array; afterMs: number }[] = []
  for (let n = 0; n < count; n++) impairment.pass(numbered(n), (bytes, afterMs) => delivered.push({ bytes, afterMs }))
  return delivered
}

t.test('without impairment every datagram passes once, at once, as it is', async (t) => {
  const delivered = pass({}, 100)
  t.same(
    delivered,
    Array.from({ length: 100 }, (_, n) => ({ bytes: numbered(n), afterMs: 0 })),
  )
})

t.test('each share is about what was asked for', async (t) => {
  const near = (count: number, expected: number, what: string) =>
    t.ok(Math.abs(count - expected) < expected / 5, `${count} of 10000 ${what}`)
  near(10_000 - pass({ lossShare: 0.05 }, 10_000).length, 500, 'lost')
  near(pass({ duplicateShare: 0.05 }, 10_000).length - 10_000, 500, 'doubled')
  const corrupted = pass({ corruptShare: 0.05 }, 10_000).filter(
    ({ bytes }, n) => Buffer.compare(bytes, numbered(n)) !== 0,
  )
  near(corrupted.length, 500, 'corrupted')
  t.ok(
    corrupted.some(({ bytes }) => bytes.length < 8),
    'some lose their end',
  )
  t.ok(
    corrupted.some(({ bytes }) => bytes.length === 8),
    'some keep their length',
  )
  const heldBack = pass({ reorderShare: 0.05, delayMs: 10, reorderMs: 30 }, 10_000)
  near(heldBack.filter(({ afterMs }) => afterMs === 40).length, 500, 'held back')
  t.equal(
    heldBack.filter(({ afterMs }) => afterMs === 10).length + heldBack.filter((d) => d.afterMs === 40).length,
    10_000,
  )
  const jittered = pass({ delayMs: 10, jitterMs: 20 }, 1000)
  t.ok(jittered.every(({ afterMs }) => afterMs >= 10 && afterMs < 30))
})

t.test('a corrupted copy leaves the other one whole', async (t) => {
  const delivered = pass({ duplicateShare: 1, corruptShare: 0.5 }, 200)
  t.equal(delivered.length, 400)
  const whole = delivered.filter(({ bytes }, i) => Buffer.compare(bytes, numbered(i >> 1)) === 0).length
  t.ok(whole > 150 && whole < 250, `${whole} of 400 whole`)
})

t.test('a setting out of its range names itself', async (t) => {
  t.throws(() => pass({ lossShare: 1.5 }, 0), { message: 'lossShare: expected a number from 0 to 1, got 1.5' })
  t.throws(() => pass({ delayMs: -1 }, 0), { message: 'delayMs: expected a number from 0 to 60000, got -1' })
})

async function bound(): Promise<Socket> {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  return socket
}

t.test('datagrams go both ways, and each client has its own port at the target', async (t) => {
  const target = await bound()
  target.on('message', (bytes, { port, address }) => target.send(bytes, port, address))
  const proxy = await ImpairingProxy.start({ targetPort: target.address().port })
  const clients = [await bound(), await bound()]
  t.teardown(() => {
    proxy.close()
    for (const socket of [target, ...clients]) socket.close()
  })
  for (const [i, client] of clients.entries()) {
    client.send(numbered(i), proxy.port, '127.0.0.1')
    const [answer] = await once(client, 'message')
    t.equal(numberOf(answer), i)
  }
  t.equal(proxy.clients, 2)
  t.match(proxy.counts, { up: { taken: 2, lost: 0 }, down: { taken: 2, lost: 0 } })
})

t.test('rebinding changes the port that the target sees; what goes to the old one is lost', async (t) => {
  const target = await bound()
  const proxy = await ImpairingProxy.start({ targetPort: target.address().port })
  const client = await bound()
  const heard: number[] = []
  client.on('message', (bytes) => heard.push(numberOf(bytes)))
  t.teardown(() => {
    proxy.close()
    target.close()
    client.close()
  })
  const ports: number[] = []
  for (const n of [1, 2]) {
    client.send(numbered(n), proxy.port, '127.0.0.1')
    const [, { port }] = await once(target, 'message')
    ports.push(port)
    if (n === 1) t.equal(proxy.rebind(), 1)
  }
  t.not(ports[0], ports[1])
  t.equal(proxy.rebindings, 1)
  target.send(numbered(8), ports[0], '127.0.0.1')
  target.send(numbered(9), ports[1], '127.0.0.1')
  await once(client, 'message')
  t.same(heard, [9])
})

t.test('delayed datagrams come by their times, and later ones overtake those held back', async (t) => {
  const target = await bound()
  const heard: number[] = []
  const random = new Random(3)
  const proxy = await ImpairingProxy.start({
    targetPort: target.address().port,
    impairment: { delayMs: 5, reorderShare: 0.3, reorderMs: 40 },
    random: () => random.unit(),
  })
  const client = await bound()
  t.teardown(() => {
    proxy.close()
    target.close()
    client.close()
  })
  const all = new Promise<void>((resolve) => {
    target.on('message', (bytes) => {
      heard.push(numberOf(bytes))
      if (heard.length === 50) resolve()
    })
  })
  for (let n = 0; n < 50; n++) client.send(numbered(n), proxy.port, '127.0.0.1')
  await all
  const { heldBack } = proxy.counts.up
  t.ok(heldBack > 5 && heldBack < 30, `${heldBack} of 50 held back`)
  t.notSame(
    heard,
    [...heard].sort((a, b) => a - b),
  )
  t.same(
    [...heard].sort((a, b) => a - b),
    Array.from({ length: 50 }, (_, n) => n),
  )
})
