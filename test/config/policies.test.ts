// Policies as they are written: defaults, `off`, all four places, there and back, mistakes with line and column.
import { Ajv } from 'ajv'
import t from 'tap'
import { parse, stringify } from 'yaml'
import { compareSettings } from '../../config/compare.ts'
import { configSchemaJson } from '../../config/json-schema.ts'
import { problemText } from '../../config/problems.ts'
import { redactedConfig } from '../../config/redacted.ts'
import { loadSettingsText } from '../../config/settings-from-yaml.ts'
import type { Settings } from '../../config/settings.ts'

const load = (text: string): Settings => {
  const { settings, problems } = loadSettingsText(text, { file: 'f', directory: '.' }, {})
  if (settings === undefined) throw new Error(problems.map(problemText).join('\n'))
  return settings
}
const complaints = (text: string): string[] => {
  const { problems, warnings } = loadSettingsText(text, { file: 'f', directory: '.' }, {})
  return (problems ?? warnings ?? []).map(problemText)
}
const base = 'services: { arena: { keys: any } }\n'
const limitNames = (settings: Settings) => (settings.policies?.rateLimits ?? []).map(({ name }) => name)

t.test(
  'two limits and shedding hold without a word; one of the same name takes their place, off takes them away',
  async (t) => {
    const { policies } = load(base)
    t.match(policies!.rateLimits, [
      {
        name: 'messages',
        unit: 'messages',
        perSecond: 1000,
        burst: 2000,
        per: ['session'],
        action: 'reject',
        mode: 'enforce',
      },
      { name: 'bytes', unit: 'bytes', perSecond: 2 ** 20, burst: 4 * 2 ** 20, per: ['session'] },
    ])
    t.match(policies!.shedding, { mode: 'enforce', eventLoopDelayMs: 500, memoryShare: 0.9, queueAgeMs: 2000 })
    t.same(limitNames(load(`${base}policies: { rateLimits: { messages: off, more: { rate: 1/s } } }`)), [
      'bytes',
      'more',
    ])
    const other = load(
      `${base}policies: { rateLimits: { bytes: { bytes: 1KiB/min burst 16KiB, per: [user, route] } } }`,
    )
    t.same(limitNames(other), ['messages', 'bytes'])
    t.match(other.policies!.rateLimits![1], { perSecond: 1024 / 60, burst: 16_384, per: ['user', 'route'] })
    t.equal(load(`${base}policies: { shedding: { mode: off } }`).policies!.shedding, undefined)
  },
)

const everything = `services:
  arena:
    keys: any
    policies: { priority: high, messageSize: { payloadBytesMax: 4KiB, mode: observe } }
    routes: [{ match: arena.say, policies: { authentication: { labels: { role: [a, b] } } } }]
listeners:
  - { transport: tcp, policies: { slowConsumers: { behindMax: 30s, dropAbove: 25% }, rateLimits: { l: { rate: 5/min, action: delay, delayMax: 1s } } } }
routes:
  - match: arena.move
    service: arena
    rate: 20/s burst 40
    policies:
      rateLimits: { moves: { bytes: 2KiB/s burst 16KiB, per: [user, address], action: ban, banFor: 1h, banOf: user, mode: observe } }
      payloadSchema: { schema: { type: object }, action: drop }
policies:
  rateLimits: { messages: off }
  shedding: { memory: 50%, mode: observe }
  priority: low
`

t.test('the dump of every policy loads as the same settings', async (t) => {
  const settings = load(everything)
  const again = load(stringify(redactedConfig(settings)))
  for (const key of ['policies', 'routes', 'services', 'listeners'] as const) {
    t.same(JSON.parse(JSON.stringify(again[key])), JSON.parse(JSON.stringify(settings[key])), key)
  }
  t.same(compareSettings(settings, again), [])
})

t.test('a reload names what has changed in the words of the file, and touches messages only', async (t) => {
  const changes = compareSettings(
    load(everything),
    load(
      everything
        .replace('2KiB/s burst 16KiB', '3KiB/s burst 16KiB')
        .replace('memory: 50%', 'memory: 60%')
        .replace('30s', '40s'),
    ),
  )
  t.same(
    changes.map(({ path, touches }) => [path, touches]),
    [
      ['listeners[tcp-7777].policies.slowConsumers.behindMax', 'messages'],
      ['routes[arena.move].policies.rateLimits.moves.bytes', 'messages'],
      ['policies.shedding.memory', 'messages'],
    ],
  )
})

t.test('mistakes are told where they are, with what was meant', async (t) => {
  const cases: [yaml: string, says: RegExp][] = [
    ['policies: { ratelimits: {} }', /^f:2:13: policies\.ratelimits: is not a key.*did you mean rateLimits/],
    ['policies: { rateLimits: { a: { rate: 5 } } }', /^f:2:38: .*is not a rate; got 5;.*did you mean 5\/s/],
    ['policies: { rateLimits: { a: { bytes: 5KB/s } } }', /^f:2:39: .*is not a rate of bytes/],
    ['policies: { rateLimits: { a: { per: user } } }', /^f:2:30: .*`rate` or of `bytes`/],
    ['policies: { rateLimits: { a: { rate: 1/s, bytes: 1KiB/s } } }', /^f:2:30: .*`rate` or of `bytes`/],
    ['policies: { rateLimits: { a: { rate: 1/s, per: player } } }', /per.*player.*one of connection, session/],
    ['policies: { rateLimits: { a: { rate: 1/s, action: explode } } }', /action.*explode.*one of reject/],
    ['policies: { payloadSchema: {} }', /payloadSchema: is not a key/],
    ['listeners: [{ transport: tcp, policies: { shedding: {} } }]', /shedding: is not a key/],
    ['policies: { shedding: { memory: 90 } }', /memory.*did you mean 90%/],
    ['policies: { rateLimits: { a: { bytes: 1KiB/s } } }', /^f:2:39: warning: .*larger than the burst never pass/],
    [
      'routes: [{ match: arena.x, service: arena, rate: 1/s, policies: { rateLimits: { rate: { rate: 2/s } } } }]',
      /rateLimits\.rate: is said twice/,
    ],
    [
      'routes: [{ match: arena.x, service: arena, payloadBytesMax: 1KiB, policies: { messageSize: { payloadBytesMax: 2KiB } } }]',
      /messageSize: is said twice/,
    ],
  ]
  for (const [yaml, says] of cases) {
    const found = complaints(base + yaml)
    t.ok(
      found.some((complaint) => says.test(complaint)),
      `${yaml}: ${found.join(' | ')}`,
    )
  }
})

t.test('the schema for editors takes what the loader takes', async (t) => {
  const validate = new Ajv({ strict: false, validateFormats: false }).compile(JSON.parse(configSchemaJson()) as object)
  for (const text of [everything, `${base}policies: { rateLimits: { messages: off, a: { rate: 1/s, per: user } } }`]) {
    t.ok(validate(parse(text)), JSON.stringify(validate.errors))
  }
  t.notOk(validate(parse(`${base}policies: { rateLimits: { messages: on } }`)))
})
