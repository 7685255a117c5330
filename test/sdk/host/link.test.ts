// Links of a host: who is let in (L4), silence and stalls (O1), full links (W6), and bytes that are not what they should be.
import t from 'tap'
import { writeClose, writeRoute } from '../../../protocols/client/frames.ts'
import { code } from '../../../protocols/codes.ts'
import { linkKind, writeLinkAttach, writeLinkHello, writeLinkProof } from '../../../protocols/link/frames.ts'
import { linkProof } from '../../../protocols/link/proof.ts'
import { writeOneway } from '../../../protocols/wire/lane-frames.ts'
import type { Writer } from '../../../protocols/wire/writer.ts'
import { service } from '../../../sdk/host/service.ts'
import { attachDefaults, Bed, hmac, utf8 } from './scripted-gateway.ts'

const echo = service('echo', {
  keys: 'any',
  weight: 7,
  park: false,
  routes: {
    'echo.say': () => {},
    'echo.flood': (ctx) => {
      for (let i = 0; i < 200; i++) ctx.tryPush(ctx.session, 'news', new Uint8Array(300))
    },
  },
})

t.test('both hellos, then the gateway proves first, then the host (L4)', async (t) => {
  const bed = new Bed([echo], { linkKey: 'secret', labels: { zone: 'eu' } })
  const g = bed.dial()
  g.shake('secret', 1, 5n)
  t.match(g.hello, {
    name: 'h1',
    services: [{ name: 'echo', weight: 7, keys: 1, park: false }],
    labels: { zone: 'eu' },
  })
  const proof = g.one('proof').proof as Uint8Array
  const host = { nonce: g.hello!.nonce as Uint8Array, name: 'h1' }
  t.same(proof, linkProof(hmac, utf8('secret'), 'host', host, { nonce: g.nonce, name: 'g1' }))
  t.match(bed.events, [{ event: 'link_ready', gateway: 'g1', instance: 5n }])
})

t.test('a wrong key closes the link with link_auth, and no proof is given', async (t) => {
  const bed = new Bed([echo], { linkKey: 'secret' })
  for (const key of ['other', '']) {
    const g = bed.dial()
    g.shake(key, 1, 5n)
    t.match(g.seen(), [{ kind: 'close', code: code.link_auth }])
    t.equal(g.isClosed, true)
  }
  t.equal(bed.core.linkCount, 0)
})

t.test('no version in common, no handshake in time, a first frame that is none', async (t) => {
  const bed = new Bed([echo])
  const hello = { versionMin: 2, versionMax: 3, nonce: new Uint8Array(16), name: 'g', instance: 1n, serial: 1 }
  const g = bed.dial()
  writeLinkHello(g.w, { ...hello, services: [], labels: {} })
  g.deliver()
  t.match(g.seen(), [{ kind: 'close', code: code.version }])
  const slow = bed.dial()
  bed.pass(5000)
  t.match(slow.seen(), [{ kind: 'close', code: code.handshake_timeout }])
  const wild = bed.dial()
  writeLinkProof(wild.w, new Uint8Array(32))
  wild.deliver()
  t.match(wild.seen(), [{ kind: 'close', code: code.protocol }])
  const gone = bed.dial()
  writeClose(gone.w, linkKind.close, { code: code.link_auth, retryMs: 0, text: 'not the host I dialled' })
  gone.deliver()
  t.equal(gone.isClosed, true)
  t.equal(bed.core.linkCount, 0)
})

t.test('PING is answered, and a gateway that is silent for two heartbeats is lost', async (t) => {
  const bed = new Bed([echo], { heartbeatMs: 1000 })
  const g = bed.gateway()
  g.attach({ key: 'room' })
  g.seen()
  g.ping()
  t.match(g.seen(), [{ kind: 'pong', first: 1 }])
  bed.pass(2999)
  t.equal(g.isClosed, false)
  bed.pass(1)
  t.match(g.seen(), [{ kind: 'close', code: code.idle }])
  t.match(bed.events.slice(-2), [{ event: 'detached' }, { event: 'link_closed', code: code.idle }])
})

t.test('after a stall nobody is given up before one more heartbeat (O1)', async (t) => {
  const ends: string[] = []
  const room = service('echo', {
    keys: 'any',
    routes: {},
    onEnd: (_ctx, ending) => {
      ends.push(ending.name)
    },
  })
  const bed = new Bed([room], { heartbeatMs: 1000, keepMs: 4000 })
  const g = bed.gateway()
  g.attach({ key: 'room' })
  g.attach({ handle: 2, session: 'T', key: 'room' })
  g.closeHandle(2)
  bed.pass(1000)
  g.ping()
  bed.now += 60_000
  bed.core.tick(bed.now)
  bed.turn()
  t.match(
    bed.events.filter(({ event }) => event === 'stalled'),
    [{ event: 'stalled' }],
  )
  t.equal(g.isClosed, false)
  t.same(ends, [])
  bed.pass(1000)
  t.same(ends, ['expired'], 'who did not come in the grace period')
  g.ping()
  bed.pass(999)
  t.equal(g.isClosed, false)
})

t.test('of several links of one gateway the newest takes what is new (L1)', async (t) => {
  const bed = new Bed([echo])
  const first = bed.gateway('g1', '', 1, 9n)
  const second = bed.gateway('g1', '', 2, 9n)
  t.same(
    bed.core.freshLinks().map(({ serial }) => serial),
    [2],
  )
  first.attach({ key: 'room' })
  t.match(first.seen(), [{ kind: 'attached' }], 'the older one still carries')
  second.lose()
  t.same(bed.core.freshLinks(), [])
})

t.test('lanes wait for a full link, and go on when it has drained (W6)', async (t) => {
  const bed = new Bed([echo], { linkBytesMax: 10_000 })
  const g = bed.gateway()
  g.attach({ key: 'room' })
  g.seen()
  g.queuedBytes = 10_000
  g.oneway(0, 1, 'echo.flood', '')
  t.same(g.kinds(), [])
  g.ping()
  t.same(g.kinds(), ['pong'], 'what is not a lane does not wait')
  bed.pass(1000)
  t.ok(bed.ticks < 20, 'nor is a full link asked again and again')
  g.queuedBytes = 0
  bed.core.drained(g.link, bed.now)
  bed.turn()
  const pushed = g.seen().filter(({ kind }) => kind === 'oneway').length
  t.ok(pushed > 100, `${pushed} pushes`)
})

t.test('one write a link and turn', async (t) => {
  const bed = new Bed([echo])
  const g = bed.gateway()
  g.attach({ key: 'room' })
  const writes = g.writes
  writeOneway(g.w, 0, 1, g.route('echo.flood'), utf8(''))
  writeOneway(g.w, 0, 2, g.route('echo.say'), utf8(''))
  g.deliver()
  t.equal(g.writes, writes + 1)
})

t.test('frames that cannot be end the link, and never throw', async (t) => {
  const violations: [string, (w: Writer) => void][] = [
    ['an unknown kind', (w) => w.begin(0x3f).end()],
    ['a malformed LINK_ATTACH', (w) => w.begin(linkKind.attach).u8(0).end()],
    ['a lane frame on a handle that was never opened', (w) => writeOneway(w, 4, 1, 0, utf8(''))],
    [
      'CLOSE_HANDLE on a handle that was never opened',
      (w) => w.begin(linkKind.closeHandle).varint(4).varint(0).varint(0).text('').end(),
    ],
    ['a route number beyond all bounds', (w) => writeRoute(w, linkKind.route, 1 << 20, 'far')],
    ['PUBLISH, which only hosts send', (w) => w.begin(linkKind.publish).varint(0).end()],
    ['a frame that is too long', (w) => w.varint(5 * 1024 * 1024)],
  ]
  for (const [name, write] of violations) {
    const bed = new Bed([echo])
    const g = bed.gateway()
    write(g.w)
    g.deliver()
    t.match(g.seen(), [{ kind: 'close', code: code.protocol }], name)
  }
})

t.test('a frame of an unknown kind that may be skipped is skipped', async (t) => {
  const bed = new Bed([echo])
  const g = bed.gateway()
  g.w
    .begin(0x3e | 0x80)
    .text('from a later version')
    .end()
  g.ping()
  t.same(g.kinds(), ['pong'])
})

t.test('a route number that was not announced closes the handle', async (t) => {
  const bed = new Bed([echo])
  const g = bed.gateway()
  g.attach({ key: 'room' })
  g.seen()
  writeOneway(g.w, 0, 1, 17, utf8(''))
  g.deliver()
  t.match(g.seen(), [{ kind: 'closeHandle', handle: 0, code: code.protocol }])
})

t.test('no bytes make a host throw, grow or stop', async (t) => {
  let seed = 12345
  const random = (below: number) => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0
    return (seed >>> 8) % below
  }
  // Honest frames, damaged: each byte of the input has a chance to become another one.
  const bed = new Bed([echo], { heartbeatMs: 1e9, attachesPerSession: { perSecond: 1e6, burst: 1e6 } })
  let links = 0
  for (let round = 0; round < 400; round++) {
    const g = bed.gateway('g1', '', round, 3n)
    links++
    g.answersLocate = false
    for (let i = 0; i < 10; i++) {
      const w = g.w
      g.route('echo.say')
      g.route('echo.flood')
      const handle = random(4) * 2
      writeLinkAttach(w, {
        ...attachDefaults,
        handle,
        epoch: round * 10 + i,
        session: `s${random(5)}`,
        key: `k${random(3)}`,
        pinned: true,
      })
      for (let n = 1; n < 5; n++) writeOneway(w, handle, n, random(2), utf8('x'))
      const bytes = w.drain()
      for (let at = 0; at < bytes.length; at++) if (random(60) === 0) bytes[at] = random(256)
      bed.core.receive(g.link, bytes, bed.now)
      bed.turn()
      if (g.isClosed) break
    }
    if (!g.isClosed) g.lose()
    bed.now += 10
  }
  t.equal(bed.core.linkCount, 0)
  t.equal(links, 400)
  t.ok(bed.core.counters.violations > 100)
  bed.pass(200_000)
  t.equal(bed.core.sessionCount, 0, 'nothing is left behind after `keep`')
  bed.pass(400_000)
  t.same(bed.core.actors(), [])
  t.equal(bed.core.schedule.size, 0, 'no timer is left behind')
})
