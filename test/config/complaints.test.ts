// Every kind of complaint: where it points, what it says, what it offers. Each case is a small file and the complaints,
// whole, that must come of it.
import t from 'tap'
import fs from 'node:fs'
import path from 'node:path'
import { PROBLEMS_MAX, problemSource, problemText } from '../../config/problems.ts'
import { loadSettings, loadSettingsText } from '../../config/settings-from-yaml.ts'

const base = 'services: { arena: {} }\n'

/** The complaints of a text, in order, as an operator reads them. */
function complaints(text: string, env: NodeJS.ProcessEnv = {}, directory = '.'): string[] {
  const loaded = loadSettingsText(text, { file: 'f', directory }, env)
  return (loaded.problems ?? loaded.warnings).map(problemText)
}

t.test('unknown keys are told with the name that was meant, or with all that there are', async (t) => {
  t.same(complaints(`${base}listners: []\n`), [
    'f:2:1: listners: is not a key of a configuration; did you mean listeners?',
  ])
  t.same(complaints('servces: { arena: {} }\n'), [
    'f:1:1: servces: is not a key of a configuration; did you mean services?',
  ])
  t.same(complaints(`${base}log: { colour: 1 }\n`), [
    'f:2:8: log.colour: is not a key of this mapping; expected one of level, format',
  ])
  t.same(complaints('services: { arena: { kyes: any } }'), [
    'f:1:22: services.arena.kyes: is not a key of this mapping; did you mean keys?',
  ])
})

t.test('wrong types say what was written and what is expected', async (t) => {
  const got = complaints(`${base}limits: { windowCount: many }\nhosts: 5\nadmin: { enabled: yes }\nname: 7\nlog: [x]\n`)
  t.same(got, [
    'f:2:24: limits.windowCount: has the wrong type; got text many; expected a whole number',
    'f:3:8: hosts: has the wrong type; got the number 5; expected a list',
    'f:4:19: admin.enabled: has the wrong type; got text yes; expected true or false; did you mean true?',
    'f:5:7: name: has the wrong type; got the number 7; expected text; did you mean "7"?',
    'f:6:6: log: has the wrong type; got a list of 1; expected a mapping',
  ])
  t.same(complaints('[]'), ['f:1:1: has the wrong type; got a list of 0; expected a mapping'])
})

t.test('words out of a list are told with the nearest one', async (t) => {
  const got = complaints(
    `${base}listeners:\n  - transport: websokcet\n  - transport: quic\nlog: { level: inf }\nversion: 2\n`,
  )
  t.same(got, [
    'f:3:16: listeners[0].transport: is not a value that may stand here; got websokcet; expected one of tcp, websocket, udp, http; did you mean websocket?',
    'f:4:16: listeners[1].transport: is not a value that may stand here; got quic; expected one of tcp, websocket, udp, http',
    'f:5:15: log.level: is not a value that may stand here; got inf; expected one of trace, debug, info, warn, error, fatal, silent; did you mean info?',
    'f:6:10: version: is not a value that may stand here; got 2; expected 1',
  ])
})

t.test('missing keys are told at the mapping that lacks them', async (t) => {
  t.same(complaints(''), ['f: services: is missing; expected a mapping'])
  t.same(complaints('services: {}'), [
    'f:1:11: services: no service is declared; expected at least one, as in `arena: {}`',
  ])
  t.same(complaints(`${base}hosts:\n  - name: a\n`), ['f:3:5: hosts[0].address: is missing; expected text'])
  t.same(complaints(`${base}listeners: []\n`), [
    'f:2:12: listeners: is too short; got a list of 0; expected at least 1 entry',
  ])
})

t.test('numbers out of range, durations, sizes and rates', async (t) => {
  const text = [
    base.trimEnd(),
    'listeners: [{ transport: tcp, port: 70000 }]',
    'times: { keep: 120, heartbeat: 5 minutes, linkFlushDelay: 1s }',
    'limits: { windowBytes: 64K, frameBytesMax: 1B, channelsPerSession: 17, windowCount: 0 }',
    'routes: [{ match: a, service: arena, rate: 5 per second }]',
  ]
  t.same(complaints(text.join('\n')), [
    'f:2:37: listeners[0].port: is too large; got 70000; expected at most 65535',
    'f:3:16: times.keep: is not a duration; got 120; expected a duration with its unit, such as 500ms, 30s, 2m or 12h; did you mean 120s?',
    'f:3:32: times.heartbeat: is not a duration; got "5 minutes"; expected a duration with its unit, such as 500ms, 30s, 2m or 12h; did you mean 5m?',
    'f:3:59: times.linkFlushDelay: is too large; got 1s; expected at most 20ms',
    'f:4:24: limits.windowBytes: is not a size; got 64K; expected a size with its unit: B, KiB, MiB or GiB, such as 64KiB; did you mean 64KiB?',
    'f:4:44: limits.frameBytesMax: is too small; got 1B; expected at least 1KiB',
    'f:4:68: limits.channelsPerSession: is too large; got 17; expected at most 16',
    'f:4:85: limits.windowCount: is too small; got 0; expected at least 1',
    'f:5:44: routes[0].rate: is not a rate; got "5 per second"; expected a rate such as 50/s, 600/min or 50/s burst 100; did you mean 5/s?',
  ])
})

t.test('names have a form', async (t) => {
  const got = complaints(
    'services: { "a b": {} }\nroutes: [{ match: "ar*na", service: x }]\nhosts: [{ name: a, address: nowhere }]',
  )
  t.match(got[0], /^f:1:13: services\["a b"\]: has not the form of such a name; got "a b"; expected at most 64 letters/)
  t.match(got[1], /^f:2:19: routes\[0\].match: .*got ar\*na; expected a name such as arena.move, or a wildcard/)
  t.match(got[2], /^f:3:29: hosts\[0\].address: .*got nowhere; expected address:port/)
  const more = complaints(
    `${base}listeners: [{ transport: tcp, host: everywhere }]\nhosts: [{ name: a, address: "127.0.0.1:99999" }]`,
  )
  t.match(more[0], /^f:2:37: listeners\[0\].host: is not an address to listen on; got everywhere/)
})

t.test('YAML that cannot be read', async (t) => {
  t.same(complaints('services:\n\tarena: {}\n'), ['f:2:1: Tabs are not allowed as indentation; expected spaces'])
  t.match(complaints('services: [\n')[0], /^f:2:1: Flow sequence in block collection/)
  t.same(complaints(`${base}name: a\nname: b\n`), ['f:3:1: name: the key is written twice'])
  t.same(complaints('services:\n  arena: { keys: any, keys: user }\n'), [
    'f:2:23: services.arena.keys: the key is written twice',
  ])
  t.same(complaints(`${base}name: *nobody\n`), ['f:2:7: an alias names no anchor before it'])
  t.match(complaints(`${base}name: !shout hello\n`)[0], /^f:2:7: Unresolved tag: !shout/)
  t.match(complaints(`${base}---\nname: b\n`)[0], /multiple documents/)
})

t.test('a bomb of aliases, endless nesting, a cycle and a huge text are refused', async (t) => {
  const letters = 'bcdefgh'
  const level = (name: string, i: number) =>
    `${name}: &${name} [${Array(9)
      .fill(`*${'a'.concat(letters)[i]}`)
      .join(', ')}]`
  const bomb = `a: &a [x, x, x]\n${[...letters].map(level).join('\n')}\n`
  t.same(complaints(bomb), ['f:2:8: aliases stand for more than 100 nodes'])
  t.match(complaints('['.repeat(100_000))[0], /is nested deeper than 32 levels$/)
  t.match(complaints('a: '.concat('['.repeat(40), ']'.repeat(40)))[0], /is nested deeper than 32 levels$/)
  t.match(complaints('services: &s { arena: *s }')[0], /is nested deeper than 32 levels$/)
  t.same(complaints('#'.repeat(1024 * 1024 + 1)), ['f: is too large; expected at most 1MiB'])
})

t.test('references that lead nowhere are told where they are written', async (t) => {
  const folder = t.testdir({ empty: '\n', big: 'x'.repeat(70_000) })
  const jwt = (secret: string) => `${base}auth:\n  jwt:\n    algorithms: [HS256]\n    secret: ${secret}\n`
  const at = 'f:5:13: auth.jwt.secret:'
  t.same(complaints(jwt(`\${env:JWT_SECERT}`), { JWT_SECRET: 'x'.repeat(32) }), [
    `${at} the environment variable JWT_SECERT is not set; got \${env:JWT_SECERT}; did you mean \${env:JWT_SECRET}?`,
  ])
  t.match(complaints(jwt(`\${env:E}`), { E: '' })[0], /the environment variable E is empty/)
  t.same(complaints(jwt(`\${file:no}`), {}, folder), [
    `${at} ${path.join(folder, 'no')} cannot be read (ENOENT); got \${file:no}`,
  ])
  t.match(complaints(jwt(`\${file:empty}`), {}, folder)[0], /empty is empty; got/)
  t.match(complaints(jwt(`\${file:big}`), {}, folder)[0], /is larger than 64KiB/)
  t.same(complaints(jwt(`\${JWT_SECRET}`), {}), [
    `${at} is not a reference that skewer knows; got \${JWT_SECRET}; expected \${env:NAME} or \${file:path}; did you mean \${env:JWT_SECRET}?`,
  ])
})

t.test('what a reference stands for is never shown', async (t) => {
  const got = complaints(`${base}listeners: [{ transport: tcp, port: \${env:P} }]\nname: \${env:P}\n`, {
    P: 'top secret',
  })
  t.match(
    got[0],
    /^f:2:37: listeners\[0\].port: has the wrong type; got the value of \$\{env:P\}; expected a whole number$/,
  )
  t.notMatch(got.join('\n'), /top secret/)
})

t.test('what stands where a secret belongs is never shown, nor is its line', async (t) => {
  const text = `${base}ticketKeys: { current: hunter2 }\nadmin: { token: hunter2 }\nlinkKey: 22\n`
  const { problems } = loadSettingsText(text, { file: 'f', directory: '.' }, {})
  const shown = problems!.flatMap((problem) => [problemText(problem), problemSource(problem)?.line])
  t.notMatch(shown.join('\n'), /hunter2/)
  t.match(shown[0], /^f:2:24: ticketKeys.current: is not a key; expected 32 bytes in base64 or hex/)
})

t.test('O1: what a repair may take must be shorter than what the ends keep', async (t) => {
  t.same(complaints(`${base}times:\n  heartbeat: 20s\n  parkMax: 90s\n`), [
    'f:4:12: times.parkMax: two `heartbeat`, `backoffMax` and `parkMax` must add up to less than `keep`, or sessions end while they are being repaired (O1); got 40s + 5s + 90s = 135s against 2m; expected keep above 135s',
  ])
  t.match(complaints(`${base}times: { keep: 55s }`)[0], /^f:2:16: .*\(O1\)/, 'equal is not less')
  t.same(complaints(`${base}times: { keep: 56s }`), [])
})

t.test('W5: what is granted to channels stays below what is held for a connection', async (t) => {
  t.match(
    complaints(`${base}limits: { grantedBytesMax: 512KiB }`)[0],
    /^f:2:28: .*below `connectionBytesMax` \(W5\); got 512KiB granted, 512KiB held/,
  )
  t.match(complaints(`${base}limits: { connectionBytesMax: 256KiB }`)[0], /^f:2:31: .*\(W5\)/)
  t.match(
    complaints(`${base}limits: { windowBytes: 224KiB }`)[0],
    /^f:2:24: .*do not fit `grantedBytesMax` \(W5\); got 224KiB \+ 64KiB/,
  )
  t.match(
    complaints(`${base}limits: { queueBytesMax: 1MiB, connectionBytesMax: 2MiB }`)[0],
    /one connection may hold more than all together/,
  )
})

t.test('W1: the largest message fits a frame, and a route promises no larger one', async (t) => {
  t.match(
    complaints(`${base}limits: { frameBytesMax: 16KiB }`)[0],
    /^f:2:26: .*\(W1\) and would not fit a frame; got 16KiB; expected at least 16896B/,
  )
  t.match(
    complaints(`${base}limits: { handshakeFrameBytesMax: 64KiB, frameBytesMax: 32KiB }`)[0],
    /frames before login/,
  )
  t.match(
    complaints(`${base}routes: [{ match: x, service: arena, payloadBytesMax: 17KiB }]`)[0],
    /^f:2:55: warning: .*got 17KiB; expected at most 16KiB/,
  )
})

t.test('routes name services that are declared, and are not hidden by earlier ones', async (t) => {
  t.same(complaints(`${base}routes: [{ match: a, service: arean }]`), [
    'f:2:31: routes[0].service: no such service is declared; got arean; did you mean arena?',
  ])
  t.match(complaints(`${base}routes: [{ match: a, service: lobby }]`)[0], /expected one of arena$/)
  const hidden = 'services: { arena: { routes: [arena.*, arena.move] } }'
  t.same(complaints(hidden), [
    'f:1:40: warning: services.arena.routes[1]: never matches: `arena.*` comes first; got arena.move',
  ])
  const two = 'services: { a: { routes: ["*"] }, b: { routes: ["*"] } }'
  t.same(complaints(two), [], 'a channel of another service asks for its own routes only')
})

t.test('names, addresses and ports do not collide', async (t) => {
  const listeners = (text: string) => complaints(`${base}listeners: [${text}]`)
  t.match(
    listeners('{ transport: tcp }, { transport: websocket, port: 7777 }')[0],
    /the port is taken by listener tcp-7777; got 127.0.0.1:7777/,
  )
  t.match(
    listeners('{ transport: tcp, host: "::1" }, { transport: tcp, host: "::", security: none }').join(),
    /port is taken/,
  )
  t.match(listeners('{ transport: tcp, port: 9902 }')[0], /admin.port: the port is taken by listener tcp-9902/)
  t.same(listeners('{ transport: tcp, port: 0 }, { transport: tcp, port: 0 }'), [])
  t.same(listeners('{ transport: tcp, host: "::1" }, { transport: tcp }'), [], 'one port of two addresses')
  t.match(
    listeners('{ transport: tcp, name: a }, { transport: websocket, name: a }')[0],
    /listeners\[0\] has this name; got a/,
  )
  t.match(listeners('{ transport: tcp, path: / }')[0], /path: means nothing for transport tcp/)
  const hosts = complaints(`${base}hosts: [{ name: a, address: "unix:/a" }, { name: a, address: "unix:/a" }]`)
  t.match(hosts[0], /hosts\[0\] has this name; got a/)
  t.match(hosts[1], /hosts\[0\] has this address; got unix:\/a/)
  t.match(complaints(`${base}hosts: [{ name: a, address: "127.0.0.1:99999" }]`)[0], /has no such port/)
})

t.test('hosts that nobody can use are warned of', async (t) => {
  t.match(complaints(`${base}hosts: []`)[0], /^f:2:8: warning: hosts: no host is configured/)
  t.match(
    complaints(`${base}hosts: [{ name: a, address: "unix:/a", weight: 0 }]`)[0],
    /warning: .*every host has weight 0/,
  )
})

t.test('a configuration that cannot be read as a file', async (t) => {
  const folder = t.testdir({ 'big.yaml': '#'.repeat(1024 * 1024 + 1) })
  const missing = path.join(folder, 'no.yaml')
  t.same(loadSettings(missing, {}).problems!.map(problemText), [`${missing}: there is no such file`])
  t.match(loadSettings(folder, {}).problems!.map(problemText)[0], /cannot be read \(EISDIR\)/)
  t.match(
    loadSettings(path.join(folder, 'big.yaml'), {}).problems!.map(problemText)[0],
    /is too large; expected at most 1MiB/,
  )
})

t.test(
  'a plain secret in a file that others can read is warned of',
  { skip: process.platform === 'win32' },
  async (t) => {
    const folder = t.testdir({ 'skewer.yaml': `${base}linkKey: ${'k'.repeat(40)}\n` })
    const file = path.join(folder, 'skewer.yaml')
    fs.chmodSync(file, 0o644)
    const { warnings } = loadSettings(file, {})
    t.match(problemText(warnings![0]), /:2:10: warning: linkKey: a secret stands in a file that others/)
    t.equal(warnings![0].sourceLine, undefined)
    fs.chmodSync(file, 0o600)
    t.same(loadSettings(file, {}).warnings, [])
  },
)

t.test('all complaints come at once, in the order of the file, at most so many', async (t) => {
  const text = `log: { level: x }\n${base}nmae: a\ntimes: { keep: 1 }\n`
  t.same(
    complaints(text).map((line) => line.split(': ')[0]),
    ['f:1:15', 'f:3:1', 'f:4:16'],
  )
  const unknown = Array.from({ length: 80 }, (_, i) => `zz${i}: 1`).join('\n')
  const many = complaints(`${base}${unknown}\n`)
  t.equal(many.length, PROBLEMS_MAX + 1)
  t.equal(many.at(-1), 'f: 30 more complaints are not shown')
})

t.test('unknown keys do not hide what holds between the others', async (t) => {
  t.equal(complaints(`${base}nmae: a\ntimes: { keep: 40s }\n`).length, 2)
})

t.test('the caret stands below what is wrong, also behind tabs', async (t) => {
  const { problems } = loadSettingsText(`${base}name:\t7\n`, { file: 'f', directory: '.' }, {})
  t.same(problemSource(problems![0]), { line: '2 | name:\t7', caret: '  |      \t^' })
})

t.test('breakers, limits and canaries are checked key by key', async (t) => {
  t.same(complaints('services: { arena: { breaker: { errorRate: 50, volum: 9 } } }'), [
    'f:1:44: services.arena.breaker.errorRate: is not a percentage; got 50; expected a percentage such as 50%; did you mean 50%?',
    'f:1:48: services.arena.breaker.volum: is not a key of this mapping; did you mean volume?',
  ])
  t.same(complaints('services: { arena: { breaker: on } }'), [
    'f:1:31: services.arena.breaker: is not a value that may stand here; got on; expected off, or a mapping',
  ])
  t.same(complaints('services: { arena: { routes: [{ match: a.b, concurrency: { max: 0 } }] } }'), [
    'f:1:65: services.arena.routes[0].concurrency.max: is too small; got 0; expected at least 1',
  ])
  t.same(complaints('services: { arena: { breaker: { fallback: arean } }, shop: { breaker: { fallback: shop } } }'), [
    'f:1:43: services.arena.breaker.fallback: no such service is declared; got arean; did you mean arena?',
    'f:1:83: services.shop.breaker.fallback: is the service itself; got shop',
  ])
  t.same(complaints('services: { arena: { canary: { labels: { a: b }, percent: 5% } } }'), [
    'f:1:40: warning: services.arena.canary.labels: no host has these labels: the canary gets nothing',
  ])
})
