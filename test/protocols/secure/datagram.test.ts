// The datagram layer: handshake with cookies, replays, moves of the client, amplification, garbage (DGM).
import t from 'tap'
import { code } from '../../../protocols/codes.ts'
import { CookieJar } from '../../../protocols/secure/cookie-jar.ts'
import {
  datagramType,
  INIT_BYTES,
  macKeyOf,
  SEALED_HEAD_BYTES,
  SEALED_OVERHEAD_BYTES,
  writeInit,
} from '../../../protocols/secure/datagram-codec.ts'
import { DatagramOpener, DatagramSealer, wholeCounter } from '../../../protocols/secure/datagram-keys.ts'
import { DatagramInitiator, INITS_MAX } from '../../../protocols/secure/datagram-initiator.ts'
import { type DatagramOutcome, UNCONFIRMED_MS } from '../../../protocols/secure/datagram-server.ts'
import { Initiator } from '../../../protocols/secure/handshakes.ts'
import { isReflectionPort } from '../../../protocols/secure/reflection-ports.ts'
import { ConnectionIdCipher } from '../../../protocols/secure/connection-id.ts'
import { Random } from '../../sim/random.ts'
import { clusterKey, Pair, type PairOptions, seal, storm } from './datagram-pair.ts'
import { hexOf, native, noble, pairOf, providers, secretOf, textOf, utf8 } from './keys.ts'

const connected = (options: PairOptions = {}): Pair => {
  const pair = new Pair(options)
  if (!pair.connect()) throw new Error('no connection')
  pair.run(500)
  pair.outcomes.length = 0
  return pair
}
const why = (outcome: DatagramOutcome): string =>
  outcome.kind === 'dropped'
    ? outcome.why
    : outcome.kind === 'packet' && 'why' in outcome.received
      ? outcome.received.why
      : outcome.kind

t.test('first contact: INIT, COOKIE, INIT with the cookie, RESPONSE, and both ends talk (DGM-4)', async (t) => {
  for (const crypto of providers) {
    const pair = new Pair({ crypto })
    t.ok(pair.connect())
    t.strictSame(pair.outcomes.slice(0, 3), ['reply', 'accepted', 'packet'])
    t.strictSame(pair.client!.established.binding, pair.gateway!.established.binding)
    pair.up('hello')
    pair.up('loose', 'bare')
    pair.down('welcome')
    pair.run(100)
    t.strictSame(pair.atGateway, ['hello', 'loose'])
    t.strictSame(pair.atClient, ['welcome'])
    t.equal(pair.server.unconfirmed, 0)
  }
})

t.test('before the cookie comes back nothing is kept, and a kept cookie spares the round trip (DGM-4.2)', async (t) => {
  const pair = new Pair()
  pair.run(25)
  t.strictSame(pair.outcomes, ['reply'])
  t.equal(pair.server.connections, 0)
  pair.connect()
  const { cookie } = pair.initiator
  const again = new Pair({ client: { cookie } })
  again.connect()
  t.equal(again.outcomes[0], 'accepted')
})

t.test(
  're-attach on UDP: the ticket is opened; one that is not is refused and the connection goes on (SEC-3.5)',
  async (t) => {
    const openTicket = (ticket: Uint8Array) =>
      textOf(ticket) === 'good' ? { secret: secretOf('s') } : { code: code.ticket_key_unknown }
    for (const ticket of ['good', 'bad']) {
      const pair = connected({ openTicket, client: { resume: { ticket: utf8(ticket), secret: secretOf('s') } } })
      const expected = ticket === 'good' ? code.ok : code.ticket_key_unknown
      t.equal(pair.client!.established.code, expected)
      t.equal(pair.gateway!.established.code, expected)
      t.equal(pair.gateway!.established.ticket === undefined, ticket === 'bad')
      pair.up('after')
      pair.run(100)
      t.strictSame(pair.atGateway, ['after'])
    }
  },
)

t.test('who shows a ticket without its secret never becomes a confirmed connection', async (t) => {
  const openTicket = () => ({ secret: secretOf('s') })
  const pair = new Pair({ openTicket, client: { resume: { ticket: utf8('t'), secret: secretOf('x') } } })
  t.notOk(pair.connect())
  t.equal(pair.client, undefined)
  t.equal(pair.server.connections, 0, 'given up')
  t.ok(pair.initiator.isFailed(pair.now))
})

t.test('in a storm every handshake of 40 seeds is done, and what arrives arrives once', async (t) => {
  for (let seed = 1; seed <= 40; seed++) {
    const pair = new Pair({ seed, weather: storm })
    if (!pair.connect()) {
      t.fail(`seed ${seed}`)
      continue
    }
    for (let i = 0; i < 50; i++) {
      pair.up(`up ${i}`)
      pair.down(`down ${i}`)
      pair.run(10)
    }
    pair.run(2000)
    for (const heard of [pair.atGateway, pair.atClient]) {
      if (new Set(heard).size !== heard.length) t.fail(`seed ${seed}: doubled`)
      if (heard.length < 25) t.fail(`seed ${seed}: ${heard.length} of 50`)
    }
    if (pair.server.connections !== 1) t.fail(`seed ${seed}: ${pair.server.connections} connections`)
  }
})

t.test(
  'cookies: forged, of another address, or older than two rotations are answered with another, and nothing more (DGM-4.3)',
  async (t) => {
    const jar = new CookieJar(native.hash, secretOf('j'))
    const cookie = jar.bake('a')
    t.ok(jar.isGood('a', cookie))
    t.notOk(jar.isGood('b', cookie))
    t.notOk(jar.isGood('a', new Uint8Array(16)))
    jar.rotate(secretOf('k'))
    t.ok(jar.isGood('a', cookie))
    jar.rotate(secretOf('l'))
    t.notOk(jar.isGood('a', cookie))

    const pair = connected()
    const init = pair.seen.findLast(({ bytes }) => bytes[0] === datagramType.init)!.bytes
    t.equal(why(pair.inject('198.51.100.9:1', init)), 'reply', 'another address')
    t.equal(why(pair.inject(pair.clientAddress, init)), 'repeated', 'the same once more')
    pair.server.rotateCookies(secretOf('1'))
    t.equal(why(pair.inject(pair.clientAddress, init)), 'repeated')
    pair.server.rotateCookies(secretOf('2'))
    t.equal(why(pair.inject(pair.clientAddress, init)), 'reply', 'two rotations later')
    t.equal(pair.server.connections, 1)
  },
)

t.test('strangers who do not know the gateway’s key get silence (DGM-4.1)', async (t) => {
  const pair = connected()
  const options = {
    crypto: native,
    transport: 'udp',
    gatewayKey: pairOf(native, 'h').publicKey,
    ephemeralSecret: secretOf('e'),
  }
  const other = new Initiator(options)
  const bytes = writeInit(native.hash, macKeyOf(native, options.gatewayKey), other, new Uint8Array(8), undefined)
  t.equal(why(pair.inject('a:1', bytes)), 'bad_mac')
  const damaged = pair.seen[0].bytes.slice()
  for (let at = 1; at < 90; at++) {
    damaged[at] ^= 1
    t.equal(why(pair.inject('a:1', damaged)), 'bad_mac', `byte ${at}`)
    damaged[at] ^= 1
  }
})

t.test(
  'limits: handshakes that are not admitted, too many unconfirmed ones, too many connections (DGM-4.4)',
  async (t) => {
    const asked: string[] = []
    const admit = (address: string) => asked.push(address) > 1e9
    const limited = new Pair({ server: { admit } })
    limited.run(100)
    t.ok(limited.outcomes.includes('not_admitted'))
    t.equal(asked[0], '192.0.2.1:5000', 'asked only once the address has proved itself')
    const full = new Pair({ server: { unconfirmedMax: 0 } })
    full.run(100)
    t.ok(full.outcomes.includes('full'))
    const none = new Pair({ server: { connectionsMax: 0 } })
    none.run(100)
    t.ok(none.outcomes.includes('full'))
  },
)

t.test('a connection that is not confirmed is given up in time, and its ids are worth nothing (DGM-4.5)', async (t) => {
  const pair = new Pair()
  pair.run(10_000, () => pair.gateway !== undefined)
  const { established } = pair.gateway!
  t.equal(pair.server.unconfirmed, 1)
  t.equal(pair.server.deadline(), pair.now + UNCONFIRMED_MS)
  t.strictSame(pair.server.tick(pair.now + UNCONFIRMED_MS), [pair.gateway])
  t.equal(pair.server.connections, 0)
  t.equal(pair.server.deadline(), Infinity)
  const datagram = new Uint8Array(60)
  datagram[0] = datagramType.sealed
  datagram.set(established.extra.subarray(0, 8), 1)
  t.equal(why(pair.inject('a:1', datagram)), 'forgotten')
})

t.test('a slot that is used again does not know the ids of the connection before', async (t) => {
  const pair = connected()
  const datagram = seal(pair.client!, 'late')
  pair.server.release(pair.gateway!)
  const other = new Initiator({
    ...{ crypto: native, transport: 'udp', gatewayKey: pairOf(native, 'g').publicKey, ephemeralSecret: secretOf('n') },
  })
  const macKey = macKeyOf(native, pairOf(native, 'g').publicKey)
  const blank = writeInit(native.hash, macKey, other, new Uint8Array(8), undefined)
  const reply = pair.inject(pair.clientAddress, blank)
  if (reply.kind !== 'reply') return t.fail(reply.kind)
  const init = writeInit(native.hash, macKey, other, new Uint8Array(8), reply.bytes.subarray(9))
  t.equal(pair.inject(pair.clientAddress, init).kind, 'accepted')
  t.equal(why(pair.inject(pair.clientAddress, datagram)), 'forgotten')
})

t.test('replayed and forged datagrams are dropped, and move nothing (DGM-6.2)', async (t) => {
  const pair = connected()
  const first = seal(pair.client!, 'one')
  t.equal(pair.inject(pair.clientAddress, first).kind, 'packet')
  t.equal(why(pair.inject(pair.clientAddress, first)), 'replayed')
  t.equal(why(pair.inject('198.51.100.9:1', first)), 'replayed')
  const second = seal(pair.client!, 'two')
  for (let at = 9; at < second.length; at++) {
    const forged = second.slice()
    forged[at] ^= 0x40
    t.match(why(pair.inject('198.51.100.9:1', forged)), /forged|replayed/)
  }
  t.equal(pair.bytesOut.get('198.51.100.9:1'), undefined)
  pair.inject(pair.clientAddress, second)
  t.strictSame(pair.atGateway, ['one', 'two'])
})

t.test('NAT rebinding costs one path validation, and the conversation goes on (DGM-7.1)', async (t) => {
  const pair = connected()
  pair.clientAddress = '192.0.2.1:6000'
  pair.up('from a new port')
  pair.run(100)
  t.strictSame(pair.atGateway, ['from a new port'])
  t.equal(pair.gateway!.address, '192.0.2.1:6000')
  pair.down('there you are')
  pair.run(100)
  t.strictSame(pair.atClient, ['there you are'])
  t.equal(pair.server.connections, 1)
  t.notOk(pair.outcomes.includes('accepted'), 'no handshake')
})

t.test(
  'a client that knows of its move takes a fresh id, and nobody can tell the two paths apart (DGM-3.3)',
  async (t) => {
    const pair = connected()
    const idOf = (bytes: Uint8Array) => hexOf(bytes.subarray(1, 9))
    const used = new Set([idOf(seal(pair.client!, 'x'))])
    for (let i = 1; i <= 12; i++) {
      pair.clientAddress = `203.0.113.${i}:4000`
      t.ok(pair.client!.migrate(pair.now), `move ${i}`)
      pair.pump()
      pair.run(1500)
      t.equal(pair.gateway!.address, pair.clientAddress)
      const up = idOf(seal(pair.client!, 'x'))
      t.notOk(used.has(up), 'a fresh id')
      used.add(up)
      t.equal(idOf(seal(pair.gateway!, 'x')), up, 'both directions of a path have its id')
    }
    const byAddress = new Map<string, Set<string>>()
    for (const { address, bytes } of pair.seen) {
      if (bytes[0] !== datagramType.sealed) continue
      byAddress.set(address, (byAddress.get(address) ?? new Set()).add(idOf(bytes)))
    }
    const all = [...byAddress.values()].flatMap((ids) => [...ids])
    t.equal(new Set(all).size, all.length, 'no id was seen on two paths')
  },
)

t.test('moves in a storm: the gateway finds the client again (30 seeds)', async (t) => {
  for (let seed = 1; seed <= 30; seed++) {
    const pair = new Pair({ seed, weather: storm })
    if (!pair.connect()) t.fail(`seed ${seed}: no connection`)
    for (let move = 1; move <= 4; move++) {
      pair.clientAddress = `203.0.113.${move}:${seed}`
      if (pair.random.chance(0.5)) pair.client!.migrate(pair.now)
      pair.pump()
      const isFound = pair.run(20_000, () => {
        if (pair.random.chance(0.2)) pair.up(`alive ${pair.now}`)
        return pair.gateway!.address === pair.clientAddress
      })
      if (!isFound) {
        for (let i = 0; i < 100 && pair.gateway!.address !== pair.clientAddress; i++) {
          pair.up('alive')
          pair.run(100)
        }
      }
      if (pair.gateway!.address !== pair.clientAddress) t.fail(`seed ${seed}: lost at move ${move}`)
    }
    if (pair.server.connections !== 1) t.fail(`seed ${seed}: ${pair.server.connections} connections`)
  }
})

t.test('who copies a client’s datagrams from elsewhere does not take its place (DGM-7.4)', async (t) => {
  const pair = connected()
  const thief = '198.51.100.66:1'
  for (let i = 0; i < 20; i++) {
    const bytes = seal(pair.client!, `copy ${i}`.padEnd(40))
    pair.inject(thief, bytes)
    pair.run(10)
    t.equal(pair.gateway!.address, pair.clientAddress)
    pair.down(`for the client ${i}`)
    pair.up(`next ${i}`)
    pair.run(60)
  }
  pair.run(5000)
  t.equal(pair.gateway!.address, pair.clientAddress)
  t.equal(pair.atClient.length, 20)
  t.ok(pair.bytesOut.get(thief)! <= pair.bytesIn.get(thief)!)
})

t.test('no address that is not validated is ever sent more than it has sent (DGM-4.2, DGM-7.3)', async (t) => {
  for (let seed = 1; seed <= 20; seed++) {
    const pair = new Pair({ seed, weather: { ...storm, loss: 0.1 } })
    const victims = ['198.51.100.1:1', '198.51.100.2:1', '198.51.100.3:1']
    const check = (address: string) => {
      const [out, received] = [pair.bytesOut.get(address) ?? 0, pair.bytesIn.get(address) ?? 0]
      if (out > received) t.fail(`seed ${seed}: ${address} sent ${received} and was sent ${out}`)
    }
    pair.onSend = (address) => {
      if (victims.includes(address)) check(address)
      else if (pair.client === undefined) check(address)
    }
    pair.connect()
    for (let i = 0; i < 150; i++) {
      const victim = pair.random.pick(victims)
      if (pair.random.chance(0.3)) pair.inject(victim, pair.random.pick(pair.seen).bytes)
      else if (pair.random.chance(0.5)) pair.inject(victim, seal(pair.client!, 'x'.repeat(pair.random.between(0, 30))))
      else pair.up('mine')
      pair.run(pair.random.between(1, 200))
    }
  }
  t.pass()
})

t.test(
  'an id of another gateway or worker is a stray with their number, and of an old cluster key still opens',
  async (t) => {
    const [ours, old] = [
      new ConnectionIdCipher(native.hash, clusterKey),
      new ConnectionIdCipher(native.hash, secretOf('O')),
    ]
    const pair = connected()
    const datagram = new Uint8Array(50)
    datagram[0] = datagramType.sealed
    datagram.set(ours.seal(9, 2, 5, 5), 1)
    t.match(pair.inject('a:1', datagram), { kind: 'stray', gateway: 9, worker: 2 })
    datagram.set(ours.seal(3, 1, 77, 0), 1)
    t.equal(why(pair.inject('a:1', datagram)), 'forgotten')
    const rotated = connected({ server: { idCiphers: [old] } })
    const both = connected({ server: { idCiphers: [ours, old] } })
    datagram.set(rotated.gateway!.established.extra.subarray(0, 8), 1)
    datagram[10] = 1
    t.equal(why(rotated.inject('a:1', datagram)), 'forged', 'known to the connection, whose AEAD refuses')
    ours.open(both.gateway!.established.extra, 0)
    datagram.set(old.seal(3, 1, ours.slot, ours.serial), 1)
    t.equal(why(both.inject('a:1', datagram)), 'forged')
  },
)

t.test('CLOSE ends both ends, with its code (DGM-8.1)', async (t) => {
  const pair = connected()
  pair.gateway!.close(code.going_away)
  t.equal(pair.gateway!.seal('data', utf8('x'), new Uint8Array(100)), 0)
  const heard: unknown[] = []
  const { receive } = pair.client!
  pair.client!.receive = (...args) => {
    const received = receive.apply(pair.client!, args)
    heard.push(received)
    return received
  }
  pair.pump()
  pair.run(100)
  t.strictSame(heard, [{ kind: 'closed', code: code.going_away }])
  t.ok(pair.client!.isClosed && pair.gateway!.isClosed)
  t.equal(pair.client!.deadline(), Infinity)
  t.equal(pair.client!.seal('data', utf8('x'), new Uint8Array(100)), 0)
})

t.test('truncated and empty datagrams are dropped with a reason (DGM-2.2)', async (t) => {
  const pair = connected()
  const sealed = seal(pair.client!, 'text')
  t.equal(why(pair.inject('a:1', new Uint8Array(0))), 'empty')
  t.equal(why(pair.inject('a:1', Uint8Array.of(99))), 'unknown_type')
  for (let length = 1; length < sealed.length; length++) {
    const expected = length < SEALED_OVERHEAD_BYTES ? 'short' : 'forged'
    t.equal(why(pair.inject(pair.clientAddress, sealed.subarray(0, length))), expected)
  }
  const init = pair.seen[0].bytes
  for (let length = 1; length < INIT_BYTES; length += 7)
    t.equal(why(pair.inject('a:1', init.subarray(0, length))), 'malformed')
  t.equal(why(pair.inject(pair.clientAddress, sealed)), 'packet', 'the whole one still counts')
})

t.test('50,000 datagrams of garbage at either end: nothing throws, nothing is kept, nothing is answered', async (t) => {
  const pair = connected()
  const random = new Random(99)
  const before = [...pair.bytesOut.values()].reduce((a, b) => a + b)
  const good = [...pair.seen.map(({ bytes }) => bytes), seal(pair.client!, 'some content')]
  const waiting = new DatagramInitiator(
    {
      ...{ crypto: native, gatewayKey: pairOf(native, 'g').publicKey, ephemeralSecret: secretOf('e') },
      ...{ address: 'g', echo: new Uint8Array(8) },
    },
    0,
  )
  for (let i = 0; i < 50_000; i++) {
    let bytes: Uint8Array
    if (i % 2 === 0) {
      bytes = random.bytes(random.between(0, 80))
      if (bytes.length > 0 && random.chance(0.8)) bytes[0] = random.pick(Object.values(datagramType))
      if (bytes.length > 9 && random.chance(0.3)) bytes.set(pair.gateway!.established.extra.subarray(0, 8), 1)
      if (bytes.length > 9 && random.chance(0.3)) bytes.fill(0, 1, 9)
    } else {
      bytes = random.pick(good).slice(0, random.chance(0.3) ? random.between(0, 100) : undefined)
      // Not the cookie of an INIT, whose change is a right question for another.
      if (bytes.length > 30) bytes[random.between(30, Math.min(bytes.length - 1, 60))] ^= random.between(1, 255)
    }
    const outcome = pair.server.receive('198.51.100.7:7', bytes, pair.now)
    if (outcome.kind !== 'dropped' && outcome.kind !== 'stray' && why(outcome) === 'packet') t.fail(hexOf(bytes))
    pair.client!.receive('g', bytes, pair.now)
    if (waiting.receive(bytes, pair.now) !== undefined) t.fail('connected by garbage')
  }
  t.equal(pair.server.connections, 1)
  t.equal(
    [...pair.bytesOut.values()].reduce((a, b) => a + b),
    before,
  )
  pair.up('still here')
  pair.run(100)
  t.strictSame(pair.atGateway, ['still here'])
})

t.test('forged COOKIEs make no storm of INITs', async (t) => {
  const initiator = new DatagramInitiator(
    {
      ...{ crypto: native, gatewayKey: pairOf(native, 'g').publicKey, ephemeralSecret: secretOf('e') },
      ...{ address: 'g', echo: new Uint8Array(8).fill(5) },
    },
    0,
  )
  let sent = 0
  for (let now = 0; now < 60_000; now += 10) {
    if (initiator.nextDatagram(now) !== undefined) sent++
    initiator.receive(Uint8Array.of(2, ...new Array(8).fill(5), ...new Array(16).fill(now & 255)), now)
    initiator.receive(Uint8Array.of(2, ...new Array(8).fill(6), ...new Array(16).fill(1)), now)
  }
  t.equal(sent, INITS_MAX)
  t.ok(initiator.isFailed(60_000))
})

t.test('counters travel as 32 bits and come back whole (DGM-5.2)', async (t) => {
  const two32 = 2 ** 32
  for (const counter of [0, 1, 5000, 2 ** 31, two32 - 1, two32, two32 + 7, 2 ** 40 + 12345, 2 ** 52]) {
    for (const ahead of [-8000, -1, 0, 1, 100_000]) {
      const highest = counter - 1 - ahead
      if (highest < -1) continue
      t.equal(wholeCounter(counter % two32, highest), counter, `${counter} after ${highest}`)
    }
  }
})

t.test('keys are renewed by counter, over loss and reordering (DGM-5.4)', async (t) => {
  const perKey = 100
  const sealer = new DatagramSealer(noble.aead, secretOf('k'), perKey)
  const opener = new DatagramOpener(native.aead, secretOf('k'), perKey)
  const sealed = Array.from({ length: 450 }, (_, i) => {
    const out = new Uint8Array(SEALED_OVERHEAD_BYTES + 2)
    out.set([1, i, i >>> 8], SEALED_HEAD_BYTES)
    t.equal(sealer.seal(new Uint8Array(8), out, SEALED_HEAD_BYTES, SEALED_HEAD_BYTES + 3), out.length)
    return out
  })
  const open = (i: number) => opener.open(sealed[i], 0, sealed[i].length, new Uint8Array(3))
  t.equal(open(250), 'forged', 'two keys ahead')
  t.equal(open(99), undefined)
  t.equal(open(150), undefined, 'the next key')
  t.equal(open(98), undefined, 'the key before')
  t.equal(open(98), 'replayed')
  t.equal(open(299), undefined)
  t.equal(open(50), 'forged', 'older than the key before')
  t.equal(open(199), undefined)
  t.equal(open(300), undefined)
  t.equal(open(301), undefined)
  t.equal(opener.highest, 301)
})

t.test('ports of services that reflect are known (DGM-4.6)', async (t) => {
  for (const port of [0, 7, 13, 17, 19, 53, 111, 123, 137, 161, 389, 500, 520, 1900, 3702, 5353, 11_211]) {
    t.ok(isReflectionPort(port))
  }
  for (const port of [1024, 7777]) t.notOk(isReflectionPort(port))
  for (let port = 32_768; port < 65_536; port++) if (isReflectionPort(port)) t.fail(`clients come from ${port}`)
})

t.test('misuse throws', async (t) => {
  const pair = connected()
  t.throws(() => pair.gateway!.migrate(0), /only a client/)
  t.throws(() => pair.client!.seal('data', new Uint8Array(65_507), new Uint8Array(70_000)), /at most/)
  t.throws(() => new Pair({ client: { echo: new Uint8Array(7) } }), /8 bytes/)
  t.throws(() => new Pair({ client: { cookie: new Uint8Array(7) } }), /no cookie/)
  t.throws(() => new Pair({ server: { gateway: 65_536 } }), /no room/)
})
