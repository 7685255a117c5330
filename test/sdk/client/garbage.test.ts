import t from 'tap'
import {
  clientKind,
  writeAnswer,
  writeAttached,
  writeClose,
  writeDetached,
  writeInvite,
  writeJoin,
  writeLooseReply,
  writeNumber,
  writePair,
  writePublished,
  writeReset,
  writeRoute,
  writeStale,
  writeTicket,
} from '../../../protocols/client/frames.ts'
import {
  writeAck,
  writeFin,
  writeLatest,
  writeOneway,
  writeReject,
  writeReplay,
  writeReply,
  writeRequest,
  writeSkip,
  writeUnreliable,
} from '../../../protocols/wire/lane-frames.ts'
import { Writer } from '../../../protocols/wire/writer.ts'
import type { CoreChannel } from '../../../sdk/client/core-channel.ts'
import { Random } from '../../sim/random.ts'
import { Rig, text } from './rig.ts'

const NO_BYTES = new Uint8Array(0)

/** Frames that a gateway may send, with fields that lie as often as not. */
function lie(w: Writer, random: Random, channel: CoreChannel): void {
  const small = () => random.between(0, 5)
  const any = () => random.pick([0, 1, 2, 3, 4, 7, 63, 64, 255, 65_535, 2 ** 31, 2 ** 48, Number.MAX_SAFE_INTEGER])
  const life = () => random.pick([0n, 1n, 7n, 8n, 2n ** 64n - 1n])
  const why = () => random.pick([0, 1, 2, 12, 14, 19, 26, 27, 999])
  // Near enough to the truth to be looked at.
  const alias = () => (random.chance(0.8) ? channel.alias : small())
  const epoch = () => (random.chance(0.7) ? channel.line.epoch : small())
  const next = () => (random.chance(0.7) ? channel.end.in.received + 1 : small())
  const mine = () => (random.chance(0.7) ? channel.end.out.transmitted : small())
  const payload = text('p'.repeat(small()))
  const writers: (() => void)[] = [
    () => writeOneway(w, alias(), next(), small(), payload),
    () => writeRequest(w, alias(), next(), small(), any(), any(), payload),
    () => writeReply(w, alias(), next(), small(), why(), payload),
    () => writeReplay(w, alias(), next(), small(), 'chat', life(), any(), payload),
    () => writeFin(w, alias(), next(), why()),
    () => writeSkip(w, alias(), next(), any(), why()),
    () => writeAck(w, alias(), random.chance(0.5) ? mine() : any()),
    () => writeReject(w, alias(), mine(), why(), any()),
    () => writeLatest(w, alias(), epoch() & 255, small(), 'key', any(), payload),
    () => writeUnreliable(w, alias(), epoch() & 255, small(), payload),
    () =>
      writeAttached(w, {
        channel: alias(),
        epoch: epoch(),
        life: life(),
        received: mine(),
        settled: mine(),
        refused: [{ number: 1 + small(), code: why() }],
        quietForMs: any(),
        windowCount: any(),
        windowBytes: any(),
        pin: NO_BYTES,
      }),
    () =>
      writeReset(w, {
        channel: alias(),
        epoch: epoch(),
        life: life(),
        reason: small(),
        hadReceived: any(),
        windowCount: any(),
        windowBytes: any(),
        pin: NO_BYTES,
      }),
    () =>
      writeStale(w, random.pick([clientKind.stale, clientKind.spent]), {
        channel: alias(),
        epoch: epoch(),
        have: any(),
      }),
    () =>
      writeAnswer(w, random.pick([clientKind.refused, clientKind.parked]), {
        channel: alias(),
        epoch: epoch(),
        code: why(),
        retryMs: any(),
      }),
    () => writeDetached(w, { channel: alias(), epoch: epoch(), code: why(), retryMs: any(), pin: NO_BYTES }),
    () => writeInvite(w, { service: `s${small()}`, key: `k${any()}`, life: life(), pin: NO_BYTES }),
    () => writeNumber(w, random.pick([clientKind.leave, clientKind.lag, clientKind.authRequired]), small()),
    () => writeRoute(w, clientKind.route, random.chance(0.9) ? small() : any(), `route.${small()}`),
    () => writePair(w, random.pick([clientKind.ping, clientKind.pong]), any(), any()),
    () => writeTicket(w, { generation: any(), secret: text('2'.repeat(32)), ticket: text('t') }),
    () =>
      writeClose(w, random.pick([clientKind.drain, clientKind.close]), { code: why() % 500, retryMs: any(), text: '' }),
    () =>
      writeJoin(w, clientKind.join, {
        channel: alias(),
        group: small(),
        recoverable: random.chance(0.7),
        name: random.pick(['chat', 'view']),
        life: life(),
        offset: any(),
      }),
    () => writePublished(w, small(), small(), any(), payload, 0, payload.length),
    () => writeLooseReply(w, clientKind.looseReply, { request: small(), code: why(), payload }),
  ]
  random.pick(writers)()
}

t.test('a gateway that lies in every field makes nothing throw, spin or grow', async (t) => {
  for (let seed = 1; seed <= 150; seed++) {
    const random = new Random(seed)
    const rig = new Rig({ addresses: ['a', 'b'], channelsMax: 4 })
    rig.settlesAtOnce = random.chance(0.5)
    rig.core.connect(rig.now)
    for (let step = 0; step < 120; step++) {
      const { next, active } = rig.core.dialer
      if (next?.state === 'dialing') rig.hello(next.id)
      if (next?.state === 'login') rig.welcome(next.id)
      if (rig.core.attacher.channels.length === 0) {
        const channel = rig.channel()
        channel.send('a.b', text('x'), rig.now)
        channel.request('a.c', text('x'), rig.now + 500, rig.now)
      }
      if (active !== undefined) {
        const w = new Writer()
        // True answers now and then, so that something is attached at all.
        const channel = random.pick(rig.core.attacher.channels.slice()) ?? rig.channel()
        if (channel.state === 'attaching' && random.chance(0.7)) {
          rig.send(active.id, (w) =>
            writeAttached(w, {
              channel: channel.alias,
              epoch: channel.line.epoch,
              life: channel.line.life || 7n,
              received: channel.end.out.acked,
              settled: channel.end.out.acked,
              refused: [],
              quietForMs: 0,
              windowCount: 8,
              windowBytes: 4096,
              pin: NO_BYTES,
            }),
          )
        }
        const count = random.between(1, 4)
        for (let i = 0; i < count; i++) lie(w, random, channel)
        rig.bytes(active.id, w.drain())
      }
      rig.pass(random.pick([0, 1, 20, 400, 4000]))
      if (rig.core.session === '' && rig.core.dialer.next === undefined) rig.core.connect(rig.now)
    }
    t.ok(rig.core.attacher.channels.length <= 4)
    t.ok(rig.dials.length - rig.closed.length <= 2 + rig.log.filter((line) => line.startsWith('connection')).length)
    rig.core.close(rig.now)
    t.equal(rig.core.deadline(), Infinity)
  }
})

t.test('bytes that are no frames close the connection, and nothing else', async (t) => {
  for (let seed = 1; seed <= 200; seed++) {
    const random = new Random(seed)
    const rig = new Rig()
    rig.channel()
    rig.core.connect(rig.now)
    const id = rig.lastDial
    if (random.chance(0.7)) {
      rig.hello(id)
      if (random.chance(0.7)) {
        rig.welcome(id)
        if (random.chance(0.7)) rig.accept(id)
      }
    } else {
      rig.core.opened(id, NO_BYTES, rig.now)
    }
    for (let i = 0; i < 20; i++) {
      const bytes = new Uint8Array(random.between(0, 40))
      for (let at = 0; at < bytes.length; at++) bytes[at] = random.between(0, 255)
      rig.bytes(id, bytes)
    }
    rig.pass(100)
    t.ok(rig.core.dialer.active === undefined || rig.core.dialer.active.id === id)
  }
})

t.test('a frame larger than a handshake has, and one larger than any, close the connection', async (t) => {
  const rig = new Rig()
  rig.core.connect(rig.now)
  rig.core.opened(rig.lastDial, NO_BYTES, rig.now)
  rig.bytes(rig.lastDial, Uint8Array.of(0x80, 0x80, 0x02, 0x10))
  t.same(rig.closed, [1])
  rig.pass(5000)
  rig.greet(rig.lastDial)
  rig.bytes(rig.lastDial, Uint8Array.of(0xff, 0xff, 0xff, 0x7f))
  t.same(rig.closed, [1, 2])
})

t.test('WIRE-5.2: an unknown kind is skipped where it says so, and closes the connection where not', async (t) => {
  const rig = new Rig()
  const id = rig.online()
  rig.bytes(id, Uint8Array.of(2, 0x80 | 0x3a, 1))
  t.same(rig.closed, [])
  rig.bytes(id, Uint8Array.of(2, 0x3a, 1))
  t.same(rig.closed, [id])
})

t.test('frames are read byte by byte as they are whole', async (t) => {
  const rig = new Rig()
  rig.channel()
  rig.core.connect(rig.now)
  const id = rig.lastDial
  rig.core.opened(id, NO_BYTES, rig.now)
  const feed = (write: (w: Writer) => void) => {
    const w = new Writer()
    write(w)
    for (const byte of w.drain()) rig.bytes(id, Uint8Array.of(byte))
  }
  rig.feedHandshake(feed)
  const attach = rig.frames(id).find((frame) => frame.kind === 'attach') as never
  feed((w) => rig.writeAccept(w, attach))
  feed((w) => writeRoute(w, clientKind.route, 0, 'say'))
  feed((w) => writeOneway(w, 0, 1, 0, text('hello')))
  t.match(rig.delivered, [{ message: { route: 'say', payload: text('hello') } }])
})
