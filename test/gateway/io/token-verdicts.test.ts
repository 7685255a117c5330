// What is remembered of tokens that are shown again and again, and what is not.
import t from 'tap'
import { TokenVerdicts } from '../../../gateway/io/token-verdicts.ts'
import type { LoginResult } from '../../../gateway/seams.ts'
import { code } from '../../../protocols/codes.ts'

const refused: LoginResult = { ok: false, code: code.unauthenticated, text: 'no' }

function verdictsOf(result: (token: string) => LoginResult) {
  const asked: string[] = []
  const waiting: (() => void)[] = []
  const verdicts = new TokenVerdicts(() => ({
    login(token, _address, done) {
      const text = new TextDecoder().decode(token)
      asked.push(text)
      waiting.push(() => done(result(text)))
    },
  }))
  const answer = () => {
    for (const each of waiting.splice(0)) each()
  }
  const check = (token: string) => {
    verdicts.check(token, '192.0.2.1', () => {})
    answer()
  }
  return { verdicts, asked, answer, check }
}

const good = (token: string): LoginResult => ({ ok: true, user: token, labels: {} })

t.test('a good verdict is known for a minute, and not beyond the end of its token', async (t) => {
  const now = Date.now()
  const { verdicts, check } = verdictsOf((token) =>
    token === 'short' ? { ok: true, user: 'ann', labels: {}, untilWallMs: now + 5000 } : good(token),
  )
  check('long')
  check('short')
  t.equal(verdicts.known('long', now + 59_000)?.user, 'long')
  t.equal(verdicts.known('short', now + 4999)?.user, 'ann')
  t.equal(verdicts.known('short', now + 5000), undefined)
  t.equal(verdicts.known('long', Date.now() + 60_001), undefined)
})

t.test('what is refused, over already or long is checked each time', async (t) => {
  const long = 'x'.repeat(4097)
  const { verdicts, check } = verdictsOf((token) => {
    if (token === 'bad') return refused
    return token === 'over' ? { ok: true, user: 'ann', labels: {}, untilWallMs: Date.now() } : good(token)
  })
  for (const token of ['bad', 'over', long]) {
    check(token)
    t.equal(verdicts.known(token, Date.now()), undefined, token.slice(0, 8))
  }
  t.equal(verdicts.size, 0)
  check(long.slice(1))
  t.equal(verdicts.size, 1)
})

t.test('a verdict that was asked for before keys or bans changed is not kept', async (t) => {
  const { verdicts, answer } = verdictsOf(good)
  const told: unknown[] = []
  verdicts.check('ann', '192.0.2.1', (verdict) => told.push(verdict))
  verdicts.forget()
  answer()
  t.match(told, [{ user: 'ann' }], 'it serves who asked')
  t.equal(verdicts.known('ann', Date.now()), undefined)
})

t.test('when keys or bans change, what was found good before is forgotten, of both generations', async (t) => {
  const { verdicts, check } = verdictsOf(good)
  const now = Date.now()
  check('ann')
  verdicts.forget()
  t.equal(verdicts.known('ann', now), undefined)
  check('bob')
  for (let i = 0; i < 8192; i++) check(`t${i}`)
  t.equal(verdicts.size, 8193)
  verdicts.forget()
  t.equal(verdicts.size, 0)
  for (const token of ['bob', 't8191']) t.equal(verdicts.known(token, now), undefined, token)
  check('ann')
  t.equal(verdicts.known('ann', now)?.user, 'ann', 'what is asked from then on is kept')
})

t.test('a verdict of the older generation that is over is not taken over', async (t) => {
  const { verdicts, check } = verdictsOf(good)
  check('ann')
  for (let i = 0; i < 8192; i++) check(`t${i}`)
  const held = verdicts.size
  t.equal(verdicts.known('ann', Date.now() + 60_001), undefined)
  t.equal(verdicts.size, held - 1)
  check('bob')
  t.equal(verdicts.known('t0', Date.now())?.user, 't0', 'one that holds is')
  t.equal(verdicts.size, held, 'and is held once')
})

t.test('it holds two generations at most: what is shown again stays, what is not is forgotten', async (t) => {
  const { verdicts, check } = verdictsOf(good)
  const now = Date.now()
  check('seldom')
  check('often')
  for (let i = 0; i < 40_000; i++) {
    check(`t${i}`)
    if (i % 1000 === 0) t.ok(verdicts.known('often', now), `${i}`)
    if (verdicts.size > 2 * 8192) t.fail(`${verdicts.size} are held`)
  }
  t.equal(verdicts.known('seldom', now), undefined)
  t.equal(verdicts.known('t39999', now)?.user, 't39999')
})
