import t from 'tap'
import fs from 'node:fs'
import path from 'node:path'
import { decodeProtectedHeader, jwtVerify } from 'jose'
import { layOutSamples, sampleEnv } from '../config/samples.ts'
import { skewer } from './skewer.ts'

/** Many processes, on a machine that may be busy. */
t.setTimeout(180_000)

const folder = t.testdir({
  empty: {},
})
const samples = layOutSamples(folder)
const empty = path.join(folder, 'empty')
const inEmpty = { cwd: empty }

t.test('token signs for a user what a secret is given for', async (t) => {
  const env = { SECRET: 's'.repeat(32) }
  const args = [
    'token',
    '-u',
    'ana',
    '--secret-env',
    'SECRET',
    '--expires',
    '2h',
    '--claim',
    'level=7',
    'vip=true',
    'team=red',
    '--issuer',
    'me',
  ]
  const { code, stdout } = await skewer(args, { cwd: empty, env })
  t.equal(code, 0)
  const { payload } = await jwtVerify(stdout.trim(), new TextEncoder().encode(env.SECRET), { issuer: 'me' })
  t.match(payload, { sub: 'ana', level: 7, vip: true, team: 'red' })
  t.equal(payload.exp! - payload.iat!, 7200)
  fs.writeFileSync(path.join(folder, 'secret'), `${env.SECRET}\n`)
  const other = [
    'token',
    '--user',
    'b',
    '--secret-file',
    path.join(folder, 'secret'),
    '--algorithm',
    'HS512',
    '--user-claim',
    'id',
    '--json',
  ]
  const answer = JSON.parse((await skewer(other, inEmpty)).stdout)
  t.match(answer, { kind: 'jwt', user: 'b', expires: /^\d{4}-/ })
  t.equal(decodeProtectedHeader(answer.token).alg, 'HS512')
  t.equal((await jwtVerify(answer.token, new TextEncoder().encode(env.SECRET))).payload.id, 'b')
})

t.test('token follows the configuration where no secret is given', async (t) => {
  t.match(
    await skewer(['token', '-u', 'ana'], inEmpty),
    { code: 0, stdout: 'ana\n' },
    'development: the name is the token',
  )
  const { stdout } = await skewer(['token', '-u', 'ana', '-c', samples.production], { env: sampleEnv })
  const key = new TextEncoder().encode(sampleEnv.JWT_SECRET)
  const { payload } = await jwtVerify(stdout.trim(), key, { issuer: 'https://accounts.example.com', audience: 'game' })
  t.equal(payload.sub, 'ana')
  const cluster = await skewer(['token', '-u', 'ana', '-c', samples.cluster], { env: sampleEnv })
  t.match(cluster, { code: 2, stderr: /whoever holds the private key has to sign/ })
})

t.test('token refuses what it cannot sign', async (t) => {
  const token = (...args: string[]) =>
    skewer(['token', '-u', 'ana', ...args], { cwd: empty, env: { S: 's'.repeat(32) } })
  t.match(await token('--secret-env', 'NOPE'), { code: 2, stderr: /environment variable NOPE is not set/ })
  t.match(await token('--secret-file', 'nope'), { code: 2, stderr: /nope cannot be read \(ENOENT\)/ })
  t.match(await token('--secret-env', 'S', '--expires', '5'), { code: 2, stderr: /--expires is not a duration/ })
  t.match(await token('--secret-env', 'S', '--claim', 'level'), { code: 2, stderr: /--claim takes name=value/ })
  t.match(await token('--secret-env', 'S', '--algorithm', 'none'), { code: 2, stderr: /Allowed choices/ })
})
