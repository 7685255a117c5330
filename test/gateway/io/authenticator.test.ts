import { generateKeyPairSync } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { type JWTPayload, SignJWT, UnsecuredJWT } from 'jose'
import t from 'tap'
import type { AuthSettings } from '../../../config/settings.ts'
import { authenticatorOf } from '../../../gateway/io/authenticator.ts'
import type { LoginResult } from '../../../gateway/seams.ts'
import { code } from '../../../protocols/codes.ts'
import { scratchFolder } from './started.ts'

const SECRET = 'a secret of at least thirty-two bytes'
const long = (length: number): string => 'x'.repeat(length)
const labelsTo = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`l${i}`, '1']))
const defaults = { userClaim: 'sub', labels: {}, clockToleranceMs: 5000 }
const hs256: AuthSettings = { kind: 'jwt', algorithms: ['HS256'], secret: SECRET, ...defaults }
const bytes = (text: string) => new TextEncoder().encode(text)

const login = (settings: AuthSettings, token: string | Uint8Array) =>
  new Promise<LoginResult>((resolve) => {
    authenticatorOf(settings, t.fail, () => t.fail('asked')).login(
      typeof token === 'string' ? bytes(token) : token,
      '127.0.0.1',
      resolve,
    )
  })

const signed = (payload: JWTPayload, key: Parameters<SignJWT['sign']>[0] = bytes(SECRET), alg = 'HS256') =>
  new SignJWT(payload).setProtectedHeader({ alg }).sign(key)

const refused = { ok: false, code: code.unauthenticated }

t.test('in development the token is the name of the user', async (t) => {
  const dev: AuthSettings = { kind: 'development' }
  t.same(await login(dev, 'ada.L-1_x'), { ok: true, user: 'ada.L-1_x', labels: {} })
  for (const token of ['a b', 'a/b', '<script>', 'x'.repeat(65), 'ä']) t.match(await login(dev, token), refused)
  t.match(await login(dev, Uint8Array.of(0xff, 0xfe)), refused)
})

t.test('in development an empty token makes a guest, another one each time', async (t) => {
  const guests = await Promise.all([login({ kind: 'development' }, ''), login({ kind: 'development' }, '')])
  const names = guests.map((guest) => (guest.ok ? guest.user : ''))
  for (const name of names) t.match(name, /^guest-[0-9a-f]{12}$/)
  t.not(names[0], names[1])
})

t.test('a good token gives user, labels and the end of its authority', async (t) => {
  const exp = Math.floor(Date.now() / 1000) + 600
  const token = await signed({ sub: 'ada', exp, labels: { group: 'canary' } })
  const result = await login(hs256, token)
  t.match(result, { ok: true, user: 'ada', untilWallMs: exp * 1000 })
  t.same({ ...(result.ok ? result.labels : {}) }, { group: 'canary' })
  t.match(await login({ ...hs256, userClaim: 'name' }, await signed({ name: 'grace' })), { ok: true, user: 'grace' })
})

t.test('expired, early, foreign and malformed tokens are refused, and not told why in detail', async (t) => {
  const now = Math.floor(Date.now() / 1000)
  const strict: AuthSettings = { ...hs256, issuer: 'login.example', audience: 'game' }
  const cases: [string, AuthSettings, string][] = [
    ['expired', hs256, await signed({ sub: 'ada', exp: now - 60 })],
    ['not valid yet', hs256, await signed({ sub: 'ada', nbf: now + 60 })],
    ['signed by another key', hs256, await signed({ sub: 'ada' }, bytes('another secret of thirty-two bytes!!'))],
    ['of another algorithm', hs256, await signed({ sub: 'ada' }, bytes(SECRET.repeat(2)), 'HS512')],
    ['not signed at all', hs256, new UnsecuredJWT({ sub: 'ada' }).encode()],
    ['of another issuer', strict, await signed({ sub: 'ada', iss: 'evil.example', aud: 'game' })],
    ['for another audience', strict, await signed({ sub: 'ada', iss: 'login.example', aud: 'shop' })],
    ['of nobody', hs256, await signed({})],
    ['of an empty name', hs256, await signed({ sub: '' })],
    ['of a name too long', hs256, await signed({ sub: 'x'.repeat(129) })],
    ['with labels that are not strings', hs256, await signed({ sub: 'ada', labels: { a: 1 } })],
    ['with labels that are a list', hs256, await signed({ sub: 'ada', labels: ['a'] })],
    ['with labels that are nothing', hs256, await signed({ sub: 'ada', labels: null })],
    ['with labels that are a text', hs256, await signed({ sub: 'ada', labels: 'group' })],
    ['with more labels than a session has', hs256, await signed({ sub: 'ada', labels: labelsTo(33) })],
    ['with a label whose name is too long', hs256, await signed({ sub: 'ada', labels: { [long(129)]: '1' } })],
    ['with a label that is too long', hs256, await signed({ sub: 'ada', labels: { a: long(129) } })],
    ['of a name too long in bytes', hs256, await signed({ sub: 'é'.repeat(65) })],
    [
      'with too many labels from claims',
      { ...hs256, labels: { more: 'track' } },
      await signed({ sub: 'ada', labels: labelsTo(32), track: 'beta' }),
    ],
    [
      'with a claim for a label that is a list',
      { ...hs256, labels: { more: 'track' } },
      await signed({ sub: 'ada', track: ['beta'] }),
    ],
    [
      'with a claim for a label that is too long',
      { ...hs256, labels: { more: 'track' } },
      await signed({ sub: 'ada', track: long(129) }),
    ],
    ['not a token', hs256, 'not.a.token'],
    ['empty', hs256, ''],
  ]
  for (const [what, settings, token] of cases) {
    const result = await login(settings, token)
    t.match(result, refused, what)
    t.notMatch(result.ok ? '' : result.text, /secret|login\.example|game/, what)
  }
  const largest = { ...labelsTo(31), [long(128)]: long(128) }
  t.match(await login(hs256, await signed({ sub: long(128), labels: largest })), { ok: true, user: long(128) })
  const claims = await login(
    { ...hs256, labels: { a: 'n', b: 'flag', c: 'none', d: 'nil', e: 'text' } },
    await signed({ sub: 'ada', n: 7, flag: false, nil: null, text: long(128) }),
  )
  t.same({ ...(claims.ok ? claims.labels : {}) }, { a: '7', b: 'false', e: long(128) })
  const says = async (claims: Record<string, unknown>, settings = hs256) => {
    const result = await login(settings, await signed({ sub: 'ada', ...claims }))
    return result.ok ? '' : result.text
  }
  t.equal(await says({ exp: now - 60 }), 'the token has expired')
  t.equal(await says({ nbf: now + 60 }), 'the claim nbf of the token is not accepted')
  t.equal(await says({ iss: 'evil.example', aud: 'game' }, strict), 'the claim iss of the token is not accepted')
  t.equal(await says({ iss: 'login.example' }, strict), 'the claim aud of the token is not accepted')
  t.match(await login(hs256, Uint8Array.of(0xff)), refused)
  t.ok((await login(strict, await signed({ sub: 'ada', iss: 'login.example', aud: 'game' }))).ok)
})

t.test('public keys: a file in PEM; its text is never taken as a secret', async (t) => {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const publicKeyFile = path.join(scratchFolder(t), 'login.pem')
  const pem = publicKey.export({ type: 'spki', format: 'pem' }) as string
  fs.writeFileSync(publicKeyFile, pem)
  const es256: AuthSettings = { kind: 'jwt', algorithms: ['ES256'], publicKeyFile, ...defaults }
  t.match(await login(es256, await signed({ sub: 'ada' }, privateKey, 'ES256')), { ok: true, user: 'ada' })
  const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  t.match(await login(es256, await signed({ sub: 'ada' }, other, 'ES256')), refused)
  t.match(await login(es256, await signed({ sub: 'ada' }, bytes(pem), 'HS256')), refused)
  t.throws(
    () => authenticatorOf({ ...es256, algorithms: ['ES256', 'HS256'] }, t.fail, () => t.fail('asked')),
    /HS algorithms cannot be used/,
  )
  t.throws(
    () => authenticatorOf({ ...es256, publicKeyFile: '/nowhere.pem' }, t.fail, () => t.fail('asked')),
    /cannot be read \(ENOENT\)/,
  )
  fs.writeFileSync(publicKeyFile, 'nonsense')
  t.throws(() => authenticatorOf(es256, t.fail, () => t.fail('asked')), /does not hold a public key in PEM/)
})

t.test('a secret serves HS algorithms only, and something must be configured', async (t) => {
  t.throws(() => authenticatorOf({ ...hs256, algorithms: ['RS256'] }, t.fail, () => t.fail('asked')), /only HS256/)
  t.throws(
    () => authenticatorOf({ ...hs256, secret: undefined }, t.fail, () => t.fail('asked')),
    /need a secret or a public key file/,
  )
  t.throws(() => authenticatorOf({ ...hs256, algorithms: [] }, t.fail, () => t.fail('asked')), /no algorithms/)
})

t.test('what goes wrong without being the fault of the token comes back', async (t) => {
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const publicKeyFile = path.join(scratchFolder(t), 'login.pem')
  fs.writeFileSync(publicKeyFile, publicKey.export({ type: 'spki', format: 'pem' }) as string)
  // The key is of another kind than the algorithm needs: a mistake of the operator, found at the first login.
  const broken: AuthSettings = { kind: 'jwt', algorithms: ['ES256'], publicKeyFile, ...defaults }
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  t.match(await login(broken, await signed({ sub: 'ada' }, privateKey, 'ES256')), {
    ok: false,
    code: code.login_failed,
  })
})
