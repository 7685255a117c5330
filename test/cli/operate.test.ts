// The commands that ask a running gateway, against a stand-in for its admin port.
import t, { type Test } from 'tap'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { skewer } from './skewer.ts'

/** Many processes, on a machine that may be busy. */
t.setTimeout(180_000)

type Asked = { method: string; path: string; token: string | undefined; body: string }

const cwd = t.testdir({})
const TOKEN = 'a token of operators'

/** Answers each path with what it is given and notes what was asked. */
async function admin(t: Test, answers: Record<string, [status: number, body: unknown]>) {
  const asked: Asked[] = []
  const server = http.createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (text: string) => {
      body += text
    })
    request.on('end', () => {
      asked.push({ method: request.method!, path: request.url!, token: request.headers.authorization, body })
      const [status, answer] = answers[request.url!] ?? [404, { status: 404, error: `there is no ${request.url}` }]
      response.writeHead(status).end(typeof answer === 'string' ? answer : JSON.stringify(answer))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  return { asked, port, args: ['--admin', `http://127.0.0.1:${port}`] }
}

t.test('health is 0 where the gateway is ready, 1 with the reasons where not', async (t) => {
  const ready = await admin(t, { '/ready': [200, { ready: true }] })
  t.match(await skewer(['health', ...ready.args], { cwd }), { code: 0, stdout: 'ready\n' })
  const not = await admin(t, { '/ready': [503, { ready: false, reasons: ['draining', { host: 'a' }] }] })
  t.match(await skewer(['health', ...not.args], { cwd }), { code: 1, stdout: 'not ready: draining; {"host":"a"}\n' })
  const { stdout } = await skewer(['health', '--json', ...not.args], { cwd })
  t.match(JSON.parse(stdout), { ready: false, status: 503, answer: { reasons: ['draining', {}] } })
})

t.test('where nobody answers, it is said in one line', async (t) => {
  const gone = http.createServer()
  await new Promise<void>((resolve) => gone.listen(0, '127.0.0.1', resolve))
  const { port } = gone.address() as AddressInfo
  await new Promise((resolve) => gone.close(resolve))
  t.match(await skewer(['stats', '--admin', `127.0.0.1:${port}`], { cwd }), {
    code: 1,
    stdout: '',
    stderr: `skewer: no gateway answers at http://127.0.0.1:${port} (ECONNREFUSED)\n`,
  })
  t.match(await skewer(['stats', '--admin', 'http://'], { cwd }), {
    code: 2,
    stderr: /is not an address of an admin port/,
  })
})

t.test('lists are rows parted by tabs in a pipe, and JSON as it came with --json', async (t) => {
  const sessions = [
    { session: 's1', user: 'ana\u001b[2J', channels: 2, labels: { zone: 'a' } },
    { session: 's2', user: 'bo', channels: 11, tags: ['x', 'y'], gone: null },
  ]
  const { args } = await admin(t, {
    '/sessions': [200, { sessions }],
    '/hosts': [200, []],
    '/sessions?limit=1': [200, sessions.slice(0, 1)],
  })
  const { code, stdout } = await skewer(['session', 'list', ...args], { cwd })
  t.equal(code, 0)
  t.same(stdout.trimEnd().split('\n'), [
    'session\tuser\tchannels\tlabels\ttags\tgone',
    's1\tana?[2J\t2\tzone=a\t-\t-',
    's2\tbo\t11\t-\tx,y\t-',
  ])
  t.same(JSON.parse((await skewer(['session', 'list', '--json', ...args], { cwd })).stdout), { sessions })
  const one = await skewer(['session', 'list', '--limit', '1', '--json', ...args], { cwd })
  t.equal(JSON.parse(one.stdout).length, 1)
  t.match(await skewer(['session', 'list', '--limit', '0'], { cwd }), { code: 2, stderr: /A count is a number/ })
  t.match(await skewer(['host', 'list', ...args], { cwd }), { code: 0, stdout: 'no hosts\n' })
})

t.test('stats are names and values', async (t) => {
  const { args } = await admin(t, { '/stats': [200, { connections: { tcp: 3 }, links: 1 }] })
  t.equal((await skewer(['stats', ...args], { cwd })).stdout, 'name\tvalue\nconnections.tcp\t3\nlinks\t1\n')
})

t.test('drain posts how long clients have', async (t) => {
  const { args, asked } = await admin(t, { '/drain': [200, { draining: true }] })
  t.match(await skewer(['drain', '--within', '90s', ...args], { cwd }), { code: 0, stdout: /the gateway drains/ })
  t.match(await skewer(['drain', ...args], { cwd }), { code: 0 })
  t.match(asked, [
    { method: 'POST', path: '/drain', body: '{"withinMs":90000}' },
    { method: 'POST', body: '{}' },
  ])
  t.match(await skewer(['drain', '--within', 'soon', ...args], { cwd }), {
    code: 2,
    stderr: /--within is not a duration/,
  })
})

t.test('a refusal says what the gateway said, and how to bring a token', async (t) => {
  const { args } = await admin(t, {
    '/stats': [401, {}],
    '/hosts': [500, { error: 'the request failed' }],
    '/sessions': [502, 'bad gateway'],
  })
  t.match(await skewer(['stats', ...args], { cwd }), { code: 1, stderr: /wants a token: set SKEWER_ADMIN_TOKEN/ })
  t.match(await skewer(['host', 'list', ...args], { cwd }), {
    code: 1,
    stderr: /answered 500 to GET \/hosts: the request failed/,
  })
  t.match(await skewer(['session', 'list', ...args], { cwd }), {
    code: 1,
    stderr: /answered 502 to GET \/sessions: bad gateway/,
  })
})

t.test('address and token come from flag, environment, or the configuration', async (t) => {
  const { asked, port } = await admin(t, { '/stats': [200, {}] })
  await skewer(['stats'], { cwd, env: { SKEWER_ADMIN: `127.0.0.1:${port}`, SKEWER_ADMIN_TOKEN: TOKEN } })
  const config = `services: { arena: {} }\nadmin: { port: ${port}, token: ${TOKEN} }\n`
  const folder = t.testdir({
    'skewer.yaml': config,
    'off.yaml': 'services: { a: {} }\nadmin: { enabled: false }',
    'bad.yaml': 'x: 1',
  })
  await skewer(['stats'], { cwd: folder })
  await skewer(['stats'], { cwd: folder, env: { SKEWER_ADMIN: '', SKEWER_ADMIN_TOKEN: '' } })
  t.same(
    asked.map(({ token }) => token),
    [`Bearer ${TOKEN}`, `Bearer ${TOKEN}`, `Bearer ${TOKEN}`],
    'empty is not set',
  )
  t.match(await skewer(['stats', '-c', 'off.yaml'], { cwd: folder }), {
    code: 1,
    stderr: /has the admin port switched off/,
  })
  t.match(await skewer(['stats', '-c', 'bad.yaml'], { cwd: folder }), {
    code: 2,
    stderr: /bad.yaml does not say where/,
  })
})
