// `skewer test`: the page's own files, what fails and why, and mistakes with their places.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { pageText } from '../policies/cookbook.ts'
import { skewer } from './skewer.ts'

/** Processes, on a machine that may be busy. */
t.setTimeout(120_000)

const [config, tests] = [pageText('testing'), pageText('testing', 1)]
const folder = t.testdir({ 'skewer.yaml': config, 'policies.test.yaml': tests })

t.test('the page: everything is as it says', async (t) => {
  const { code, stdout, stderr } = await skewer(['test'], { cwd: folder })
  t.match({ code, stderr }, { code: 0, stderr: '' })
  t.match(stdout, /^ok {2}a user who sends 30 moves at once .*\nok .*\nok .*\n3 of 3 passed\n$/)
})

t.test('what is not as expected is said step by step, and ends with 1', async (t) => {
  const changed = tests
    .replace('rejected: 10, code: rate_limited, retry: 500ms', 'rejected: 9, code: busy, retry: 1s')
    .replace('closed: rate_limited', 'closed: banned')
  writeFileSync(join(folder, 'wrong.yaml'), changed)
  const { code, stdout } = await skewer(['test', 'wrong.yaml'], { cwd: folder })
  t.equal(code, 1)
  t.match(stdout, /^not ok {2}a user who/m)
  t.match(stdout, /step 1, phone send arena.move 30 times: rejected: expected 9, got 10 \(rate_limited\)/)
  t.match(stdout, /code: expected busy, got rate_limited/)
  t.match(stdout, /retry: expected 1s, got 500ms/)
  t.match(stdout, /closed: expected banned, got rate_limited/)
  t.match(stdout, /^ok {2}only admins kick\n.*^1 of 3 passed$/ms)
  const json = await skewer(['test', 'wrong.yaml', '--json'], { cwd: folder })
  t.match(JSON.parse(json.stdout), { ok: false, tests: [{ ok: false }, { ok: true }, { ok: false }] })
})

t.test('an actor that may not be attached to refuses, and is told', async (t) => {
  writeFileSync(join(folder, 'user.yaml'), 'services: { arena: {} }\n')
  const steps =
    '{ from: own, call: arena.x, expect: { passed: 1 } }, { from: other, call: arena.x, expect: { refused: not_allowed } }'
  const text = `config: user.yaml\nroles: { other: { key: ann } }\ntests: [{ name: keys, steps: [${steps}] }]\n`
  writeFileSync(join(folder, 'keys.yaml'), text)
  t.match(await skewer(['test', 'keys.yaml'], { cwd: folder }), { code: 0, stdout: /^ok {2}keys/ })
})

t.test('a payload may be written as MessagePack', async (t) => {
  const schema =
    '{ contentType: msgpack, schema: { type: object, required: [x], properties: { x: { type: integer } } } }'
  const route = `{ match: arena.move, service: arena, policies: { payloadSchema: ${schema} } }`
  writeFileSync(join(folder, 'packed.yaml'), `services: { arena: { keys: any } }\nroutes: [${route}]\n`)
  const steps =
    '{ from: a, call: arena.move, msgpack: { x: 1 }, expect: { passed: 1 } }, ' +
    '{ from: a, call: arena.move, msgpack: { x: 1.5 }, expect: { rejected: 1, code: invalid_payload } }, ' +
    '{ from: a, call: arena.move, json: { x: 1 }, expect: { rejected: 1, code: invalid_payload } }'
  writeFileSync(join(folder, 'packed.test.yaml'), `config: packed.yaml\ntests: [{ name: packed, steps: [${steps}] }]\n`)
  t.match(await skewer(['test', 'packed.test.yaml'], { cwd: folder }), { code: 0, stdout: /^ok {2}packed/ })
})

t.test('an hour of play takes no hour', async (t) => {
  writeFileSync(
    join(folder, 'long.yaml'),
    'config: skewer.yaml\ntests: [{ name: long, steps: [{ from: a, send: arena.move, count: 7200, over: 1h, expect: { passed: 7200 } }] }]\n',
  )
  t.match(await skewer(['test', 'long.yaml'], { cwd: folder }), { code: 0 })
})

t.test('mistakes have their line and column, and end with 2', async (t) => {
  const complaint = async (text: string): Promise<string> => {
    writeFileSync(join(folder, 'bad.yaml'), text)
    const { code, stderr } = await skewer(['test', 'bad.yaml'], { cwd: folder })
    t.equal(code, 2)
    return stderr
  }
  t.match(
    await complaint('tests:\n  - name: x\n    steps:\n      - { from: a, send: r, wait: 1s }\n'),
    /bad.yaml:4:9: .*is one of/,
  )
  t.match(await complaint('tests:\n  - name: x\n    steps: [{ send: r }]\n'), /bad.yaml:3:13: .*`from`/)
  t.match(
    await complaint('tests:\n  - name: x\n    steps: [{ from: a, send: r, expect: { code: nope } }]\n'),
    /bad.yaml:3:49: .*not the name of a code/,
  )
  t.match(await complaint('tests: [\n'), /bad.yaml:\d+:\d+: /)
  t.match(
    await complaint('config: none.yaml\ntests: [{ name: x, steps: [{ wait: 1s }] }]\n'),
    /none.yaml: there is no such file/,
  )
  t.match(await skewer(['test', 'none.yaml'], { cwd: folder }), { code: 2, stderr: /cannot be read \(ENOENT\)/ })
})
