import { spawn } from 'node:child_process'
import { once } from 'node:events'
import process from 'node:process'
import t from 'tap'
import { parseStat, usageOf, usedSince } from '../../bench/process-usage.ts'

const isLinux = process.platform === 'linux'
const tail = 'S 1 4242 4242 0 -1 4194560 5000 0 3 0 150 50 7 8 20 0 11 0 9999 1073741824 2500 18446744073709551615 1 1'
const units = { ticksPerSecond: 100, pageBytes: 4096 }

t.test('CPU time is user and system together, without that of children; memory is in pages', async (t) => {
  t.strictSame(parseStat(`4242 (node) ${tail}`, units), {
    cpuUs: 2_000_000,
    userUs: 1_500_000,
    systemUs: 500_000,
    rssBytes: 2500 * 4096,
  })
  const others = { ticksPerSecond: 1000, pageBytes: 65_536 }
  t.match(parseStat(`4242 (node) ${tail}`, others), { cpuUs: 200_000, rssBytes: 2500 * 65_536 })
})

t.test('a name with brackets and spaces moves no field', async (t) => {
  for (const name of ['tmux: server', 'a) S 1 2', '(sd-pam)', ')']) {
    t.match(parseStat(`4242 (${name}) ${tail}`, units), { cpuUs: 2_000_000, rssBytes: 2500 * 4096 }, name)
  }
})

t.test('of this process it says what the process itself says', { skip: !isLinux }, async (t) => {
  const { rssBytes, cpuUs } = usageOf(process.pid)
  const own = process.memoryUsage.rss()
  t.ok(rssBytes > own * 0.8 && rssBytes < own * 1.2, `${rssBytes} bytes, ${own} by its own account`)
  const { user, system } = process.cpuUsage()
  t.ok(Math.abs(user + system - cpuUs) < 200_000, `${cpuUs} us, ${user + system} by its own account`)
})

t.test(
  'what was used between two moments is each part less than before, and the memory of the later one',
  async (t) => {
    const before = { cpuUs: 30, userUs: 20, systemUs: 10, rssBytes: 500 }
    const after = { cpuUs: 70, userUs: 45, systemUs: 25, rssBytes: 400 }
    t.strictSame(usedSince(before, after), { cpuUs: 40, userUs: 25, systemUs: 15, rssBytes: 400 })
  },
)

t.test('a process that has ended is an error, not a zero', { skip: !isLinux }, async (t) => {
  const child = spawn(process.execPath, ['--version'], { stdio: 'ignore' })
  await once(child, 'exit')
  t.throws(() => usageOf(child.pid!), { code: 'ENOENT' })
})
