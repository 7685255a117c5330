import t from 'tap'
import fc from 'fast-check'
import fs from 'node:fs'
import path from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { parse, stringify } from 'yaml'
import { z } from 'zod'
import { initialConfigYaml } from '../../config/default-config.ts'
import { SYSTEM_CONFIG_FILE, findConfigFile } from '../../config/find-config.ts'
import { configSchemaJson } from '../../config/json-schema.ts'
import { newKey, readKey } from '../../config/keys.ts'
import { compareSettings } from '../../config/compare.ts'
import { REDACTED, redactedConfig } from '../../config/redacted.ts'
import { configDocsMarkdown } from '../../config/reference.ts'
import { loadSettings, loadSettingsText } from '../../config/settings-from-yaml.ts'
import { layOutSamples, sampleEnv, sampleNames, samplesFolder } from './samples.ts'

const folder = t.testdir({})
const files = layOutSamples(folder)
const load = (text: string, env: NodeJS.ProcessEnv = {}) => {
  const loaded = loadSettingsText(text, { file: 'f', directory: folder }, env)
  if (!loaded.settings) throw new Error(JSON.stringify(loaded.problems, undefined, 1))
  return loaded.settings
}

t.test(
  'the built-in configuration is safe: development logins and every port on this machine only (O1, W1, W5)',
  async (t) => {
    const { settings, warnings } = loadSettings(undefined, {})
    t.same(warnings, [])
    t.match(settings, {
      listeners: [
        { name: 'tcp-7777', transport: 'tcp', host: '127.0.0.1', port: 7777, security: 'none' },
        { name: 'websocket-8080', transport: 'websocket', host: '127.0.0.1', port: 8080, path: '/' },
      ],
      hosts: [{ address: '127.0.0.1:7800', weight: 100 }],
      auth: { kind: 'development' },
      admin: { enabled: true, host: '127.0.0.1', port: 9902 },
      limits: {
        windowCount: 256,
        windowBytes: 64 * 1024,
        channelsPerSession: 16,
        connectionBytesMax: 512 * 1024,
        grantedBytesMax: 256 * 1024,
        parkedMax: 10_000,
      },
      times: {
        heartbeatMs: 10_000,
        backoffMaxMs: 5000,
        parkMaxMs: 30_000,
        keepMs: 120_000,
        goneAfterMs: 120_000,
        authUntilMs: 43_200_000,
      },
    })
  },
)

t.test('the smallest file gives the same settings as the built-in configuration', async (t) => {
  const smallest = { ...load('services: { arena: { keys: any } }'), stateDir: '' }
  t.same(smallest, { ...loadSettings(undefined, {}).settings, stateDir: '' })
})

t.test('every sample loads without a complaint', async (t) => {
  for (const name of sampleNames) {
    const loaded = loadSettings(files[name], sampleEnv)
    t.same(loaded.problems ?? loaded.warnings, [], name)
  }
  t.match(loadSettings(files.cluster, sampleEnv).settings, {
    name: 'gateway-7',
    hosts: [{ weight: 100, labels: { zone: 'a' } }, {}, { weight: 10, labels: { release: 'canary' } }, {}],
    auth: { kind: 'jwt', userClaim: 'player_id', publicKeyFile: path.join(folder, 'keys/accounts.pem') },
    times: { keepMs: 180_000, goneAfterMs: 180_000 },
  })
  t.match(loadSettings(files.production, sampleEnv).settings, {
    listeners: [{ security: 'tls', tls: { certFile: path.join(folder, 'tls/fullchain.pem') } }, { port: 443 }],
    ticketKeys: { current: readKey(sampleEnv.SKEWER_TICKET_KEY) },
  })
})

t.test('routes: those of the file first, then those of services, then all of a service without any', async (t) => {
  const { routes } = load(`
services:
  arena: { routes: [arena.chat, { match: arena.*, rate: 5/s }] }
  lobby:
  shop: {}
routes:
  - { match: "*", service: shop }
`)
  t.same(routes, [
    { match: '*', service: 'shop' },
    { match: 'arena.chat', service: 'arena' },
    { match: 'arena.*', rate: { perSecond: 5, burst: 5 }, service: 'arena' },
    { match: 'lobby.*', service: 'lobby' },
  ])
})

t.test('references stand anywhere in a value, unquoted in braces too, and become numbers and flags', async (t) => {
  fs.writeFileSync(path.join(folder, 'zone'), 'z1\n')
  const env = { PORT: '7070', OFF: 'false', NAME: 'a', KEEP: '3m' }
  const settings = load(
    `
services: { arena: {} }
listeners: [{ transport: tcp, port: \${env:PORT} }]   # \${env:NOT_READ}
name: gateway-\${env:NAME}-\${env:NAME}
times: { keep: "\${env:KEEP}" }
admin: { enabled: \${env:OFF} }
hosts: [{ name: h, address: "unix:/$\${x}", labels: { zone: \${file:zone} } }]
`,
    env,
  )
  t.match(settings, {
    name: 'gateway-a-a',
    listeners: [{ port: 7070 }],
    times: { keepMs: 180_000 },
    admin: { enabled: false },
  })
  t.match(settings.hosts[0], { address: `unix:/\${x}`, labels: { zone: 'z1' } })
})

t.test('settings are plain, frozen, and equal where the file says the same', async (t) => {
  const text = `services: { arena: {} }\nticketKeys: { current: ${newKey()} }\n`
  const settings = load(text)
  t.ok(isDeepStrictEqual(settings, load(text)))
  t.notOk(isDeepStrictEqual(settings, load(`${text}name: b\n`)))
  t.throws(() => settings.hosts.push(settings.hosts[0]), TypeError)
  t.throws(() => Object.assign(settings.limits, { windowCount: 1 }), TypeError)
})

t.test('a dump reads back as the same settings', async (t) => {
  const text = `
services: { arena: { keys: any, routes: [{ match: a, rate: 5/min, payloadBytesMax: 1KiB, requestDeadlineMax: 90s }] }, lobby: {} }
listeners: [{ transport: websocket, port: 1, path: /x, origins: [https://a], limits: { connectionsMax: 9, handshakesMax: 3 } }, { transport: tcp, tls: { certFile: tls/fullchain.pem, keyFile: tls/privkey.pem } }]
hosts: [{ name: h, address: "127.0.0.1:1", tls: { serverName: s }, labels: { a: b } }]
times: { keep: 90s, linkFlushDelay: 1ms }
admission: { logins: { perAddress: 10/min burst 10, perUser: 1/h } }
auth: { jwt: { algorithms: [EdDSA], keys: [{ kid: a, file: keys/accounts.pem }], jwks: { url: "https://a.example/jwks.json", cooldown: 20s }, audience: game, labels: { track: t } } }
`
  const settings = load(text)
  t.same(load(stringify(redactedConfig(settings))), settings)
  const byHost = load(
    'services: { arena: }\nauth: { singleLogin: reject, host: { service: arena, route: a.b, deadline: 1s } }',
  )
  t.same(load(stringify(redactedConfig(byHost))), byHost)
  t.same(byHost.routes, [], 'what answers logins has no route for players that nobody wrote')
  t.same(load(stringify(redactedConfig(loadSettings(undefined, {}).settings!))), loadSettings(undefined, {}).settings)
})

t.test('a dump holds no password of a store, and a change of it is seen', async (t) => {
  const withStore = (url: string) => load(`services: { arena: {} }\nstore: { redis: { url: "${url}" } }\n`)
  const settings = withStore('redis://me:pass-word@10.0.0.1:6379/1')
  t.same(redactedConfig(settings).store, { redis: { url: REDACTED, keyPrefix: 'skewer:' } })
  const changes = compareSettings(settings, withStore('rediss://me:other@10.0.0.1:6379/1'))
  t.match(changes, [{ path: 'store.redis.url', touches: 'restart' }])
  t.notOk(JSON.stringify(changes).includes('other@'))
})

t.test('a dump holds no secret', async (t) => {
  const settings = loadSettings(files.production, sampleEnv).settings!
  const dump = JSON.stringify(redactedConfig(settings))
  const secrets = [
    sampleEnv.JWT_SECRET,
    sampleEnv.SKEWER_LINK_KEY,
    sampleEnv.SKEWER_TICKET_KEY,
    settings.ticketKeys!.current.id,
  ]
  for (const secret of secrets) t.notOk(dump.includes(secret))
  t.match(redactedConfig(settings), {
    linkKey: REDACTED,
    auth: { jwt: { secret: REDACTED } },
    ticketKeys: { current: REDACTED },
  })
  const admin = redactedConfig(loadSettings(files.cluster, sampleEnv).settings!).admin
  t.match(admin, { token: REDACTED })
})

t.test('a new configuration has keys of its own and loads', async (t) => {
  const [ticketKey, linkKey] = [newKey(), newKey()]
  const settings = load(initialConfigYaml(ticketKey, linkKey))
  t.same(settings.ticketKeys?.current, readKey(ticketKey))
  t.equal(settings.linkKey, linkKey)
})

t.test('a key is named by what it is, however it is written', async (t) => {
  const key = newKey()
  const hex = Buffer.from(key, 'base64').toString('hex')
  const url = Buffer.from(key, 'base64').toString('base64url')
  t.same(readKey(hex), readKey(key))
  t.same(readKey(url), readKey(key))
  t.not(readKey(newKey())!.id, readKey(key)!.id)
  for (const bad of ['', 'x', key.slice(1), `${key}A`, 'zz'.repeat(32)]) t.equal(readKey(bad), undefined)
})

t.test('the JSON schema accepts what the loader accepts and refuses unknown keys', async (t) => {
  const schema = z.fromJSONSchema(JSON.parse(configSchemaJson()))
  for (const name of sampleNames) {
    // References without quotes stand where YAML itself has braces: an editor sees them as text.
    const text = fs.readFileSync(path.join(samplesFolder, `${name}.yaml`), 'utf8')
    const result = schema.safeParse(parse(text))
    t.ok(result.success, `${name}: ${JSON.stringify(result.error?.issues)}`)
  }
  const accepts = (config: object) => schema.safeParse({ services: { arena: {} }, ...config }).success
  t.ok(accepts({ limits: { windowCount: `\${env:COUNT}`, windowBytes: `\${env:BYTES}` } }))
  t.ok(accepts({ services: { arena: { routes: ['arena.*', { match: 'x' }] }, lobby: null } }))
  for (const bad of [
    { nmae: 'x' },
    { limits: { windowBytes: '64K' } },
    { listeners: [{ transport: 'sctp' }] },
    { version: 2 },
  ]) {
    t.notOk(accepts(bad), JSON.stringify(bad))
  }
})

t.test('every key is described, in the schema and so in the reference', async (t) => {
  const bare: string[] = []
  const visit = (schema: Record<string, unknown>, name: string): void => {
    for (const [key, value] of Object.entries((schema.properties ?? {}) as Record<string, Record<string, unknown>>)) {
      if (!value.description) bare.push(`${name}.${key}`)
      visit(value, `${name}.${key}`)
    }
    for (const inner of [schema.items, schema.additionalProperties, ...((schema.anyOf as unknown[]) ?? [])]) {
      if (inner && typeof inner === 'object') visit(inner as Record<string, unknown>, `${name}[]`)
    }
  }
  visit(JSON.parse(configSchemaJson()), '')
  t.same(bare, [])
})

t.test('docs/configuration.md is what `skewer config docs` prints', async (t) => {
  const page = fs.readFileSync(path.join(import.meta.dirname, '../../docs/configuration.md'), 'utf8')
  t.equal(page, configDocsMarkdown())
})

t.test('the schema beside the samples is the one that `skewer config schema` prints', async (t) => {
  t.equal(fs.readFileSync(path.join(samplesFolder, 'skewer.schema.json'), 'utf8'), configSchemaJson())
})

t.test('the file is found by flag, environment, folder, system, in this order', async (t) => {
  const all = () => true
  t.same(findConfigFile({ config: 'a' }, { SKEWER_CONFIG: 'b' }, '/c', all), { file: 'a', from: 'flag' })
  t.same(findConfigFile({}, { SKEWER_CONFIG: 'b' }, '/c', all), { file: 'b', from: 'environment' })
  t.same(findConfigFile({}, {}, '/c', all), { file: 'skewer.yaml', from: 'folder' })
  t.same(
    findConfigFile({}, {}, '/c', (file) => file === SYSTEM_CONFIG_FILE),
    { file: SYSTEM_CONFIG_FILE, from: 'system' },
  )
  t.equal(
    findConfigFile({}, {}, '/c', () => false),
    undefined,
  )
})

t.test('no text makes the loader throw', async (t) => {
  const pieces = [
    'services',
    ': ',
    '{',
    '}',
    '[',
    ']',
    '\n',
    '  ',
    '- ',
    '&a ',
    '*a',
    `\${env:`,
    `\${file:`,
    '!!',
    '"',
    "'",
    '|',
    '? ',
    'x',
    '1',
    '\t',
    '#',
    'times',
    'keep',
    '<<',
    '\uE000',
  ]
  const text = fc.array(fc.constantFrom(...pieces), { maxLength: 40 }).map((parts) => parts.join(''))
  const loads = (text: string) => {
    const loaded = loadSettingsText(text, { file: 'f', directory: folder }, {})
    return (loaded.problems ?? loaded.warnings).every((problem) => problem.what !== '')
  }
  t.doesNotThrow(() => fc.assert(fc.property(text, loads), { numRuns: 2000 }))
})
