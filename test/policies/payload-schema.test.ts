// Payload schemas: what fits, what does not, what cannot be read; mistakes of the operator; and the page, running.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { decode, encode } from '@msgpack/msgpack'
import t from 'tap'
import { loadSettings, loadSettingsText } from '../../config/settings-from-yaml.ts'
import { compileSchema, type PayloadSchemaSettings } from '../../policies/payload-schema.ts'
import { verdict } from '../../policies/pipeline.ts'
import type { RateLimitSettings } from '../../policies/rate-limit.ts'
import { code } from '../../protocols/codes.ts'
import { laneKind, writeOneway, writeRequest, writeUnreliable } from '../../protocols/wire/lane-frames.ts'
import { messagePack } from '../../sdk/client/index.ts'
import { scratchFolder } from '../gateway/io/started.ts'
import { attachedPair, bytes, World } from '../gateway/world.ts'
import { type Cookbook, cookbook, pageText } from './cookbook.ts'

/** Why payloads were refused at a place. */
function reasons(book: Cookbook, scope: string): Record<string, number> {
  const counts = [...book.running.gateway.policing.counts.all()]
  return Object.fromEntries(counts.find((count) => count.policy === 'payload_schema' && count.scope === scope)!.reasons)
}

function worldWith(payloadSchema: Partial<PayloadSchemaSettings>, rateLimits: RateLimitSettings[] = []) {
  const settings = { mode: 'enforce', contentType: 'json', schema: {}, action: 'reject', ...payloadSchema } as const
  const policies = { payloadSchema: settings, rateLimits }
  const world = new World({ routes: [{ match: 'arena.*', service: 'arena', policies }] })
  return { world, ...attachedPair(world) }
}

t.test('what fits passes as it was; what does not fit, or cannot be read, is refused', async (t) => {
  const { client, host } = worldWith({
    schema: { type: 'object', required: ['x'], properties: { x: { type: 'integer', maximum: 9 } } },
  })
  host.take()
  const payloads = ['{"x":9}', ' {"x": 1, "y": []}', '{"x":10}', '{"x":1', '', 'null', '\uFEFF{"x":1}', '{"x":1}\u0000']
  for (const [i, payload] of payloads.entries()) writeOneway(client.w, 0, i + 1, 0, bytes(payload))
  client.w.raw(new Uint8Array(0))
  writeOneway(client.w, 0, 9, 0, Uint8Array.of(0x22, 0xff, 0x22))
  writeRequest(client.w, 0, 10, 0, 1, 1000, bytes('{"x":3}'))
  writeRequest(client.w, 0, 11, 0, 2, 1000, bytes('[]'))
  writeUnreliable(client.w, 0, 1, 0, bytes('{"x":4}'))
  writeUnreliable(client.w, 0, 1, 0, bytes('{"x":"4"}'))
  client.send()
  const rejects = client.only(laneKind.reject).map(({ lane }) => [lane!.number, lane!.code])
  t.same(
    rejects,
    [3, 4, 5, 6, 7, 8, 9, 11].map((number) => [number, code.invalid_payload]),
  )
  const passed = host.take().filter((frame) => frame.payload)
  t.same(
    passed.map((frame) => frame.payload),
    ['{"x":9}', ' {"x": 1, "y": []}', '{"x":3}', '{"x":4}'],
  )
})

t.test('observed, it counts and lets pass', async (t) => {
  const { client, host, world } = worldWith({ mode: 'observe', schema: { type: 'integer' } })
  host.take()
  writeOneway(client.w, 0, 1, 0, bytes('"x"'))
  client.send()
  t.same(client.only(laneKind.reject), [])
  t.same(
    host.take().flatMap(({ payload }) => payload || []),
    ['"x"'],
  )
  const count = [...world.gateway.policing.counts.all()].find(({ policy }) => policy === 'payload_schema')!
  t.same([count.observed[verdict.reject], count.enforced[verdict.reject]], [1, 0])
})

t.test('who sends what does not fit is told no time to try again, whatever was observed before', async (t) => {
  const perMinute = { perSecond: 1 / 60, burst: 1, unit: 'messages', per: ['session'] } as const
  const bans = { action: 'reject', delayMsMax: 0, banMs: 0, banOf: 'address' } as const
  const observed = { name: 'observed', mode: 'observe', ...perMinute, ...bans } as const
  const { client } = worldWith({ schema: { type: 'integer' } }, [observed])
  for (const number of [1, 2]) writeOneway(client.w, 0, number, 0, bytes('"x"'))
  client.send()
  t.same(
    client.only(laneKind.reject).map(({ lane }) => [lane!.code, lane!.retryMs]),
    [
      [code.invalid_payload, 0],
      [code.invalid_payload, 0],
    ],
  )
})

t.test('nothing that a player nests or repeats makes it throw', async (t) => {
  const { client, host } = worldWith({ schema: { type: 'array', items: { $ref: '#' } } })
  host.take()
  const deep = '['.repeat(7000) + ']'.repeat(7000)
  writeOneway(client.w, 0, 1, 0, bytes('[[],[[]]]'))
  writeOneway(client.w, 0, 2, 0, bytes(deep))
  writeOneway(client.w, 0, 3, 0, bytes('['.repeat(14_000)))
  writeOneway(client.w, 0, 4, 0, bytes('{"__proto__":1}'))
  writeOneway(client.w, 0, 5, 0, bytes('[]'))
  client.send()
  const refused = client.only(laneKind.reject).map((frame) => frame.lane!.number)
  t.ok([3, 4].every((number) => refused.includes(number)))
  t.notOk(refused.includes(1) || refused.includes(5), 'the connection goes on')
})

t.test('both drafts are known, and a schema that cannot be used says why', async (t) => {
  t.type(compileSchema({ type: 'array', items: [{ type: 'string' }], additionalItems: false, minItems: 1 }), 'function')
  const $schema = 'https://json-schema.org/draft/2020-12/schema'
  t.type(
    compileSchema({ $schema, type: 'array', prefixItems: [{ type: 'string' }], items: false, minItems: 1 }),
    'function',
  )
  for (const [schema, says] of [
    [{ type: 'intger' }, /type/],
    [{ type: 'string', format: 'email' }, /format "email"/],
    [{ tpye: 'string' }, /tpye/],
    [{ $ref: 'http://example.com/other.json' }, /can't resolve reference/],
    [{ $async: true, type: 'string' }, /async/],
  ] as const) {
    t.match(compileSchema(schema), says)
  }
})

t.test('mistakes are told by line and column, also those in files', async (t) => {
  const complaints = (schema: string): string[] => {
    const yaml = `services: { arena: { keys: any } }\nroutes:\n  - match: arena.move\n    service: arena\n    policies:\n      payloadSchema:\n${schema}`
    const { problems } = loadSettingsText(yaml, { file: 'f', directory: folder }, {})
    return (problems ?? []).map(({ line, column, path, what }) => `${line}:${column} ${path} ${what}`)
  }
  const folder = scratchFolder(t)
  t.match(complaints('        contentType: json\n'), [/^6:7 .*payloadSchema a schema stands in/])
  t.match(complaints('        schema: { type: strin }\n'), [/^7:9 .*schema is not a schema that can be used/])
  t.match(complaints('        schemaFile: none.json\n'), [/^7:21 .*schemaFile cannot be read \(ENOENT\)/])
  writeFileSync(join(folder, 'list.json'), '[1]')
  t.match(complaints('        schemaFile: list.json\n'), [/schemaFile does not hold a mapping/])
  writeFileSync(join(folder, 'bad.yaml'), 'a: [')
  t.equal(complaints('        schemaFile: bad.yaml\n').length, 1)
  writeFileSync(join(folder, 'good.yaml'), 'type: string\nmaxLength: 3\n')
  t.same(complaints('        schemaFile: good.yaml\n'), [])
  const file = join(folder, 'skewer.yaml')
  writeFileSync(file, 'services: { arena: { policies: { payloadSchema: { schemaFile: good.yaml } } } }\n', {
    mode: 0o600,
  })
  t.match(loadSettings(file, {}).settings!.services[0].policies!.payloadSchema!.schema, { maxLength: 3 })
})

t.test('the page, running', async (t) => {
  const book = await cookbook(t, pageText('payload-schema'), ['arena.move', 'arena.name'])
  const ann = await book.player('ann')
  t.same(
    await ann.calls('arena.move', [{ x: 1, y: 2 }, { x: 1 }, { x: 1, y: 1000 }, { x: 1, y: 2, z: 3 }, undefined]),
    ['ok', ...Array.from({ length: 4 }, () => 'invalid_payload')],
  )
  t.same(await ann.calls('arena.name', ['ann', 'Ann', 'a'.repeat(17)]), ['ok', 'invalid_payload', 'invalid_payload'])
  t.same(book.got, ['arena.move', 'arena.name'])
  t.equal(book.count('payload_schema route arena/arena.move', verdict.reject), 4)
  t.same(reasons(book, 'route arena/arena.move'), { schema: 3, unreadable: 1 })
})

t.test('the page on MessagePack, running, and why payloads were refused', async (t) => {
  const codec = messagePack({ encode, decode })
  const book = await cookbook(t, pageText('payload-schema', 1), ['arena.aim'], 'arena', codec)
  const ann = await book.player('ann')
  const payloads = [[0.5, -1], [0.5], [2, 0], [0, Number.NaN], new Uint8Array(2), new Date(0), undefined]
  t.same(await ann.calls('arena.aim', payloads), ['ok', ...Array.from({ length: 6 }, () => 'invalid_payload')])
  t.same(book.got, ['arena.aim'])
  t.same(reasons(book, 'route arena/arena.aim'), { schema: 3, binary: 1, extension: 1, empty: 1 })
})

t.test('MessagePack is refused by the same code where it lies, and by whichever name it is written', async (t) => {
  for (const contentType of ['msgpack', 'application/msgpack', 'application/x-msgpack', 'application/vnd.msgpack']) {
    const yaml = `services: { arena: { policies: { payloadSchema: { contentType: ${contentType}, schema: {} } } } }\n`
    const { settings } = loadSettingsText(yaml, { file: 'f', directory: '.' }, {})
    t.equal(settings!.services[0].policies!.payloadSchema!.contentType, 'msgpack', contentType)
  }
  const { client, host } = worldWith({ contentType: 'msgpack', schema: { type: 'array', maxItems: 2 } })
  host.take()
  writeOneway(client.w, 0, 1, 0, encode([1, 2]))
  writeOneway(client.w, 0, 2, 0, encode([1, 2, 3]))
  writeOneway(client.w, 0, 3, 0, Uint8Array.of(0xdd, 0xff, 0xff, 0xff, 0xff))
  writeOneway(client.w, 0, 4, 0, Uint8Array.of(0x90, 0x90))
  writeOneway(client.w, 0, 5, 0, bytes('[]'))
  writeOneway(client.w, 0, 6, 0, Uint8Array.of(0x90))
  client.send()
  t.same(
    client.only(laneKind.reject).map(({ lane }) => [lane!.number, lane!.code]),
    [2, 3, 4, 5].map((number) => [number, code.invalid_payload]),
  )
  t.equal(host.take().filter((frame) => frame.payload).length, 2)
})

t.test('a text that is not UTF-8 does not fit, in JSON neither', async (t) => {
  for (const [contentType, good, bad] of [
    ['text', [0x61], [0xff]],
    ['json', [0x22, 0x61, 0x22], [0x22, 0xff, 0x22]],
  ] as const) {
    const { client, host } = worldWith({ contentType, schema: { type: 'string' } })
    host.take()
    writeOneway(client.w, 0, 1, 0, Uint8Array.from(bad))
    writeOneway(client.w, 0, 2, 0, Uint8Array.from(good))
    client.send()
    const rejects = client.only(laneKind.reject).map(({ lane }) => [lane!.number, lane!.code])
    t.same(rejects, [[1, code.invalid_payload]], contentType)
  }
})
