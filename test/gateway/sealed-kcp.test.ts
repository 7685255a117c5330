// Sealed datagrams at the gateway: who gets in, what strangers leave behind (nothing), and how a client moves.
import t from 'tap'
import { HANDSHAKE_RATE, RESET_RATE } from '../../policies/handshake-limit.ts'
import { code } from '../../protocols/codes.ts'
import { COOKIE_ROTATION_MS } from '../../protocols/secure/cookie-jar.ts'
import { datagramType, INIT_BYTES, RESET_BYTES } from '../../protocols/secure/datagram-codec.ts'
import { UNCONFIRMED_MS } from '../../protocols/secure/datagram-server.ts'
import type { DatagramWorld } from './datagram-world.ts'
import { fast, Keys, sealedClient, sealedWorld } from './datagram-world.ts'
import type { SealedKcp } from '../../gateway/sealed-kcp.ts'

const addressOf = (i: number): string => `10.${(i >>> 16) & 255}.${(i >>> 8) & 255}.${i & 255}`

/** A world with a client that is in it. */
function joined(identity?: Keys) {
  const world = sealedWorld(identity)
  const client = sealedClient(world, '192.0.2.1', 4000)
  world.pass(200)
  return { world, client, heard: world.heard[0] }
}

/** They still hear each other. */
function talk(world: DatagramWorld<SealedKcp>, client: ReturnType<typeof sealedClient>, i = 0): [string, string] {
  const heard = world.heard[i]
  heard.text = client.text = ''
  client.say('up')
  heard.say('down')
  world.pass(1000)
  return [heard.text, client.text]
}

t.test('a client is given to the core when it is confirmed, and both ends talk', async (t) => {
  const { world, client, heard } = joined()
  t.equal(world.heard.length, 1)
  t.equal(client.text, 'hi ', 'the gateway speaks first')
  t.same(talk(world, client), ['up', 'down'])
  t.same([...heard.carrier.binding], [...client.binding])
  t.equal(heard.carrier.transport, 'kcp-noise')
  t.equal(world.counters.handshakes, 1)
  t.equal(world.table.unconfirmed, 0)
  world.pass(20_000)
  t.equal(world.table.deadline(), Infinity, 'idle, it waits for nothing')
})

t.test('C1: frames beside KCP, both ways, as long as a datagram holds them', async (t) => {
  const { world, client, heard } = joined()
  t.ok(client.line.sendBare(Buffer.from('up')))
  t.ok(heard.carrier.datagram(Buffer.from('down')))
  t.ok(heard.carrier.datagram(Buffer.alloc(1170, 'x')))
  t.notOk(heard.carrier.datagram(Buffer.alloc(1171)), 'this one goes in the stream')
  world.pass(100)
  t.same(heard.bare, ['up'])
  t.same([client.bare[0], client.bare[1].length], ['down', 1170])
  heard.carrier.pause()
  client.line.sendBare(Buffer.from('unread'))
  world.pass(100)
  t.same(heard.bare, ['up'])
  t.equal(world.dropped('paused'), 1)
})

t.test('one datagram from each of 100,000 addresses leaves nothing, and is answered with less', async (t) => {
  const { world, client, heard } = joined()
  const [init] = client.sent
  t.equal(init.length, INIT_BYTES)
  const sealed = client.sent.find(([type]) => type === datagramType.sealed)!
  const before = world.droppedInAll
  for (let i = 0; i < 100_000; i++) {
    const kind = i % 4
    const junk = kind === 0 ? init : kind === 1 ? sealed : world.random.bytes(kind === 2 ? 60 : INIT_BYTES)
    if (kind === 2) junk[0] = datagramType.sealed
    if (kind === 3) junk[0] = datagramType.init
    world.inject(addressOf(i), 5000, junk)
    if (i % 10_000 === 0) client.say(`${i} `)
    if (i % 1000 === 0) world.pass(5)
  }
  world.pass(1000)
  t.match(heard.text, /0 10000 20000 30000 40000 50000 60000 70000 80000 90000 $/)
  t.equal(world.heard.length, 1)
  t.equal(world.table.unconfirmed, 0)
  t.equal(world.table.carriers.open.size, 1)
  t.equal(world.counters.handshakes, 1)
  t.equal(heard.carrier.address, '192.0.2.1', 'copies from elsewhere moved nobody')
  // Every fourth asked for a cookie; all others were dropped for a reason.
  t.equal(world.droppedInAll - before, 75_000)
  const amplified = [...world.bytesOut].filter(([address, bytes]) => bytes > world.bytesIn.get(address)!)
  t.ok(amplified.every(([address]) => address === '192.0.2.1 4000'))
  t.ok(world.bytesOut.size > 25_000)
  const late = sealedClient(world, '192.0.2.2', 4000)
  world.pass(300)
  t.equal(late.text, 'hi ', 'a new player gets in')
})

t.test('replayed, cut and damaged datagrams change nothing', async (t) => {
  const { world, client, heard } = joined()
  client.say('once')
  world.pass(300)
  const datagrams = client.sent.slice()
  const { text } = heard
  const sent = world.log.length
  for (const datagram of datagrams) {
    world.inject('192.0.2.1', 4000, datagram)
    for (let length = 0; length < Math.min(datagram.length, 120); length++) {
      world.inject('192.0.2.1', 4000, datagram.subarray(0, length))
    }
    for (let at = 0; at < Math.min(datagram.length, 60); at++) {
      const damaged = datagram.slice()
      damaged[at] ^= 0x10
      world.inject('198.51.100.9', 4000, damaged)
    }
  }
  world.pass(1000)
  t.equal(heard.text, text)
  t.equal(world.heard.length, 1)
  t.equal(world.table.unconfirmed, 0)
  t.equal(heard.carrier.address, '192.0.2.1')
  for (const reason of ['empty', 'short', 'replayed', 'forged', 'bad_mac', 'malformed', 'unknown_type'] as const) {
    t.ok(world.dropped(reason) > 0, reason)
  }
  // A cookie for an INIT that asks for one, from wherever it seems to come, and nothing else.
  for (const hex of world.log.slice(sent)) t.equal(hex.slice(0, 2), '02')
  t.same(talk(world, client), ['up', 'down'])
})

t.test('a client’s address changes, by itself or under it, and the conversation goes on', async (t) => {
  const { world, client, heard } = joined()
  client.port = 4001
  t.same(talk(world, client), ['up', 'down'], 'a NAT has forgotten it')
  client.ip = '203.0.113.5'
  client.line.moved(world.time)
  t.same(talk(world, client), ['up', 'down'], 'another network')
  t.equal(heard.carrier.address, '203.0.113.5')
  t.equal(world.counters.moves, 2)
  t.equal(world.counters.handshakes, 1)
  t.equal(client.sent.filter(([type]) => type === datagramType.init).length, 2, 'no handshake more')
})

t.test('CLOSE of either end ends both at once, and a destroyed carrier says it, too', async (t) => {
  const { world, client, heard } = joined()
  client.line.close(world.time)
  world.pass(100)
  t.equal(heard.ends, 1)
  t.equal(world.entered, 0)
  const second = sealedClient(world, '192.0.2.2', 4000)
  const third = sealedClient(world, '192.0.2.3', 4000)
  world.pass(300)
  world.heard[1].say('bye')
  world.heard[1].carrier.close(code.going_away, '')
  world.heard[2].carrier.destroy()
  t.equal(world.heard[2].ends, 0, 'not within the call')
  world.pass(200)
  t.same([second.text, second.isClosed, third.isClosed], ['hi bye', true, true])
  t.same([world.heard[1].ends, world.heard[2].ends], [1, 1])
  t.equal(world.table.carriers.open.size, 0)
  const { sent } = client
  world.inject('192.0.2.1', 4000, sent.at(-1)!)
  t.equal(world.dropped('unknown_connection'), 1)
})

t.test('a handshake that is not confirmed is forgotten, and one that finds no room is told', async (t) => {
  const world = sealedWorld()
  const silent = sealedClient(world, '192.0.2.1', 4000)
  while (silent.sent.length < 2) world.pass(5)
  world.clients.splice(0)
  world.pass(100)
  t.equal(world.table.unconfirmed, 1)
  world.pass(UNCONFIRMED_MS)
  t.equal(world.table.unconfirmed, 0)
  t.equal(world.counters.unconfirmed, 1)
  t.equal(world.heard.length, 0)
  world.enteredMax = 0
  const refused = sealedClient(world, '192.0.2.2', 4000)
  world.pass(300)
  t.ok(refused.isClosed)
  t.equal(world.dropped('connections_max'), 1)
  world.enteredMax = 1
  world.table.isClosed = true
  sealedClient(world, '192.0.2.3', 4000)
  world.pass(300)
  t.equal(world.heard.length, 0)
  t.ok(world.dropped('stopped') > 0)
})

t.test('handshakes of one network are limited, those of others are not', async (t) => {
  const world = sealedWorld()
  let handshakes = 0
  for (let i = 0; i < 1.2 * HANDSHAKE_RATE.burst; i++) {
    sealedClient(world, '2001:db8:0:1::1', 10_000 + i)
    if (i % 50 !== 49) continue
    world.pass(60)
    handshakes = world.counters.handshakes
    world.clients.splice(0)
  }
  t.ok(handshakes >= HANDSHAKE_RATE.burst && handshakes <= 1.15 * HANDSHAKE_RATE.burst, `${handshakes}`)
  t.ok(world.dropped('not_admitted') > 0)
  const other = sealedClient(world, '2001:db8:0:2::1', 4000)
  world.pass(300)
  t.equal(other.text, 'hi ')
})

t.test('cookies are good for two periods, on every gateway that has the key', async (t) => {
  const world = sealedWorld()
  const client = sealedClient(world, '192.0.2.1', 4000)
  world.pass(20)
  t.equal(world.log.length, 1)
  world.wallTime += COOKIE_ROTATION_MS
  world.pass(200)
  t.equal(client.text, 'hi ', 'of the period before')
  const init = client.sent.filter(([type]) => type === datagramType.init)[1]
  const another = sealedWorld()
  another.wallTime = world.wallTime
  another.inject('192.0.2.1', 4000, init)
  t.equal(another.counters.handshakes, 1, 'of another gateway')
  another.wallTime += 2 * COOKIE_ROTATION_MS
  another.inject('192.0.2.1', 4001, init)
  another.inject('192.0.2.1', 4000, init)
  t.equal(another.counters.handshakes, 1, 'too old, or another address: asked again')
  t.same(
    another.log.slice(1).map((hex) => hex.slice(0, 2)),
    ['02', '02'],
  )
})

t.test('when the key changes, who is there goes on, and both keys open the door', async (t) => {
  const identity = new Keys('g')
  const { world, client } = joined(identity)
  identity.change('n', 'g')
  t.same(talk(world, client), ['up', 'down'])
  const old = sealedClient(world, '192.0.2.2', 4000, 'g')
  const young = sealedClient(world, '192.0.2.3', 4000, 'n')
  world.pass(300)
  t.same([old.text, young.text], ['hi ', 'hi '])
  t.same(talk(world, client), ['up', 'down'], 'ids made under the old key still open')
  client.ip = '192.0.2.77'
  client.line.moved(world.time)
  t.same(talk(world, client), ['up', 'down'])
  identity.change('n')
  const late = sealedClient(world, '192.0.2.4', 4000, 'g')
  world.pass(300)
  t.equal(late.text, '', 'the old key is gone')
})

t.test('before there are keys nobody comes in, and then they do', async (t) => {
  const identity = new Keys()
  const world = sealedWorld(identity)
  const client = sealedClient(world, '192.0.2.1', 4000)
  world.pass(300)
  t.equal(client.text, '')
  identity.change('g')
  world.pass(1000)
  t.equal(client.text, 'hi ')
})

t.test('a port of services that reflect is not heard (DGM-4.6)', async (t) => {
  const world = sealedWorld()
  sealedClient(world, '192.0.2.1', 53)
  world.pass(300)
  t.equal(world.log.length, 0)
  t.ok(world.dropped('reflection_port') > 0)
})

t.test(
  'DGM-9.2: a gateway that began anew, or another of the cluster, says that it does not know a client',
  async (t) => {
    const ip = '192.0.2.1'
    const told = (world: DatagramWorld<SealedKcp>) => [world.bytesOut.get(`${ip} 4000`) ?? 0, world.counters.resets]
    const { client } = joined()
    client.say('is anybody there')
    const own = new Keys('g')
    own.isCluster = false
    for (const [gateway, keys, expected, reason] of [
      [3, new Keys('g'), [RESET_BYTES, 1], 'unknown_connection'],
      [3, own, [RESET_BYTES, 1], 'unknown_connection'],
      [8, new Keys('g'), [RESET_BYTES, 1], 'stray'],
      [8, own, [0, 0], 'unknown_connection'],
      [3, new Keys('h'), [0, 0], 'unknown_connection'],
    ] as const) {
      const world = sealedWorld(keys, gateway)
      world.inject(ip, 4000, client.sent.at(-1)!)
      t.same(
        told(world),
        expected,
        `gateway ${gateway}, ${keys.isCluster ? 'a key of the cluster' : 'a key of its own'}`,
      )
      t.equal(world.dropped(reason), 1, reason)
    }
  },
)

t.test(
  'DGM-9.5: a flood of datagrams of nobody is answered so often and no oftener, with less than it brought',
  async (t) => {
    const { client } = joined()
    client.line.sendBare(Buffer.from('x'))
    const datagram = client.sent.at(-1)!
    const world = sealedWorld()
    for (let i = 0; i < 10_000; i++) world.inject('198.51.100.7', 1024 + i, datagram)
    t.equal(world.counters.resets, RESET_RATE.burst)
    const sum = (counts: Map<string, number>) => [...counts.values()].reduce((a, b) => a + b, 0)
    t.ok(sum(world.bytesOut) < sum(world.bytesIn))
    const grown = [...world.bytesOut].filter(([address, out]) => out >= world.bytesIn.get(address)!)
    t.same(grown, [])
    world.inject('192.0.2.1', 4000, datagram)
    t.equal(world.counters.resets, RESET_RATE.burst + 1, 'another player is told')
  },
)

/** Where datagrams of 1,500 bytes are configured and the path carries 1,232, which is 1,280 with IPv6. */
const wideWorld = () => sealedWorld(new Keys('g'), 3, { ...fast, mtu: 1470 })

t.test('an mtu that the path does not carry: the connection ends, and the next one does without it', async (t) => {
  const world = wideWorld()
  world.loses = (bytes) => bytes.length > 1232
  const first = sealedClient(world, '192.0.2.1', 4000)
  world.pass(200)
  const text = 'abcde'.repeat(1000)
  world.heard[0].say(text)
  const since = world.time
  while (!first.isClosed && world.time < since + 20_000) {
    first.say('still here')
    world.pass(100)
  }
  t.ok(world.time - since < 5000, `noticed in ${world.time - since} ms`)
  t.equal(first.text, 'hi ')
  t.equal(world.counters.narrowPaths, 1)
  const second = sealedClient(world, '192.0.2.1', 4001)
  world.pass(200)
  world.heard[1].say(text)
  world.pass(1000)
  t.equal(second.text, `hi ${text}`, 'it comes through')
  t.notOk(world.heard[1].carrier.datagram(Buffer.alloc(1171)), 'a bare frame over 1,200 bytes goes in the stream')
  t.equal(world.counters.narrowPaths, 1)
})

t.test('an mtu that the path carries is used, and loss or an outage is no narrow path', async (t) => {
  const world = wideWorld()
  const fly = world.fly.bind(world)
  let longest = 0
  let lost = 0
  world.loses = (bytes) => {
    longest = Math.max(longest, bytes.length)
    return world.random.chance(lost)
  }
  const client = sealedClient(world, '192.0.2.1', 4000)
  world.pass(200)
  for (const share of [0.05, 1, 0.05]) {
    lost = share
    world.fly = share < 1 ? fly : () => {}
    for (let i = 0; i < 20; i++) {
      world.heard[0].say('x'.repeat(3000))
      client.say('y')
      world.pass(100)
    }
  }
  lost = 0
  world.pass(20_000)
  t.equal(longest, 1500)
  t.equal(client.text.length, 3 + 60 * 3000)
  t.equal(world.counters.narrowPaths, 0)
})
