// Several ways to one gateway: they run a race (CLI-1.5), the first that is welcomed wins, and one session goes on over all of them.
import t from 'tap'
import { clientKind, writeClose, writePair, writeTicket } from '../../../protocols/client/frames.ts'
import { code } from '../../../protocols/codes.ts'
import type { TokenProvider } from '../../../sdk/client/options.ts'
import { Rig, text } from './rig.ts'

const ways = [['kcp', 'ws', 'tcp']]
const addressesOf = (rig: Rig) => rig.dials.map(({ address }) => address).join(' ')
const idOf = (rig: Rig, address: string): number => rig.dials.findLast((dial) => dial.address === address)!.id
const refuse = (rig: Rig, id: number, why: number, retryMs = 0) =>
  rig.send(id, (w) => writeClose(w, clientKind.close, { code: why, retryMs, text: '' }))

/** Online over the way named, as if the more preferred ones were silent. */
function onlineOver(address: 'kcp' | 'ws' | 'tcp', addresses: (string | string[])[] = ways) {
  const rig = new Rig({ addresses })
  const channel = rig.channel()
  rig.core.connect(rig.now)
  while (rig.dials.at(-1)?.address !== address) rig.pass(1)
  rig.hello(rig.lastDial)
  rig.frames(rig.lastDial)
  rig.welcome(rig.lastDial)
  const id = rig.lastDial
  const attach = rig.accept(id)
  return { rig, channel, id, attach }
}

/** Lets time pass on a connection that answers, until the next dial. */
function untilDial(rig: Rig, id: number, mostMs: number): number {
  const since = rig.now
  const dials = rig.dials.length
  while (rig.dials.length === dials && rig.now - since < mostMs) rig.keepAlive(id, 100)
  return rig.now - since
}

t.test(
  'each way has a head start before the next; the first that is welcomed wins and the others are closed',
  async (t) => {
    const rig = new Rig({ addresses: ways })
    const channel = rig.channel()
    rig.core.connect(rig.now)
    t.equal(addressesOf(rig), 'kcp')
    rig.pass(249)
    t.equal(addressesOf(rig), 'kcp')
    rig.pass(1)
    t.equal(addressesOf(rig), 'kcp ws')
    rig.pass(250)
    t.equal(addressesOf(rig), 'kcp ws tcp')
    rig.hello(2)
    t.match(rig.frames(2), [{ kind: 'login' }])
    rig.hello(1)
    t.same(rig.frames(1), [], 'a token is shown on one of them')
    rig.welcome(2)
    t.same(rig.closed.sort(), [1, 3])
    t.match(rig.frames(1), [{ kind: 'close' }], 'without a login, so that there is one session')
    t.match(rig.frames(2), [{ kind: 'attach', epoch: 1 }], 'A2: only the winner attaches')
    rig.welcome(1)
    rig.core.lost(3, rig.now)
    t.equal(rig.core.dialer.active?.id, 2, 'what still comes of the others is nothing')
    t.equal(channel.state, 'attaching')
    t.same(
      rig.log.filter((line) => line.startsWith('connection')),
      [],
      'nothing has failed',
    )
  },
)

t.test('a way that fails lets the next start at once, and the last one that fails is what failed', async (t) => {
  const rig = new Rig({ addresses: [...ways, 'b'] })
  rig.core.connect(rig.now)
  rig.core.lost(1, rig.now, 'refused')
  rig.pass(0)
  t.equal(addressesOf(rig), 'kcp ws')
  rig.core.lost(2, rig.now)
  rig.pass(0)
  t.equal(addressesOf(rig), 'kcp ws tcp')
  rig.core.lost(3, rig.now)
  rig.pass(99)
  t.equal(addressesOf(rig), 'kcp ws tcp', 'then the back-off')
  rig.pass(1)
  t.equal(addressesOf(rig), 'kcp ws tcp b', 'and the next gateway')
  rig.core.lost(4, rig.now)
  rig.pass(1000)
  t.equal(addressesOf(rig), 'kcp ws tcp b kcp ws tcp', 'and again from the start')
})

t.test(
  'a gateway that is silent over UDP and refuses the rest: a second later the next one is asked beside it',
  async (t) => {
    const silent = new Rig({ addresses: [['ws', 'kcp'], 'b', ['kcp2']] })
    silent.core.connect(silent.now)
    silent.core.lost(1, silent.now, 'refused')
    silent.pass(999)
    t.equal(addressesOf(silent), 'ws kcp')
    silent.pass(1)
    t.equal(addressesOf(silent), 'ws kcp b')
    silent.pass(1999)
    t.equal(addressesOf(silent), 'ws kcp b', 'the pauses double')
    silent.pass(1)
    t.equal(addressesOf(silent), 'ws kcp b kcp2')
    silent.greet(idOf(silent, 'b'))
    t.equal(silent.core.dialer.active?.id, idOf(silent, 'b'))
    t.same(silent.closed.toSorted(), [2, 4], 'the first one too, when another was welcomed')
    silent.keepAlive(idOf(silent, 'b'), 5000)
    t.equal(silent.dials.length, 4)
  },
)

t.test('with one gateway, the ways that failed are tried again beside the one that is silent', async (t) => {
  const rig = new Rig({ addresses: [['kcp', 'ws']] })
  rig.core.connect(rig.now)
  rig.pass(250)
  rig.core.lost(2, rig.now, 'refused')
  rig.pass(1000)
  t.equal(addressesOf(rig), 'kcp ws ws')
  rig.core.lost(3, rig.now, 'refused')
  rig.pass(2000)
  t.equal(addressesOf(rig), 'kcp ws ws ws', 'no way twice at a time')
  rig.greet(4)
  t.equal(rig.core.dialer.active?.id, 4)
})

t.test('a race that nobody wins ends, for the sake of the back-off', async (t) => {
  const rig = new Rig({ addresses: ['kcp', 'kcp2'] })
  rig.core.connect(rig.now)
  rig.pass(5000)
  t.equal(addressesOf(rig), 'kcp kcp2')
  rig.pass(1000)
  t.equal(rig.core.dialer.isConnecting, false, 'both have had the time of a handshake')
  const perMinute = rig.dials.length
  rig.pass(60_000)
  t.ok(rig.dials.length - perMinute <= 24, `${rig.dials.length - perMinute} dials in a minute`)
})

t.test('no other gateway is asked beside one that has greeted, or that wants to be left alone', async (t) => {
  const slow = new Rig({ addresses: ['kcp', 'b'] })
  slow.core.connect(slow.now)
  slow.hello(1)
  slow.pass(4000)
  t.equal(addressesOf(slow), 'kcp', 'it is there and judges the token')
  const full = new Rig({ addresses: [['kcp', 'ws'], 'b'] })
  full.core.connect(full.now)
  full.pass(250)
  full.hello(2)
  refuse(full, 2, code.overloaded, 3000)
  full.pass(2000)
  t.equal(addressesOf(full), 'kcp ws')
})

t.test('what one gateway cannot do ends nothing while another is being tried', async (t) => {
  for (const why of [code.ticket_invalid, code.version, code.wrong_security]) {
    const rig = new Rig({ addresses: ['kcp', 'b'] })
    rig.core.connect(rig.now)
    rig.pass(1000)
    rig.hello(2)
    refuse(rig, 2, why)
    t.ok(rig.core.dialer.isWanted, `${why}`)
    rig.greet(1)
    t.equal(rig.core.dialer.active?.id, 1)
    const alone = new Rig({ addresses: ['kcp', 'b'] })
    alone.core.connect(alone.now)
    alone.hello(1)
    refuse(alone, 1, why)
    t.notOk(alone.core.dialer.isWanted, 'where nothing else is tried it is the end')
  }
})

t.test('where nobody else comes, it is the end after all; nobody further is asked', async (t) => {
  for (const why of [code.ticket_invalid, code.version, code.wrong_security]) {
    for (const addresses of [[['kcp', 'tcp']], [['kcp', 'tcp'], 'b']]) {
      const rig = new Rig({ addresses })
      rig.core.connect(rig.now)
      rig.pass(300)
      t.equal(addressesOf(rig), 'kcp tcp')
      rig.hello(2)
      refuse(rig, 2, why)
      rig.pass(3000)
      t.ok(rig.core.dialer.isWanted, 'kcp has its time')
      rig.pass(7000)
      t.notOk(rig.core.dialer.isWanted, `${why}`)
      t.equal(addressesOf(rig), 'kcp tcp')
      t.ok(rig.log.includes(`session ended ${why}`))
    }
  }
})

t.test('a way that was chosen by itself is not left for another gateway while it is silent', async (t) => {
  const rig = new Rig({ addresses: ['kcp', 'b'] })
  rig.core.connect(rig.now)
  rig.core.switchTo(1, rig.now)
  rig.pass(4999)
  t.equal(addressesOf(rig), 'kcp b')
})

t.test('while a token is fetched no other way is dialed, and its time is not that of the handshake', async (t) => {
  const gives: (() => void)[] = []
  const token: TokenProvider = (give) => void gives.push(() => give(text('t'), rig.now))
  const rig = new Rig({ addresses: ['kcp', 'b'], token })
  rig.core.connect(rig.now)
  rig.pass(7000)
  t.equal(rig.dials.length, 0)
  t.equal(gives.length, 1)
  gives[0]()
  rig.pass(1000)
  t.equal(addressesOf(rig), 'kcp b', 'there is time for a further gateway')
})

t.test('one token is fetched at a time, where the first has been shown', async (t) => {
  const gives: (() => void)[] = []
  const token: TokenProvider = (give) => void gives.push(() => give(text('t'), rig.now))
  const rig = new Rig({ addresses: ways, token })
  rig.core.connect(rig.now)
  gives[0]()
  rig.hello(1)
  t.match(rig.frames(1), [{ kind: 'login' }])
  rig.pass(400)
  t.equal(gives.length, 2)
  gives[1]()
  rig.pass(250)
  t.equal(addressesOf(rig), 'kcp ws tcp')
})

t.test('a session that is carried looks no further while it moves', async (t) => {
  const { rig } = onlineOver('kcp', [['kcp', 'ws'], 'b', 'c'])
  rig.core.switchTo(2, rig.now)
  for (let i = 0; i < 30; i++) rig.keepAlive(1, 100)
  t.equal(addressesOf(rig), 'kcp b')
})

t.test('a greeting that is not answered lets the next one greet beside it', async (t) => {
  let asked = 0
  const token: TokenProvider = (give, now) => give(text(`token-${++asked}`), now)
  const rig = new Rig({ addresses: ways, token })
  rig.core.connect(rig.now)
  rig.hello(1)
  t.match(rig.frames(1), [{ kind: 'login', token: text('token-1') }])
  rig.pass(250)
  rig.hello(2)
  rig.pass(749)
  t.same(rig.frames(2), [])
  rig.pass(1)
  t.match(rig.frames(2), [{ kind: 'login', token: text('token-2') }], 'with a token of its own')
  rig.welcome(2)
  t.equal(rig.core.dialer.active?.id, 2)
})

t.test('the hint of a way that was turned away holds for all of them', async (t) => {
  const rig = new Rig({ addresses: [['kcp', 'ws']] })
  rig.core.connect(rig.now)
  rig.pass(250)
  rig.hello(1)
  refuse(rig, 1, code.overloaded, 7000)
  rig.core.lost(2, rig.now)
  rig.pass(6900)
  t.equal(rig.dials.length, 2)
  rig.pass(200)
  t.equal(rig.dials.length, 3)
})

t.test('no token for one way is no token for any', async (t) => {
  let asked = 0
  const token: TokenProvider = (give, now) => {
    asked++
    give(undefined, now)
  }
  const rig = new Rig({ addresses: ways, token })
  rig.core.connect(rig.now)
  t.equal(asked, 1)
  t.equal(rig.dials.length, 0)
  rig.pass(101)
  t.equal(asked, 2, 'after the back-off')
})

t.test(
  'better ways are looked for with growing pauses; when one works the session moves there, without loss',
  async (t) => {
    const { rig, channel, id } = onlineOver('tcp')
    t.equal(rig.dials.length, 3)
    const pauses: number[] = []
    for (let i = 0; i < 7; i++) {
      pauses.push(untilDial(rig, id, 400_000))
      t.equal(rig.dials.at(-1)?.address, 'kcp')
      t.equal(rig.core.state, 'online', 'the channels stay meanwhile')
      rig.keepAlive(id, 6000)
      t.equal(rig.dials.at(-1)?.address, 'ws', 'the better ones only')
    }
    // Each attempt takes about 5.3 s until both are given up.
    const expected = [10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000].map((ms) => ms * 1.125)
    for (const [i, pause] of pauses.entries()) {
      t.ok(Math.abs(pause - expected[i]) < 1500, `pause ${i}: ${pause}, about ${expected[i]}`)
    }
    rig.frames(id)
    channel.send('a.b', text('up'), rig.now)
    t.ok(rig.frames(id).some((frame) => frame.kind === 'oneway'))
    untilDial(rig, id, 400_000)
    const kcp = idOf(rig, 'kcp')
    rig.hello(kcp)
    t.match(rig.frames(kcp), [{ kind: 'resume' }])
    rig.welcome(kcp)
    const attach = rig.accept(kcp)
    t.match(attach, { epoch: 2, life: 7n, sent: 1 })
    t.match(rig.frames(kcp), [{ kind: 'route' }, { kind: 'oneway', n: 1 }], 'what was not settled is sent again')
    t.ok(rig.closed.includes(id))
    t.equal(rig.core.dialer.active?.id, kcp)
    rig.keepAlive(kcp, 600_000)
    t.equal(rig.core.dialer.active?.id, kcp)
    t.equal(rig.dials.at(-1)?.address, 'kcp', 'nothing is better')
  },
)

t.test('a way that came back and did not last makes the pauses no shorter', async (t) => {
  const { rig, id } = onlineOver('ws')
  untilDial(rig, id, 20_000)
  const kcp = idOf(rig, 'kcp')
  rig.greet(kcp)
  rig.accept(kcp)
  rig.keepAlive(kcp, 5000)
  rig.core.lost(kcp, rig.now)
  rig.pass(300)
  const ws = idOf(rig, 'ws')
  rig.greet(ws)
  rig.accept(ws)
  t.ok(untilDial(rig, ws, 60_000) > 20_000)
})

t.test('when the connection is lost while better ways are looked for, the others are wanted at once', async (t) => {
  const { rig, id } = onlineOver('tcp')
  untilDial(rig, id, 20_000)
  rig.pass(250)
  rig.core.lost(id, rig.now)
  rig.pass(250)
  t.equal(addressesOf(rig), 'kcp ws tcp kcp ws tcp')
  rig.greet(rig.lastDial)
  t.equal(rig.core.dialer.active?.id, rig.lastDial)
  t.equal(rig.core.state, 'degraded')
})

t.test('a silent connection: all ways run again beside it, and it stays until another is welcomed', async (t) => {
  const { rig, channel, id } = onlineOver('kcp')
  rig.core.stalled(id, rig.now)
  rig.pass(500)
  t.equal(addressesOf(rig), 'kcp kcp ws tcp', 'a fresh one of its kind first')
  t.equal(rig.core.state, 'online')
  rig.core.stalled(id, rig.now)
  t.equal(rig.dials.length, 4, 'told again, nothing more is begun')
  const tcp = idOf(rig, 'tcp')
  rig.greet(tcp)
  rig.accept(tcp)
  t.equal(channel.state, 'attached')
  t.ok(rig.closed.includes(id))
  t.equal(rig.core.dialer.active?.id, tcp)
  rig.core.stalled(id, rig.now)
  t.equal(rig.dials.length, 4, 'of a connection that is not the active one')
})

t.test('a silent connection that is heard again stays', async (t) => {
  const { rig, id } = onlineOver('kcp')
  rig.core.stalled(id, rig.now)
  rig.pass(300)
  rig.send(id, (w) => writePair(w, clientKind.pong, Math.floor(rig.now), 1_700_000_000_000))
  t.same(rig.closed, [2, 3])
  rig.keepAlive(id, 20_000)
  t.equal(rig.core.dialer.active?.id, id)
  t.equal(rig.dials.length, 3)
})

t.test('a silent connection where nothing else works either: it is given up after two heartbeats', async (t) => {
  const { rig, id } = onlineOver('kcp', [['kcp', 'ws']])
  rig.core.stalled(id, rig.now)
  for (const dial of [2, 3]) {
    rig.pass(250)
    rig.core.lost(dial, rig.now)
  }
  t.equal(rig.core.dialer.active?.id, id)
  const dials = rig.dials.length
  rig.pass(2000)
  t.equal(rig.dials.length, dials)
  rig.core.stalled(id, rig.now)
  t.equal(rig.dials.length, dials + 1, 'told again, tried again')
  rig.pass(20_000)
  t.ok(rig.log.includes(`connection 0 ended ${code.idle}`))
})

t.test(
  'a silent connection to a gateway that is gone: the next gateway is asked beside it two seconds later',
  async (t) => {
    const { rig, id } = onlineOver('kcp', [['kcp', 'ws'], 'b', 'c'])
    rig.core.stalled(id, rig.now)
    rig.pass(2000)
    t.equal(addressesOf(rig), 'kcp kcp ws', 'its own one first')
    rig.core.stalled(id, rig.now)
    rig.pass(250)
    t.equal(addressesOf(rig), 'kcp kcp ws b')
    rig.core.stalled(id, rig.now)
    rig.core.stalled(id, rig.now)
    rig.pass(1000)
    t.equal(addressesOf(rig), 'kcp kcp ws b c', 'no way twice at a time')
    rig.greet(idOf(rig, 'b'))
    rig.accept(idOf(rig, 'b'))
    t.equal(rig.core.dialer.active?.id, idOf(rig, 'b'))
    t.same(rig.closed.toSorted(), [id, 2, 3, 5])
    t.notOk(
      rig.log.some((line) => line.startsWith('detached')),
      'make before break',
    )
  },
)

t.test('connections that fall silent again and again are searched for with growing pauses', async (t) => {
  const { rig } = onlineOver('kcp', [['kcp']])
  const times: number[] = []
  const since = rig.now
  // Each search succeeds, and the new connection is silent again.
  for (let dials = rig.dials.length; rig.now - since < 60_000; ) {
    rig.keepAlive(rig.core.dialer.active!.id, 500)
    rig.core.stalled(rig.core.dialer.active!.id, rig.now)
    if (rig.dials.length === dials) continue
    dials = rig.dials.length
    times.push(rig.now - since)
    rig.greet(rig.lastDial)
    rig.accept(rig.lastDial)
  }
  t.same(times, [500, 2500, 6500, 14_500, 30_500])
  for (let i = 0; i < 100; i++) rig.keepAlive(rig.lastDial, 1000)
  const dials = rig.dials.length
  rig.core.stalled(rig.lastDial, rig.now)
  t.equal(rig.dials.length, dials + 1)
  rig.greet(rig.lastDial)
  rig.accept(rig.lastDial)
  rig.pass(2000)
  rig.core.stalled(rig.lastDial, rig.now)
  t.equal(rig.dials.length, dials + 2, 'after some calm they are short again')
})

t.test('a connection that falls silent while the session moves: its own gateway is asked, too', async (t) => {
  const { rig, id } = onlineOver('kcp', [['kcp', 'ws'], 'b'])
  rig.core.switchTo(2, rig.now)
  rig.pass(1000)
  t.equal(addressesOf(rig), 'kcp b')
  rig.core.stalled(id, rig.now)
  rig.pass(500)
  t.equal(addressesOf(rig), 'kcp b kcp ws')
  rig.greet(idOf(rig, 'ws'))
  rig.accept(idOf(rig, 'ws'))
  t.equal(rig.core.dialer.active?.id, idOf(rig, 'ws'))
})

t.test('whoever chooses a way by itself stays on it', async (t) => {
  const { rig, id } = onlineOver('kcp')
  rig.core.switchTo(2, rig.now)
  rig.pass(1000)
  t.equal(addressesOf(rig), 'kcp tcp', 'that way alone')
  rig.greet(rig.lastDial)
  rig.accept(rig.lastDial)
  t.ok(rig.closed.includes(id))
  t.equal(untilDial(rig, rig.lastDial, 100_000), 100_000)
  rig.core.lost(rig.lastDial, rig.now)
  rig.pass(0)
  t.equal(rig.dials.at(-1)?.address, 'kcp', 'until it is lost')
})

t.test('T1: a TICKET is taken while a race has shown no older one, and not behind that', async (t) => {
  const { rig, id } = onlineOver('ws')
  untilDial(rig, id, 20_000)
  const ticket = (generation: number) => ({ generation, secret: text('2'.repeat(32)), ticket: text(`t${generation}`) })
  rig.send(id, (w) => writeTicket(w, ticket(2)))
  t.equal(rig.core.ticket?.generation, 2)
  rig.hello(idOf(rig, 'kcp'))
  rig.send(id, (w) => writeTicket(w, ticket(3)))
  t.equal(rig.core.ticket?.generation, 2)
  refuse(rig, idOf(rig, 'kcp'), code.overloaded)
  rig.send(id, (w) => writeTicket(w, ticket(4)))
  t.equal(rig.core.ticket?.generation, 4)
})

t.test('lists of addresses are judged', async (t) => {
  t.throws(() => new Rig({ addresses: [[]] }), { name: 'RangeError' })
  t.throws(() => new Rig({ addresses: [] }), { name: 'RangeError' })
})
