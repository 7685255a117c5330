import t from 'tap'
import path from 'node:path'
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
