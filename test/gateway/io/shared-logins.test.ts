// needs: redis
// Gateways that count logins together, in a real store that goes and comes back.
import net from 'node:net'
import t from 'tap'
import type { RunningGateway } from '../../../gateway/io/process.ts'
import { code } from '../../../protocols/codes.ts'
import { freePort, redisServer } from './redis-server.ts'
import { overSocket } from './scripted-client.ts'
import { eventually, portOf, scratchFolder, started, type Test, testSettings } from './started.ts'

async function sharing(t: Test, port: number, lines: string[] = []): Promise<RunningGateway> {
  const settings = testSettings(t, '127.0.0.1:1', (s) => {
    s.log = { level: 'info', format: 'json' }
    s.store = { redis: { url: `redis://:x-pass@127.0.0.1:${port}`, keyPrefix: 'test:' } }
    s.admission = {
      limits: { isObserved: false, perAddress: Infinity, perNetwork: Infinity },
      lists: { allow: [], deny: [] },
      logins: { perUser: { perSecond: 4 / 60, burst: 4 } },
    }
  })
  return started(t, settings, { logTarget: { write: (line) => lines.push(line) } })
}

async function isWelcome(t: Test, running: RunningGateway, user: string): Promise<boolean> {
  const client = overSocket(net.connect(portOf(running, 'tcp'), '127.0.0.1'))
  t.teardown(() => client.pipe.destroy())
  const why = (await client.tryLogin(user))?.code
  if (why !== undefined && why !== code.rate_limited) throw new Error(`closed with ${why}`)
  return why === undefined
}

/** Whether this gateway's store answers, by the last that its log says of it. */
const isUp = (lines: string[]): boolean | undefined => {
  const last = lines.findLast((line) => line.includes('the shared store'))
  return last?.includes('the shared store answers')
}

t.test(
  'four logins at two gateways are four; while the store is away each counts alone, then again together',
  async (t) => {
    const port = await freePort()
    const folder = scratchFolder(t)
    let server = redisServer(t, port, folder)
    const [ofOne, ofTwo]: [string[], string[]] = [[], []]
    const one = await sharing(t, port, ofOne)
    const two = await sharing(t, port, ofTwo)
    const areBoth = (up: boolean) => isUp(ofOne) === up && isUp(ofTwo) === up
    await eventually(() => areBoth(true), 'the store')
    t.ok(await isWelcome(t, one, 'ann'))
    t.ok(await isWelcome(t, one, 'ann'))
    t.ok(await isWelcome(t, two, 'ann'))
    t.ok(await isWelcome(t, two, 'ann'), 'the fourth, which fills the window')
    let refusedAfter = 0
    while (await isWelcome(t, two, 'ann')) refusedAfter++
    t.ok(refusedAfter <= 1, 'from the answer on, which nobody waited for')
    t.ok(await isWelcome(t, two, 'bob'))

    const gone = new Promise((resolve) => server.once('exit', resolve))
    server.kill('SIGKILL')
    await gone
    await eventually(() => areBoth(false), 'both to know')
    for (const running of [one, two]) {
      for (let i = 0; i < 4; i++) t.ok(await isWelcome(t, running, 'eve'))
      t.notOk(await isWelcome(t, running, 'eve'))
    }
    t.match(await (await fetch(`${one.adminAddress}/metrics`)).text(), /^skewer_store_up\{kind="redis"\} 0$/m)

    server = redisServer(t, port, folder)
    await eventually(() => areBoth(true), 'the store to be back for both')
    t.match(await (await fetch(`${one.adminAddress}/metrics`)).text(), /^skewer_store_up\{kind="redis"\} 1$/m)
    for (let i = 0; i < 4; i++) t.ok(await isWelcome(t, one, 'joe'))
    t.ok(await isWelcome(t, two, 'joe'), 'the first there is let in, and answered that it is one too many')
    let letIn = 1
    // Answers take a moment more while the new store is warming up.
    const moment = () => new Promise((resolve) => setTimeout(resolve, 50))
    for (await moment(); await isWelcome(t, two, 'joe'); await moment()) letIn++
    t.ok(letIn <= 3, `${letIn} let in, where four would be alone`)
    t.notOk([...ofOne, ...ofTwo].join('').includes('x-pass'))
  },
)
