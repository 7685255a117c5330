// Plain KCP at the gateway: what a table of conversations bounds, and what a forged segment cannot do.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { STRANGER_FACTOR, STRANGERS_MAX, STRANGERS_PER_NETWORK } from '../../gateway/plain-kcp.ts'
import { kcpSettings } from '../../protocols/kcp/settings.ts'
import { fast, plainClient, plainWorld } from './datagram-world.ts'

/** One segment: PUSH of one byte unless told otherwise. */
function segment(conv: number, change: { command?: number; sn?: number; una?: number; payload?: string } = {}): Buffer {
  const payload = Buffer.from(change.payload ?? 'x')
  const bytes = Buffer.alloc(24 + payload.length)
  bytes.writeUInt32LE(conv, 0)
  bytes[4] = change.command ?? 81
  bytes.writeUInt16LE(128, 6)
  bytes.writeUInt32LE(change.sn ?? 0, 12)
  bytes.writeUInt32LE(change.una ?? 0, 16)
  bytes.writeUInt32LE(payload.length, 20)
  payload.copy(bytes, 24)
  return bytes
}

const addressOf = (i: number): string => `10.${(i >>> 16) & 255}.${(i >>> 8) & 255}.${i & 255}`

t.test('a conversation begins with its first segment, and both ends talk', async (t) => {
  const world = plainWorld()
  const client = plainClient(world, '192.0.2.1', 4000)
  world.pass(100)
  t.equal(world.heard.length, 1)
  const [heard] = world.heard
  t.equal(heard.carrier.address, '192.0.2.1')
  heard.say('hello')
  client.say('ada')
  world.pass(200)
  t.match(heard.text, /ada$/)
  t.equal(client.text, 'hi hello')
  t.equal(heard.carrier.queuedBytes(), 0, 'what the client has confirmed is no longer held')
})

t.test('an idle conversation waits for nothing', async (t) => {
  const world = plainWorld()
  plainClient(world, '192.0.2.1', 4000)
  world.pass(1000)
  t.equal(world.table.carriers.open.size, 1)
  t.equal(world.table.deadline(), Infinity)
})

t.test('what begins nothing leaves nothing', async (t) => {
  const world = plainWorld()
  const junk: [string, Buffer][] = [
    ['empty', Buffer.alloc(0)],
    ['short', segment(1).subarray(0, 23)],
    ['no_conversation', segment(1, { sn: 1 })],
    ['no_conversation', segment(1, { una: 1 })],
    ['no_conversation', segment(1, { command: 82, payload: '' })],
    ['no_conversation', segment(1, { command: 99 })],
    ['no_conversation', segment(1, { payload: '' })],
    ['kcp_length', segment(1, { payload: 'xyz' }).subarray(0, 26)],
    ['kcp_trailing', Buffer.concat([segment(1), Buffer.alloc(3)])],
    ['kcp_conv', Buffer.concat([segment(1), segment(2)])],
  ]
  for (const [reason, bytes] of junk) {
    const before = world.dropped(reason as 'empty')
    world.inject('192.0.2.9', 4000, bytes)
    t.equal(world.dropped(reason as 'empty'), before + 1, reason)
  }
  world.inject('192.0.2.9', 53, segment(1))
  t.equal(world.dropped('reflection_port'), 1)
  world.pass(100)
  t.equal(world.table.carriers.open.size, 0)
  t.equal(world.table.carriers.pool.takenCount, 0, 'no segment is held')
  t.equal(world.bytesOut.size, 0, 'nobody was answered')
  t.equal(world.entered, 0)
})

t.test(
  'one datagram from each of 100,000 addresses: a bounded table, and players who are there notice nothing',
  async (t) => {
    const world = plainWorld()
    const client = plainClient(world, '192.0.2.1', 4000)
    world.pass(100)
    const [player] = world.heard
    player.isLoggedIn = true
    client.say('before ')
    world.pass(100)
    let most = 0
    for (let i = 0; i < 100_000; i++) {
      world.inject(addressOf(i), 5000, segment(i))
      if (i % 1000 !== 0) continue
      if (i % 10_000 === 0) client.say(`${i} `)
      world.pass(5)
      most = Math.max(most, world.table.carriers.open.size)
      world.heard.length = 1
    }
    t.ok(most <= STRANGERS_MAX + 1, `${most} at most`)
    t.equal(world.table.strangers, STRANGERS_MAX)
    t.equal(world.entered, STRANGERS_MAX + 1, 'who went has left')
    t.equal(world.counters.evicted, 100_000 - STRANGERS_MAX)
    player.say('still here')
    world.pass(500)
    t.match(player.text, /before 0 10000 20000 .* 90000 $/)
    t.equal(client.text, 'hi still here')
    t.equal(player.ends, 0)
    const late = plainClient(world, '192.0.2.2', 4000)
    world.pass(100)
    world.heard.at(-1)!.say('hello')
    world.pass(100)
    t.equal(late.text, 'hi hello', 'and a new player gets in')
  },
)

t.test(`a stranger is sent at most ${STRANGER_FACTOR} times what came from it, however long it waits`, async (t) => {
  const world = plainWorld()
  const first = segment(9)
  world.inject('198.51.100.1', 5000, first)
  world.heard[0].say('HELLO, and a nonce of sixteen bytes')
  world.pass(20_000)
  const sent = world.bytesOut.get('198.51.100.1 5000')!
  t.ok(sent > 0 && sent <= STRANGER_FACTOR * first.length, `${sent} bytes for ${first.length}`)
  t.ok(world.dropped('amplification') > 0)
})

t.test('a stranger who has heard nothing is never told that it was heard', async (t) => {
  const world = plainWorld()
  world.greeting = 'HELLO, and sixteen bytes'
  const first = segment(9)
  for (let i = 0; i < 20; i++) {
    world.inject('198.51.100.1', 5000, first)
    world.pass(50)
  }
  t.ok(world.log.length > 3)
  // KCP's commands: 51 carries data, 52 confirms.
  t.ok(
    world.log.every((hex) => /^.{8}51|^.{8}52.{38}.{8}51/.test(hex)),
    'HELLO is in every datagram',
  )
})

t.test('a stranger whose answers are lost gets through all the same', async (t) => {
  const hasData = (bytes: Uint8Array) => bytes.length > 24 && bytes.includes(81)
  for (const [what, isUnlucky] of [
    ['any', () => true],
    ['those with data', hasData],
  ] as const) {
    for (const lost of [1, 2, 3, 5, 8]) {
      const world = plainWorld()
      let left = lost
      world.greeting = 'HELLO, and sixteen bytes'
      world.loses = (bytes) => isUnlucky(bytes) && left-- > 0
      const client = plainClient(world, '192.0.2.1', 4000)
      world.pass(10_000)
      t.equal(client.text, world.greeting, `${lost} of ${what} lost`)
    }
  }
})

t.test('one network has only so many strangers, and what it has does not keep others out', async (t) => {
  const world = plainWorld()
  for (let i = 0; i < 1000; i++) world.inject('2001:db8:1:2::5', 20_000 + i, segment(i))
  t.equal(world.table.strangers, STRANGERS_PER_NETWORK)
  t.equal(world.dropped('network_full'), 1000 - STRANGERS_PER_NETWORK)
  world.inject('2001:db8:1:2:ffff::1', 5000, segment(1))
  t.equal(world.table.strangers, STRANGERS_PER_NETWORK, 'the same /64')
  world.inject('2001:db8:1:3::1', 5000, segment(1))
  t.equal(world.table.strangers, STRANGERS_PER_NETWORK + 1, 'another')
  for (const { carrier } of [...world.heard]) carrier.destroy()
  world.turn()
  t.equal(world.table.strangers, 0)
  world.inject('2001:db8:1:2::5', 5000, segment(1))
  t.equal(world.table.strangers, 1, 'who has gone counts no longer')
})

t.test('a port has four conversations at most, and each ends alone', async (t) => {
  const world = plainWorld()
  for (let conv = 1; conv <= 6; conv++) world.inject('192.0.2.1', 4000, segment(conv, { payload: `${conv}` }))
  world.turn()
  t.same(
    world.heard.map(({ text }) => text),
    ['1', '2', '3', '4'],
  )
  t.equal(world.dropped('network_full'), 2)
  world.heard[1].carrier.destroy()
  world.turn()
  t.equal(world.heard[1].ends, 1)
  world.inject('192.0.2.1', 4000, segment(3, { sn: 1, payload: '!' }))
  world.inject('192.0.2.1', 4000, segment(2, { sn: 1, payload: '!' }))
  t.equal(world.heard[2].text, '3!')
  t.equal(world.dropped('no_conversation'), 1, 'what comes late for one that has ended begins nothing')
})

t.test('without room for a connection nothing is begun', async (t) => {
  const world = plainWorld()
  world.enteredMax = 1
  world.inject('192.0.2.1', 4000, segment(1))
  world.inject('192.0.2.2', 4000, segment(1))
  t.equal(world.heard.length, 1)
  t.equal(world.dropped('connections_max'), 1)
  world.table.isClosed = true
  world.inject('192.0.2.3', 4000, segment(1))
  t.equal(world.dropped('stopped'), 1)
})

t.test('a slow reader is counted, paused and resumed like any other', async (t) => {
  const world = plainWorld()
  const client = plainClient(world, '192.0.2.1', 4000)
  world.pass(100)
  const [heard] = world.heard
  heard.text = ''
  heard.carrier.pause()
  client.say('a'.repeat(50_000))
  world.pass(2000)
  t.equal(heard.text, '')
  heard.carrier.resume()
  t.equal(heard.text, '', 'not within the call')
  world.pass(3000)
  t.equal(heard.text.length, 50_000)
  heard.say('b'.repeat(100_000))
  t.equal(heard.carrier.queuedBytes(), 100_000)
  t.equal(heard.drains, 0)
  world.pass(3000)
  t.equal(client.text.length, 3 + 100_000)
  t.equal(heard.drains, 1)
})

t.test('more than it may hold ends a conversation, and so does a peer that never confirms', async (t) => {
  const world = plainWorld({ ...fast, sendBytesMax: 10_000, sendCountMax: 100, deadLinkCount: 4 })
  world.inject('192.0.2.1', 4000, segment(1))
  world.inject('192.0.2.2', 4000, segment(1))
  const [full, dead] = world.heard
  full.isLoggedIn = dead.isLoggedIn = true
  full.say('x'.repeat(20_000))
  dead.say('x')
  t.equal(full.ends, 0, 'not within the call')
  world.turn()
  t.equal(full.ends, 1)
  world.pass(5000)
  t.equal(dead.ends, 1)
  t.equal(world.table.carriers.open.size, 0)
  t.equal(world.counters.timedOut, 3)
})

t.test('close lets what was written be confirmed, and waits for it no longer than a second', async (t) => {
  const world = plainWorld()
  const client = plainClient(world, '192.0.2.1', 4000)
  world.inject('192.0.2.2', 4000, segment(1))
  world.pass(100)
  for (const heard of world.heard) {
    heard.say('bye')
    heard.carrier.close(0, '')
    t.equal(heard.ends, 0)
  }
  client.say('not heard any more')
  world.pass(200)
  t.equal(client.text, 'hi bye')
  const silent = world.heard.find(({ carrier }) => carrier.address === '192.0.2.2')!
  const other = world.heard.find((heard) => heard !== silent)!
  t.equal(other.ends, 1)
  t.notMatch(other.text, /not heard/)
  t.equal(silent.ends, 0)
  world.pass(1000)
  t.equal(silent.ends, 1)
  t.equal(world.entered, 0)
})

type Vectors = {
  settings: object
  scene: { now: number; send?: string; receive?: string; flush?: boolean }[]
  judgedAt: number
  forged: { name: string; datagram: string; before?: { datagram: string; repeat: number } }[]
}

const vectors: Vectors = JSON.parse(readFileSync(new URL('../vectors/kcp-forged.json', import.meta.url), 'utf8'))

/** Lives through the scene, and the forged datagram behind it; what it has sent and heard by the end of five seconds. */
function outcome(before: Vectors['forged'][number]['before'], forged: string | undefined) {
  const { settings, scene, judgedAt } = vectors
  const world = plainWorld({ ...kcpSettings('normal', settings), stream: true, immediate: true })
  world.greeting = ''
  const inject = (hex: string) => world.inject('192.0.2.1', 4000, Buffer.from(hex, 'hex'))
  const [first, ...rest] = scene.filter(({ receive }) => receive !== undefined)
  // A gateway knows of a conversation from its first segment, and has said nothing before it.
  inject(`${first.receive!.slice(0, 32)}00000000${first.receive!.slice(40)}`)
  world.turn()
  const [heard] = world.heard
  heard.isLoggedIn = true
  for (const { send } of scene) {
    if (send === undefined) continue
    heard.carrier.write(Buffer.from(send, 'hex'))
    world.turn()
  }
  for (const { now, receive } of rest) {
    world.time = now
    inject(receive!)
  }
  world.time = judgedAt
  // One more than in the vectors: the acknowledgement of the first segment has left already.
  for (let i = 0; before !== undefined && i <= before.repeat; i++) inject(before.datagram)
  const dropped = world.droppedInAll
  if (forged !== undefined) inject(forged)
  const counted = world.droppedInAll - dropped
  const begun = world.heard.length
  world.pass(5000)
  return { counted, begun, ends: heard.ends, became: [heard.text, ...world.log].join('\n') }
}

t.test('forged segments change nothing in a conversation that is under way (KCP-2)', async (t) => {
  for (const { name, datagram, before } of vectors.forged) {
    const untouched = outcome(before, undefined)
    const touched = outcome(before, datagram)
    t.ok(touched.became === untouched.became, `${name}: nothing becomes of it`)
    t.same([touched.counted, touched.begun, touched.ends], [1, 1, untouched.ends], `${name}: counted, nothing else`)
  }
})
