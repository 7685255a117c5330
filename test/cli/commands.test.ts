import t from 'tap'
import fs from 'node:fs'
import path from 'node:path'
import { parse } from 'yaml'
import { readKey } from '../../config/keys.ts'
import { readNoiseKey } from '../../config/noise-keys.ts'
import { layOutSamples, sampleEnv } from '../config/samples.ts'
import { skewer } from './skewer.ts'

/** Many processes, on a machine that may be busy. */
t.setTimeout(180_000)

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

t.test('keygen makes another key every time', async (t) => {
  const [a, b] = await Promise.all([skewer(['keygen'], inEmpty), skewer(['keygen'], inEmpty)])
  t.equal(readKey(a.stdout)?.key.length, 32)
  t.not(a.stdout, b.stdout)
  const { key, id } = JSON.parse((await skewer(['keygen', '--json'], inEmpty)).stdout)
  t.equal(readKey(key)!.id, id)
})

t.test('keygen noise writes a private key for its owner, and prints the public one', async (t) => {
  const cwd = t.testdir()
  const made = await skewer(['keygen', 'noise'], { cwd })
  const file = path.join(cwd, 'noise.key')
  t.equal(fs.statSync(file).mode & 0o777, 0o600)
  const { publicKey } = readNoiseKey(fs.readFileSync(file, 'utf8'))!
  t.equal(made.stdout, `${publicKey}\n`)
  t.match(publicKey, /^[\w-]{43}$/)
  t.match(await skewer(['keygen', 'noise', 'noise.key'], { cwd }), {
    code: 2,
    stdout: '',
    stderr: /noise\.key exists; --show prints its public key, --force replaces it/,
  })
  t.equal((await skewer(['keygen', 'noise', '--show'], { cwd })).stdout, made.stdout)
  const forced = JSON.parse((await skewer(['keygen', 'noise', '--force', '--json'], { cwd })).stdout)
  t.equal(forced.publicKey, readNoiseKey(fs.readFileSync(file, 'utf8'))!.publicKey)
  t.not(forced.publicKey, publicKey)
  fs.writeFileSync(path.join(cwd, 'junk'), 'junk')
  t.match(await skewer(['keygen', 'noise', 'junk', '--show'], { cwd }), { code: 2, stderr: /X25519/ })
  t.match(await skewer(['keygen', 'secret', 'file'], { cwd }), { code: 2, stderr: /go with `keygen noise`/ })
  t.match(await skewer(['keygen', 'rsa'], { cwd }), { code: 2 })
})

t.test('output into a pipe that is closed early is no failure', { skip: process.platform === 'win32' }, async (t) => {
  const { spawnSync } = await import('node:child_process')
  const command = `env -u NODE_OPTIONS '${process.execPath}' '${path.join(import.meta.dirname, '../../bin/skewer')}' config schema | head -1`
  const { stderr, status } = spawnSync('bash', ['-o', 'pipefail', '-c', command], { cwd: empty, encoding: 'utf8' })
  t.same({ stderr, status }, { stderr: '', status: 0 })
})

t.test('accelerate says what it lacks, and builds nothing then', { skip: process.platform !== 'linux' }, async (t) => {
  const before = await skewer(['accelerate', '--check', '--json'], inEmpty)
  const withoutCompiler = await skewer(['accelerate'], { ...inEmpty, env: { CC: 'no-such-compiler' } })
  t.match(withoutCompiler, { code: 1, stderr: /^skewer: there is no C compiler no-such-compiler/ })
  const failing = await skewer(['accelerate'], { ...inEmpty, env: { CC: 'false' } })
  t.match(failing, { code: 1, stderr: /^skewer: false failed/ })
  t.same(await skewer(['accelerate', '--check', '--json'], inEmpty), before)
  const off = await skewer(['accelerate', '--check'], { ...inEmpty, env: { SKEWER_ACCELERATOR: 'off' } })
  t.match(off, { code: 1, stdout: /SKEWER_ACCELERATOR=off/ })
})
