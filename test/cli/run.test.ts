// `skewer run` with real sockets: where it listens, how it is asked to stop, what it says when it cannot start.
import t from 'tap'
import net from 'node:net'
import path from 'node:path'
import { Running, skewer } from './skewer.ts'

/** Many processes, on a machine that may be busy. */
t.setTimeout(180_000)

const dev = ['run', '--dev', '--tcp-port', '0', '--websocket-port', '0', '--admin-port', '0']
const isWindows = process.platform === 'win32'

type Started = {
  event: string
  pid: number
  config: string | null
  listeners: { name: string; transport: string; host: string; port: number }[]
  admin: string
}

async function started(args: string[], cwd: string): Promise<{ running: Running; about: Started }> {
  const running = new Running([...args, '--json'], { cwd })
  const [line] = await running.said(/^\{"event":"started".*$/m)
  return { running, about: JSON.parse(line) as Started }
}

t.test('it says where it listens, and answers there', async (t) => {
  const { running, about } = await started(dev, t.testdir({}))
  t.teardown(() => running.child.kill('SIGKILL'))
  t.match(about, {
    config: null,
    pid: Number,
    listeners: [
      { transport: 'tcp', host: '127.0.0.1' },
      { transport: 'websocket', host: '127.0.0.1' },
    ],
  })
  const socket = net.connect(about.listeners[0].port, '127.0.0.1')
  const hello = await new Promise<string | Buffer>((resolve, reject) => {
    socket.once('data', resolve).once('error', reject)
  })
  t.ok(hello.length > 0, 'the gateway speaks first')
  socket.destroy()
  const admin = ['--admin', about.admin]
  // Its host is away: alive, and not ready.
  t.match(await skewer(['health', ...admin]), { code: 1, stdout: /^not ready: no host is linked/ })
  t.match(await skewer(['session', 'list', ...admin]), { code: 0, stdout: 'no sessions\n' })
  t.match(await skewer(['host', 'list', ...admin]), { code: 0, stdout: /host-1/ })
  t.match(await skewer(['stats', '--json', ...admin]), { code: 0, stdout: /"version"/ })
  t.match(await skewer(['drain', '--within', '0s', ...admin]), { code: 0, stdout: /the gateway drains/ })
  t.match(await running.ended, { code: 0, signal: null })
})

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  t.test(`${signal} ends it in order, with exit code 0`, { skip: isWindows }, async (t) => {
    const { running } = await started(dev, t.testdir({}))
    running.child.kill(signal)
    const { code, stderr } = await running.ended
    t.equal(code, 0)
    t.match(stderr, new RegExp(`^skewer: ${signal}: draining; a second signal ends it at once\nskewer: stopped: `))
  })
}

t.test('clients that do not go within the drain make exit code 3', { skip: isWindows }, async (t) => {
  const cwd = t.testdir({
    'skewer.yaml':
      'services: { a: {} }\nlisteners: [{ transport: tcp, port: 0 }]\nadmin: { port: 0 }\ntimes: { drain: 100ms }',
  })
  const { running, about } = await started(['run'], cwd)
  t.equal(about.config, 'skewer.yaml')
  const socket = net.connect(about.listeners[0].port, '127.0.0.1').on('error', () => {})
  await new Promise((resolve) => socket.once('data', resolve))
  running.child.kill('SIGTERM')
  t.match(await running.ended, { code: 3, stderr: /1 connections were left/ })
  socket.destroy()
})

t.test('a second signal ends it at once', { skip: isWindows }, async (t) => {
  const { running, about } = await started(dev, t.testdir({}))
  const socket = net.connect(about.listeners[0].port, '127.0.0.1').on('error', () => {})
  await new Promise((resolve) => socket.once('data', resolve))
  running.child.kill('SIGTERM')
  await running.said(/draining/, 'stderr')
  // A repetition within a moment is the same signal come twice; it is sent until it counts as the second.
  const again = setInterval(() => running.child.kill('SIGTERM'), 50)
  const { code, stderr } = await running.ended
  clearInterval(again)
  t.equal(code, 0)
  t.match(stderr, /SIGTERM again: ending at once\nskewer: stopped: closed\n$/)
  socket.destroy()
})

t.test('a port that is taken is one line, with the listener and the port, and exit code 1', async (t) => {
  const taken = net.createServer()
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
  t.teardown(() => taken.close())
  const { port } = taken.address() as net.AddressInfo
  const ran = await skewer(['run', '--tcp-port', String(port), '--websocket-port', '0', '--admin-port', '0'], {
    cwd: t.testdir({}),
  })
  t.equal(ran.code, 1)
  t.match(ran.stderr, new RegExp(`^skewer: listener tcp-${port} cannot listen on 127.0.0.1:${port}: [^\n]+\n$`))
})

t.test('a configuration with errors does not start: exit code 2, which supervisors do not repeat', async (t) => {
  const cwd = t.testdir({ 'skewer.yaml': 'servces: {}' })
  t.match(await skewer(['run'], { cwd }), {
    code: 2,
    stdout: '',
    stderr:
      'skewer.yaml:1:1: servces: is not a key of a configuration; did you mean services?\nskewer: skewer.yaml cannot be used\n',
  })
  t.match(await skewer(['run', '--config', path.join(cwd, 'no.yaml')], { cwd }), {
    code: 2,
    stderr: /there is no such file/,
  })
  t.match(await skewer(['run', '--host', 'nowhere'], { cwd }), { code: 2, stderr: /the command line cannot be used/ })
})

t.test('without --json, people read it on stderr and the log has stdout to itself', { skip: isWindows }, async (t) => {
  const running = new Running([...dev, '--service', 'lobby', 'shop'], { cwd: t.testdir({}) })
  await running.said(/admin listens on/, 'stderr')
  running.child.kill('SIGTERM')
  const { stdout, stderr, code } = await running.ended
  t.equal(code, 0)
  t.match(
    stderr,
    /^skewer: \d+\.\d+\.\d+ runs \(pid \d+, development configuration\)\nskewer: tcp-0 listens on tcp:\/\/127.0.0.1:\d+\n/,
  )
  for (const line of stdout.trim().split('\n')) t.ok(JSON.parse(line), line)
})

t.test('who reads what it says may go: it serves on, and ends in order', { skip: isWindows }, async (t) => {
  const { running, about } = await started(dev, t.testdir({}))
  t.teardown(() => running.child.kill('SIGKILL'))
  running.child.stdout!.destroy()
  running.child.stderr!.destroy()
  for (let i = 0; i < 5; i++) {
    // No LOGIN begins like that: each is a line in the log.
    const socket = net.connect(about.listeners[0].port, '127.0.0.1', () => socket.write(Buffer.alloc(100, 0xff)))
    await new Promise((resolve) =>
      socket
        .on('error', () => {})
        .once('close', resolve)
        .resume(),
    )
  }
  t.match(await skewer(['stats', '--json', '--admin', about.admin!]), { code: 0 }, 'it serves')
  running.child.kill('SIGTERM')
  t.match(await running.ended, { code: 0, signal: null })
})
