// Scenarios in phases, small: ours, one of a user, and one against a gateway that somebody else has started.
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import t, { type Test } from 'tap'
import type { Report } from '../../bench/report.ts'
import { Running, skewer } from '../cli/skewer.ts'

t.setTimeout(180_000)
const needsProc = { skip: process.platform === 'linux' ? false : 'reads /proc' }
const kept = { lost: 0, doubled: 0, reordered: 0 }

async function report(t: Test, args: string[], cwd?: string): Promise<Report> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'skewer-play-'))
  t.teardown(() => fs.rmSync(folder, { recursive: true }))
  const { code, stdout, stderr } = await skewer(['bench', ...args, '--json'], { cwd, env: { TMPDIR: folder } })
  t.equal(code, 0, stderr)
  t.strictSame(fs.readdirSync(folder), [], 'nothing is left behind')
  const read: Report = JSON.parse(stdout)
  t.strictSame(read.violations, [])
  t.match(read.subjects[0].figures, kept)
  return read
}

t.test('mixed: a day over three transports with broadcasts and lost connections', needsProc, async (t) => {
  const { subjects, phases, options } = await report(t, ['mixed', '--clients', '20', '--seconds', '9'])
  t.match(options, { clients: 20, seconds: 9, rounds: 1, workers: 1 })
  const { figures, cpuUsPerMessage, rssBytes } = subjects[0]
  t.ok(figures.logins >= 20 && figures.left === figures.logins, 'who came has left')
  t.ok(figures.moves > 300, `${figures.moves} moves`)
  t.ok(figures.cuts > 0 && figures.returnP99Ms > 0, 'connections were cut, and came back')
  t.ok(figures.shouts > figures.cuts && figures.movesP99Ms > 0)
  t.ok(cpuUsPerMessage! > 0 && rssBytes! > 1e6)
  t.strictSame(
    phases!.map(({ phase, clients }) => [phase, clients]),
    [
      ['logins', 10],
      ['day', 10],
      ['evening', 20],
      ['badNetworks', 20],
      ['night', 2],
    ],
  )
})

t.test('churn: people come and leave all the while, in two processes', needsProc, async (t) => {
  const { subjects } = await report(t, ['churn', '--clients', '20', '--seconds', '4', '--workers', '2'])
  const { figures } = subjects[0]
  t.ok(figures.logins > 30, `${figures.logins} logins`)
  t.equal(figures.left, figures.logins)
  t.ok(figures.loginP99Ms > 0 && figures.hello > 30 && figures.question > 0)
})

t.test('a scenario of a user, and every kind of message', needsProc, async (t) => {
  const kinds = ['reliable', 'call', 'latest', 'unreliable', 'broadcast']
  const folder = t.testdir({
    'day.yaml': `transports: { tls: 50%, noise: 50% }
room: 4
messages:
${kinds.map((kind) => `  ${kind}: { kind: ${kind}, rate: 20/s, payload: [16B, 100B] }`).join('\n')}
phases: [{ name: all, for: 3s, clients: 4 }]
`,
  })
  const { scenario, subjects } = await report(t, ['day.yaml'], folder)
  t.equal(scenario, 'day')
  const { figures } = subjects[0]
  for (const kind of kinds) t.ok(figures[kind] > 50, `${figures[kind]} ${kind}`)
  t.ok(figures.broadcast > 2 * figures.reliable, 'a room of four hears what each tells')
})

t.test('a gateway that runs already is played with by its addresses, its service and its host', async (t) => {
  const folder = t.testdir({})
  const host = new Running([
    ...['bench', 'host', '--listen', '127.0.0.1:0', '--name', 'game-1'],
    ...['--service', 'arena', '--route-prefix', 'game', '--json'],
  ])
  t.teardown(() => host.child.kill('SIGKILL'))
  const { address } = JSON.parse((await host.said(/\{.*\}/))[0])
  const config = {
    version: 1,
    listeners: [{ transport: 'tcp', port: 0 }],
    services: { arena: { keys: 'any' } },
    hosts: [{ name: 'game-1', address }],
    routes: [{ match: 'game.*', service: 'arena' }],
    auth: { development: true },
    admin: { port: 0 },
    log: { level: 'error' },
  }
  const file = path.join(folder, 'skewer.yaml')
  fs.writeFileSync(file, JSON.stringify(config), { mode: 0o600 })
  const gateway = new Running(['run', '--config', file, '--json'], { cwd: folder })
  t.teardown(() => gateway.child.kill('SIGKILL'))
  const { listeners, admin } = JSON.parse((await gateway.said(/\{"event":"started".*\}/))[0])
  const target = `tcp://127.0.0.1:${listeners[0].port}`
  const day = path.join(folder, 'day.yaml')
  fs.writeFileSync(
    day,
    'messages: { chat: { kind: reliable, rate: 20/s } }\nphases: [{ name: all, for: 2s, clients: 3 }]\n',
  )

  const args = [day, '--target', target, '--service', 'arena', '--route-prefix', 'game']
  const told = await report(t, [...args, '--admin', admin])
  t.match(told.options, { target: [target], service: 'arena', prefix: 'game' })
  t.ok(told.subjects[0].figures.chat > 50 && told.subjects[0].cpuUsPerMessage! > 0)
  t.equal((await report(t, args)).subjects[0].cpuUsPerMessage, null, 'nobody tells without the admin port')

  const echo = ['tcp-echo', '--clients', '5', '--rate', '500', '--depth', '50', '--json']
  const short = ['--seconds', '1', '--rounds', '1', '--warmup', '0']
  const place = ['--target', target, '--service', 'arena', '--route-prefix', 'game']
  const echoed = await skewer(['bench', ...echo, ...short, ...place, '--admin', admin, '--token', 'secret-{n}'])
  t.equal(echoed.code, 0, echoed.stderr)
  t.notMatch(echoed.stdout, /secret-/, 'what clients show is not in the report')
  const [{ messages, cpuUsPerMessage, rssBytes }] = (JSON.parse(echoed.stdout) as Report).subjects
  t.ok(messages > 100 && cpuUsPerMessage! > 0 && rssBytes! > 1e6)

  const flood = ['bench', 'tcp-echo', '--clients', '1', '--depth', '100', '--seconds', '20', '--rounds', '1']
  t.match((await skewer([...flood, ...place])).stderr, /a message was refused \(rate_limited\): what is allowed/)

  const bad = async (...args: string[]) => (await skewer(['bench', day, ...args])).stderr
  t.match(await bad('--target', target, '--service', 'areena'), /no_service/)
  t.match(await bad('--target', target, '--service', 'arena'), /arena.say was refused: no_route; the host must answer/)
  const wrongAdmin = ['--service', 'arena', '--route-prefix', 'game', '--admin', target]
  t.match(await bad('--target', target, ...wrongAdmin), /cannot be asked for CPU time/)
  t.match(await bad('--target', 'tcp://127.0.0.1:1'), /tcp to tcp:\/\/127.0.0.1:1: .*ECONNREFUSED/)
  host.child.kill('SIGTERM')
  t.equal((await host.ended).code, 0)
})

t.test('soak: a phase of half a minute tells whether memory grows', needsProc, async (t) => {
  const { phases } = await report(t, ['soak', '--clients', '5', '--seconds', '45'])
  const [filling, , soaking] = phases!
  t.equal(filling.rssBytesPerMinute, undefined)
  t.type(soaking.rssBytesPerMinute, 'number')
  t.ok((soaking.rssBytesPerMinuteError as number) > 0)
})

t.test('wrong usage is told before anything is started', async (t) => {
  const bad = async (...args: string[]) => {
    const { code, stderr } = await skewer(['bench', ...args])
    t.not(code, 0)
    return stderr
  }
  t.match(await bad('none.yaml'), /none.yaml: cannot be read \(ENOENT\)/)
  t.match(await bad('mixed', '--rate', '5', '--depth', '2'), /mixed has phases: --depth, --rate would mean nothing/)
  t.match(await bad('mixed', '--token', 'x', '--route-prefix', 'y'), /--token, --route-prefix: only with --target/)
  t.match(await bad('mixed', '--target', 'quic://x'), /players come by tcp:\/\//)
  t.match(await bad('mixed', '--target', 'nowhere'), /nowhere is no address/)
  t.match(
    await bad('mixed', '--target', 'tcp://127.0.0.1:1'),
    /over websocket, kcp too; --target has addresses for tcp only/,
  )
  const against = ['--target', 'tcp://127.0.0.1:1', '--against', 'raw']
  t.match(await bad('tcp-echo', ...against), /not beside --target/)
  t.match(await bad('storm', '--target', 'tcp://127.0.0.1:1'), /storm needs a gateway of its own/)
  t.match(await bad('ws-echo', '--target', 'tcp://127.0.0.1:1'), /ws-echo goes over websocket, tcp:.* does not/)
})

t.test('Ctrl-C in the middle leaves neither processes nor files', needsProc, async (t) => {
  const folder = t.testdir({})
  const run = new Running(['bench', 'mixed', '--clients', '10', '--workers', '2'], { env: { TMPDIR: folder } })
  await run.said(/logins: /, 'stderr')
  const children = fs.readFileSync(`/proc/${run.child.pid}/task/${run.child.pid}/children`, 'utf8').trim().split(' ')
  t.equal(children.length, 4, 'a host, a gateway, two processes of players')
  run.child.kill('SIGINT')
  t.equal((await run.ended).code, 130)
  t.strictSame(fs.readdirSync(folder), [])
  for (const pid of children) t.notOk(fs.existsSync(`/proc/${pid}/exe`), `${pid} has ended`)
})
