// Tokens and the keys that check them: several files by `kid`, key sets in files, and key sets on servers that are slow,
// away or wrong, which no login whose key is known may notice.
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { once } from 'node:events'
import fs from 'node:fs'
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import path from 'node:path'
import { type JWTPayload, SignJWT } from 'jose'
import t, { type Test } from 'tap'
import { loadSettings } from '../../../config/settings-from-yaml.ts'
import type { JwtSettings } from '../../../config/settings.ts'
import { JwtAuthenticator } from '../../../gateway/io/jwt-authenticator.ts'
import type { LoginResult } from '../../../gateway/seams.ts'
import { code } from '../../../protocols/codes.ts'
import { overSocket } from './scripted-client.ts'
import { portOf, scratchFolder, started } from './started.ts'

const base: JwtSettings = {
  kind: 'jwt',
  algorithms: ['EdDSA', 'ES256'],
  userClaim: 'sub',
  labels: {},
  clockToleranceMs: 5000,
}
const refused = { ok: false, code: code.unauthenticated }
const later = { ok: false, code: code.login_failed }

const newPair = () => generateKeyPairSync('ed25519')
const pemOf = (key: KeyObject) => key.export({ type: 'spki', format: 'pem' }) as string
const jwkOf = (key: KeyObject, kid: string) => ({ ...key.export({ format: 'jwk' }), kid })
const signed = (key: KeyObject, kid?: string, payload: JWTPayload = { sub: 'ada' }, alg = 'EdDSA') =>
  new SignJWT(payload).setProtectedHeader(kid === undefined ? { alg } : { alg, kid }).sign(key)
const login = (authenticator: JwtAuthenticator, token: string) =>
  new Promise<LoginResult>((resolve) => {
    authenticator.login(new TextEncoder().encode(token), '127.0.0.1', resolve)
  })

/** A server of a key set: what it answers can be changed, also into silence. */
async function keyServer(t: Test) {
  const served = {
    asked: 0,
    answer: (response: http.ServerResponse): void => void response.end(),
    url: '',
    fetched: async (count: number): Promise<void> => {
      while (served.asked < count) await once(server, 'request')
    },
    serve: (...keys: object[]) => {
      served.answer = (response) => void response.end(JSON.stringify({ keys }))
    },
  }
  const server = http.createServer((_request, response) => {
    served.asked++
    served.answer(response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  served.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  return served
}

type Times = { timeoutMs?: number; refreshMs?: number; cooldownMs?: number }

function remote(t: Test, url: string, times: Times = {}, before?: JwtAuthenticator) {
  const warnings: string[] = []
  const jwks = { url, timeoutMs: 5000, refreshMs: 600_000, cooldownMs: 0, ...times }
  const authenticator = new JwtAuthenticator({ ...base, jwks }, (what, error) =>
    warnings.push(`${what}: ${error.message}`),
  )
  authenticator.begin(before)
  t.teardown(() => authenticator.end())
  return { authenticator, warnings }
}

t.test('a token is checked with the key that it names, one that names none with the key for all others', async (t) => {
  const folder = scratchFolder(t)
  const [a, b, other] = [newPair(), newPair(), newPair()]
  for (const [name, { publicKey }] of Object.entries({ a, b, other })) {
    fs.writeFileSync(path.join(folder, name), pemOf(publicKey))
  }
  const keys = [
    { kid: 'a', file: path.join(folder, 'a') },
    { kid: 'b', file: path.join(folder, 'b') },
  ]
  const two = new JwtAuthenticator({ ...base, keys }, t.fail)
  t.match(await login(two, await signed(a.privateKey, 'a')), { ok: true, user: 'ada' })
  t.match(await login(two, await signed(b.privateKey, 'b')), { ok: true })
  t.match(await login(two, await signed(a.privateKey, 'b')), refused)
  t.match(await login(two, await signed(a.privateKey, 'c')), refused)
  t.match(await login(two, await signed(a.privateKey)), refused)
  const all = new JwtAuthenticator({ ...base, keys, publicKeyFile: path.join(folder, 'other') }, t.fail)
  t.match(await login(all, await signed(other.privateKey)), { ok: true })
  t.match(await login(all, await signed(other.privateKey, 'c')), { ok: true })
  t.match(await login(all, await signed(other.privateKey, 'a')), refused)
})

t.test('a key set in a file: public keys only, whatever else it holds', async (t) => {
  const file = path.join(scratchFolder(t), 'jwks.json')
  const [a, b] = [newPair(), newPair()]
  const secret = Buffer.from('a secret that was published, long enough')
  const oct = { kty: 'oct', k: secret.toString('base64url'), kid: 'oct' }
  const set = { keys: [jwkOf(a.publicKey, 'a'), jwkOf(b.privateKey, 'b'), oct] }
  fs.writeFileSync(file, JSON.stringify(set))
  const jwks = { file, timeoutMs: 1, refreshMs: 1, cooldownMs: 1 }
  const authenticator = new JwtAuthenticator({ ...base, jwks }, t.fail)
  t.match(await login(authenticator, await signed(a.privateKey, 'a')), { ok: true, user: 'ada' })
  t.match(await login(authenticator, await signed(a.privateKey)), { ok: true }, 'one key needs no name')
  t.match(await login(authenticator, await signed(b.privateKey, 'b')), refused)
  const forged = await new SignJWT({ sub: 'ada' }).setProtectedHeader({ alg: 'HS256', kid: 'oct' }).sign(secret)
  t.match(await login(authenticator, forged), refused)
  fs.writeFileSync(file, '{"keys": 1}')
  t.throws(() => new JwtAuthenticator({ ...base, jwks }, t.fail), /jwks\.json holds no list `keys`/)
})

t.test('keys of a server are fetched once, and again for a key that is not known', async (t) => {
  const server = await keyServer(t)
  const [a, b] = [newPair(), newPair()]
  server.serve(jwkOf(a.publicKey, 'a'))
  const { authenticator, warnings } = remote(t, server.url)
  const logins = Array.from({ length: 20 }, async () => login(authenticator, await signed(a.privateKey, 'a')))
  for (const result of await Promise.all(logins)) t.match(result, { ok: true, user: 'ada' })
  t.equal(server.asked, 1)
  server.serve(jwkOf(a.publicKey, 'a'), jwkOf(b.publicKey, 'b'))
  t.match(await login(authenticator, await signed(b.privateKey, 'b')), { ok: true })
  t.equal(server.asked, 2)
  t.match(await login(authenticator, await signed(b.privateKey, 'nobody')), refused)
  t.match(await login(authenticator, await signed(b.privateKey, 'a')), refused)
  t.equal(server.asked, 3, 'a known key that does not fit is no reason to ask')
  t.same(warnings, [])
})

t.test('a server that does not answer holds up no login whose key is known', async (t) => {
  const server = await keyServer(t)
  const [a, b] = [newPair(), newPair()]
  server.serve(jwkOf(a.publicKey, 'a'))
  const { authenticator, warnings } = remote(t, server.url, { timeoutMs: 1000 })
  t.match(await login(authenticator, await signed(a.privateKey, 'a')), { ok: true })
  server.answer = () => {}
  const unknown = login(authenticator, await signed(b.privateKey, 'b'))
  await server.fetched(2)
  let isOver = false
  void unknown.then(() => {
    isOver = true
  })
  for (let i = 0; i < 20; i++) t.match(await login(authenticator, await signed(a.privateKey, 'a')), { ok: true })
  t.notOk(isOver, 'they are in before the fetch has come to its end')
  t.match(await unknown, later)
  t.match(warnings, [/could not be read; the keys that are known go on: .*timeout/])
})

t.test('unknown keys ask the server once in the cooldown, and come back meanwhile', async (t) => {
  const server = await keyServer(t)
  const a = newPair()
  server.serve(jwkOf(a.publicKey, 'a'))
  const { authenticator } = remote(t, server.url, { cooldownMs: 600_000 })
  t.match(await login(authenticator, await signed(a.privateKey, 'a')), { ok: true })
  for (let i = 0; i < 50; i++) t.match(await login(authenticator, await signed(a.privateKey, `k${i}`)), later)
  t.equal(server.asked, 1)
})

t.test('what is no key set changes nothing', async (t) => {
  const server = await keyServer(t)
  const a = newPair()
  server.serve(jwkOf(a.publicKey, 'a'))
  const { authenticator, warnings } = remote(t, server.url)
  t.match(await login(authenticator, await signed(a.privateKey, 'a')), { ok: true })
  const wrong: [RegExp, (response: http.ServerResponse) => void][] = [
    [/it answered 500/, (response) => void response.writeHead(500).end()],
    [/does not hold JSON/, (response) => void response.end('<html>')],
    [/holds no list `keys`/, (response) => void response.end('[]')],
    [/holds no public key/, (response) => void response.end('{"keys":[]}')],
    [/no key/, (response) => void response.end('{"keys":[1]}')],
    [/holds no public key/, (response) => void response.end('{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}')],
    [/more than 1MiB/, (response) => void response.end(Buffer.alloc(2 ** 21, 32))],
    [/fetch failed/, (response) => void response.writeHead(302, { location: '/elsewhere' }).end()],
    [/fetch failed/, (response) => void response.destroy()],
  ]
  for (const [why, answer] of wrong) {
    server.answer = answer
    t.match(await login(authenticator, await signed(a.privateKey, 'other')), later, String(why))
    t.match(warnings.pop(), why)
    t.match(await login(authenticator, await signed(a.privateKey, 'a')), { ok: true }, String(why))
  }
})

t.test('a redirect is not followed: keys come from the address that was configured', async (t) => {
  const [server, elsewhere] = [await keyServer(t), await keyServer(t)]
  const a = newPair()
  elsewhere.serve(jwkOf(a.publicKey, 'a'))
  server.answer = (response) => void response.writeHead(302, { location: elsewhere.url }).end()
  const { authenticator } = remote(t, server.url)
  t.match(await login(authenticator, await signed(a.privateKey, 'a')), later)
  t.equal(elsewhere.asked, 0)
})

t.test('a set is fetched again from time to time: a key that was taken out serves no more', async (t) => {
  const server = await keyServer(t)
  const [a, b] = [newPair(), newPair()]
  server.serve(jwkOf(a.publicKey, 'a'))
  const { authenticator } = remote(t, server.url, { refreshMs: 5 })
  t.match(await login(authenticator, await signed(a.privateKey, 'a')), { ok: true })
  server.serve(jwkOf(b.publicKey, 'b'))
  await server.fetched(server.asked + 2)
  t.match(await login(authenticator, await signed(a.privateKey, 'a')), refused)
})

t.test('the keys outlive a reload while the server is away, and stay with their server', async (t) => {
  const server = await keyServer(t)
  const a = newPair()
  server.serve(jwkOf(a.publicKey, 'a'))
  const first = remote(t, server.url)
  t.match(await login(first.authenticator, await signed(a.privateKey, 'a')), { ok: true })
  server.answer = (response) => void response.destroy()
  const second = remote(t, server.url, {}, first.authenticator)
  t.match(await login(second.authenticator, await signed(a.privateKey, 'a')), { ok: true })
  const elsewhere = remote(t, server.url.replace('jwks', 'other'), {}, first.authenticator)
  t.match(await login(elsewhere.authenticator, await signed(a.privateKey, 'a')), later)
})

t.test('clocks may differ by the tolerance, for the end and the beginning of a token', async (t) => {
  const folder = scratchFolder(t)
  const a = newPair()
  const publicKeyFile = path.join(folder, 'a')
  fs.writeFileSync(publicKeyFile, pemOf(a.publicKey))
  const now = Math.floor(Date.now() / 1000)
  const [strict, lenient] = [0, 60_000].map(
    (clockToleranceMs) => new JwtAuthenticator({ ...base, publicKeyFile, clockToleranceMs }, t.fail),
  )
  for (const times of [{ exp: now - 20 }, { nbf: now + 20 }]) {
    const token = await signed(a.privateKey, undefined, { sub: 'ada', ...times })
    t.match(await login(strict, token), refused)
    t.match(await login(lenient, token), { ok: true })
  }
})

t.test('claims become labels by name, and what is no short text is refused', async (t) => {
  const a = newPair()
  const publicKeyFile = path.join(scratchFolder(t), 'a')
  fs.writeFileSync(publicKeyFile, pemOf(a.publicKey))
  const labels = { track: 'release_track', level: 'lvl', staff: 'is_staff' }
  const authenticator = new JwtAuthenticator({ ...base, publicKeyFile, labels }, t.fail)
  const result = async (claims: JWTPayload) =>
    login(authenticator, await signed(a.privateKey, undefined, { sub: 'ada', ...claims }))
  const labelsOf = (found: LoginResult) => ({ ...(found.ok ? found.labels : {}) })
  t.same(labelsOf(await result({ release_track: 'beta', lvl: 7, is_staff: false })), {
    track: 'beta',
    level: '7',
    staff: 'false',
  })
  t.same(labelsOf(await result({ release_track: 'beta', labels: { track: 'stable', zone: 'a' } })), {
    track: 'beta',
    zone: 'a',
  })
  t.same(labelsOf(await result({ release_track: null })), {})
  t.match(await result({ release_track: ['beta'] }), refused)
  t.match(await result({ release_track: 'x'.repeat(129) }), refused)
  const many = Object.fromEntries(Array.from({ length: 32 }, (_, i) => [`l${i}`, 'x']))
  t.match(await result({ release_track: 'beta', labels: many }), refused)
})

t.test(
  'a reload reads the key set again, a bad one changes nothing, and a server that is away keeps its keys',
  async (t) => {
    const folder = scratchFolder(t)
    const [a, b] = [newPair(), newPair()]
    const server = await keyServer(t)
    server.serve(jwkOf(a.publicKey, 'a'))
    const setFile = path.join(folder, 'jwks.json')
    const configFile = path.join(folder, 'skewer.yaml')
    const configure = (jwks: string) =>
      fs.writeFileSync(
        configFile,
        `listeners: [{ transport: tcp, port: 0 }]
hosts: [{ name: local, address: "127.0.0.1:9" }]
services: { arena: }
admin: { port: 0 }
log: { level: silent }
stateDir: ${folder}
auth: { jwt: { algorithms: [EdDSA], jwks: { ${jwks} } } }
`,
        { mode: 0o600 },
      )
    const publish = (...keys: object[]) => fs.writeFileSync(setFile, JSON.stringify({ keys }))
    publish(jwkOf(a.publicKey, 'a'))
    configure('file: jwks.json')
    const running = await started(t, loadSettings(configFile, {}).settings!, { configFile })
    const tokens = { a: await signed(a.privateKey, 'a'), b: await signed(b.privateKey, 'b') }
    /** The user that a token makes, or the code that refuses it. */
    const comesIn = async (token: string) => {
      const client = overSocket(net.connect(portOf(running, 'tcp'), '127.0.0.1'))
      t.teardown(() => client.pipe.destroy())
      // Refused, it is not welcomed and this is never settled but by its deadline.
      client.login(token).catch(() => {})
      await client.until(() => client.welcome !== undefined || client.closedWith !== undefined, 'an answer')
      return client.welcome?.user ?? client.closedWith?.code
    }
    const isRefused = async (token: string) => t.equal(await comesIn(token), code.unauthenticated)

    t.equal(await comesIn(tokens.a), 'ada')
    await isRefused(tokens.b)
    publish(jwkOf(b.publicKey, 'b'))
    await running.reload('signal')
    t.equal(await comesIn(tokens.b), 'ada')
    await isRefused(tokens.a)

    fs.writeFileSync(setFile, '{}')
    await running.reload('signal')
    t.equal(await comesIn(tokens.b), 'ada', 'a set that is broken is not taken')

    configure(`url: "${server.url}"`)
    await running.reload('signal')
    t.equal(await comesIn(tokens.a), 'ada')
    t.equal(await comesIn(tokens.b), code.login_failed, 'the server was asked a moment ago')
    server.answer = (response) => void response.destroy()
    await running.reload('signal')
    t.equal(await comesIn(tokens.a), 'ada', 'the keys outlive a reload')
  },
)
