// T2: what a client does on a connection whose authority has run out while its source of tokens has none to give.
import t from 'tap'
import { clientKind, writeNumber, writeTicket } from '../../../protocols/client/frames.ts'
import { code } from '../../../protocols/codes.ts'
import type { GiveToken } from '../../../sdk/client/options.ts'
import { Rig, text } from './rig.ts'

const WITHIN_MS = 20_000

/** A client that is online, and a source whose answers the test gives; the first, of the login, is given. */
function online(addresses = ['a']): { rig: Rig; id: number; asked: { at: number; give: GiveToken }[] } {
  const asked: { at: number; give: GiveToken }[] = []
  const rig = new Rig({ addresses, token: (give, at) => asked.push({ at, give }) })
  rig.core.connect(rig.now)
  asked[0].give(text('first'), rig.now)
  const id = rig.lastDial
  rig.greet(id)
  rig.frames(id)
  asked.length = 0
  return { rig, id, asked }
}

const require = (rig: Rig, id: number, withinMs = WITHIN_MS) =>
  rig.send(id, (w) => writeNumber(w, clientKind.authRequired, withinMs))
const failures = (rig: Rig) => rig.log.filter((line) => line.startsWith('token failed'))
const reauths = (rig: Rig, id: number) => rig.frames(id).filter(({ kind }) => kind === 'reauth')

t.test('T2: a source that has none is asked again with growing pauses, and each time is told', async (t) => {
  const { rig, id, asked } = online()
  require(rig, id)
  // With chance at 0.5, half of 200 ms doubled each time.
  for (const pauseMs of [100, 200, 400]) {
    const { length } = asked
    asked[length - 1].give(undefined, rig.now, new Error('away'))
    t.equal(rig.log.at(-1), `token failed 0 Error: away ${pauseMs}`)
    rig.keepAlive(id, pauseMs - 1)
    t.equal(asked.length, length, 'not sooner')
    rig.keepAlive(id, 1)
    t.equal(asked.length, length + 1)
  }
  asked.at(-1)!.give(text('late'), rig.now)
  t.match(reauths(rig, id), [{ token: text('late') }])
  rig.keepAlive(id, WITHIN_MS)
  t.equal(asked.length, 4, 'once it was given nobody is asked')
  t.equal(failures(rig).length, 3)
  t.same(rig.dials.length, 1, 'on one connection')
})

t.test('T2: a source that answers at once, within the question, is no different', async (t) => {
  let asked = 0
  const rig = new Rig({ token: (give, at) => give(++asked === 2 ? undefined : text(`token-${asked}`), at) })
  const id = rig.online()
  rig.frames(id)
  require(rig, id)
  t.same(failures(rig), ['token failed 0 undefined 100'])
  rig.keepAlive(id, 100)
  t.match(reauths(rig, id), [{ token: text('token-3') }])
})

t.test('T2: behind the deadline of the gateway nobody is asked, and the last failure says so', async (t) => {
  const { rig, id, asked } = online()
  const from = rig.now
  require(rig, id)
  for (let at = 0; at < 2 * WITHIN_MS; at += 50) {
    for (const { give } of asked) give(undefined, rig.now)
    rig.keepAlive(id, 50)
  }
  t.ok(asked.length > 5)
  t.ok(
    asked.every(({ at }) => at < from + WITHIN_MS),
    'all within it',
  )
  t.ok(asked.at(-1)!.at > from + WITHIN_MS - 3000, 'and to its end')
  t.equal(failures(rig).length, asked.length, 'each is told once')
  t.same(
    failures(rig).map((line) => line.endsWith(' 0')),
    asked.map((_, i) => i === asked.length - 1),
  )
})

t.test('T2: a gateway that waits for nothing has its token asked for once', async (t) => {
  const { rig, id, asked } = online()
  require(rig, id, 0)
  asked[0].give(undefined, rig.now)
  t.same(failures(rig), ['token failed 0 undefined 0'])
  rig.keepAlive(id, 10_000)
  t.equal(asked.length, 1)
})

t.test('CLI-4.8: AUTH_REQUIRED again while a token is looked for is one search and one REAUTH', async (t) => {
  const { rig, id, asked } = online()
  require(rig, id, 150)
  require(rig, id, 150)
  t.equal(asked.length, 1)
  asked[0].give(undefined, rig.now)
  require(rig, id)
  rig.keepAlive(id, 100)
  t.equal(asked.length, 2)
  asked[1].give(undefined, rig.now)
  t.equal(rig.log.at(-1), 'token failed 0 undefined 200', 'the later deadline holds, and the pauses go on')
  rig.keepAlive(id, 200)
  asked[2].give(text('late'), rig.now)
  asked[2].give(text('twice'), rig.now)
  t.match(reauths(rig, id), [{ token: text('late') }])
  require(rig, id)
  t.equal(asked.length, 4, 'what was shown may run out as well')
  asked[3].give(undefined, rig.now)
  t.equal(rig.log.at(-1), 'token failed 0 undefined 100', 'from the shortest pause on')
})

t.test('T2: a connection that ends or is left takes its search with it', async (t) => {
  const { rig, id, asked } = online()
  require(rig, id)
  asked[0].give(undefined, rig.now)
  require(rig, id)
  rig.core.lost(id, rig.now)
  rig.pass(0)
  const next = rig.lastDial
  rig.greet(next, { generation: 2 })
  rig.keepAlive(next, WITHIN_MS)
  t.equal(asked.length, 1, 'the next one shows its ticket')
  require(rig, next)
  t.equal(asked.length, 2, 'and has a search of its own')
  rig.core.lost(next, rig.now)
  asked[1].give(undefined, rig.now)
  t.equal(failures(rig).length, 1, 'that there was none for a connection that is gone is no news')
  rig.core.close(rig.now)
  rig.pass(WITHIN_MS)
  t.equal(asked.length, 2)
})

t.test('T2: an old connection that waits for loose calls only is not renewed', async (t) => {
  const { rig, id, asked } = online(['a', 'b'])
  require(rig, id)
  asked[0].give(undefined, rig.now)
  rig.core.callLoose('arena.ask', '', text(''), rig.now + 60_000, rig.now)
  rig.core.switchTo(1, rig.now)
  const next = rig.lastDial
  rig.greet(next, { generation: 2 })
  t.equal(rig.core.dialer.old?.id, id)
  rig.keepAlive(next, 1000)
  t.equal(asked.length, 1)
})

t.test('T2: a TICKET that came before REAUTH does not count as its answer', async (t) => {
  const { rig, id, asked } = online()
  rig.channel()
  const attach = rig.frames(id).find(({ kind }) => kind === 'attach') as never
  require(rig, id)
  rig.answer(id, clientKind.refused, attach, code.auth_required, 20_000)
  const ticket = (generation: number) =>
    rig.send(id, (w) => writeTicket(w, { generation, secret: text('2'.repeat(32)), ticket: text('t') }))
  ticket(2)
  rig.keepAlive(id, 1000)
  t.same(rig.frames(id), [], 'nothing attaches yet')
  asked[0].give(text('second'), rig.now)
  t.match(rig.frames(id), [{ kind: 'reauth' }])
  ticket(3)
  rig.pass(0)
  t.match(rig.frames(id), [{ kind: 'attach', ticketGeneration: 3 }])
})
