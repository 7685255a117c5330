// Logins that a host's actor answers: what it is asked, what its answers mean, and that nobody gets in without one.
import t from 'tap'
import type { HostLoginSettings } from '../../../config/settings.ts'
import { type Ask, HostLogin } from '../../../gateway/io/host-login.ts'
import type { LoginResult } from '../../../gateway/seams.ts'
import { code } from '../../../protocols/codes.ts'

const settings: HostLoginSettings = {
  kind: 'host',
  service: 'accounts',
  route: 'accounts.login',
  key: 'login',
  actors: 4,
  deadlineMs: 2000,
  underWayMax: 3,
}
const bytes = (text: string) => new TextEncoder().encode(text)
const refused = { ok: false, code: code.unauthenticated }
const later = { ok: false, code: code.login_failed }

/** A login whose calls are kept, to be answered by the test. */
function rig() {
  const asked: Parameters<Ask>[] = []
  const warnings: string[] = []
  const login = new HostLogin(
    settings,
    (_what, error) => warnings.push(error.message),
    (...call) => asked.push(call),
  )
  const results: LoginResult[] = []
  const show = (token: string | Uint8Array) =>
    login.login(typeof token === 'string' ? bytes(token) : token, '192.0.2.1', (result) => results.push(result))
  const answer = (index: number, why: number, payload = '') => {
    const [call, caller] = asked[index]
    caller.looseReplied(call.request, why, bytes(payload), 0)
  }
  /** What one login comes to when it is answered so. */
  const resultOf = (why: number, payload = ''): LoginResult => {
    show('token')
    answer(asked.length - 1, why, payload)
    return results.pop()!
  }
  return { login, asked, warnings, results, show, answer, resultOf }
}

t.test('the actor is shown token and address, the same one for the same token', async (t) => {
  const { asked, show, answer, results } = rig()
  for (let i = 0; i < 64; i++) {
    show(`token-${i % 32}`)
    answer(i, code.ok, '{"user":"ann"}')
  }
  const [call] = asked[0]
  t.match(call, { session: '', user: '', address: '192.0.2.1', service: 'accounts', route: 'accounts.login' })
  t.equal(call.deadlineMs, 2000)
  t.same(JSON.parse(new TextDecoder().decode(call.payload)), { token: 'token-0', address: '192.0.2.1' })
  const keys = asked.map(([{ key }]) => key)
  t.same(keys.slice(0, 32), keys.slice(32))
  t.same([...new Set(keys)].sort(), ['login.0', 'login.1', 'login.2', 'login.3'])
  t.equal(results.length, 64)
})

t.test('its answer says who it is, with what labels, until when', async (t) => {
  const { resultOf, warnings } = rig()
  t.match(resultOf(code.ok, '{"user":"ann"}'), { ok: true, user: 'ann', untilWallMs: undefined })
  const until = Date.now() + 60_000
  const result = resultOf(code.ok, JSON.stringify({ user: 'ann', labels: { track: 'beta' }, until, more: 1 }))
  t.match(result, { ok: true, user: 'ann', labels: { track: 'beta' }, untilWallMs: until })
  t.same(warnings, [])
})

t.test('an answer that is none lets nobody in, and the operator is told, not every time', async (t) => {
  const answers: [RegExp, unknown][] = [
    [/not an object/, 'ann'],
    [/not an object/, null],
    [/`user`/, {}],
    [/`user`/, { user: '' }],
    [/`user`/, { user: 7 }],
    [/`user`/, { user: 'x'.repeat(129) }],
    [/`labels`/, { user: 'ann', labels: ['a'] }],
    [/`labels`/, { user: 'ann', labels: { a: 1 } }],
    [/`until` is not in milliseconds/, { user: 'ann', until: Math.floor(Date.now() / 1000) + 60 }],
    [/`until` is not in milliseconds/, { user: 'ann', until: '2099-01-01' }],
    [/ended before it came/, { user: 'ann', until: Date.now() - 1000 }],
  ]
  for (const [why, answer] of answers) {
    const { resultOf, warnings } = rig()
    const result = resultOf(code.ok, JSON.stringify(answer))
    t.match(result, refused, String(why))
    t.match(warnings, [why])
    t.notMatch(result.ok ? '' : result.text, why, 'the player is not told')
    resultOf(code.ok, JSON.stringify(answer))
    t.equal(warnings.length, 1)
  }
  const { resultOf, warnings } = rig()
  t.match(resultOf(code.ok, '{"user":'), refused)
  t.match(resultOf(code.ok), refused)
  t.match(warnings, [/not JSON/])
})

t.test("a refusal is the token's fault; a host that is away, late, busy or broken is not", async (t) => {
  const { resultOf, show, results, asked } = rig()
  for (const why of [code.not_allowed, code.unauthenticated, code.banned]) t.match(resultOf(why), refused, String(why))
  const failures = ['host_away', 'unknown', 'busy', 'overloaded', 'breaker_open', 'expired', 'stalled', 'link_lost']
  for (const name of [
    ...failures,
    'no_service',
    'not_found',
    'handler_failed',
    'login_failed',
  ] as (keyof typeof code)[]) {
    t.match(resultOf(code[name]), later, name)
  }
  const before = asked.length
  show(Uint8Array.of(0xff))
  t.match(results.pop(), refused)
  t.equal(asked.length, before, 'what is not text is not shown to anybody')
})

t.test('so many wait for an answer and no more, and room comes back', async (t) => {
  const { login, asked, results, show, answer } = rig()
  for (let i = 0; i < 5; i++) show(`t${i}`)
  t.equal(asked.length, 3)
  t.match(results, [later, later])
  answer(1, code.unknown)
  t.equal(login.size, 2)
  show('again')
  t.equal(asked.length, 4)
  for (const index of [0, 2, 3]) answer(index, code.ok, '{"user":"ann"}')
  t.equal(login.size, 0)
  t.equal(results.length, 6)
})
