// Lines of the log to a file that takes them, to one that cannot, and to a pipe that nobody empties.
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import t, { type Test } from 'tap'
import { LogOutput } from '../../../gateway/io/log-output.ts'
import { LogFile } from '../../../gateway/observe/log.ts'
import { eventually } from './started.ts'

const isWindows = process.platform === 'win32'

function opened(t: Test, file: string, flags: string | number): number {
  const fd = fs.openSync(file, flags)
  t.teardown(() => fs.closeSync(fd))
  return fd
}

t.test('lines are written in order, behind the turn, at once where that is asked for, and at the end', async (t) => {
  const file = path.join(t.testdir({}), 'log')
  const output = new LogOutput(opened(t, file, 'w'))
  const text = () => fs.readFileSync(file, 'utf8')
  output.write('1\n')
  output.write('2\n')
  t.equal(text(), '', 'not in the turn')
  await eventually(() => text() === '1\n2\n', 'both')
  output.write('3\n')
  output.flushSync()
  t.equal(text(), '1\n2\n3\n')
  output.write('4\n')
  await output.close()
  t.equal(text(), '1\n2\n3\n4\n')
  await output.close()
})

t.test('a disk that is full costs lines, and nothing else', { skip: !fs.existsSync('/dev/full') }, async (t) => {
  const output = new LogOutput(opened(t, '/dev/full', 'w'))
  const log = new LogFile({ level: 'info', format: 'json' }, output)
  log.log.info('written behind the turn')
  await new Promise((resolve) => setImmediate(resolve))
  log.log.fatal('written at once, as pino does with this level')
  log.log.info('written at the end')
  await log.close()
  log.closeNow()
  t.pass('it came to an end, and nothing was thrown')
})

t.test('a pipe that nobody empties holds so much, and what was lost is told', { skip: isWindows }, async (t) => {
  const pipe = path.join(t.testdir({}), 'pipe')
  execFileSync('mkfifo', [pipe])
  const fd = opened(t, pipe, fs.constants.O_RDWR | fs.constants.O_NONBLOCK)
  const output = new LogOutput(fd)
  const line = `${'x'.repeat(1023)}\n`
  const count = 10_000
  for (let i = 0; i < count; i++) output.write(line)
  let came = ''
  const room = Buffer.alloc(64 * 1024)
  const empty = () => {
    for (;;) {
      try {
        came += room.toString('latin1', 0, fs.readSync(fd, room))
      } catch {
        return
      }
    }
  }
  await eventually(() => {
    empty()
    return came.endsWith('}\n')
  }, 'what was held')
  const lines = came.split('\n')
  t.equal(lines.length - 2, 4096, 'four megabytes')
  t.match(JSON.parse(lines[4096]), { level: 40, lines: count - 4096, msg: /were lost/ })
  output.write('after that\n')
  await eventually(() => {
    empty()
    return came.endsWith('}\nafter that\n')
  }, 'the next line')
  await output.close()
})

t.test('a write that is stuck does not hold up the end', { skip: isWindows }, async (t) => {
  const pipe = path.join(t.testdir({}), 'pipe')
  execFileSync('mkfifo', [pipe])
  const fd = opened(t, pipe, fs.constants.O_RDWR | fs.constants.O_NONBLOCK)
  const output = new LogOutput(fd)
  for (let i = 0; i < 200; i++) output.write(`${'x'.repeat(1023)}\n`)
  await new Promise((resolve) => setImmediate(resolve))
  const startedAt = performance.now()
  await output.close()
  t.ok(performance.now() - startedAt < 4000, `${performance.now() - startedAt} ms`)
})
