// RESET: how a client learns that the gateway which its datagrams reach does not know its connection, after a restart or at
// another gateway of the cluster; and what those gain who lie about it (nothing). DGM-9.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { CONNECTION_ID_BYTES, ConnectionIdCipher } from '../../../protocols/secure/connection-id.ts'
import {
  datagramType,
  RESET_BYTES,
  SEALED_OVERHEAD_BYTES,
  writeReset,
} from '../../../protocols/secure/datagram-codec.ts'
import { DatagramServer, type DatagramServerOptions } from '../../../protocols/secure/datagram-server.ts'
import { Responder } from '../../../protocols/secure/handshakes.ts'
import { Random } from '../../sim/random.ts'
import { clusterKey, Pair, seal } from './datagram-pair.ts'
import { native, pairOf, secretOf } from './keys.ts'

const CONNECTIONS_MAX = 1000

/** Another gateway with the same keys, or the same one after a restart: it knows nothing of what was before. */
const gatewayOf = (gateway: number, options: Partial<DatagramServerOptions> = {}): DatagramServer => {
  const random = new Random(gateway + 100)
  return new DatagramServer({
    responder: new Responder({ crypto: native, identity: pairOf(native, 'g'), transport: 'udp' }),
    random: (length) => random.bytes(length),
    cookieSecret: random.bytes(32),
    idCiphers: [new ConnectionIdCipher(native.hash, clusterKey)],
    gateway,
    worker: 1,
    admit: () => true,
    admitReset: () => true,
    isPeer: (_gateway, worker) => worker === 1,
    connectionsMax: CONNECTIONS_MAX,
    unconfirmedMax: 100,
    ...options,
  })
}

const connected = (): Pair => {
  const pair = new Pair()
  if (!pair.connect()) throw new Error('no connection')
  pair.run(500)
  return pair
}

function resetFrom(server: DatagramServer, datagram: Uint8Array, address = 'a:1'): Uint8Array | undefined {
  const outcome = server.receive(address, datagram, 0)
  return 'reset' in outcome ? outcome.reset : undefined
}

const kindAt = ({ client }: Pair, bytes: Uint8Array): string => client!.receive('gateway:7777', bytes, 0).kind

t.test(
  'DGM-9.2: the gateway that was restarted and every other one say that they do not know a connection',
  async (t) => {
    for (const gateway of [3, 9]) {
      const pair = connected()
      const datagram = seal(pair.client!, 'is anybody there')
      const reset = resetFrom(gatewayOf(gateway), datagram)!
      t.equal(reset.length, RESET_BYTES)
      t.ok(reset.length < SEALED_OVERHEAD_BYTES, 'less than whatever it answers')
      t.equal(kindAt(pair, reset), 'reset')
      t.equal(kindAt(pair, reset), 'reset', 'a copy says the same again')
      pair.down('still here')
      pair.run(100)
      t.same(pair.atClient, ['still here'], 'DGM-9.4: a connection that lives goes on')
      pair.up('so am I')
      pair.run(100)
      t.ok(pair.atGateway.includes('so am I'))
    }
  },
)

t.test('DGM-9.1: a fresh id brings its own token, and the token of one id is nothing to another', async (t) => {
  const pair = connected()
  const before = resetFrom(gatewayOf(3), seal(pair.client!, 'one'))!
  t.ok(pair.client!.migrate(pair.now))
  pair.run(500)
  const after = resetFrom(gatewayOf(3), seal(pair.client!, 'two'))!
  t.notSame(before, after)
  t.equal(kindAt(pair, before), 'dropped', 'an id that is not in use any more')
  t.equal(kindAt(pair, after), 'reset')
  const mixed = after.slice()
  mixed.set(before.subarray(1 + CONNECTION_ID_BYTES), 1 + CONNECTION_ID_BYTES)
  t.equal(kindAt(pair, mixed), 'dropped')
})

t.test('DGM-9.3: who knows the id and not the token is not believed', async (t) => {
  const pair = connected()
  const datagram = seal(pair.client!, 'seen on the way')
  const right = resetFrom(gatewayOf(3), datagram)!
  const random = new Random(5)
  let believed = 0
  for (let i = 0; i < 2000; i++) {
    const forged = right.slice()
    if (i < 128) forged[9 + (i >>> 3)] ^= 1 << (i & 7)
    else forged.set(random.bytes(16), 9)
    if (kindAt(pair, forged) !== 'dropped') believed++
  }
  t.equal(believed, 0)
  const otherCluster = gatewayOf(3, {
    idCiphers: [new ConnectionIdCipher(native.hash, secretOf('X'))],
    isPeer: () => true,
  })
  const foreign = resetFrom(otherCluster, datagram)
  if (foreign !== undefined) t.equal(kindAt(pair, foreign), 'dropped')
  for (let length = 0; length < RESET_BYTES; length++) t.equal(kindAt(pair, right.subarray(0, length)), 'dropped')
  t.equal(kindAt(pair, Buffer.concat([right, Buffer.alloc(1)])), 'dropped')
  t.equal(kindAt(pair, right), 'reset')
})

t.test('DGM-9.2: a connection that lives is never reset by its gateway, whatever is said in its name', async (t) => {
  const pair = connected()
  const datagram = seal(pair.client!, 'text')
  const forged = datagram.slice()
  forged[forged.length - 1] ^= 1
  for (const bytes of [forged, datagram, datagram]) {
    const outcome = pair.server.receive('a:1', bytes, pair.now)
    t.notOk('reset' in outcome, outcome.kind)
  }
})

t.test(
  'DGM-9.5: no answer answers an answer: two gateways that are played against each other fall silent',
  async (t) => {
    const [a, b] = [gatewayOf(3), gatewayOf(9)]
    const datagram = new Uint8Array(1200)
    datagram[0] = datagramType.sealed
    datagram.set(new ConnectionIdCipher(native.hash, clusterKey).seal(9, 1, 5, 5), 1)
    const reset = resetFrom(a, datagram)!
    t.ok(reset)
    for (const server of [a, b])
      t.same(server.receive('other:7777', reset, 0), { kind: 'dropped', why: 'unknown_type' })
    // Nor where somebody gives it the type of what is answered.
    const disguised = reset.slice()
    disguised[0] = datagramType.sealed
    for (const server of [a, b]) t.same(server.receive('other:7777', disguised, 0), { kind: 'dropped', why: 'short' })
  },
)

t.test('DGM-9.5: strangers who guess get silence, and whoever asks too often', async (t) => {
  const random = new Random(17)
  const alone = gatewayOf(3, { isPeer: () => false })
  const cluster = gatewayOf(3)
  let fromAlone = 0
  let fromCluster = 0
  const guesses = 200_000
  const datagram = new Uint8Array(SEALED_OVERHEAD_BYTES)
  for (let i = 0; i < guesses; i++) {
    datagram.set(random.bytes(SEALED_OVERHEAD_BYTES))
    datagram[0] = datagramType.sealed
    if (resetFrom(alone, datagram) !== undefined) fromAlone++
    if (resetFrom(cluster, datagram) !== undefined) fromCluster++
  }
  t.equal(fromAlone, 0, 'a gateway whose key nobody shares')
  const share = (CONNECTIONS_MAX / 2 ** 24) * (1 / 2 ** 8)
  t.ok(fromCluster <= 5 + 3 * guesses * share, `${fromCluster} of ${guesses}: worker and slot have to be possible`)
  const strict = gatewayOf(3, { admitReset: (address) => address !== 'flooder:1' })
  datagram.set(new ConnectionIdCipher(native.hash, clusterKey).seal(3, 1, 5, 5), 1)
  t.notOk(resetFrom(strict, datagram, 'flooder:1'))
  t.ok(resetFrom(strict, datagram, 'player:1'))
})

t.test('DGM-3.4: a gateway that was restarted does not give out the ids again that it gave before', async (t) => {
  const ids = new Set<string>()
  for (let seed = 1; seed <= 50; seed++) {
    const pair = new Pair({ seed })
    t.ok(pair.connect())
    ids.add(Buffer.from(pair.client!.established.extra.subarray(0, CONNECTION_ID_BYTES)).toString('hex'))
  }
  t.ok(ids.size >= 49, `${ids.size} different first ids of 50 starts`)
})

t.test('after a change of the cluster key, ids of the old one are answered with the old token', async (t) => {
  const pair = connected()
  const datagram = seal(pair.client!, 'text')
  const ciphers = ['N', 'C'].map((letter) => new ConnectionIdCipher(native.hash, secretOf(letter)))
  t.equal(kindAt(pair, resetFrom(gatewayOf(3, { idCiphers: ciphers, isPeer: () => false }), datagram)!), 'reset')
})

t.test('DGM-9.1: the example of the specification', async (t) => {
  const page = readFileSync(new URL('../../../docs/spec/datagram.md', import.meta.url), 'utf8')
  const shown = (name: string) => new RegExp(`^${name} +([0-9a-f |]+)$`, 'm').exec(page)![1].replace(/[ |]/g, '')
  const cipher = new ConnectionIdCipher(
    native.hash,
    Uint8Array.from({ length: 32 }, (_, i) => i),
  )
  const credential = cipher.issue(3, 0, 5, 9)
  t.equal(Buffer.from(credential).toString('hex'), shown('id and token'))
  const reset = writeReset(credential, 0, credential.subarray(CONNECTION_ID_BYTES))
  t.equal(Buffer.from(reset).toString('hex'), shown('RESET'))
})
