// A client's line over datagrams, against the protocols' server side in virtual time (docs/spec/kcp.md, section 7).
import t from 'tap'
import { code } from '../../../protocols/codes.ts'
import { pairOf, native } from '../../protocols/secure/keys.ts'
import { calm, LineWorld, patterned, storm } from './line-world.ts'

const joined = (pieces: readonly Uint8Array[]) => Buffer.concat(pieces)
const lengthOf = (pieces: readonly Uint8Array[]) => pieces.reduce((sum, { length }) => sum + length, 0)
const PING_BYTES = 4

for (const plain of [false, true]) {
  const name = plain ? 'plain KCP' : 'sealed KCP'
  const skipped = plain ? PING_BYTES : 0

  t.test(`${name}: a stream goes both ways through calm and storm, whole and in order (KCP-7.1)`, async (t) => {
    for (const seed of [1, 2, 3, 4]) {
      // Plain KCP cannot know what was damaged: its payload arrives as it is.
      const weather = seed === 1 ? calm : { ...storm, damage: plain ? 0 : storm.damage }
      const world = new LineWorld({ seed, weather, plain })
      if (plain)
        t.ok(
          world.run(10_000, () => lengthOf(world.atGateway) === PING_BYTES),
          'the client spoke first',
        )
      if (plain) world.kcp.send(Uint8Array.of(1, 0), world.now)
      t.ok(
        world.run(20_000, () => world.log.includes('opened')),
        'open',
      )
      const up = patterned(300_000)
      const down = patterned(200_000).reverse()
      for (let at = 0; at < up.length; at += 30_000) world.line.write(up.subarray(at, at + 30_000), world.now)
      t.ok(world.line.queuedBytes >= up.length, 'it takes all of it')
      world.kcp.send(down, world.now)
      world.pump()
      const isThrough = () =>
        lengthOf(world.atGateway) >= up.length + skipped && lengthOf(world.atClient) >= down.length + (plain ? 2 : 0)
      t.ok(world.run(120_000, isThrough), `seed ${seed}: through`)
      t.ok(joined(world.atGateway).subarray(skipped).equals(up), 'upwards as written')
      t.ok(
        joined(world.atClient)
          .subarray(plain ? 2 : 0)
          .equals(down),
        'downwards as written',
      )
      t.ok(
        world.run(10_000, () => world.line.queuedBytes === 0),
        'nothing stays queued',
      )
      t.ok(world.log.includes('drained'), 'told when there was room again')
      world.log.length = 0
      world.run(60_000)
      t.same(world.log, [], 'an idle line says nothing')
    }
  })
}

t.test('it is bound to the handshake, the same at both ends', async (t) => {
  const world = new LineWorld()
  t.ok(world.run(5000, () => world.connection?.isConfirmed === true))
  t.same(world.binding, world.connection?.established.binding)
  t.equal(world.binding?.length, 32)
})

t.test('an address that changes in mid-session costs no handshake and no byte', async (t) => {
  for (const weather of [calm, storm]) {
    const world = new LineWorld({ seed: 7, weather })
    t.ok(world.run(20_000, () => world.log.includes('opened')))
    const up = patterned(400_000)
    const down = patterned(400_000)
    world.line.write(up, world.now)
    world.kcp.send(down, world.now)
    for (let i = 1; i <= 4; i++) {
      world.run(150)
      world.clientAddress = `198.51.100.${i}:${6000 + i}`
      world.line.moved(world.now)
    }
    t.ok(world.run(60_000, () => lengthOf(world.atGateway) === up.length && lengthOf(world.atClient) === down.length))
    t.ok(joined(world.atGateway).equals(up) && joined(world.atClient).equals(down), 'both streams are whole')
    t.equal(world.handshakes.length, 1, 'one handshake')
    world.run(3000)
    t.equal(world.connection?.address, world.clientAddress, 'the gateway sends to where the client is')
  }
})

t.test('plain KCP does not move: the gateway knows it by its address', async (t) => {
  const sealed = new LineWorld()
  t.notOk(sealed.line.canMove, 'not before it is open')
  sealed.run(5000, () => sealed.log.includes('opened'))
  t.ok(sealed.line.canMove)
  const plain = new LineWorld({ plain: true })
  plain.run(5000, () => lengthOf(plain.atGateway) > 0)
  plain.kcp.send(Uint8Array.of(1, 0), plain.now)
  t.ok(plain.run(5000, () => plain.log.includes('opened')))
  t.notOk(plain.line.canMove)
})

t.test('frames beside the stream go both ways, and what no datagram holds goes in the stream (KCP-7.5)', async (t) => {
  const world = new LineWorld()
  t.notOk(world.line.sendBare(Buffer.from('early')), 'not before it is open')
  world.run(5000, () => world.connection?.isConfirmed === true)
  t.ok(world.line.sendBare(Buffer.from('up')))
  t.notOk(world.line.sendBare(new Uint8Array(1171)))
  t.ok(world.line.sendBare(new Uint8Array(1170)))
  world.bareFromGateway('down')
  world.run(1000)
  t.same(world.barely, ['up', '\0'.repeat(1170), 'down'])
  const plain = new LineWorld({ plain: true })
  t.notOk(plain.line.sendBare(Buffer.from('up')), 'plain KCP has no such way')
})

t.test('garbage in the socket changes nothing', async (t) => {
  const world = new LineWorld({ seed: 5 })
  const junk = () => world.inject(world.random.bytes(Math.floor(world.random.unit() * 1400)))
  for (let i = 0; i < 200; i++) junk()
  // As the datagrams of the handshake begin, and as sealed ones.
  for (const type of [0x02, 0x03, 0x10]) {
    for (let i = 0; i < 100; i++) {
      const bytes = world.random.bytes(80)
      bytes[0] = type
      world.inject(bytes)
    }
  }
  t.ok(
    world.run(5000, () => world.log.includes('opened')),
    'it opens all the same',
  )
  const up = patterned(50_000)
  world.line.write(up, world.now)
  for (let i = 0; i < 200; i++) {
    junk()
    world.run(5)
  }
  t.ok(world.run(10_000, () => lengthOf(world.atGateway) === up.length))
  t.ok(joined(world.atGateway).equals(up))
  t.same(world.log, ['opened'])
})

t.test('a gateway with another key is silent, and the client says what that may be', async (t) => {
  const world = new LineWorld({ key: pairOf(native, 'x').publicKey })
  t.ok(world.run(60_000, () => world.line.isClosed))
  t.match(world.log.join(), /^closed no answer: .* another key$/)
  t.equal(world.line.deadline(), Infinity)
})

t.test('a way that is blocked, or a gateway that began anew and says nothing, is noticed in two seconds', async (t) => {
  const world = new LineWorld()
  world.tellsResets = false
  world.run(5000, () => world.connection?.isConfirmed === true)
  world.run(30_000)
  t.same(world.log, ['opened'], 'silence alone is nothing: nothing was owed')
  const since = world.now
  world.restartGateway()
  world.line.write(Buffer.from('is anybody there'), world.now)
  t.ok(world.run(5000, () => world.log.includes('stalled')))
  t.ok(world.now - since >= 2000 && world.now - since < 2100, `after ${world.now - since} ms`)
  world.run(2100)
  t.equal(world.log.filter((line) => line === 'stalled').length, 2, 'and told again')
})

t.test('a gateway that began anew says so, and it is noticed in a round trip (DGM-9.3)', async (t) => {
  const world = new LineWorld()
  world.run(5000, () => world.connection?.isConfirmed === true)
  world.run(30_000)
  world.restartGateway()
  const since = world.now
  for (let i = 0; i < 5; i++) world.line.write(Buffer.from('is anybody there'), world.now)
  t.ok(world.run(5000, () => world.log.includes('stalled')))
  t.ok(world.now - since <= 50, `after ${world.now - since} ms`)
  world.run(1900)
  t.same(world.log, ['opened', 'stalled'], 'told once, however many answers come')
  world.run(400)
  t.same(world.log, ['opened', 'stalled', 'stalled'], 'and again, while it goes on')
  t.notOk(world.line.isClosed, 'whoever hears it decides')
  world.line.write(Buffer.from('the last words'), world.now)
  world.line.close(world.now)
  t.ok(
    world.run(100, () => world.line.isClosed),
    'a line that was closed does not wait for one who knows nothing of it',
  )
})

t.test('the end: what was written arrives, then both ends know (KCP-7.4)', async (t) => {
  const world = new LineWorld({ seed: 9 })
  world.run(5000, () => world.connection?.isConfirmed === true)
  const up = patterned(100_000)
  world.line.write(up, world.now)
  world.line.close(world.now)
  world.line.close(world.now)
  world.line.write(Buffer.from('too late'), world.now)
  t.ok(world.run(5000, () => world.line.isClosed))
  world.run(1000)
  t.ok(joined(world.atGateway).equals(up))
  t.same(world.log, ['opened', 'closed ', 'gateway: closed'])
})

t.test('the end, where nobody confirms any more: after a second', async (t) => {
  for (const isOpen of [true, false]) {
    const world = new LineWorld({ weather: isOpen ? calm : { ...calm, loss: 1 } })
    world.run(5000, () => world.connection?.isConfirmed === true)
    world.weather = { ...calm, loss: 1 }
    world.line.write(Buffer.from('x'), world.now)
    world.line.close(world.now)
    const since = world.now
    world.pump()
    t.ok(world.run(5000, () => world.line.isClosed))
    t.equal(world.now - since, isOpen ? 1000 : 0)
  }
})

t.test('the gateway ends it', async (t) => {
  const world = new LineWorld()
  world.run(5000, () => world.connection?.isConfirmed === true)
  world.connection?.close(code.admission)
  t.ok(world.run(1000, () => world.line.isClosed))
  t.same(world.log, ['opened', 'closed closed by the gateway: admission'])
})
