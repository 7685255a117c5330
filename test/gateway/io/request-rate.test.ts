// HTTP requests and connections that are too many of an address: refused at once, whatever becomes of the shared store.
import net from 'node:net'
import t from 'tap'
import type { Settings } from '../../../config/settings.ts'
import { ask, httpGateway } from './http-rig.ts'
import { eventually, type Test } from './started.ts'
import { impostor, impostors } from './store-impostors.ts'

const three = { perSecond: 3 / 60, burst: 3 }
const none = { isObserved: false, perAddress: Infinity, perNetwork: Infinity }
const lists = { allow: [], deny: [] }
const echo = { 'arena.echo': (_: unknown, payload: unknown) => payload }
const call = (port: number) => ask(port, '/call/arena.echo', 'ann', { body: '1' })

async function statuses(port: number, count: number): Promise<number[]> {
  const all: number[] = []
  for (let i = 0; i < count; i++) all.push((await call(port)).status)
  return all
}

t.test(
  'three requests of an address, the fourth is answered 429 with a hint; a reload takes the limit away',
  async (t) => {
    const { port, running } = await httpGateway(t, echo, (s) => {
      s.admission = { limits: { ...none, requestRate: three }, lists }
    })
    t.same(await statuses(port, 3), [200, 200, 200])
    const { status, headers } = await call(port)
    t.equal(status, 429)
    t.ok(Number(headers['retry-after']) > 10 && Number(headers['retry-after']) <= 20, `${headers['retry-after']}`)
    t.equal(
      (await ask(port, '/healthz', '', { method: 'GET' })).status,
      200,
      'the health page is no request of a player',
    )
    const metrics = await (await fetch(`${running.adminAddress}/metrics`)).text()
    t.match(metrics, /^skewer_admission_refused_total\{reason="request_rate",mode="enforce"\} 1$/m)
    await running.configure({ ...running.gateway.settings, admission: { limits: none, lists } })
    t.equal((await call(port)).status, 200)
  },
)

t.test('what is observed is counted and answered', async (t) => {
  const { port, running } = await httpGateway(t, echo, (s) => {
    s.admission = { limits: { ...none, isObserved: true, requestRate: three }, lists }
  })
  t.same(await statuses(port, 5), [200, 200, 200, 200, 200])
  const metrics = await (await fetch(`${running.adminAddress}/metrics`)).text()
  t.match(metrics, /^skewer_admission_refused_total\{reason="request_rate",mode="observe"\} 2$/m)
})

const withStore = (port: number, limits: object) => (s: Settings) => {
  s.store = { redis: { url: `redis://127.0.0.1:${port}`, keyPrefix: 'x:' } }
  s.admission = { limits: { ...none, ...limits }, lists }
}

/** Whether each of so many connections, one after the other, is answered. */
async function connections(t: Test, port: number, count: number): Promise<boolean[]> {
  const all: boolean[] = []
  for (let i = 0; i < count; i++) {
    const socket = net.connect(port, '127.0.0.1')
    t.teardown(() => socket.destroy())
    let end = ''
    socket.on('data', () => (end = 'answered')).on('error', () => {})
    socket.on('close', () => (end ||= 'closed'))
    socket.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n')
    await eventually(() => end !== '', 'an answer or an end')
    all.push(end === 'answered')
  }
  return all
}

for (const [what, does] of [...Object.entries(impostors), ['is not there', undefined] as const]) {
  t.test(`limits of requests and connections hold as ever with a store that ${what}`, async (t) => {
    const storePort = does === undefined ? 1 : await impostor(t, does)
    const requests = await httpGateway(t, echo, withStore(storePort, { requestRate: three }))
    const connecting = await httpGateway(t, echo, withStore(storePort, { rate: three }))
    const begun = performance.now()
    t.same(await statuses(requests.port, 4), [200, 200, 200, 429])
    t.same(await connections(t, connecting.port, 4), [true, true, true, false])
    t.ok(performance.now() - begun < 1500, 'nobody waited for it')
  })
}
