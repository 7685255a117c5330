// needs: redis
// Connections and HTTP requests that gateways count together, in a real store; what each counts by itself holds whatever the
// store does (request-rate.test.ts).
import net from 'node:net'
import t from 'tap'
import { ask, httpGateway } from './http-rig.ts'
import { freePort, redisServer } from './redis-server.ts'
import { eventually, scratchFolder, type Test } from './started.ts'

const four = { perSecond: 4 / 60, burst: 4 }

async function sharing(t: Test, port: number, limits: object) {
  const rig = await httpGateway(t, { 'arena.echo': (_: unknown, payload: unknown) => payload }, (s) => {
    s.store = { redis: { url: `redis://:x-pass@127.0.0.1:${port}`, keyPrefix: 'test:' } }
    s.admission = {
      limits: { isObserved: false, perAddress: Infinity, perNetwork: Infinity, ...limits },
      lists: { allow: [], deny: [] },
    }
  })
  const isUp = async () => (await fetch(`${rig.running.adminAddress}/metrics`)).text()
  await until(async () => /^skewer_store_up\{kind="redis"\} 1$/m.test(await isUp()))
  return rig
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + 10_000
  while (!(await isSo())) if (performance.now() > end) throw new Error('the store did not answer')
}

/** How many of so many requests are answered. */
async function answered(port: number, count: number): Promise<number> {
  let good = 0
  for (let i = 0; i < count; i++) {
    const { status } = await ask(port, '/call/arena.echo', 'ann', { body: '1' })
    if (status === 200) good++
    else if (status !== 429) throw new Error(`answered ${status}`)
  }
  return good
}

t.test('four requests of an address at two gateways are four', async (t) => {
  const port = await freePort()
  redisServer(t, port, scratchFolder(t))
  const one = await sharing(t, port, { requestRate: four })
  const two = await sharing(t, port, { requestRate: four })
  t.equal(await answered(one.port, 2), 2)
  t.equal(await answered(two.port, 2), 2)
  const after = (await answered(two.port, 2)) + (await answered(one.port, 2))
  t.ok(after <= 2, `${after} more: from the answers on, which nobody waited for`)
  t.equal((await answered(one.port, 1)) + (await answered(two.port, 1)), 0)
})

t.test('four connections of an address at two gateways are four', async (t) => {
  const port = await freePort()
  redisServer(t, port, scratchFolder(t))
  const one = await sharing(t, port, { rate: four })
  const two = await sharing(t, port, { rate: four })
  const tries: number[] = []
  for (const { port: to } of [one, one, two, two, two, two, one, one]) {
    let isGone = false
    const socket = net.connect(to, '127.0.0.1')
    t.teardown(() => socket.destroy())
    socket.on('close', () => (isGone = true)).on('error', () => {})
    socket.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n')
    let isAnswered = false
    socket.on('data', () => (isAnswered = true))
    await eventually(() => isGone || isAnswered, 'an answer or an end')
    tries.push(isAnswered ? 1 : 0)
  }
  t.same(tries.slice(0, 4), [1, 1, 1, 1])
  const after = tries.slice(4).reduce((sum, n) => sum + n, 0)
  t.ok(after <= 2, `${after} more`)
  t.equal(tries.at(-1), 0)
})
