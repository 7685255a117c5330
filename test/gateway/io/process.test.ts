import { spawn } from 'node:child_process'
import fs from 'node:fs'
import net from 'node:net'
import { createInterface } from 'node:readline'
import t from 'tap'
import { Loop, monotonicNow } from '../../../gateway/io/loop.ts'
import { code } from '../../../protocols/codes.ts'
import { overSocket } from './scripted-client.ts'
import { ScriptedHost } from './scripted-host.ts'
import { eventually, portOf, started, type Test, tcpClient, testSettings } from './started.ts'

const processFile = new URL('../../../gateway/io/process.ts', import.meta.url).href

/** A gateway in a process of its own, which may open only so many files, and fails when told to. */
async function spawned(t: Test, hostAddress: string, filesMax: number) {
  const settings = testSettings(t, hostAddress, (s) => {
    s.log.level = 'fatal'
  })
  const program = `
    const { startGateway } = await import(${JSON.stringify(processFile)})
    const running = await startGateway(JSON.parse(process.argv[1]), { ownsProcess: true, logTarget: process.stderr })
    console.log(JSON.stringify({ addresses: running.addresses, adminAddress: running.adminAddress }))
    const fs = await import('node:fs')
    const hogged = []
    process.stdin.on('data', (command) => {
      if (command == 'fail\\n') throw new Error('on purpose')
      if (command == 'hog\\n') {
        try { for (;;) hogged.push(fs.openSync('/dev/null')) } catch {}
        for (const fd of hogged.splice(0, 3)) fs.closeSync(fd)
      } else for (const fd of hogged) fs.closeSync(fd)
      console.log('done')
    })`
  const command = `ulimit -n ${filesMax}; exec "$0" --input-type=module -e "$1" "$2"`
  const child = spawn('bash', ['-c', command, process.execPath, program, JSON.stringify(settings)])
  t.teardown(() => child.kill('SIGKILL'))
  let log = ''
  child.stderr.setEncoding('utf8').on('data', (chunk) => (log += chunk))
  const line = await new Promise<string>((resolve, reject) => {
    createInterface(child.stdout).once('line', resolve)
    child.once('exit', () => reject(new Error(log)))
  })
  const { addresses, adminAddress } = JSON.parse(line)
  return { child, port: addresses[0].port as number, adminAddress: adminAddress as string, log: () => log }
}

/** CPU time that a process has used, in hundredths of a second (proc(5)). */
function cpuTicks(pid: number): number {
  const fields = fs.readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ')
  return Number(fields[11]) + Number(fields[12])
}

/** A connection that is greeted; those before it may be refused while the process still closes others. */
async function admitted(t: Test, port: number) {
  for (let attempt = 0; attempt < 100; attempt++) {
    const client = overSocket(net.connect(port, '127.0.0.1'))
    t.teardown(() => client.pipe.destroy())
    await client.until(() => client.isGone || client.isGreeted, 'a greeting or the end')
    if (client.isGreeted) return client
  }
  throw new Error('never let in')
}

t.test('draining lets clients go and ends with 0', async (t) => {
  const running = await started(t, testSettings(t, '127.0.0.1:1'))
  const client = await tcpClient(t, running, 'ada')
  const draining = running.drain(2000)
  client.pipe.destroy()
  await draining
  t.same(await running.closed, { code: 0, reason: 'drained' })
  await t.rejects(
    new Promise((_resolve, reject) => net.connect(portOf(running, 'tcp'), '127.0.0.1').on('error', reject)),
    { code: 'ECONNREFUSED' },
  )
})

t.test('a client that stays beyond the time is closed, and the exit code says so', async (t) => {
  const running = await started(t, testSettings(t, '127.0.0.1:1'))
  const client = await tcpClient(t, running, 'ada')
  await running.drain(100)
  await client.until(() => client.isGone, 'the end')
  t.equal(client.closedWith?.code, code.going_away)
  t.match(await running.closed, { code: 3, reason: '1 connections were left when the time was over' })
})

t.test('closing cuts a drain short', async (t) => {
  const running = await started(t, testSettings(t, '127.0.0.1:1'))
  await tcpClient(t, running, 'ada')
  const draining = running.drain(60_000)
  await running.close()
  await draining
  t.match(await running.closed, { code: 0 })
})

t.test('a start that fails leaves nothing behind', async (t) => {
  const first = await started(t, testSettings(t, '127.0.0.1:1'))
  const settings = testSettings(t, '127.0.0.1:1', (s) => {
    s.admin.port = Number(new URL(first.adminAddress!).port)
  })
  let tcpPort = 0
  const lines: string[] = []
  settings.log.level = 'info'
  const logTarget = { write: (line: string) => lines.push(line) }
  await t.rejects(
    started(t, settings, { logTarget }),
    /listener admin cannot listen on .*: another process listens there/,
  )
  tcpPort = lines.map((line) => JSON.parse(line)).find(({ transport }) => transport === 'tcp').port
  await t.rejects(new Promise((_resolve, reject) => net.connect(tcpPort, '127.0.0.1').on('error', reject)))
})

t.test('the limit of open files caps connectionsMax, so that links and the admin port have some', async (t) => {
  const host = new ScriptedHost({ name: 'local' })
  t.teardown(() => host.close())
  const { port, adminAddress } = await spawned(t, await host.listen(), 80)
  const crowd = Array.from({ length: 100 }, () => overSocket(net.connect(port, '127.0.0.1')))
  await eventually(() => crowd.every((client) => client.isGone || client.isGreeted), 'all to be let in or refused')
  t.equal(crowd.filter((client) => client.isGreeted).length, 40)
  t.match(await (await fetch(`${adminAddress}/metrics`)).text(), 'reason="connections_max"} 60')
  for (const client of crowd) client.pipe.destroy()
})

t.test('without file descriptors it neither dies nor spins, and accepts again when there are some', async (t) => {
  const host = new ScriptedHost({ name: 'local' })
  t.teardown(() => host.close())
  const { child, port } = await spawned(t, await host.listen(), 96)
  child.stdin.write('hog\n')
  await new Promise((resolve) => child.stdout.once('data', resolve))
  const before = cpuTicks(child.pid!)
  const crowd = Array.from({ length: 10 }, () => overSocket(net.connect(port, '127.0.0.1')))
  await eventually(() => crowd.some((client) => client.isGone), 'a refused connection')
  await new Promise((resolve) => setTimeout(resolve, 300))
  t.ok(cpuTicks(child.pid!) - before < 15, 'it does not spin')
  for (const client of crowd) client.pipe.destroy()
  child.stdin.write('free\n')
  await new Promise((resolve) => child.stdout.once('data', resolve))
  const survivor = await admitted(t, port)
  await survivor.login('ada')
  await survivor.attach('arena', 'a1')
  survivor.send(Buffer.from('still here'))
  await survivor.until(() => survivor.received.length === 1, 'the echo')
})

t.test('an error that nobody caught is logged and ends the process with 1', async (t) => {
  const { child, log } = await spawned(t, '127.0.0.1:1', 256)
  const exited = new Promise((resolve) => child.once('exit', resolve))
  child.stdin.write('fail\n')
  t.equal(await exited, 1)
  t.match(log(), /on purpose/)
})

t.test('tickets outlive kill -9: the key is in the state folder', async (t) => {
  const settings = testSettings(t, '127.0.0.1:1')
  const one = await started(t, settings)
  const sealed = one.gateway.env.sealer.seal('ticket', Uint8Array.of(1, 2, 3))
  const two = await started(t, settings)
  t.same(two.gateway.env.sealer.open('ticket', sealed), { plain: Uint8Array.of(1, 2, 3) })
})

t.test('the loop wakes for what is due, and not otherwise', async (t) => {
  const loop = new Loop(0)
  const ticks: number[] = []
  let at = Infinity
  const machine = {
    deadline: () => at,
    tick: (now: number) => {
      ticks.push(now)
      at = Infinity
    },
    flush() {},
    flushLinks() {},
  }
  t.teardown(() => loop.remove(machine))
  loop.start(machine)
  const from = monotonicNow()
  at = from + 60
  loop.poke()
  at = from + 20
  loop.poke()
  at = from + 40
  loop.poke()
  await eventually(() => ticks.length === 1, 'the tick')
  t.ok(ticks[0] >= from + 40 && ticks[0] < from + 200)
  // It looked at 20, when that deadline had moved, and at 40; timers may be early by part of a millisecond.
  t.ok(loop.wakeups >= 2 && loop.wakeups <= 4, `${loop.wakeups} wake-ups`)
  const wakeups = loop.wakeups
  await new Promise((resolve) => setTimeout(resolve, 100))
  t.equal(loop.wakeups, wakeups, 'nothing is due, nothing wakes')
})

t.test('a flush delay holds up links, and never clients', async (t) => {
  const loop = new Loop(5)
  const seen: string[] = []
  const machine = {
    deadline: () => Infinity,
    tick() {},
    flush: () => void seen.push('clients'),
    flushLinks: () => void seen.push('links'),
  }
  t.teardown(() => loop.remove(machine))
  loop.start(machine)
  loop.scheduleLinkFlush()
  loop.scheduleFlush()
  await new Promise(setImmediate)
  t.same(seen, ['clients'])
  await eventually(() => seen.length === 2, 'the links')
  t.same(seen, ['clients', 'links'])
})
