// T4: one session for each user, from its first ATTACH on.
import t from 'tap'
import { code } from '../../protocols/codes.ts'
import { clientKind, linkKind, read, World } from './world.ts'
import type { Gateway } from '../../gateway/gateway.ts'
import type { Session } from '../../gateway/session.ts'
import { SingleLogin } from '../../gateway/single-login.ts'
import type { TestClient, TestHost } from './world.ts'

function attach(client: TestClient, host: TestHost, epoch = 1): number | undefined {
  client.attach({ epoch })
  for (const asked of host.only(linkKind.attach).map(read.linkAttach)) host.attached(asked)
  const frames = client.take()
  const refused = frames.find(({ kind }) => kind === clientKind.refused)
  if (refused !== undefined) return read.answer(refused).code
  return frames.some(({ kind }) => kind === clientKind.attached) ? code.ok : undefined
}

const closeOf = (client: TestClient) => client.only(clientKind.close).map((frame) => read.close(frame).code)

t.test('T4: with replace, the older session ends for good as soon as the newer attaches', async (t) => {
  const world = new World({ singleLogin: 'replace' })
  const host = world.host()
  const older = world.client().login('ann')
  t.equal(attach(older, host), code.ok)
  const newer = world.client().login('ann')
  t.same(closeOf(older), [], 'a login alone is no session')
  newer.attach()
  t.same(closeOf(older), [code.replaced])
  const kicks = host.take().filter(({ kind }) => kind === linkKind.kick)
  t.match(read.kick(kicks[0]), { session: older.welcome!.session, code: code.replaced })
  const bob = world.client().login('bob')
  t.equal(attach(bob, host), code.ok)
  t.same(closeOf(newer), [], 'other users are others')
})

t.test('T4: with replace, an older session that is on its way back is ended, too', async (t) => {
  const world = new World({ singleLogin: 'replace' })
  const host = world.host()
  const older = world.client().login('ann')
  attach(older, host)
  older.carrier.events!.closed(world.now)
  world.pass(1000)
  host.take()
  world.client().login('ann').attach()
  const kicks = host.take().filter(({ kind }) => kind === linkKind.kick)
  t.equal(kicks.length, 1)
  t.equal(read.kick(kicks[0]).session, older.welcome!.session)
  world.pass(200_000)
})

t.test(
  'T4: with reject, the newer is refused while the older is connected, and may come when it has gone',
  async (t) => {
    const world = new World({ singleLogin: 'reject' })
    const host = world.host()
    const older = world.client().login('ann')
    attach(older, host)
    const newer = world.client().login('ann')
    t.equal(attach(newer, host), code.user_present)
    t.same(closeOf(older), [])
    older.carrier.events!.closed(world.now)
    world.turn()
    t.equal(attach(newer, host, 2), code.ok)
  },
)

t.test('T4: whoever comes back with a ticket is the same session', async (t) => {
  for (const singleLogin of ['replace', 'reject'] as const) {
    const world = new World({ singleLogin })
    const host = world.host()
    const first = world.client().login('ann')
    attach(first, host)
    const second = world.client().resume(first.welcome!.ticket, first.welcome!.secret)
    second.welcome = read.welcome(second.only(clientKind.welcome)[0])
    t.equal(attach(second, host, 2), code.ok, singleLogin)
    t.same(closeOf(first), [], singleLogin)
    t.equal(host.take().filter(({ kind }) => kind === linkKind.kick).length, 0)
  }
})

t.test('T4: off, sessions of one user are many; a reload takes effect with the next that attaches', async (t) => {
  const world = new World()
  const host = world.host()
  const [a, b] = [world.client().login('ann'), world.client().login('ann')]
  t.equal(attach(a, host), code.ok)
  world.gateway.configure({ ...world.gateway.settings, singleLogin: 'reject' }, world.now)
  t.equal(attach(b, host), code.ok, 'what attached before is not counted')
  t.equal(attach(world.client().login('ann'), host), code.user_present)
  a.carrier.events!.closed(world.now)
  world.turn()
  t.equal(attach(world.client().login('ann'), host), code.user_present, 'that one of those leaves frees no place')
})

t.test('users that are away are forgotten after keep', async (t) => {
  const world = new World({ singleLogin: 'replace' })
  const host = world.host()
  const older = world.client().login('ann')
  attach(older, host)
  older.carrier.events!.closed(world.now)
  world.pass(world.gateway.times.keepMs + 1)
  // The one before has said nothing for as long.
  const again = world.host('h1', 2n, 1)
  world.client().login('ann').attach()
  const kinds = again.take().map(({ kind }) => kind)
  t.equal(kinds.includes(linkKind.attach), true)
  t.equal(kinds.includes(linkKind.kick), false)
})

t.test('T4: with replace, the end of the older session does not forget the newer', async (t) => {
  const world = new World({ singleLogin: 'replace' })
  const host = world.host()
  const older = world.client().login('ann')
  attach(older, host)
  const newer = world.client().login('ann')
  t.equal(attach(newer, host), code.ok)
  older.carrier.events!.closed(world.now)
  world.turn()
  const newest = world.client().login('ann')
  t.equal(attach(newest, host), code.ok)
  t.same(closeOf(newer), [code.replaced])
})

t.test('T4: of those on their way back a hundred thousand are remembered, the latest', async (t) => {
  const kicked: string[] = []
  const times = { keepMs: 60_000 }
  const login = new SingleLogin({ times, kick: (session: string) => kicked.push(session) } as unknown as Gateway)
  login.mode = 'replace'
  const enter = (user: number, id: string): Session => {
    const session = { id, user: `user ${user}`, isCounted: false } as Session
    login.claim(session, 0)
    return session
  }
  const count = 100_003
  const takenMs: number[] = []
  for (let user = 0; user < count; ) {
    const sessions = Array.from({ length: Math.min(5000, count - user) }, () => enter(user, `first of ${user++}`))
    const startedAt = performance.now()
    for (const session of sessions) login.left(session, 0)
    if (sessions.length === 5000) takenMs.push(performance.now() - startedAt)
  }
  const [early, late] = [Math.max(...takenMs.slice(0, 2)), Math.min(...takenMs.slice(10))]
  t.ok(late < 4 * early, `who leaves costs the same however many are away: ${early} and ${late} ms for 5,000`)
  for (const user of [0, 2, 3, count - 1]) enter(user, `second of ${user}`)
  t.same(kicked, ['first of 3', `first of ${count - 1}`])
})
