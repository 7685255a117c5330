// Another configuration for a gateway that runs: the whole of it or nothing, and as little felt as can be.
import fs from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import tls from 'node:tls'
import t from 'tap'
import { newKey, readKey } from '../../../config/keys.ts'
import { lastGoodFile, loadLastGood } from '../../../config/last-good.ts'
import { problemText } from '../../../config/problems.ts'
import { loadSettings } from '../../../config/settings-from-yaml.ts'
import { type RunningGateway, startGateway } from '../../../gateway/io/process.ts'
import type { ReloadOutcome } from '../../../gateway/io/reload.ts'
import { code } from '../../../protocols/codes.ts'
import { makeCertificate } from '../../config/certificate.ts'
import { overSocket } from './scripted-client.ts'
import { ScriptedHost } from './scripted-host.ts'
import { eventually, portOf, scratchFolder, type Test, tcpClient } from './started.ts'

type Logged = { event?: string; msg?: string; [field: string]: unknown }

/** A gateway by a file in a folder of its own; `rest` is added to what every such file says. */
class Stage {
  readonly folder: string
  readonly file: string
  readonly logged: Logged[] = []
  readonly host = new ScriptedHost({ name: 'local' })
  hostAddress = ''
  running!: RunningGateway

  constructor(t: Test) {
    this.folder = scratchFolder(t)
    this.file = path.join(this.folder, 'skewer.yaml')
    t.teardown(() => this.host.close())
  }

  text(rest: string): string {
    const parts: Record<string, string> = {
      services: 'services: { arena: { keys: any } }',
      listeners: 'listeners: [{ transport: tcp, name: tcp, port: 0 }, { transport: websocket, name: web, port: 0 }]',
      hosts: `hosts: [{ name: local, address: "${this.hostAddress}" }]`,
      admin: 'admin: { port: 0 }',
      log: 'log: { level: info, format: json }',
    }
    for (const key of Object.keys(parts)) if (new RegExp(`^${key}:`, 'm').test(rest)) delete parts[key]
    return `${Object.values(parts).join('\n')}\n${rest}\n`
  }

  write(rest: string): void {
    fs.writeFileSync(this.file, this.text(rest), { mode: 0o600 })
  }

  async start(t: Test, rest = ''): Promise<this> {
    this.hostAddress = await this.host.listen()
    this.write(rest)
    const { settings, source, problems } = loadSettings(this.file, {})
    if (settings === undefined) throw new Error(problems.map(problemText).join('\n'))
    const logTarget = { write: (line: string) => this.logged.push(JSON.parse(line)) }
    this.running = await startGateway(settings, { configFile: this.file, source, env: {}, logTarget })
    t.teardown(() => this.running.close())
    await eventually(() => this.running.gateway.readiness().ready, 'the link')
    return this
  }

  reload(rest: string): Promise<ReloadOutcome> {
    this.write(rest)
    return this.running.reload('signal')
  }

  events(name: string): Logged[] {
    return this.logged.filter(({ event }) => event === name)
  }

  async admin(
    method: string,
    path: string,
    token?: string,
  ): Promise<{ status: number; body: Record<string, unknown> }> {
    const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` }
    const response = await fetch(new URL(path, this.running.adminAddress), { method, headers })
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }
}

const refused = (outcome: ReloadOutcome) => {
  if (outcome.outcome !== 'refused') throw new Error(`it was ${outcome.outcome}`)
  return { reason: outcome.reason, problems: outcome.problems.map(problemText) }
}

async function freePort(): Promise<number> {
  const server = net.createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as net.AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

const canConnect = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })

t.test('a bad file changes nothing and says where: YAML, an unknown key, a certificate that is missing', async (t) => {
  const stage = await new Stage(t).start(t)
  const { settings } = stage.running.gateway
  const client = await tcpClient(t, stage.running, 'ada')
  const cases: [rest: string, problem: RegExp][] = [
    ['times: { keep: 1m', /^.*skewer\.yaml:\d+:\d+: /],
    ['tims: { keep: 1m }', /:6:1: tims: is not a key of a configuration; did you mean times\?$/],
    ['log: { level: debug }\ntimes: { keep: 1 }', /:6:16: times\.keep: .*expected/],
    [
      'listeners: [{ transport: tcp, name: tcp, port: 0, tls: { certFile: no.crt, keyFile: no.key } }]',
      /:5:\d+: listeners\[0\]\.tls\.certFile: the file cannot be read \(ENOENT\)/,
    ],
  ]
  for (const [rest, problem] of cases) {
    const { reason, problems } = refused(await stage.reload(rest))
    t.match(reason, /skewer\.yaml cannot be used$/)
    t.match(problems[0], problem)
  }
  fs.rmSync(stage.file)
  t.match(refused(await stage.running.reload('signal')).problems, [/there is no such file/])
  t.equal(stage.running.gateway.settings, settings, 'the very same')
  t.notOk(client.isGone)
  t.match(stage.events('reload_refused'), Array(5).fill({ trigger: 'signal', problems: [/skewer\.yaml/] }))
  t.same(stage.events('reloaded'), [])
})

t.test('what cannot change while it runs refuses the whole, and is named', async (t) => {
  const stage = await new Stage(t).start(t)
  const { reason } = refused(await stage.reload('stateDir: other\nlog: { level: error, format: json }\nname: other'))
  t.match(reason, /^name cannot change from ".*" to "other" while the gateway runs \(.*\): restart it; stateDir cannot/)
  t.not(stage.running.gateway.settings.log.level, 'error', 'nothing of it is in use')
  t.match(await stage.reload(''), { outcome: 'reloaded', changes: [] }, 'the rest can be had again')
})

t.test('a rate limit holds for sessions that are there, and the log for the next line', async (t) => {
  const stage = await new Stage(t).start(t)
  const client = await tcpClient(t, stage.running, 'ada')
  await client.attach('arena', 'a1')
  const echoed = async (count: number, passes: number) => {
    client.received.length = 0
    const refusedBefore = stage.running.gateway.counters.refusedByCode[code.rate_limited]
    for (let i = 0; i < count; i++) client.send(Uint8Array.of(i))
    await client.until(() => client.received.length === passes, `${passes} echoes`)
    const counters = stage.running.gateway.counters
    await eventually(() => counters.refusedByCode[code.rate_limited] - refusedBefore === count - passes, 'refusals')
  }
  await echoed(20, 20)
  const limited = 'routes: [{ match: arena.*, service: arena, rate: 1/h burst 5 }]'
  const outcome = await stage.reload(`log: { level: warn, format: json }\n${limited}`)
  t.match(outcome, { outcome: 'reloaded', changes: [{ path: 'routes[arena.*].rate' }, { path: 'log.level' }] })
  await echoed(20, 5)
  await stage.reload(`log: { level: info, format: json }\n${limited}\ntimes: { drain: 7s }`)
  await echoed(3, 0)
  t.match(stage.events('reloaded'), [{ changes: 2, changed: ['times.drain', 'log.level'] }], 'the first was not logged')
  await stage.reload('')
  await echoed(20, 20)
  t.notOk(client.isGone)
})

t.test('listeners come and go alone: the clients of the others notice nothing', async (t) => {
  const stage = await new Stage(t).start(t)
  const [one, two] = [await freePort(), await freePort()]
  const listeners = (...entries: string[]) =>
    `times: { drain: 200ms }\nlisteners: [{ transport: tcp, name: tcp, port: 0 }${entries.map((e) => `, ${e}`).join('')}]`
  const stays = await tcpClient(t, stage.running, 'stays')
  const port = portOf(stage.running, 'tcp')
  await stage.reload(listeners(`{ transport: tcp, name: extra, port: ${one} }`))
  t.match(stage.running.addresses, [
    { name: 'tcp', port },
    { name: 'extra', port: one },
  ])
  const goes = overSocket(net.connect(one, '127.0.0.1'))
  await goes.login('goes')
  const moved = await stage.reload(listeners(`{ transport: tcp, name: extra, port: ${two} }`))
  t.match(moved, { changes: [{ path: 'listeners[extra].port', touches: 'listeners' }] })
  t.same([await canConnect(one), await canConnect(two)], [false, true])
  await goes.until(() => goes.isGone, 'the end')
  t.equal(goes.closedWith?.code, code.going_away)
  // Another protocol on the same port: the old one makes room for the new one.
  const plain = overSocket(net.connect(two, '127.0.0.1'))
  await plain.login('plain')
  await stage.reload(listeners(`{ transport: websocket, name: extra, port: ${two} }`))
  t.match(await (await fetch(`http://127.0.0.1:${two}/`)).text(), /clients connect by WebSocket/)
  await plain.until(() => plain.isGone, 'the end')
  t.match(await stage.reload(listeners()), { changes: [{ path: 'listeners[extra]', touches: 'listeners' }] })
  t.notOk(await canConnect(two))
  t.notOk(stays.isGone)
  t.match(await stage.admin('GET', '/listeners'), { body: { length: 1 } })
})

t.test('where one listener cannot listen, none of the others has changed', async (t) => {
  const stage = await new Stage(t).start(t)
  const port = await freePort()
  const listeners = (...entries: string[]) =>
    `listeners: [{ transport: tcp, name: tcp, port: 0 }, ${entries.join(', ')}]`
  await stage.reload(listeners(`{ transport: tcp, name: extra, port: ${port} }`))
  const client = overSocket(net.connect(port, '127.0.0.1'))
  t.teardown(() => client.pipe.destroy())
  await client.login('ada')
  const taken = net.createServer()
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
  t.teardown(() => taken.close())
  const takenPort = (taken.address() as net.AddressInfo).port
  const { reason } = refused(
    await stage.reload(
      listeners(
        `{ transport: websocket, name: other, port: ${port} }`,
        `{ transport: tcp, name: late, port: ${takenPort} }`,
      ),
    ),
  )
  t.match(reason, new RegExp(`^listener late cannot listen on 127.0.0.1:${takenPort}: another process listens there`))
  t.match(stage.running.addresses, [{ name: 'tcp' }, { name: 'extra', port }])
  const again = overSocket(net.connect(port, '127.0.0.1'))
  t.teardown(() => again.pipe.destroy())
  await again.login('bo')
  t.notOk(client.isGone, 'who was there is there')
})

t.test('path and origins of a WebSocket hold for new connections', async (t) => {
  const stage = await new Stage(t).start(t)
  const port = portOf(stage.running, 'websocket')
  await stage.reload(
    'listeners: [{ transport: tcp, name: tcp, port: 0 }, { transport: websocket, name: web, port: 0, path: /play }]',
  )
  t.equal(portOf(stage.running, 'websocket'), port)
  t.equal((await fetch(`http://127.0.0.1:${port}/play`)).status, 426)
})

t.test('client certificates are asked for from a reload on, and others of whoever could resume', async (t) => {
  const stage = new Stage(t)
  const pairOf = (name: string) => ({ cert: read(`${name}.crt`), key: read(`${name}.key`) })
  const read = (name: string) => fs.readFileSync(path.join(stage.folder, name))
  for (const name of ['a', 'b']) {
    makeCertificate(path.join(stage.folder, `${name}.crt`), path.join(stage.folder, `${name}.key`))
  }
  const listener = (more: string) =>
    `listeners: [{ transport: tcp, name: tcp, port: 0, tls: { certFile: a.crt, keyFile: a.key${more} } }]`
  await stage.start(t, listener(''))
  /** The TLS session of a client that was greeted; undefined: it was not. In TLS 1.3 a refusal comes late. */
  const greeted = (options: tls.ConnectionOptions): Promise<Buffer | undefined> =>
    new Promise((resolve) => {
      const port = portOf(stage.running, 'tcp')
      const socket = tls.connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options })
      let session: Buffer | undefined
      socket.on('session', (given) => {
        session = given
      })
      socket.once('close', () => resolve(undefined)).on('error', () => {})
      socket.once('data', () => {
        resolve(session)
        socket.destroy()
      })
    })
  t.ok(await greeted({}))
  t.match(await stage.reload(listener(', clientCaFile: a.crt')), {
    changes: [{ path: 'listeners[tcp].tls.clientCaFile', touches: 'newcomers' }],
  })
  t.notOk(await greeted({}))
  const session = await greeted(pairOf('a'))
  t.ok(session)
  await stage.reload(listener(', clientCaFile: b.crt'))
  t.notOk(await greeted({ session }), 'a ticket of TLS from before is worth nothing')
  t.ok(await greeted(pairOf('b')))
  await stage.reload(listener(''))
  t.ok(await greeted({}))
})

t.test('T3: a key that is next opens, then seals, then opens as previous, then is forgotten', async (t) => {
  const stage = await new Stage(t).start(t)
  const { sealer } = stage.running.gateway.env
  const opens = (sealed: Uint8Array) => 'plain' in sealer.open('ticket', sealed)
  const own = sealer.seal('ticket', Uint8Array.of(1))
  const [a, b] = [newKey(), newKey()]
  const idOf = (sealed: Uint8Array) => Buffer.from(sealed.subarray(0, 4)).toString('hex')
  const keys = async (text: string) => {
    t.match(await stage.reload(`ticketKeys: { ${text} }`), { outcome: 'reloaded' })
    return sealer.seal('ticket', Uint8Array.of(2))
  }
  const first = await keys(`current: ${a}, next: ${b}`)
  t.equal(idOf(first), readKey(a)!.id)
  t.ok(opens(own), 'what keys of its own sealed still opens')
  const second = await keys(`current: ${b}, previous: ${a}`)
  t.equal(idOf(second), readKey(b)!.id)
  t.ok(opens(first) && opens(second) && opens(own))
  await keys(`current: ${b}`)
  t.same(sealer.open('ticket', first), { code: code.ticket_key_unknown })
  t.ok(opens(second))
})

t.test('new logins are judged by the new keys, sessions that are there go on', async (t) => {
  const stage = await new Stage(t).start(t)
  const before = await tcpClient(t, stage.running, 'ada')
  await stage.reload(`auth: { jwt: { algorithms: [HS256], secret: ${'k'.repeat(32)} } }`)
  const after = overSocket(net.connect(portOf(stage.running, 'tcp'), '127.0.0.1'))
  after.login('eve').catch(() => {})
  await after.until(() => after.closedWith !== undefined, 'a refusal')
  t.equal(after.closedWith?.code, code.unauthenticated)
  await before.attach('arena', 'a1')
  before.send(Uint8Array.of(1))
  await before.until(() => before.received.length === 1, 'the echo')
})

t.test('POST /reload: what changed, what would change, what is wrong; a new token holds at once', async (t) => {
  const stage = await new Stage(t).start(t)
  const token = 'a token of operators'
  const events = await fetch(new URL('/events?only=reloaded,reload_refused', stage.running.adminAddress))
  const reader = events.body!.pipeThrough(new TextDecoderStream()).getReader()
  t.teardown(() => reader.cancel())
  stage.write(`admin: { port: 0, token: ${token} }`)
  t.match(await stage.admin('POST', '/reload?dryRun=1'), {
    status: 200,
    body: { outcome: 'would_reload', changes: [{ path: 'admin.token', after: '[redacted]' }] },
  })
  t.same(stage.events('reloaded'), [])
  t.match(await stage.admin('POST', '/reload'), { status: 200, body: { outcome: 'reloaded', warnings: [] } })
  t.match(await stage.admin('POST', '/reload'), { status: 401 })
  stage.write(`admin: { port: 0, token: ${token} }\ntims: {}`)
  t.match(await stage.admin('POST', '/reload?dryRun=1', token), { status: 422, body: { problems: [/:6:1: tims/] } })
  t.match(await stage.admin('POST', '/reload', token), { status: 422, body: { error: /cannot be used/ } })
  t.equal(stage.events('reload_refused').length, 1, 'a question is no refusal')
  let heard = ''
  while (!heard.includes('event: reload_refused')) heard += (await reader.read()).value
  t.match(
    heard,
    /event: reloaded\ndata: \{"event":"reloaded","trigger":"admin","changes":1,"changed":\["admin.token"\]/,
  )
  const headers = { authorization: `Bearer ${token}` }
  const metrics = await (await fetch(new URL('/metrics', stage.running.adminAddress), { headers })).text()
  t.match(metrics, /^skewer_reloads_total\{outcome="reloaded"\} 1$/m)
  t.match(metrics, /^skewer_reloads_total\{outcome="refused"\} 1$/m)
})

t.test('a reload after which the gateway is not ready any more is taken back', async (t) => {
  const stage = await new Stage(t).start(t, 'reload: { rollbackWithin: 3s }')
  const good = stage.running.gateway.settings
  const lastGood = path.join(stage.folder, '.skewer/last-good.yaml')
  await eventually(() => fs.existsSync(lastGood), 'the first configuration to prove itself')
  const dead = `reload: { rollbackWithin: 3s }\nlog: { level: debug }\nhosts: [{ name: local, address: "127.0.0.1:1" }]`
  t.match(await stage.reload(dead.replace('debug }', 'debug, format: json }')), { outcome: 'reloaded' })
  await eventually(() => stage.events('reload_rolled_back').length > 0, 'the way back')
  t.match(stage.events('reload_rolled_back'), [
    { reason: 'no host is linked', changed: ['hosts[local].address', 'log.level'] },
  ])
  t.equal(stage.running.gateway.settings, good)
  await eventually(() => stage.running.gateway.readiness().ready, 'the link')
  t.notMatch(fs.readFileSync(lastGood, 'utf8'), /127.0.0.1:1"/)
})

t.test('a host that moves is away for a moment: that is no reason to go back', async (t) => {
  const stage = await new Stage(t).start(t, 'reload: { rollbackWithin: 900ms }')
  const port = await freePort()
  const address = `127.0.0.1:${port}`
  await stage.reload(`reload: { rollbackWithin: 900ms }\nhosts: [{ name: local, address: "${address}" }]`)
  t.notOk(stage.running.gateway.readiness().ready)
  const elsewhere = new ScriptedHost({ name: 'local' })
  t.teardown(() => elsewhere.close())
  await new Promise((resolve) => setTimeout(resolve, 250))
  await elsewhere.listen(port)
  const lastGood = path.join(stage.folder, '.skewer/last-good.yaml')
  const isKept = () => fs.existsSync(lastGood) && fs.readFileSync(lastGood, 'utf8').includes(address)
  await eventually(isKept, 'the new configuration to be kept')
  t.same(stage.events('reload_rolled_back'), [])
})

t.test(
  'the last good configuration is kept as it was written, for its owner, and loads from where it is',
  async (t) => {
    const stage = new Stage(t)
    makeCertificate(path.join(stage.folder, 'a.crt'), path.join(stage.folder, 'a.key'))
    fs.writeFileSync(path.join(stage.folder, 'key'), newKey())
    const rest = `reload: { rollbackWithin: 0s }
stateDir: state # here
ticketKeys: { current: "\${file:key}" }
listeners: [{ transport: tcp, port: 0, tls: { certFile: a.crt, keyFile: a.key } }]`
    await stage.start(t, rest)
    const kept = path.join(stage.folder, 'state/last-good.yaml')
    await eventually(() => fs.existsSync(kept), 'it to be kept')
    t.equal(fs.statSync(kept).mode & 0o777, 0o600)
    t.match(fs.readFileSync(kept, 'utf8'), `current: "\${file:key}"`, 'no secret is in it that was not in the file')
    for (const broken of [stage.text(rest), 'stateDir: state\nservices: {', 'stateDir: "state" # x\n  - {']) {
      fs.writeFileSync(stage.file, broken)
      t.equal(lastGoodFile(stage.file), kept, broken)
    }
    const { settings, source } = loadLastGood(kept, {})
    t.same(settings, stage.running.gateway.settings)
    t.same(source, { text: stage.text(rest), directory: stage.folder })
    t.equal(lastGoodFile(undefined), path.resolve('.skewer/last-good.yaml'))
  },
)

t.test('a watched file is read again when it changes, however it is written', async (t) => {
  const stage = await new Stage(t).start(t, 'reload: { watch: true }')
  const seen = (drain: string) =>
    eventually(() => stage.running.gateway.settings.times.drainMs === Number(drain) * 1000, `drain ${drain}s`)
  const rest = (drain: string) => `reload: { watch: true }\ntimes: { drain: ${drain}s }`
  stage.write(rest('11'))
  await seen('11')
  fs.writeFileSync(`${stage.file}.new`, stage.text(rest('12')))
  fs.renameSync(`${stage.file}.new`, stage.file)
  await seen('12')
  fs.rmSync(stage.file)
  stage.write(rest('13'))
  await seen('13')
  const whole = stage.text(rest('14'))
  fs.writeFileSync(stage.file, whole.slice(0, -8))
  await eventually(() => stage.events('reload_refused').length > 0, 'half of it to be refused')
  fs.writeFileSync(stage.file, whole)
  await seen('14')
  stage.write('times: { drain: 15s }')
  await seen('15')
  t.match(stage.events('reloaded').at(-1), { trigger: 'watch', changed: ['times.drain', 'reload.watch'] })
  stage.write('times: { drain: 16s }')
  await new Promise((resolve) => setTimeout(resolve, 900))
  t.equal(stage.running.gateway.settings.times.drainMs, 15_000, 'watched no more')
})

t.test('reloads wait for each other; a gateway that ends takes none', async (t) => {
  const stage = await new Stage(t).start(t)
  stage.write('times: { drain: 5s }')
  const outcomes = await Promise.all(Array.from({ length: 5 }, () => stage.running.reload('admin')))
  t.same(
    outcomes.map(({ changes }) => changes.length),
    [1, 0, 0, 0, 0],
  )
  await tcpClient(t, stage.running, 'ada')
  const draining = stage.running.drain(10_000)
  t.equal(refused(await stage.running.reload('admin')).reason, 'the gateway ends')
  await stage.running.close()
  await draining
})
