import t from 'tap'
import {
  clientKind,
  writeClose,
  writeHello,
  writeNumber,
  writeTicket,
  writeWelcome,
} from '../../../protocols/client/frames.ts'
import { code } from '../../../protocols/codes.ts'
import type { TokenProvider } from '../../../sdk/client/options.ts'
import type { CoreChannel } from '../../../sdk/client/core-channel.ts'
import { Rig, string, text, welcomeOf } from './rig.ts'

t.test('a client logs in, attaches and sends what waited', async (t) => {
  const rig = new Rig()
  const channel = rig.channel()
  t.equal(channel.send('arena.move', text('x'), rig.now), 1, 'before there is a connection')
  rig.core.connect(rig.now)
  const id = rig.lastDial
  rig.hello(id)
  const [login] = rig.frames(id)
  t.match(login, { kind: 'login', version: 1 })
  t.equal(string(login.token as Uint8Array), 'ana')
  rig.welcome(id)
  const attach = rig.accept(id)
  t.match(attach, { alias: 0, epoch: 1, ticketGeneration: 1, service: 'arena', key: 'room', life: 0n, sent: 1 })
  t.match(rig.frames(id), [
    { kind: 'route', name: 'arena.move' },
    { kind: 'oneway', channel: 0, n: 1, payload: 'x' },
  ])
  t.same(rig.log, [
    'state connecting',
    'welcomed s1 ana new 0',
    'state degraded',
    'attached arena/room',
    'state online',
  ])
})

t.test('A1: a client that comes back shows its ticket and proves the secret over nonce and binding', async (t) => {
  const rig = new Rig()
  const first = rig.online()
  rig.core.lost(first, rig.now)
  rig.pass(0)
  const id = rig.lastDial
  t.not(id, first)
  rig.core.opened(id, text('bind'), rig.now)
  rig.send(id, (w) => writeHello(w, { versionMin: 1, versionMax: 3, nonce: text('nonce-nonce-1234') }))
  const [resume] = rig.frames(id)
  t.match(resume, { kind: 'resume', version: 1 })
  t.equal(string(resume.ticket as Uint8Array), 'ticket-1')
  t.equal(string(resume.proof as Uint8Array), 'S|skewer-resume-1|nonce-nonce-12', 'key, context, nonce, binding')
  rig.welcome(id)
  t.match(rig.log, [/connecting/, /new 0/, /online/, /ended 0/, /offline/, /connecting/, 'welcomed s1 ana resumed 0'])
})

t.test('the proof covers what the carrier is bound to', async (t) => {
  const seen: string[] = []
  const rig = new Rig()
  const first = rig.online()
  const { hmac } = rig.core.env
  rig.core.env.hmac = (key, ...parts) => {
    seen.push(...parts.map(string))
    return hmac(key, ...parts)
  }
  rig.core.lost(first, rig.now)
  rig.pass(0)
  rig.core.opened(rig.lastDial, text('bind'), rig.now)
  rig.send(rig.lastDial, (w) => writeHello(w, { versionMin: 1, versionMax: 1, nonce: text('nonce-nonce-1234') }))
  t.same(seen, ['skewer-resume-1', 'nonce-nonce-1234', 'bind'])
})

t.test('T1: ATTACH names the newest generation shown or issued on its connection', async (t) => {
  const rig = new Rig()
  rig.channel()
  const id = rig.online()
  rig.frames(id)
  const ticket = (generation: number) => (w: Parameters<typeof writeTicket>[0]) =>
    writeTicket(w, { generation, secret: text('2'.repeat(32)), ticket: text(`ticket-${generation}`) })
  rig.send(id, ticket(2))
  rig.channel('arena', 'second')
  t.match(rig.frames(id), [{ kind: 'attach', ticketGeneration: 2 }])
  rig.core.lost(id, rig.now)
  rig.pass(0)
  const next = rig.lastDial
  rig.hello(next)
  t.equal(string(rig.frames(next)[0].ticket as Uint8Array), 'ticket-2', 'the newest is shown')
  rig.welcome(next, { generation: 2, ticket: text('ticket-2') })
  t.match(rig.frames(next), [{ ticketGeneration: 2 }, { ticketGeneration: 2 }])
})

t.test('T1: a ticket that comes while another connection shows the older one is not taken', async (t) => {
  const rig = new Rig({ addresses: ['a', 'b'] })
  rig.channel()
  const id = rig.online()
  rig.core.switchTo(1, rig.now)
  const next = rig.lastDial
  rig.hello(next)
  rig.frames(id)
  rig.send(id, (w) => writeTicket(w, { generation: 2, secret: text('2'.repeat(32)), ticket: text('ticket-2') }))
  rig.channel('arena', 'second')
  t.match(rig.frames(id), [{ kind: 'attach', ticketGeneration: 1 }], 'else the host would call the other one spent')
  rig.welcome(next)
  t.match(
    rig.frames(next).filter((f) => f.kind === 'attach'),
    [{ ticketGeneration: 1 }, { ticketGeneration: 1 }],
  )
})

t.test('T1: an older ticket that comes late is not taken', async (t) => {
  const rig = new Rig()
  const id = rig.online()
  for (const generation of [3, 2]) {
    const ticket = text(`ticket-${generation}`)
    rig.send(id, (w) => writeTicket(w, { generation, secret: text('2'.repeat(32)), ticket }))
  }
  t.equal(rig.core.ticket?.generation, 3)
  rig.channel()
  t.match(rig.frames(id).at(-1), { kind: 'attach', ticketGeneration: 3 })
})

t.test('a token that is not accepted ends the session, and its channels with it', async (t) => {
  const rig = new Rig()
  const channel = rig.channel()
  channel.send('arena.move', text('x'), rig.now)
  rig.core.connect(rig.now)
  const id = rig.lastDial
  rig.hello(id)
  rig.send(id, (w) => writeClose(w, clientKind.close, { code: code.unauthenticated, retryMs: 0, text: 'no' }))
  rig.pass(60_000)
  t.equal(rig.dials.length, 1, 'it does not come back')
  t.match(rig.endings, [{ code: code.unauthenticated, unknown: [{ number: 1 }] }])
  t.ok(rig.log.includes(`session ended ${code.unauthenticated}`))
  t.equal(channel.send('arena.move', text('x'), rig.now), -code.closed)
  t.equal(rig.core.deadline(), Infinity, 'nothing is left to do')
})

for (const why of [code.version, code.kicked, code.banned, code.ticket_invalid] as const) {
  t.test(`code ${why} does not come back`, async (t) => {
    const rig = new Rig({ addresses: ['a', 'b'] })
    const channel = rig.channel()
    const id = rig.online()
    rig.accept(id)
    channel.send('arena.move', text('x'), rig.now)
    rig.send(id, (w) => writeClose(w, clientKind.close, { code: why, retryMs: 0, text: '' }))
    rig.pass(60_000)
    t.equal(rig.dials.length, 1)
    t.match(rig.endings, [{ code: why, unknown: [{ number: 1 }] }])
  })
}

t.test('a session that has ended can be followed by a new one', async (t) => {
  const rig = new Rig()
  rig.channel()
  const id = rig.online()
  rig.send(id, (w) => writeClose(w, clientKind.close, { code: code.ticket_invalid, retryMs: 0, text: '' }))
  rig.core.connect(rig.now)
  const next = rig.lastDial
  rig.hello(next)
  t.match(rig.frames(next), [{ kind: 'login' }], 'with the token, not the ticket')
  rig.welcome(next, { session: 's2' })
  const channel = rig.channel()
  t.match(rig.frames(next), [{ kind: 'attach', epoch: 1, life: 0n }])
  t.equal(channel.state, 'attaching')
})

t.test('T3: a gateway that does not know the key yet is left for another one', async (t) => {
  const rig = new Rig({ addresses: ['a', 'b'] })
  const first = rig.online()
  rig.core.lost(first, rig.now)
  rig.pass(0)
  t.equal(rig.dials[1].address, 'a', 'at once, where it was')
  rig.hello(rig.lastDial)
  rig.send(rig.lastDial, (w) =>
    writeClose(w, clientKind.close, { code: code.ticket_key_unknown, retryMs: 700, text: '' }),
  )
  rig.pass(699)
  t.equal(rig.dials.length, 2, 'not before the hint')
  rig.pass(5000)
  t.equal(rig.dials[2].address, 'b')
})

t.test(
  'T3, S2: a ticket that nobody can open is shown as long as a host may keep a channel, then the token is',
  async (t) => {
    const rig = new Rig({ keepMs: 30_000 })
    const known = rig.channel()
    const id = rig.online({ keepMs: 30_000 })
    rig.accept(id)
    known.send('arena.move', text('x'), rig.now)
    rig.core.lost(id, rig.now)
    const lostAt = rig.now
    let later: CoreChannel | undefined
    const shown: string[] = []
    for (let last = id; shown.at(-1) !== 'login'; ) {
      rig.pass(100)
      if (rig.lastDial === last) continue
      last = rig.lastDial
      rig.hello(last)
      shown.push(rig.frames(last)[0].kind)
      if (shown.at(-1) === 'login') break
      rig.send(last, (w) => writeClose(w, clientKind.close, { code: code.ticket_key_unknown, retryMs: 0, text: '' }))
      if (rig.now - lostAt > 20_000) later ??= rig.channel('arena', 'later')
    }
    t.ok(shown.length > 5 && shown.slice(0, -1).every((kind) => kind === 'resume'), shown.join(' '))
    t.ok(rig.now - lostAt >= 30_000 && rig.now - lostAt < 40_000, `${rig.now - lostAt} ms`)
    t.match(rig.endings[0], { code: code.expired, unknown: [{ number: 1 }] }, 'told before')
    t.ok(rig.log.includes(`ended room ${code.expired}`))
    t.notOk(
      rig.log.some((line) => line.startsWith('session ended')),
      'the client goes on',
    )
    rig.welcome(rig.lastDial, { session: 's2' })
    t.ok(rig.log.includes('welcomed s2 ana new 0'))
    t.match(rig.frames(rig.lastDial), [{ kind: 'attach', key: 'later', life: 0n }])
    t.equal(later?.state, 'attaching', 'a channel that no host has a record of goes on in the new session')
  },
)

t.test(
  'CLI-5.2: a gateway that broke the protocol is left for the longest back-off, and another one asked',
  async (t) => {
    const rig = new Rig({ addresses: ['a', 'b'] })
    rig.randomValue = 0.5
    const id = rig.online()
    rig.bytes(id, Uint8Array.of(2, 0x3a, 0))
    const leftAt = rig.now
    rig.pass(0)
    t.equal(rig.dials[1].address, 'b', 'at once')
    rig.core.lost(rig.lastDial, rig.now)
    while (rig.dials.length < 3) rig.pass(1)
    t.equal(rig.dials[2].address, 'a')
    t.equal(rig.now - leftAt, 5000)
    const alone = new Rig()
    const first = alone.online()
    alone.bytes(first, Uint8Array.of(2, 0x3a, 0))
    alone.pass(4999)
    t.equal(alone.dials.length, 1)
    alone.pass(1)
    t.equal(alone.dials.length, 2, 'the only one, too')
  },
)

t.test('T2: AUTH_REQUIRED asks for a token again, and refused channels attach when it was accepted', async (t) => {
  let asked = 0
  const token: TokenProvider = (give, now) => give(text(`token-${++asked}`), now)
  const rig = new Rig({ token })
  rig.channel()
  rig.core.connect(rig.now)
  const id = rig.lastDial
  rig.greet(id)
  const attach = rig.frames(id).find((frame) => frame.kind === 'attach') as never
  rig.send(id, (w) => writeNumber(w, clientKind.authRequired, 30_000))
  rig.answer(id, clientKind.refused, attach, code.auth_required, 20_000)
  t.match(rig.frames(id), [{ kind: 'reauth', token: text('token-2') }])
  rig.send(id, (w) => writeTicket(w, { generation: 2, secret: text('2'.repeat(32)), ticket: text('t2') }))
  rig.pass(0)
  t.match(rig.frames(id), [{ kind: 'attach', ticketGeneration: 2 }])
})

t.test('a token provider may take its time, and have none', async (t) => {
  const asked: ((token: Uint8Array | undefined, now: number) => void)[] = []
  const rig = new Rig({ token: (give) => asked.push(give) })
  rig.core.connect(rig.now)
  t.equal(rig.dials.length, 0, 'no connection before there is a token')
  rig.pass(8000)
  asked[0](undefined, rig.now)
  rig.pass(5000)
  t.equal(asked.length, 2, 'asked again after the back-off')
  asked[1](text('late'), rig.now)
  asked[1](text('twice'), rig.now)
  t.equal(rig.dials.length, 1)
  rig.hello(rig.lastDial)
  t.match(rig.frames(rig.lastDial), [{ kind: 'login', token: text('late') }])
})

t.test('five seconds to be welcomed, then the next address', async (t) => {
  const rig = new Rig({ addresses: ['a', 'b'] })
  rig.core.connect(rig.now)
  rig.hello(rig.lastDial)
  rig.pass(4999)
  t.same(rig.closed, [])
  rig.pass(1)
  t.same(rig.closed, [1])
  rig.pass(5000)
  t.equal(rig.dials[1].address, 'b')
})

t.test('other versions of the protocol end the session', async (t) => {
  const rig = new Rig()
  rig.core.connect(rig.now)
  rig.core.opened(rig.lastDial, text(''), rig.now)
  rig.send(rig.lastDial, (w) => writeHello(w, { versionMin: 2, versionMax: 4, nonce: text('0123456789abcdef') }))
  t.match(rig.frames(rig.lastDial), [{ kind: 'close', code: code.version }])
  t.ok(rig.log.includes(`session ended ${code.version}`))
})

t.test('a WELCOME to another session than the one that was resumed is not believed', async (t) => {
  const rig = new Rig()
  const id = rig.online()
  rig.core.lost(id, rig.now)
  rig.pass(0)
  rig.greet(rig.lastDial, { session: 'another' })
  t.match(rig.frames(rig.lastDial), [{ kind: 'resume' }, { kind: 'close', code: code.protocol }])
  t.equal(rig.core.session, 's1')
})

/** Loses the newest connection; how long it took to the next dial. */
function loseAndWait(rig: Rig): number {
  const at = rig.now
  rig.core.lost(rig.lastDial, rig.now)
  const dials = rig.dials.length
  while (rig.dials.length === dials) rig.pass(1)
  return rig.now - at
}

t.test('back-off doubles with full jitter, at most to its bound', async (t) => {
  const rig = new Rig({ addresses: ['a'] })
  rig.randomValue = 0.999
  rig.core.connect(rig.now)
  const waits = Array.from({ length: 8 }, () => loseAndWait(rig))
  t.same(waits, [200, 400, 800, 1599, 3197, 4995, 4995, 4995])
})

t.test('the client cycles through the addresses; back-off doubles by the round, not by the address', async (t) => {
  const rig = new Rig({ addresses: ['a', 'b', 'c'] })
  rig.randomValue = 0.999
  rig.core.connect(rig.now)
  const waits = Array.from({ length: 8 }, () => loseAndWait(rig))
  t.same(waits, [200, 200, 200, 400, 400, 400, 800, 800])
  t.equal(rig.dials.map((dial) => dial.address).join(''), 'abcabcabc')
})

t.test('a move to another connection does not make the session look short-lived', async (t) => {
  const rig = new Rig({ addresses: ['a', 'b'] })
  rig.randomValue = 0.999
  rig.online()
  rig.core.lost(rig.lastDial, rig.now)
  rig.pass(0)
  rig.greet(rig.lastDial)
  rig.pass(4990)
  rig.core.switchTo(1, rig.now)
  rig.pass(0)
  rig.greet(rig.lastDial)
  rig.pass(20)
  t.equal(rig.core.state, 'online')
  t.equal(loseAndWait(rig), 1, 'at once, in the next millisecond of this test')
})

t.test('a gateway that welcomes and closes at once is not stormed', async (t) => {
  const rig = new Rig()
  rig.online()
  for (let i = 0; i < 50; i++) {
    rig.core.lost(rig.lastDial, rig.now)
    rig.pass(1000)
    if (rig.core.state === 'connecting') rig.greet(rig.lastDial)
  }
  t.ok(rig.dials.length < 40, `${rig.dials.length} dials in 50 s`)
})

t.test('WELCOME may have a silly heartbeat', async (t) => {
  const rig = new Rig()
  rig.core.connect(rig.now)
  rig.hello(rig.lastDial)
  rig.send(rig.lastDial, (w) => writeWelcome(w, welcomeOf({ heartbeatMs: 0, keepMs: 0, channelsMax: 0 })))
  rig.pass(19)
  t.equal(rig.core.state, 'online')
})

t.test('a token provider that never answers is given up, and asked again', async (t) => {
  let asked = 0
  const rig = new Rig({ token: () => asked++ })
  rig.core.connect(rig.now)
  rig.pass(29_999)
  t.equal(asked, 1)
  rig.pass(10_000)
  t.equal(asked, 2)
  t.equal(rig.dials.length, 0)
})

t.test('CLI-4.9: a ticket that a handshake has shown is shown again where a newer one came meanwhile', async (t) => {
  const rig = new Rig({ addresses: ['a', 'b'] })
  const id = rig.online()
  const old = rig.core.ticket!
  rig.core.switchTo(1, rig.now)
  const next = rig.lastDial
  rig.send(id, (w) => writeTicket(w, { generation: 2, secret: text('2'.repeat(32)), ticket: text('ticket-2') }))
  rig.core.opened(next, text('bind'), rig.now, old)
  rig.send(next, (w) => writeHello(w, { versionMin: 1, versionMax: 1, nonce: text('nonce-nonce-1234') }))
  const [resume] = rig.frames(next)
  t.equal(string(resume.ticket as Uint8Array), 'ticket-2')
  const taken = new Rig({ addresses: ['a', 'b'] })
  taken.online()
  taken.core.switchTo(1, taken.now)
  taken.core.opened(taken.lastDial, text('bind'), taken.now, taken.core.ticket)
  taken.send(taken.lastDial, (w) => writeHello(w, { versionMin: 1, versionMax: 1, nonce: text('nonce-nonce-1234') }))
  t.equal((taken.frames(taken.lastDial)[0].ticket as Uint8Array).length, 0, 'where none came, it is not')
})

t.test(
  'a client that is closed when it hears that it is welcome attaches nothing, and holds no connection',
  async (t) => {
    const rig = new Rig({ addresses: ['a', 'b'] })
    const former = rig.online()
    rig.channel()
    rig.frames(former)
    rig.core.switchTo(1, rig.now)
    const welcomed = rig.welcomed.bind(rig)
    rig.welcomed = (...told) => {
      welcomed(...told)
      rig.core.close(rig.now)
    }
    rig.hello(rig.lastDial)
    rig.frames(rig.lastDial)
    rig.welcome(rig.lastDial)
    rig.pass(60_000)
    for (const id of [former, rig.lastDial]) {
      t.same(
        rig.frames(id).map(({ kind }) => kind),
        ['close'],
      )
    }
    t.equal(rig.dials.length, 2)
    t.equal(rig.core.state, 'offline')
    t.equal(rig.core.dialer.old, undefined)
  },
)

t.test('CLI-5.2: a second HELLO breaks the protocol, also of a way whose turn it is not', async (t) => {
  const rig = new Rig()
  rig.core.connect(rig.now)
  rig.hello(rig.lastDial)
  rig.frames(rig.lastDial)
  rig.hello(rig.lastDial)
  t.match(rig.frames(rig.lastDial), [{ kind: 'close', code: code.protocol }])
  t.same(rig.closed, [1])
  const race = new Rig({ addresses: [['kcp', 'ws']] })
  race.core.connect(race.now)
  race.pass(250)
  race.hello(1)
  race.hello(2)
  t.same(race.frames(2), [], 'the other one logs in')
  race.hello(2)
  t.match(race.frames(2), [{ kind: 'close', code: code.protocol }])
})
