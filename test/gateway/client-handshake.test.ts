// The client's handshake: login, tickets, their proof and their end, and everything that is not a handshake.
import t from 'tap'
import type { LoginResult } from '../../gateway/seams.ts'
import { resumeProof, sealTicket } from '../../gateway/tickets.ts'
import {
  writeDetached,
  writeHello,
  writeLogin,
  writePair,
  writeReauth,
  writeResume,
} from '../../protocols/client/frames.ts'
import { code } from '../../protocols/codes.ts'
import { Writer } from '../../protocols/wire/writer.ts'
import { attachedPair, bytes, clientKind, EMPTY, hmac, read, testSettings, World } from './world.ts'

const loginFrame = (user: string, version = 1) => {
  const w = new Writer()
  writeLogin(w, { version, token: bytes(user), agent: 'test' })
  return w.drain()
}

t.test('A1: HELLO carries a fresh nonce, LOGIN is answered by WELCOME', async (t) => {
  const world = new World()
  const a = world.client().login('ann')
  const b = world.client().login('ann')
  t.notSame(a.nonce, b.nonce)
  t.match(a.welcome!.session, /^[A-Za-z0-9_-]{22}$/)
  t.not(a.welcome!.session, b.welcome!.session)
  t.match(a.welcome, { user: 'ann', generation: 1, keepMs: 120_000, heartbeatMs: 10_000, windowCount: 256 })
  t.equal(a.welcome!.secret.length, 32)
  t.equal(a.welcome!.serverTimeMs, world.wall)
})

t.test('a handshake that comes byte by byte is the same handshake', async (t) => {
  const world = new World()
  const c = world.client().hello()
  for (const byte of loginFrame('ann')) c.raw(new Uint8Array([byte]))
  t.equal(read.welcome(c.take()[0]).user, 'ann')
})

t.test('a refused login closes with its code, and an unknown version with `version`', async (t) => {
  const world = new World()
  const nobody = world.client()
  nobody.raw(loginFrame('nobody'))
  t.match(read.close(nobody.only(clientKind.close)[0]), { code: code.unauthenticated, text: 'unknown user' })
  const future = world.client()
  future.raw(loginFrame('ann', 2))
  t.equal(read.close(future.only(clientKind.close)[0]).code, code.version)
  t.same(
    world.event('login_refused').map((e) => e.code),
    [code.unauthenticated, code.version],
  )
})

t.test('a user whose name or labels do not fit the frames cannot log in', async (t) => {
  const world = new World()
  const label = 'x'.repeat(128)
  const users: [string, Record<string, string>, number | undefined][] = [
    ['', {}, code.unauthenticated],
    ['u'.repeat(129), {}, code.unauthenticated],
    ['u'.repeat(128), { group: 'blue' }, undefined],
    ['ann', { [label]: label, b: label }, undefined],
    ['ann', { [`${label}x`]: 'too long' }, code.login_failed],
    ['ann', { [label]: label, b: label, c: label }, code.login_failed],
    ['ann', Object.fromEntries(Array.from({ length: 33 }, (_, i) => [`${i}`, ''])), code.login_failed],
  ]
  for (const [user, labels, why] of users) {
    world.logins = (_token, done) => done({ ok: true, user, labels })
    const c = world.client()
    c.raw(loginFrame('token'))
    t.equal(c.carrier.closedWith, why, user)
  }
})

t.test('a login whose client has gone meanwhile leaves nothing', async (t) => {
  const world = new World()
  let answer: ((result: LoginResult) => void) | undefined
  world.logins = (_token, done) => {
    answer = done
  }
  const c = world.client()
  c.raw(loginFrame('ann'))
  c.carrier.events!.closed(world.now)
  answer!({ ok: true, user: 'ann', labels: {} })
  world.turn()
  t.equal(world.gateway.sessions().length, 0)
  t.equal(world.gateway.connections.size, 0)
})

t.test('a handshake that is not finished in time is closed', async (t) => {
  const world = new World()
  const c = world.client()
  world.pass(4999)
  t.equal(c.carrier.closedWith, undefined)
  world.pass(1)
  t.equal(c.carrier.closedWith, code.handshake_timeout)
})

t.test('A1: RESUME with the proof of the secret continues the session with the generation shown', async (t) => {
  const world = new World()
  const first = world.client().login('ann')
  const { ticket, secret, session } = first.welcome!
  first.carrier.events!.closed(world.now)
  const second = world.client().resume(ticket, secret)
  const welcome = read.welcome(second.take()[0])
  t.match(welcome, { session, user: 'ann', generation: 1 })
  t.same(welcome.ticket, ticket)
  t.same(welcome.secret, secret)
})

t.test('A1: the proof is bound to the carrier as well as to the nonce', async (t) => {
  const world = new World()
  const { ticket, secret } = world.client().login('ann').welcome!
  const c = world.client()
  c.carrier.binding = bytes('handshake hash')
  c.hello()
  const resume = { version: 1, ticket, agent: '' }
  writeResume(c.w, { ...resume, proof: resumeProof(hmac, secret, c.nonce, EMPTY) })
  c.send()
  t.equal(c.carrier.closedWith, code.ticket_invalid)
  const bound = world.client()
  bound.carrier.binding = bytes('handshake hash')
  bound.resume(ticket, secret)
  t.equal(bound.carrier.closedWith, undefined)
})

t.test('T3: forged, stolen, foreign and unknown tickets', async (t) => {
  const world = new World()
  const { ticket, secret } = world.client().login('ann').welcome!
  const forged = ticket.slice()
  forged[forged.length - 1] ^= 1
  const pin = world.sealer.seal('pin', ticket.slice(9))
  const closes: [Uint8Array, Uint8Array, number][] = [
    [forged, secret, code.ticket_invalid],
    [EMPTY, secret, code.ticket_invalid],
    [ticket, new Uint8Array(32), code.ticket_invalid],
    [pin, secret, code.ticket_invalid],
  ]
  for (const [shown, proved, why] of closes) {
    const c = world.client().resume(shown, proved)
    t.equal(c.carrier.closedWith, why)
  }
  world.sealer.keyId = 2
  const early = world.client().resume(ticket, secret)
  t.equal(early.carrier.closedWith, code.ticket_key_unknown)
  t.ok(read.close(early.only(clientKind.close)[0]).retryMs > 0, 'and comes back')
})

t.test('T1: the next ticket is issued behind the first ATTACHED of a connection, and works', async (t) => {
  const world = new World()
  const host = world.host()
  const c = world.client().login('ann')
  c.attach().attach({ alias: 1, key: 'other' })
  const [one, two] = host.attaches()
  c.take()
  host.attached(one)
  const frames = c.take()
  t.same(
    frames.map((f) => f.kind),
    [clientKind.attached, clientKind.ticket],
  )
  const next = read.ticket(frames[1])
  t.equal(next.generation, 2)
  t.notSame(next.secret, c.welcome!.secret)
  host.attached(two)
  t.same(c.kinds(), [clientKind.attached])
  const again = world.client().resume(next.ticket, next.secret)
  const welcome = read.welcome(again.take()[0])
  t.match(welcome, { session: c.welcome!.session, generation: 2 })
})

t.test('T1: an attach may name only a generation shown or issued on its connection', async (t) => {
  const world = new World()
  const { client, host } = attachedPair(world)
  for (const [ticketGeneration, fits] of [
    [0, false],
    [1, true],
    [2, true],
    [3, false],
  ] as const) {
    client.take()
    client.attach({ alias: 3, epoch: ticketGeneration + 1, key: 'k', ticketGeneration })
    t.equal(host.attaches().length, fits ? 1 : 0)
    if (!fits) t.equal(read.answer(client.only(clientKind.refused)[0]).code, code.not_allowed)
  }
})

t.test('T2: a session whose authority has ended is welcomed, asked for a token, and goes on with it', async (t) => {
  const world = new World()
  const host = world.host()
  const secret = new Uint8Array(32).fill(1)
  const plain = { session: 's'.repeat(22), user: 'ann', generation: 4, secret, labels: {} }
  const ticket = sealTicket(world.sealer, { ...plain, authUntilWallMs: world.wall - 1 })
  const c = world.client().resume(ticket, secret)
  const frames = c.take()
  t.same(
    frames.map((f) => f.kind),
    [clientKind.welcome, clientKind.authRequired],
  )
  t.equal(read.number(frames[1]), 30_000)
  c.attach({ ticketGeneration: 4 })
  t.equal(read.answer(c.only(clientKind.refused)[0]).code, code.auth_required)
  writeReauth(c.w, bytes('ann'))
  c.send()
  t.equal(read.ticket(c.only(clientKind.ticket)[0]).generation, 5)
  c.attach({ ticketGeneration: 5, epoch: 2 })
  t.equal(host.attaches().length, 1)
})

t.test('T2: in mid-session AUTH_REQUIRED comes at the end, and without a token the connection goes', async (t) => {
  const world = new World()
  world.logins = (user, done) => done({ ok: true, user, labels: {}, untilWallMs: world.wall + 5000 })
  const c = world.client().login('ann')
  world.pass(4999)
  t.equal(c.only(clientKind.authRequired).length, 0)
  world.pass(1)
  t.equal(c.only(clientKind.authRequired).length, 1)
  for (let i = 0; i < 3; i++) {
    writePair(c.w, clientKind.ping, 1, 0)
    c.send()
    world.pass(10_000)
  }
  t.equal(c.carrier.closedWith, code.auth_required)
})

t.test('T2: the token of another user does not continue a session', async (t) => {
  const world = new World()
  const c = world.client().login('ann')
  writeReauth(c.w, bytes('bob'))
  c.send()
  t.equal(c.carrier.closedWith, code.unauthenticated)
})

t.test('T1: a ticket is issued anew at half of its life', async (t) => {
  const world = new World({ times: { ...testSettings().times, authUntilMs: 600_000, heartbeatMs: 1_000_000 } })
  const c = world.client().login('ann')
  c.take()
  world.pass(299_000)
  t.equal(c.only(clientKind.ticket).length, 0)
  world.pass(1000)
  t.equal(read.ticket(c.only(clientKind.ticket)[0]).generation, 2)
})

t.test('T1, T2: behind each half come the other halves, and the end of the authority', async (t) => {
  const world = new World({ times: { ...testSettings().times, authUntilMs: 600_000, heartbeatMs: 1_000_000 } })
  world.logins = (user, done) => done({ ok: true, user, labels: {}, untilWallMs: world.wall + 600_000 })
  const c = world.client().login('ann')
  c.take()
  const issued: number[] = []
  for (let s = 1; s < 600; s++) {
    world.pass(1000)
    if (c.only(clientKind.ticket).length > 0) issued.push(s)
  }
  t.strictSame(issued, [300, 450, 525, 563], 'as long as a minute is left')
  t.equal(c.only(clientKind.authRequired).length, 0)
  world.pass(1000)
  t.equal(c.only(clientKind.authRequired).length, 1)
  world.pass(30_000)
  t.equal(c.carrier.closedWith, code.auth_required)
})

t.test('T2: a token that is over already is asked for anew, and the connection goes in time', async (t) => {
  const world = new World({ times: { ...testSettings().times, heartbeatMs: 1_000_000 } })
  let leftMs = 600_000
  world.logins = (user, done) => done({ ok: true, user, labels: {}, untilWallMs: world.wall + leftMs })
  const c = world.client().login('ann')
  c.take()
  leftMs = -1
  writeReauth(c.w, bytes('ann'))
  c.send()
  t.equal(c.take().filter(({ kind }) => kind === clientKind.authRequired).length, 1)
  world.pass(30_000)
  t.equal(c.carrier.closedWith, code.auth_required)
  t.equal(c.only(clientKind.ticket).length, 0, 'what is over has no half life')
})

t.test('what is not a handshake is closed as protocol, with one line of text', async (t) => {
  const garbage: [string, (w: Writer) => void][] = [
    ['a server frame', (w) => writeHello(w, { versionMin: 1, versionMax: 1, nonce: new Uint8Array(16) })],
    ['an attach answer', (w) => writeDetached(w, { channel: 0, epoch: 1, code: 0, retryMs: 0, pin: EMPTY })],
    ['a length of zero', (w) => w.u8(0)],
    ['an endless length', (w) => w.raw(new Uint8Array([0xff, 0xff, 0xff, 0xff, 0xff]))],
    ['a cut LOGIN', (w) => w.begin(clientKind.login).varint(1).end()],
    ['LOGIN with a tail', (w) => w.begin(clientKind.login).varint(1).blob(bytes('a')).text('').u8(1).end()],
    [
      'an unknown critical extension',
      (w) =>
        w
          .begin(clientKind.login | 0x40)
          .varint(2)
          .u8(1)
          .u8(0)
          .end(),
    ],
    ['kind zero', (w) => w.begin(0).end()],
    ['a lane frame', (w) => w.begin(1).raw(new Uint8Array(8)).end()],
  ]
  for (const [name, write] of garbage) {
    const world = new World()
    const c = world.client()
    c.take()
    write(c.w)
    c.send()
    t.equal(c.carrier.closedWith, code.protocol, name)
    t.notMatch(read.close(c.take()[0]).text, /\n/)
    t.equal(world.event('peer_violation').length, 1)
  }
  const large = new World().client()
  large.raw(new Uint8Array([0xff, 0xff, 0x03]))
  t.equal(large.carrier.closedWith, code.too_large)
})

t.test('random bytes, whole or byte by byte, close the connection or wait; nothing throws', async (t) => {
  let seed = 7
  const random = () => (seed = (Math.imul(seed, 1103515245) + 12345) >>> 0) / 2 ** 32
  for (let round = 0; round < 300; round++) {
    const world = new World()
    const c = round % 2 ? world.client() : world.client().login('ann')
    const data = Uint8Array.from({ length: 1 + Math.floor(random() * 80) }, () => Math.floor(random() * 256))
    if (round % 3) c.raw(data)
    else for (const byte of data) c.raw(new Uint8Array([byte]))
    c.take()
    world.pass(60_000)
    t.not(c.carrier.closedWith, undefined, `round ${round}`)
    if (world.gateway.connections.size !== 0) t.fail('a connection was left')
  }
})

t.test('frames that carry nothing come out of a bucket: a flood of pings is closed', async (t) => {
  const world = new World()
  const c = world.client().login('ann')
  for (let i = 0; i < 2000; i++) writePair(c.w, clientKind.ping, i, 0)
  c.send()
  t.equal(c.carrier.closedWith, undefined)
  for (let i = 0; i < 2000; i++) writePair(c.w, clientKind.ping, i, 0)
  c.send()
  t.equal(c.carrier.closedWith, code.rate_limited)
})

t.test('O1: a silent client is closed after two heartbeats, one that pings is not', async (t) => {
  const world = new World()
  const silent = world.client().login('ann')
  const alive = world.client().login('bob')
  for (let i = 0; i < 4; i++) {
    writePair(alive.w, clientKind.ping, 5, 0)
    alive.send()
    world.pass(9000)
  }
  t.equal(silent.carrier.closedWith, code.idle)
  t.equal(alive.carrier.closedWith, undefined)
  t.match(read.pair(alive.only(clientKind.pong)[0]), { first: 5 })
})

t.test('O1: after a stall every timer gets one grace period', async (t) => {
  const world = new World()
  const c = world.client().login('ann')
  world.pass(19_000)
  world.stall(30_000)
  t.equal(c.carrier.closedWith, undefined, 'what it sent meanwhile must be read first')
  t.equal(world.event('stalled').length, 1)
  writePair(c.w, clientKind.ping, 5, 0)
  c.send()
  world.pass(19_000)
  t.equal(c.carrier.closedWith, undefined)
  world.pass(2000)
  t.equal(c.carrier.closedWith, code.idle)
})

t.test('more connections than allowed are refused, and the last of a session takes its soft state along', async (t) => {
  const world = new World({ limits: { ...testSettings().limits, connectionsMax: 1 } })
  const c = world.client().login('ann')
  const second = world.client()
  t.equal(second.carrier.closedWith, code.admission)
  t.equal(world.gateway.sessions().length, 1)
  c.carrier.events!.closed(world.now)
  t.equal(world.gateway.sessions().length, 0)
  t.equal(world.gateway.deadlines.size, 1, 'the end of the host is all that is waited for')
})

t.test('a kick closes every connection of the session with a code that does not come back', async (t) => {
  const world = new World()
  const c = world.client().login('ann')
  t.ok(world.gateway.kick(c.welcome!.session, 0))
  world.turn()
  t.equal(c.carrier.closedWith, code.kicked)
  t.notOk(world.gateway.kick('nobody', 0))
})
