// What differs between two configurations, and what that touches.
import fs from 'node:fs'
import t from 'tap'
import { effectRows } from '../../config/change-effects.ts'
import { type Change, compareConfigs, compareSettings } from '../../config/compare.ts'
import { configJsonSchema, type JsonSchema } from '../../config/json-schema.ts'
import { newKey, readKey } from '../../config/keys.ts'
import { redactedConfig } from '../../config/redacted.ts'
import { loadSettings, loadSettingsText } from '../../config/settings-from-yaml.ts'
import type { Settings } from '../../config/settings.ts'
import { layOutSamples, sampleEnv } from './samples.ts'

function load(text: string): Settings {
  const { settings, problems } = loadSettingsText(text, { file: 'f', directory: '.' }, {})
  if (settings === undefined) throw new Error(JSON.stringify(problems))
  return settings
}

const base = 'name: g\nservices: { arena: { keys: any } }\n'
const changes = (before: string, after: string): Change[] => compareSettings(load(base + before), load(base + after))
const paths = (before: string, after: string): string[] => changes(before, after).map(({ path }) => path)

t.test('what means the same has no changes, however it is written', async (t) => {
  t.same(paths('times: { keep: 2m }', 'times: { keep: 120s }\nlimits: { windowBytes: 64KiB }'), [])
  for (const file of Object.values(layOutSamples(t.testdir({})))) {
    const { settings } = loadSettings(file, sampleEnv)
    t.same(compareSettings(settings!, structuredClone(settings!)), [])
  }
})

t.test('a change says where, from what, to what, and what it touches', async (t) => {
  t.same(changes('log: { level: info }\ntimes: { drain: 30s }', 'log: { level: debug }\ntimes: { drain: 1m }'), [
    {
      path: 'times.drain',
      before: '30s',
      after: '1m',
      touches: 'nothing',
      effect: 'the next time it is waited for',
    },
    { path: 'log.level', before: 'info', after: 'debug', touches: 'nothing', effect: 'the next line of the log' },
  ])
})

t.test('a key that was not set has nothing before it, one that is set no more nothing behind it', async (t) => {
  const [added] = changes('routes: [{ match: a, service: arena }]', 'routes: [{ match: a, service: arena, rate: 5/s }]')
  t.match(added, { path: 'routes[a].rate', after: '5/s', touches: 'messages' })
  t.notOk('before' in added)
  const [removed] = changes(
    'routes: [{ match: a, service: arena, rate: 5/s }]',
    'routes: [{ match: a, service: arena }]',
  )
  t.match(removed, { path: 'routes[a].rate', before: '5/s' })
  t.notOk('after' in removed)
})

t.test('hosts and listeners are matched by name, wherever they stand', async (t) => {
  const a = '{ name: a, address: "127.0.0.1:1" }'
  const b = '{ name: b, address: "127.0.0.1:2" }'
  const c = '{ name: c, address: "127.0.0.1:3", weight: 5 }'
  t.match(changes(`hosts: [${a}, ${b}]`, `hosts: [${c}, ${a}]`), [
    { path: 'hosts[b]', before: { address: '127.0.0.1:2' }, touches: 'hosts' },
    { path: 'hosts[c]', after: { weight: 5 }, touches: 'hosts' },
  ])
  t.same(paths(`hosts: [${a}, ${b}]`, `hosts: [${b}, ${a}]`), [], 'their order means nothing')
  t.match(changes(`hosts: [${a}]`, `hosts: [${a.replace(':1"', ':9"')}]`), [
    { path: 'hosts[a].address', before: '127.0.0.1:1', after: '127.0.0.1:9', touches: 'hosts' },
  ])
  t.match(changes(`hosts: [${a}]`, `hosts: [${a.replace(' }', ', labels: { zone: x } }')}]`), [
    { path: 'hosts[a].labels.zone', touches: 'newcomers' },
  ])
  const listeners = (rest: string) => `listeners: [{ transport: websocket, name: web${rest} }]`
  t.match(changes(listeners(''), listeners(', port: 9000')), [{ path: 'listeners[web].port', touches: 'listeners' }])
  t.match(changes(listeners(''), listeners(', path: /x')), [{ path: 'listeners[web].path', touches: 'newcomers' }])
  t.match(changes(listeners(''), 'listeners: [{ transport: websocket, name: web }, { transport: tcp, name: raw }]'), [
    { path: 'listeners[raw]', touches: 'nothing' },
  ])
  t.match(changes('listeners: [{ transport: websocket, name: web }, { transport: tcp, name: raw }]', listeners('')), [
    { path: 'listeners[raw]', touches: 'listeners' },
  ])
})

t.test(
  'routes: one that is put in front is one change, one that passes another is a change of their order',
  async (t) => {
    const routes = (...names: string[]) => `routes: [${names.map((name) => `{ match: ${name}, service: arena }`)}]`
    t.same(paths(routes('a', 'b'), routes('c', 'a', 'b')), ['routes[c]'])
    t.match(changes(routes('a', 'b.*', 'c'), routes('c', 'a', 'b.*')), [
      { path: 'routes', before: 'a, b.*, c', after: 'c, a, b.*', touches: 'messages' },
    ])
    const two =
      'services: { arena: {}, shop: {} }\nname: g\nroutes: [{ match: a, service: arena }, { match: a, service: shop }]'
    t.match(compareSettings(load(two), load(two.replace('a, service: shop', 'a, service: shop, rate: 1/s'))), [
      { path: 'routes[a#2].rate' },
    ])
  },
)

t.test('secrets that changed are told by name, and never shown', async (t) => {
  const [one, two] = [newKey(), newKey()]
  const secret = (text: string) => text.repeat(32)
  const text = (x: string, key: string) =>
    `linkKey: ${secret(x)}\nadmin: { token: ${secret(x)} }\nticketKeys: { current: ${key} }\n` +
    `auth: { jwt: { algorithms: [HS256], secret: ${secret(x)} } }\n`
  const found = changes(text('a', one), text('b', two))
  t.same(
    found.map(({ path, before, after }) => [path, before, after]),
    [
      ['auth.jwt.secret', 'a secret', 'another secret'],
      ['linkKey', 'a secret', 'another secret'],
      ['admin.token', 'a secret', 'another secret'],
      ['ticketKeys.current', `key ${readKey(one)!.id}`, `key ${readKey(two)!.id}`],
    ],
  )
  const shown = JSON.stringify([...found, ...changes('', text('a', one)), ...changes(text('b', two), '')])
  for (const hidden of [secret('a'), secret('b'), one, two]) t.notOk(shown.includes(hidden))
  t.match(changes('', `linkKey: ${secret('a')}`), [{ path: 'linkKey', after: '[redacted]' }])
})

t.test('what cannot change while it runs says so, a key that nobody has thought about too', async (t) => {
  const restart = changes('', 'stateDir: /x\nadmin: { port: 1 }\nlog: { format: json }').map(({ path, touches }) => [
    path,
    touches,
  ])
  t.same(restart, [
    ['stateDir', 'restart'],
    ['admin.port', 'restart'],
    ['log.format', 'restart'],
  ])
  t.match(compareConfigs({ colour: 'red' }, { colour: 'blue' }), [{ path: 'colour', touches: 'restart' }])
})

t.test('every key of the schema has a line that says what its change touches', async (t) => {
  const unthought: string[] = []
  const visit = (path: string, schema: JsonSchema): void => {
    const inner =
      schema.items ?? (typeof schema.additionalProperties === 'object' ? schema.additionalProperties : schema)
    const properties = (inner.anyOf?.find((option) => option.properties) ?? inner).properties
    const entry = schema.items?.properties ? `${path}[x]` : inner === schema ? path : `${path}.x`
    if (properties === undefined) {
      if (!effectRows.some((row) => row.pattern.test(path))) unthought.push(path)
    } else for (const [key, value] of Object.entries(properties)) visit(path === '' ? key : `${entry}.${key}`, value)
  }
  visit('', configJsonSchema())
  // Another name is another listener or host; there is one version only.
  t.same(unthought, ['version', 'listeners[x].name', 'hosts[x].name'])
})

t.test('dumps can be compared as JSON that came from elsewhere', async (t) => {
  const dump = (text: string) => JSON.parse(JSON.stringify(redactedConfig(load(base + text))))
  t.same(compareConfigs(dump(''), dump('')), [])
  t.match(compareConfigs(dump(''), dump('log: { level: warn }')), [{ path: 'log.level' }])
})

t.test('docs/reload.md says of each key what its change touches', async (t) => {
  const page = fs.readFileSync(new URL('../../docs/reload.md', import.meta.url), 'utf8')
  for (const { keys, touches, effect } of effectRows) t.ok(page.includes(`| ${keys} | ${touches} | ${effect} |`), keys)
})
