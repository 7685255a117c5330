import t from 'tap'
import fs from 'node:fs'
import path from 'node:path'
import { decodeProtectedHeader, jwtVerify } from 'jose'
import { parse } from 'yaml'
import { readKey } from '../../config/keys.ts'
import { layOutSamples, sampleEnv } from '../config/samples.ts'
import { skewer } from './skewer.ts'

const folder = t.testdir({
  empty: {},
  'good.yaml': 'services: { arena: {} }\n',
  'bad.yaml': 'services: { arena: {} }\nlistners: []\ntimes: { keep: 30 }\n',
})
const samples = layOutSamples(folder)
const empty = path.join(folder, 'empty')
const inEmpty = { cwd: empty }

t.test('wrong usage ends with 2 and a suggestion, help that was asked for with 0', async (t) => {
  const unknown = await skewer(['chek'], inEmpty)
  t.equal(unknown.code, 2)
  t.match(unknown.stderr, /error: unknown command 'chek'\n\(Did you mean check\?\)/)
  t.equal(unknown.stdout, '')
  t.match(await skewer(['session', 'lst'], inEmpty), { code: 2, stderr: /Did you mean list\?/ })
  t.match(await skewer(['check', '--jsn'], inEmpty), { code: 2, stderr: /Did you mean --json\?/ })
  t.match(await skewer([], inEmpty), { code: 2, stderr: /Usage: skewer/ })
  t.match(await skewer(['--help'], inEmpty), { code: 0, stdout: /run the gateway in the foreground/ })
  t.match(await skewer(['run', '--help'], inEmpty), { code: 0, stdout: /--websocket-port/ })
  t.match(await skewer(['run', '--dev', '--config', 'x'], inEmpty), { code: 2, stderr: /cannot be used with/ })
  t.match(await skewer(['run', '--tcp-port', '70000'], inEmpty), { code: 2, stderr: /A port is a number/ })
  t.match(await skewer(['token'], inEmpty), { code: 2, stderr: /required option/ })
})

t.test('version says what runs', async (t) => {
  const { version } = JSON.parse(fs.readFileSync(path.join(import.meta.dirname, '../../package.json'), 'utf8'))
  t.match(await skewer(['version'], inEmpty), { code: 0, stdout: `skewer ${version} (node ${process.versions.node}` })
  t.equal((await skewer(['--version'], inEmpty)).stdout, `${version}\n`)
  const { stdout } = await skewer(['version', '--json'], inEmpty)
  t.match(JSON.parse(stdout), { skewer: version, node: process.versions.node })
})

t.test('check tells every complaint on stderr and ends with 2', async (t) => {
  const bad = await skewer(['check', 'bad.yaml'], { cwd: folder })
  t.equal(bad.code, 2)
  t.equal(bad.stdout, '')
  t.same(bad.stderr.trimEnd().split('\n'), [
    'bad.yaml:2:1: listners: is not a key of a configuration; did you mean listeners?',
    'bad.yaml:3:16: times.keep: is not a duration; got 30; expected a duration with its unit, such as 500ms, 30s, 2m or 12h; did you mean 30s?',
  ])
  t.match(await skewer(['check', 'no.yaml'], { cwd: folder }), { code: 2, stderr: 'no.yaml: there is no such file\n' })
})

t.test('check of a good one ends with 0 and says what is in it', async (t) => {
  t.same(await skewer(['check', 'good.yaml'], { cwd: folder }), {
    code: 0,
    signal: null,
    stdout: 'good.yaml: ok, 2 listeners, 1 service, 1 host, 1 route\n',
    stderr: '',
  })
  t.match(await skewer(['check'], inEmpty), { code: 0, stdout: /^built-in configuration: ok/ })
  t.match(await skewer(['check'], { cwd: empty, env: { SKEWER_CONFIG: '../bad.yaml' } }), { code: 2 })
  t.match(await skewer(['check', '-c', '../good.yaml'], inEmpty), { code: 0 })
  for (const file of Object.values(samples))
    t.match(await skewer(['check', file], { env: sampleEnv }), { code: 0, stderr: '' })
})

t.test('the configuration of the demo is a good one', async (t) => {
  const file = path.join(import.meta.dirname, '../../examples/arena/skewer.yaml')
  t.match(await skewer(['check', file], inEmpty), { code: 0, stderr: '' })
})

t.test('check reads standard input', async (t) => {
  t.match(await skewer(['check', '-'], { cwd: empty, input: 'services: { arena: {} }' }), { code: 0, stdout: /^-: ok/ })
  t.match(await skewer(['check', '-'], { cwd: empty, input: 'x: 1' }), { code: 2, stderr: /^-:1:1: x: is not a key/m })
})

t.test('check --json prints problems with their places', async (t) => {
  const { code, stdout, stderr } = await skewer(['check', 'bad.yaml', '--json'], { cwd: folder })
  t.equal(code, 2)
  t.equal(stderr, '')
  t.match(JSON.parse(stdout), {
    ok: false,
    file: 'bad.yaml',
    problems: [{ severity: 'error', line: 2, path: 'listners' }, { line: 3 }],
  })
  t.match(JSON.parse((await skewer(['check', '--json'], inEmpty)).stdout), { ok: true, file: null, problems: [] })
})

t.test('init writes a configuration of its own, once, for its owner only', async (t) => {
  const cwd = t.testdir({})
  t.match(await skewer(['init'], { cwd }), { code: 0, stdout: /skewer.yaml is written/ })
  const file = path.join(cwd, 'skewer.yaml')
  const first = fs.readFileSync(file, 'utf8')
  if (process.platform !== 'win32') t.equal(fs.statSync(file).mode & 0o777, 0o600)
  t.match(await skewer(['check'], { cwd }), { code: 0, stderr: '' })
  t.match(await skewer(['init'], { cwd }), { code: 2, stderr: 'skewer: skewer.yaml exists; --force replaces it\n' })
  t.equal(fs.readFileSync(file, 'utf8'), first)
  fs.chmodSync(file, 0o644)
  t.match(await skewer(['init', '--force'], { cwd }), { code: 0 })
  const [before, after] = [parse(first), parse(fs.readFileSync(file, 'utf8'))]
  t.not(after.ticketKeys.current, before.ticketKeys.current)
  t.not(after.linkKey, before.linkKey)
  if (process.platform !== 'win32') t.equal(fs.statSync(file).mode & 0o777, 0o600, 'also where it replaced another')
  t.match(await skewer(['init', 'no/such/folder/x.yaml'], { cwd }), { code: 1, stderr: /cannot be written \(ENOENT\)/ })
  t.match(JSON.parse((await skewer(['init', 'b.yaml', '--json'], { cwd })).stdout), {
    file: 'b.yaml',
    schemaFile: 'skewer.schema.json',
  })
})

t.test('config prints the default, the page, the schema, and what is in use without secrets', async (t) => {
  const standard = await skewer(['config', 'default'], inEmpty)
  t.match(await skewer(['check', '-'], { cwd: empty, input: standard.stdout }), { code: 0 })
  const page = fs.readFileSync(path.join(import.meta.dirname, '../../docs/configuration.md'), 'utf8')
  t.equal((await skewer(['config', 'docs'], inEmpty)).stdout, page)
  t.match(JSON.parse((await skewer(['config', 'schema', '--json'], inEmpty)).stdout), { type: 'object' })
  const dump = await skewer(['config', 'dump', '--config', samples.production], { env: sampleEnv })
  t.equal(dump.code, 0)
  for (const secret of Object.values(sampleEnv).slice(0, 3)) t.notOk(dump.stdout.includes(secret))
  t.match(parse(dump.stdout), { name: 'gateway-1', linkKey: '[redacted]' })
  t.match(JSON.parse((await skewer(['config', 'dump', '--json'], inEmpty)).stdout), { times: { keep: '2m' } })
  t.match(await skewer(['config', 'dump', '-c', 'bad.yaml'], { cwd: folder }), {
    code: 2,
    stdout: '',
    stderr: /bad.yaml cannot be used/,
  })
})

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

t.test('keygen makes another key every time', async (t) => {
  const [a, b] = await Promise.all([skewer(['keygen'], inEmpty), skewer(['keygen'], inEmpty)])
  t.equal(readKey(a.stdout)?.key.length, 32)
  t.not(a.stdout, b.stdout)
  const { key, id } = JSON.parse((await skewer(['keygen', '--json'], inEmpty)).stdout)
  t.equal(readKey(key)!.id, id)
})

t.test('output into a pipe that is closed early is no failure', { skip: process.platform === 'win32' }, async (t) => {
  const { spawnSync } = await import('node:child_process')
  const command = `env -u NODE_OPTIONS '${process.execPath}' '${path.join(import.meta.dirname, '../../bin/skewer')}' config schema | head -1`
  const { stderr, status } = spawnSync('bash', ['-o', 'pipefail', '-c', command], { cwd: empty, encoding: 'utf8' })
  t.same({ stderr, status }, { stderr: '', status: 0 })
})
