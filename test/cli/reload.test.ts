// Reloading as operators do it: a real gateway, its file, SIGHUP and the commands; and what players notice of it.
import fs from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import t, { type Test } from 'tap'
import { bytes, type Client, connect } from '../../sdk/client/index.ts'
import { service, startHost } from '../../sdk/host/index.ts'
import { compare, NumberLog, noCounts } from '../proof/accounts.ts'
import { numberOf, payloadOf } from '../proof/messages.ts'
import { Running, skewer } from './skewer.ts'

/** Many processes, on a machine that may be busy. */
t.setTimeout(180_000)

const isWindows = process.platform === 'win32'

type About = { listeners: { name: string; port: number }[]; admin: string }

async function started(t: Test, cwd: string, args: string[] = []): Promise<{ gateway: Running; about: About }> {
  const gateway = new Running(['run', '--json', ...args], { cwd })
  t.teardown(() => gateway.child.kill('SIGKILL'))
  const [line] = await gateway.said(/^\{"event":"started".*$/m)
  return { gateway, about: JSON.parse(line) as About }
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => net.createServer())
  for (const server of servers) await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const ports = servers.map((server) => (server.address() as net.AddressInfo).port)
  for (const server of servers) await new Promise((resolve) => server.close(resolve))
  return ports
}

async function until(isSo: () => boolean, what: string, withinMs = 30_000): Promise<void> {
  const end = performance.now() + withinMs
  while (!isSo()) {
    if (performance.now() > end) throw new Error(`waited in vain for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

const small = 'services: { arena: {} }\nlisteners: [{ transport: tcp, name: tcp, port: 0 }]\nadmin: { port: 0 }\n'

t.test(
  'SIGHUP reads the file again; a bad one is told by line and column, and changes nothing',
  { skip: isWindows },
  async (t) => {
    const cwd = t.testdir({ 'skewer.yaml': small })
    const file = path.join(cwd, 'skewer.yaml')
    const { gateway } = await started(t, cwd)
    fs.writeFileSync(file, `${small}log: { level: debug }\nlimits: { parkedMax: 5 }\n`)
    gateway.child.kill('SIGHUP')
    await gateway.said(/SIGHUP: reloaded, changed: limits.parkedMax, log.level\n/, 'stderr')
    await gateway.said(/"event":"reloaded","trigger":"signal","changes":2,"changed":\["limits.parkedMax","log.level"\]/)
    fs.writeFileSync(file, `${small}lmits: { parkedMax: 5 }\n`)
    gateway.child.kill('SIGHUP')
    await gateway.said(/skewer.yaml:4:1: lmits: is not a key of a configuration; did you mean limits\?\n/, 'stderr')
    await gateway.said(/SIGHUP: nothing has changed: skewer.yaml cannot be used\n/, 'stderr')
    await gateway.said(/"event":"reload_refused"/)
    fs.writeFileSync(file, `${small}log: { level: debug }\nlimits: { parkedMax: 5 }\n`)
    gateway.child.kill('SIGHUP')
    await gateway.said(/SIGHUP: reloaded, nothing has changed\n/, 'stderr')
    gateway.child.kill('SIGTERM')
    t.match(await gateway.ended, { code: 0 })
  },
)

t.test('without a file there is nothing to read', async (t) => {
  const dev = ['--dev', '--tcp-port', '0', '--websocket-port', '0', '--admin-port', '0']
  const { about } = await started(t, t.testdir({}), dev)
  t.match(await skewer(['reload', '--admin', about.admin]), { code: 2, stderr: /runs without a configuration file/ })
})

t.test('reload and config diff say what changes and what it touches', async (t) => {
  const cwd = t.testdir({ 'skewer.yaml': small })
  const file = path.join(cwd, 'skewer.yaml')
  const { about } = await started(t, cwd)
  const admin = ['--admin', about.admin]
  t.match(await skewer(['config', 'diff', ...admin], { cwd }), { code: 0, stdout: 'no difference\n' })
  const next = `${small}routes: [{ match: arena.move, service: arena, rate: 5/s }, { match: arena.*, service: arena }]\n`
  fs.writeFileSync(file, next)
  const row = 'routes[arena.move]\t-\tmatch=arena.move,service=arena,rate=5/s burst 5\tmessages\t'
  const head = 'key\tbefore\tafter\ttouches\teffect\n'
  t.match(await skewer(['config', 'diff', ...admin], { cwd }), { code: 0, stdout: head + row })
  t.match(await skewer(['config', 'diff', 'skewer.yaml', ...admin], { cwd }), { code: 0, stdout: head + row })
  t.match(await skewer(['reload', '--dry-run', ...admin], { cwd }), { code: 0, stdout: head + row, stderr: '' })
  t.match(await skewer(['reload', ...admin], { cwd }), { code: 0, stdout: head + row, stderr: 'skewer: reloaded\n' })
  t.match(await skewer(['reload', ...admin], { cwd }), { code: 0, stdout: 'reloaded, nothing has changed\n' })
  t.match(await skewer(['config', 'diff', ...admin], { cwd }), { stdout: 'no difference\n' })
  fs.writeFileSync(file, `${next}stateDir: other\n`)
  t.match(await skewer(['reload', ...admin], { cwd }), {
    code: 2,
    stderr: /^skewer: nothing has changed: stateDir cannot change .* while the gateway runs \(.*\): restart it\n$/,
  })
  const json = await skewer(['reload', '--dry-run', '--json', ...admin], { cwd })
  t.match(JSON.parse(json.stdout), { status: 422, outcome: 'refused', changes: [{ path: 'stateDir' }] })
  fs.writeFileSync(file, `${next}stateDir: other\nx: 1\n`)
  t.match(await skewer(['reload', ...admin], { cwd }), { code: 2, stderr: /^skewer.yaml:6:1: x: is not a key/ })
  t.match(await skewer(['reload'], { cwd }), {
    code: 2,
    stderr: /^skewer.yaml:6:1: x: is not a key.*\nskewer: .*--admin does/,
  })
  fs.writeFileSync(path.join(cwd, 'a.yaml'), small)
  fs.writeFileSync(path.join(cwd, 'b.yaml'), `${small}log: { level: warn }\n`)
  const two = await skewer(['config', 'diff', 'a.yaml', 'b.yaml', '--json'], { cwd })
  t.match(JSON.parse(two.stdout), [{ path: 'log.level', before: 'info', after: 'warn', touches: 'nothing' }])
})

t.test('a broken file does not keep a gateway from starting with the last good one', async (t) => {
  const cwd = t.testdir({ 'skewer.yaml': small })
  const file = path.join(cwd, 'skewer.yaml')
  const host = await startHost({ name: 'local', listen: '127.0.0.1:0', services: [service('arena', { routes: {} })] })
  t.teardown(() => host.close())
  const good = `${small}reload: { rollbackWithin: 0s }\nhosts: [{ name: local, address: "${host.address}" }]\n`
  fs.writeFileSync(file, good)
  const first = await started(t, cwd)
  const kept = path.join(cwd, '.skewer/last-good.yaml')
  await until(() => fs.existsSync(kept), 'it to be kept')
  first.gateway.child.kill('SIGKILL')
  await first.gateway.ended
  fs.writeFileSync(file, `${good}services: {`)
  t.match(await skewer(['run'], { cwd }), { code: 2 })
  const second = await started(t, cwd, ['--last-good'])
  const { body } = await fetch(new URL('/config', second.about.admin)).then(async (r) => ({ body: await r.json() }))
  t.match(body, { hosts: [{ address: `${host.address}` }] })
  fs.writeFileSync(file, `${good}times: { drain: 5s }\n`)
  t.match(await skewer(['reload', '--admin', second.about.admin], { cwd }), { code: 0, stdout: /times.drain\t30s\t5s/ })
  t.match(await skewer(['run', '--last-good', 'no.yaml'], { cwd }), {
    code: 2,
    stderr: /no.yaml: there is no such file/,
  })
})

const CLIENTS = 200
const RELOADS = 10
const EVERY_MS = 50

/** One player: numbers up, numbers down, and how often it noticed anything. */
class Player {
  readonly client: Client
  readonly received = new NumberLog()
  accepted = 0
  attaches = 0
  detaches = 0
  readonly odd: string[] = []
  readonly #room

  constructor(name: string, gateways: string[]) {
    this.client = connect({ gateways, token: name, codec: bytes })
    this.#room = this.client.actor('load', '')
    this.#room.on('load.down', (payload) => this.received.push(numberOf(payload as Uint8Array)))
    this.#room.on('attached', () => this.attaches++)
    this.#room.on('detached', () => this.detaches++)
    this.#room.on('refused', ({ code }) => this.odd.push(`refused ${code}`))
    this.#room.on('reset', () => this.odd.push('reset'))
    this.#room.on('ended', ({ name }) => this.odd.push(`ended ${name}`))
    this.#room.start()
  }

  get unacked(): number {
    return this.#room.unacked
  }

  send(): void {
    if (this.#room.trySend('load.up', payloadOf(this.accepted + 1)) === 0) this.accepted++
  }
}

t.test(
  'ten reloads under load lose, double and reorder nothing, and touch no connection that need not be',
  { skip: isWindows },
  async (t) => {
    const [tcpPort, webPort, otherWebPort] = await freePorts(3)
    const handled = new Map<string, NumberLog>()
    const pushed = new Map<string, number>()
    let isQuiet = false
    const load = () =>
      service('load', {
        keys: 'user',
        onStart(ctx) {
          handled.set(ctx.key, new NumberLog())
          ctx.every(EVERY_MS, () => {
            for (const session of isQuiet ? [] : ctx.sessions) {
              const number = (pushed.get(ctx.key) ?? 0) + 1
              if (ctx.tryPush(session, 'load.down', payloadOf(number)) === 0) pushed.set(ctx.key, number)
            }
          })
        },
        routes: {
          'load.up'(ctx, payload) {
            handled.get(ctx.key)!.push(numberOf(payload as Uint8Array))
          },
        },
      })
    const hosts = [
      await startHost({ name: 'first', listen: '127.0.0.1:0', services: [load()], codec: bytes }),
      await startHost({ name: 'second', listen: '127.0.0.1:0', services: [load()], codec: bytes }),
    ]
    t.teardown(() => Promise.all(hosts.map((host) => host.close())))
    /** The configuration behind so many reloads: each changes routes, a rate, the hosts and the log level. */
    const configOf = (i: number): string => `
services: { load: {} }
listeners:
  - { transport: tcp, name: tcp, port: ${tcpPort} }
  - { transport: websocket, name: web, port: ${Math.floor(i / 3) % 2 === 0 ? webPort : otherWebPort} }
hosts:
  - { name: first, address: "${hosts[0].address}" }
  ${i % 2 === 1 ? `- { name: second, address: "${hosts[1].address}" }` : ''}
routes:
  ${i % 2 === 1 ? '- { match: load.other, service: load }' : ''}
  - { match: load.up, service: load, rate: ${1000 + i}/s }
  - { match: load.*, service: load }
admin: { port: 0 }
times: { drain: 1s }
log: { level: ${i % 2 === 1 ? 'warn' : 'error'} }
`
    const cwd = t.testdir({ 'skewer.yaml': configOf(0) })
    const { gateway, about } = await started(t, cwd)
    const tcp = `tcp://127.0.0.1:${tcpPort}`
    const web = [`ws://127.0.0.1:${webPort}/`, `ws://127.0.0.1:${otherWebPort}/`]
    const players = Array.from({ length: CLIENTS }, (_, i) => new Player(`p${i}`, i % 4 === 0 ? [...web, tcp] : [tcp]))
    t.teardown(() => Promise.all(players.map(({ client }) => client.close())))
    await until(() => players.every(({ attaches }) => attaches === 1), 'all to attach')
    const sending = setInterval(() => {
      for (const player of players) player.send()
    }, EVERY_MS)
    t.teardown(() => clearInterval(sending))
    for (let i = 1; i <= RELOADS; i++) {
      fs.writeFileSync(path.join(cwd, 'skewer.yaml'), configOf(i))
      const before = gateway.stderr.length
      if (i % 2 === 0) {
        const answer = await fetch(new URL('/reload', about.admin), { method: 'POST' })
        t.match(await answer.json(), { outcome: 'reloaded' })
      } else {
        gateway.child.kill('SIGHUP')
        await until(() => gateway.stderr.slice(before).includes('SIGHUP: reloaded, changed: '), 'the reload')
      }
      await new Promise((resolve) => setTimeout(resolve, 500))
    }
    clearInterval(sending)
    isQuiet = true
    const isSettled = () => players.every((p, i) => p.unacked === 0 && p.received.length === pushed.get(`p${i}`))
    await until(isSettled, 'nothing under way')
    const up = noCounts()
    const down = noCounts()
    for (const [i, player] of players.entries()) {
      const name = `p${i}`
      const none = { refused: [], unknown: [] }
      compare({ accepted: player.accepted, ...none }, handled.get(name)!.toArray(), up)
      compare({ accepted: pushed.get(name)!, ...none }, player.received.toArray(), down)
    }
    for (const counts of [up, down]) {
      t.ok(counts.sent > CLIENTS * RELOADS * 5, `${counts.sent} messages`)
      t.same({ ...counts, sent: 0, delivered: 0 }, noCounts())
      t.equal(counts.delivered, counts.sent)
    }
    t.same(
      players.flatMap(({ odd }) => odd),
      [],
    )
    const [moved, others] = [players.filter((_, i) => i % 4 === 0), players.filter((_, i) => i % 4 !== 0)]
    t.ok(
      others.every(({ attaches, detaches }) => attaches === 1 && detaches === 0),
      'who came in by the other listener noticed nothing',
    )
    // Two or three moves, by a new connection before the old one ends.
    t.ok(moved.every(({ attaches }) => attaches >= 2 && attaches <= 4))
    t.equal(gateway.child.exitCode, null)
  },
)
