// Logins that are too many, over real sockets: refused at once by address and by user, whatever becomes of the shared store.
import net from 'node:net'
import t from 'tap'
import type { Settings } from '../../../config/settings.ts'
import { IoCounters } from '../../../gateway/io/io-counters.ts'
import type { RunningGateway } from '../../../gateway/io/process.ts'
import { SharedCounts } from '../../../gateway/io/shared-counts.ts'
import { code } from '../../../protocols/codes.ts'
import { ask, httpGateway } from './http-rig.ts'
import { believedThen, impostor, impostors } from './store-impostors.ts'
import { overSocket } from './scripted-client.ts'
import { eventually, portOf, started, type Test, testSettings } from './started.ts'

const three = { perSecond: 3 / 60, burst: 3 }
const none = { isObserved: false, perAddress: Infinity, perNetwork: Infinity }
const lists = { allow: [], deny: [] }

/** How a login ends: undefined where it is welcome. */
function tried(t: Test, running: RunningGateway, user: string) {
  const client = overSocket(net.connect(portOf(running, 'tcp'), '127.0.0.1'))
  t.teardown(() => client.pipe.destroy())
  return client.tryLogin(user)
}

async function codesOf(t: Test, running: RunningGateway, users: readonly string[]) {
  const codes: (number | undefined)[] = []
  for (const user of users) codes.push((await tried(t, running, user))?.code)
  return codes
}

const gatewayWith = (t: Test, change: (settings: Settings) => void) =>
  started(t, testSettings(t, '127.0.0.1:1', change))

const metricsOf = async (running: RunningGateway) => (await fetch(`${running.adminAddress}/metrics`)).text()

t.test('three logins of an address, the fourth is refused with a hint, before its token is looked at', async (t) => {
  const running = await gatewayWith(t, (s) => {
    s.admission = { limits: none, lists, logins: { perAddress: three } }
  })
  t.same(await codesOf(t, running, ['a', 'b', 'c']), [undefined, undefined, undefined])
  const refused = await tried(t, running, 'd')
  t.equal(refused?.code, code.rate_limited)
  t.ok(refused!.retryMs > 10_000 && refused!.retryMs <= 20_000, `${refused!.retryMs}`)
  t.match(await metricsOf(running), /^skewer_logins_limited_total\{by="address",mode="enforce"\} 1$/m)
  t.notMatch(await metricsOf(running), /^skewer_store_up\{/m)
  const { settings } = running.gateway
  await running.configure({ ...settings, admission: { limits: none, lists } })
  t.equal(await tried(t, running, 'd'), undefined, 'a reload takes the limit away')
})

t.test('three logins of a user, others may; what is observed is counted and let in', async (t) => {
  const running = await gatewayWith(t, (s) => {
    s.admission = { limits: none, lists, logins: { perUser: three } }
  })
  const codes = await codesOf(t, running, ['ann', 'ann', 'ann', 'ann', 'bob'])
  t.same(codes, [undefined, undefined, undefined, code.rate_limited, undefined])
  const observing = await gatewayWith(t, (s) => {
    s.admission = { limits: { ...none, isObserved: true }, lists, logins: { perUser: three } }
  })
  t.same(await codesOf(t, observing, ['ann', 'ann', 'ann', 'ann']), [undefined, undefined, undefined, undefined])
  t.match(await metricsOf(observing), /^skewer_logins_limited_total\{by="user",mode="observe"\} 1$/m)
})

t.test('tokens over HTTP count too; one that is known is not counted again', async (t) => {
  const { port } = await httpGateway(t, { 'arena.echo': (_: unknown, payload: unknown) => payload }, (s) => {
    s.admission = { limits: none, lists, logins: { perAddress: three } }
  })
  for (const user of ['a', 'a', 'a', 'a', 'b', 'c'])
    t.equal((await ask(port, '/call/arena.echo', user, { body: '1' })).status, 200)
  const { status, headers } = await ask(port, '/call/arena.echo', 'd', { body: '1' })
  t.equal(status, 429)
  t.ok(Number(headers['retry-after']) > 10)
})

for (const [what, does] of [...Object.entries(impostors), ['is not there', undefined] as const]) {
  t.test(`local limits hold as ever with a store that ${what}`, async (t) => {
    const port = does === undefined ? 1 : await impostor(t, does)
    const lines: string[] = []
    const settings = testSettings(t, '127.0.0.1:1', (s) => {
      s.log = { level: 'info', format: 'json' }
      s.store = { redis: { url: `redis://user:pass-word@127.0.0.1:${port}`, keyPrefix: 'x:' } }
      s.admission = { limits: none, lists, logins: { perAddress: three } }
    })
    const running = await started(t, settings, { logTarget: { write: (line) => lines.push(line) } })
    if (what.includes('believed')) {
      await eventually(() => lines.join('').includes('the shared store answers'), 'the store to be believed')
    }
    const begun = performance.now()
    t.same(await codesOf(t, running, ['a', 'b', 'c', 'd']), [undefined, undefined, undefined, code.rate_limited])
    t.ok(performance.now() - begun < 1500, 'nobody waited for it')
    t.equal(
      running.gateway.readiness().reasons.some((reason) => JSON.stringify(reason).includes('store')),
      false,
    )
    t.notOk(lines.join('').includes('pass-word'))
    t.match(await metricsOf(running), /^skewer_store_up\{kind="redis"\} [01]$/m)
  })
}

t.test('so many counts are under way with a store that has gone silent, then it is dialled anew', async (t) => {
  let dialled = 0
  const port = await impostor(t, (socket) => {
    dialled++
    believedThen('')(socket)
  })
  const counters = new IoCounters()
  const told: boolean[] = []
  const settings = { redis: { url: `redis://127.0.0.1:${port}`, keyPrefix: 'x:' } }
  const counts = new SharedCounts(settings, counters, (isUp) => told.push(isUp))
  t.teardown(() => counts.end())
  const never = () => t.fail('nothing was answered')
  counts.count('user', 'early', { attempts: 3, seconds: 60 }, never)
  t.equal(counters.storeMissed, 1, 'it is not dialled yet')
  counts.begin()
  await eventually(() => counters.storeUp === 1, 'the store to be believed')
  for (let i = 0; i < 1000; i++) counts.count('user', `u${i}`, { attempts: 3, seconds: 60 }, never)
  t.equal(counters.storeMissed, 1 + 1000 - 256)
  await eventually(() => counters.storeErrors === 256, 'the silence to end')
  await eventually(() => dialled === 2 && counters.storeUp === 1, 'the second connection')
  t.same(told, [true, false, true], 'said once for each change')
})
