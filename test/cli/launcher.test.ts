// The launcher on a Node that is too old. The machine's own old Node is not needed: the launcher is told that it runs on
// one, and must then start the one that came with the package.
import t, { type Test } from 'tap'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { Running, launcher, skewer } from './skewer.ts'

/** Many processes, on a machine that may be busy. */
t.setTimeout(180_000)

const pretend = `data:text/javascript,Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.1.0' } })`
const nodeArgs = ['--import', pretend]

/** A package whose command does what the test says; inside the repository, so that the bundled Node is found. */
function standIn(t: Test, main: string): string {
  const folder = t.testdir({ 'package.json': '{"type":"module"}', bin: {}, cli: { 'main.ts': main } })
  fs.copyFileSync(launcher, path.join(folder, 'bin/skewer'))
  return path.join(folder, 'bin/skewer')
}

t.test('an old Node hands over to the bundled one, with arguments, streams and exit code', async (t) => {
  const file = standIn(
    t,
    `process.stdin.on('data', (data) => {
      console.log(JSON.stringify({ args: process.argv.slice(2), node: process.versions.node, parent: process.ppid }))
      console.error('input ' + data)
      process.exit(3)
    })`,
  )
  const running = new Running(['a', '--b', 'c d'], { nodeArgs, file, input: 'hello' })
  const { code, stdout, stderr } = await running.ended
  t.equal(code, 3)
  t.equal(stderr, 'input hello\n')
  t.match(JSON.parse(stdout), { args: ['a', '--b', 'c d'], parent: running.child.pid })
  t.not(JSON.parse(stdout).node, '20.1.0')
})

t.test(
  'signals are passed on, and the end is the end of the child',
  { skip: process.platform === 'win32' },
  async (t) => {
    const file = standIn(
      t,
      `for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR2']) {
      process.on(name, () => { console.log(name); if (name === 'SIGTERM') process.exit(7) })
    }
    setInterval(() => {}, 1000)
    console.log('ready')`,
    )
    const running = new Running([], { nodeArgs, file })
    await running.said(/ready/)
    for (const name of ['SIGINT', 'SIGHUP', 'SIGUSR2', 'SIGTERM'] as const) {
      running.child.kill(name)
      await running.said(new RegExp(name))
    }
    t.match(await running.ended, { code: 7, signal: null })
  },
)

t.test(
  'a child that dies by a signal ends the launcher by the same',
  { skip: process.platform === 'win32' },
  async (t) => {
    const running = new Running([], { nodeArgs, file: standIn(t, `process.kill(process.pid, 'SIGKILL')`) })
    t.match(await running.ended, { code: null, signal: 'SIGKILL' })
  },
)

t.test('a launcher that is killed with -9 leaves nothing behind', { skip: process.platform === 'win32' }, async (t) => {
  // Idle, and one that ignores what it can: nothing of a gateway may go on without the process that somebody started.
  const file = standIn(
    t,
    `for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGPIPE']) process.on(name, () => {})
    setInterval(() => {}, 1000)
    console.log('pid ' + process.pid)`,
  )
  const running = new Running([], { nodeArgs, file })
  const pid = Number((await running.said(/pid (\d+)/))[1])
  t.teardown(() => isAlive(pid) && process.kill(pid, 'SIGKILL'))
  t.not(pid, running.child.pid)
  running.child.kill('SIGKILL')
  // Its output ends with the last process that holds it.
  t.match(await running.ended, { code: null, signal: 'SIGKILL' })
  t.notOk(isAlive(pid))
})

t.test('a command that has nothing left to do ends under the launcher, too', async (t) => {
  const file = standIn(t, `setTimeout(() => console.log('done'), 10)`)
  t.match(await skewer([], { nodeArgs, file }), { code: 0, stdout: 'done\n', stderr: '' })
})

t.test('where the bundled Node is too old or missing, one line says what is needed', async (t) => {
  const again = await skewer(['version'], { nodeArgs, env: { SKEWER_RELAUNCHED: '1' } })
  t.match(again, { code: 1, stdout: '', stderr: /^skewer needs Node 24.18 or newer, or 26.5 or newer; this is v/ })
  t.equal(again.stderr.trim().split('\n').length, 1)
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'skewer-alone-'))
  t.teardown(() => fs.rmSync(folder, { recursive: true }))
  fs.writeFileSync(path.join(folder, 'package.json'), '{"type":"module"}')
  fs.mkdirSync(path.join(folder, 'bin'))
  fs.copyFileSync(launcher, path.join(folder, 'bin/skewer'))
  t.match(await skewer(['version'], { nodeArgs, file: path.join(folder, 'bin/skewer') }), {
    code: 1,
    stderr: /^skewer needs Node/,
  })
})

t.test('the mark of the launcher is not handed on to what the command starts', async (t) => {
  t.match(await skewer(['version'], { env: { SKEWER_RELAUNCHED: '1' } }), { code: 0 })
})

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    // One that has ended and that nobody asks about has no command any more.
    return !fs.existsSync('/proc/self') || fs.readFileSync(`/proc/${pid}/cmdline`).length > 0
  } catch {
    return false
  }
}
