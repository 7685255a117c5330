// `listeners[].http` changed while the gateway runs: it holds for the next request, on connections that are there as on new
// ones, whichever way they are read; what is under way and sessions that are there go on.
import http from 'node:http'
import net from 'node:net'
import t, { type Test } from 'tap'
import type { HttpSettings, ListenerSettings } from '../../../config/settings.ts'
import type { RunningGateway } from '../../../gateway/io/process.ts'
import { connect, json } from '../../../sdk/client/index.ts'
import { type Ask, ask, httpGateway, httpSettings, rawAnswer } from './http-rig.ts'
import { eventually, portOf } from './started.ts'

t.setTimeout(60_000)

const echo = { 'arena.echo': (_: unknown, payload: unknown) => payload }
const lobby = { 'lobby.echo': (_: unknown, payload: unknown) => payload }

/** Changes `http` of both listeners in a configuration that is new in nothing else; `undefined`: WebSocket has none. */
async function change(t: Test, running: RunningGateway, to: Partial<HttpSettings> | undefined): Promise<void> {
  const next = structuredClone(running.gateway.settings)
  for (const listener of next.listeners as ListenerSettings[]) {
    if (listener.transport === 'http') listener.http = { ...httpSettings, ...to }
    if (listener.transport === 'websocket') listener.http = to && { ...httpSettings, ...to }
  }
  const ports = ['http', 'websocket'].map((transport) => portOf(running, transport))
  const done = await running.configure(next)
  t.match(done, { outcome: 'reloaded' })
  const paths = done.changes.map(({ path, touches }) => `${path} ${touches}`)
  t.ok(
    paths.every((path) => /^listeners\[[\w-]+\]\.http.* nothing$/.test(path)),
    paths.join(', '),
  )
  t.same(
    ['http', 'websocket'].map((transport) => portOf(running, transport)),
    ports,
  )
}

/** One connection at a time, which is kept; how many there have been. `lean`: read by the gateway itself, else by node:http. */
class Caller {
  opened = 0
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  readonly #port: number
  readonly #headers: http.OutgoingHttpHeaders

  constructor(t: Test, port: number, way: 'lean' | 'node') {
    this.#port = port
    this.#headers = way === 'lean' ? {} : { te: 'trailers' }
    const make = this.#agent.createConnection.bind(this.#agent)
    this.#agent.createConnection = (...a) => {
      this.opened++
      return make(...a)
    }
    t.teardown(() => this.#agent.destroy())
  }

  ask(a: Ask = {}, path = '/call/arena.echo') {
    const headers = { ...this.#headers, ...a.headers }
    return ask(this.#port, path, 'ana', { body: '"x"', ...a, headers, agent: this.#agent })
  }
}

/** A connection without an agent, which would end it by itself once it was told how long it is kept. */
class Wire {
  isEnded = false
  readonly #socket: net.Socket
  readonly #request: string
  #came = ''
  #asked = 0

  constructor(t: Test, port: number, way: 'lean' | 'node') {
    const more = way === 'lean' ? '' : 'TE: trailers\r\n'
    this.#request = `POST /call/arena.echo HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ana\r\n${more}Content-Type: application/json\r\nContent-Length: 3\r\n\r\n"x"`
    this.#socket = net.connect(port, '127.0.0.1')
    this.#socket.on('data', (chunk) => (this.#came += chunk.toString()))
    this.#socket.on('close', () => (this.isEnded = true)).on('error', () => {})
    t.teardown(() => this.#socket.destroy())
  }

  async ask(): Promise<void> {
    this.#asked++
    this.#socket.write(this.#request)
    await eventually(() => this.#came.split('HTTP/1.1 200 ').length - 1 === this.#asked, 'the answer')
  }
}

for (const way of ['lean', 'node'] as const) {
  t.test(`calls go off and come back on one open connection (${way})`, async (t) => {
    const { running, port } = await httpGateway(t, echo)
    const caller = new Caller(t, port, way)
    t.match(await caller.ask(), { status: 200, text: '"x"' })
    await change(t, running, { calls: false })
    t.match(await caller.ask(), { status: 404, json: { detail: 'nothing is here' } })
    t.match(await ask(port, '/call/arena.echo', 'ana', { body: '1' }), { status: 404 }, 'nor on a new one')
    await change(t, running, { calls: true })
    t.match(await caller.ask(), { status: 200, text: '"x"' })
    t.match(await ask(port, '/call/arena.echo', 'ana', { body: '1' }), { status: 200 })
    t.equal(caller.opened, 1)
  })

  t.test(`sizes, types, compression and origins hold for the next request (${way})`, async (t) => {
    const { running, port, sharedPort } = await httpGateway(t, echo)
    for (const at of [port, sharedPort]) {
      const caller = new Caller(t, at, way)
      const origin = 'https://play.example'
      const headers = { origin, 'accept-encoding': 'gzip' }
      const body = JSON.stringify('y'.repeat(200))
      const plain = await caller.ask({ body, headers })
      t.match(plain, { status: 200, text: body })
      t.notOk(plain.headers['access-control-allow-origin'] ?? plain.headers['content-encoding'])
      await change(t, running, { corsOrigins: [origin], compressFromBytes: 100 })
      t.match(await caller.ask({ body, headers }), {
        status: 200,
        headers: { 'access-control-allow-origin': origin, 'content-encoding': 'gzip' },
      })
      const preflight = await caller.ask({ method: 'OPTIONS', body: undefined, headers })
      t.match(preflight, { status: 204, headers: { 'access-control-allow-origin': origin } })
      await change(t, running, { contentType: 'application/x-game' })
      t.match(await caller.ask({ body }), { status: 415 })
      const game = { body, headers: { 'content-type': 'application/x-game' } }
      t.match(await caller.ask(game), { status: 200, headers: { 'content-type': 'application/x-game' } })
      await change(t, running, { bodyBytesMax: 100 })
      const before = caller.opened
      t.match(await caller.ask({ body }), { status: 413, headers: { connection: 'close' } })
      t.match(await caller.ask(), { status: 200 })
      t.equal(caller.opened, before + 1, 'a body that is not read ends its connection')
      await change(t, running, {})
      t.match(await caller.ask({ body }), { status: 200 })
    }
  })

  t.test(
    `a connection that has served more than is allowed from now on is told with its next answer (${way})`,
    async (t) => {
      const { running, port, sharedPort } = await httpGateway(t, echo)
      for (const at of [port, sharedPort]) {
        const caller = new Caller(t, at, way)
        const ended = async () => (await caller.ask()).headers.connection === 'close'
        for (let i = 0; i < 5; i++) t.notOk(await ended())
        await change(t, running, { requestsPerConnection: 3 })
        const last = await caller.ask()
        t.match(last, { status: 200, text: '"x"', headers: { connection: 'close' } }, 'it is answered all the same')
        t.equal(caller.opened, 1)
        t.same([await ended(), await ended(), await ended(), await ended()], [false, false, true, false])
        t.equal(caller.opened, 3)
        await change(t, running, { requestsPerConnection: 0 })
        for (let i = 0; i < 5; i++) t.notOk(await ended())
        t.equal(caller.opened, 3, '0: never')
        await change(t, running, {})
      }
    },
  )

  t.test(`how long a connection is kept is what held at its last answer (${way})`, async (t) => {
    const { running, port } = await httpGateway(t, echo)
    const [busy, idle] = [new Wire(t, port, way), new Wire(t, port, way)]
    for (const wire of [busy, idle]) await wire.ask()
    await change(t, running, { keepAliveMs: 100 })
    await busy.ask()
    await eventually(() => busy.isEnded, 'its end')
    t.notOk(idle.isEnded)
    await idle.ask()
    await eventually(() => idle.isEnded, 'the end of the other one')
  })

  t.test(`a call under way is answered when calls go off (${way})`, async (t) => {
    let letGo: (() => void) | undefined
    const { running, port, sharedPort } = await httpGateway(t, {
      'arena.echo': () => new Promise((resolve) => (letGo = () => resolve('late'))),
    })
    for (const [at, to] of [[port, { calls: false }] as const, [sharedPort, undefined] as const]) {
      letGo = undefined
      const caller = new Caller(t, at, way)
      const slow = caller.ask()
      await eventually(() => letGo !== undefined, 'the handler')
      await change(t, running, to)
      letGo!()
      t.match(await slow, { status: 200, text: '"late"' })
      t.match((await caller.ask()).status, at === port ? 404 : 405)
      await change(t, running, {})
    }
  })
}

t.test('requests behind the last one that a connection may have do not run', async (t) => {
  let ran = 0
  const { running, port } = await httpGateway(t, { 'arena.echo': () => ++ran })
  await change(t, running, { requestsPerConnection: 3 })
  const request =
    'POST /call/arena.echo HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ana\r\nTE: trailers\r\nContent-Length: 0\r\n\r\n'
  const answers = await rawAnswer(port, request.repeat(6))
  t.equal(answers.split('HTTP/1.1 200 ').length - 1, 3)
  t.equal(answers.split('Connection: close').length - 1, 1)
  t.equal(ran, 3)
})

t.test('the time of a request is that of the settings when it is looked at', async (t) => {
  const { running, port, sharedPort } = await httpGateway(t, echo)
  await change(t, running, { requestMs: 100 })
  for (const at of [port, sharedPort]) {
    t.match(await rawAnswer(at, 'POST /call/arena.echo HTTP/1.1\r\nHost: x\r\n'), /^HTTP\/1.1 408 /)
    t.equal(await rawAnswer(at, ''), '', 'and of a connection in which nothing comes')
  }
})

t.test('H2: sessions over HTTP that are there go on when no more are wanted, or no HTTP at all', async (t) => {
  const { running, port, sharedPort } = await httpGateway(t, lobby, (s) => {
    s.times.handshakeMs = 500
  })
  for (const [at, to] of [
    [port, { sessions: false }],
    [sharedPort, { sessions: false }],
    [sharedPort, undefined],
  ] as const) {
    const client = connect({ gateways: [`http://127.0.0.1:${at}`], token: 'ana', codec: json })
    const ends: unknown[] = []
    client.on('disconnected', (end) => ends.push(end))
    const room = client.actor('lobby', 'room')
    t.equal(await room.call('lobby.echo', 1), 1)
    await change(t, running, to)
    for (let i = 0; i < 5; i++) t.equal(await room.call('lobby.echo', i), i)
    t.same(ends, [], 'on its connection')
    t.match((await ask(at, '/session', undefined)).status, at === port ? 404 : 405, 'nobody new comes')
    const other = { 'skewer-connection': 'x'.repeat(24), 'skewer-sequence': '1' }
    t.not((await ask(at, '/session/frames', undefined, { headers: other, body: 'x' })).status, 204)
    await client.close()
    await eventually(() => running.gateway.connections.size === 0, 'the end of the connection')
    const status = at === port ? 404 : 405
    t.equal(
      (await ask(at, '/session/frames', undefined, { headers: other, body: 'x' })).status,
      status,
      'it was the last',
    )
    await change(t, running, {})
    t.equal((await ask(at, '/session', undefined)).status, 201, 'and again')
    await eventually(() => running.gateway.connections.size === 0, 'the end of what nobody listened to')
  }
})

t.test('HTTP comes to a WebSocket listener, goes and comes: who plays over it notices nothing', async (t) => {
  const { running, sharedPort } = await httpGateway(t, { ...echo, ...lobby })
  const client = connect({ gateways: [`ws://127.0.0.1:${sharedPort}/?security=none`], token: 'bo', codec: json })
  t.teardown(() => client.close({ timeoutMs: 0 }))
  const ends: unknown[] = []
  client.on('disconnected', (end) => ends.push(end))
  const room = client.actor('lobby', 'room')
  const lean = new Caller(t, sharedPort, 'lean')
  const node = new Caller(t, sharedPort, 'node')
  for (const isOn of [true, false, true, false, true]) {
    await change(t, running, isOn ? {} : undefined)
    for (const caller of [lean, node]) {
      t.equal((await caller.ask()).status, isOn ? 200 : 405)
      t.equal((await caller.ask({ method: 'GET', body: undefined }, '/health')).status, 200)
    }
    t.equal(await room.call('lobby.echo', 1), 1)
  }
  t.same(ends, [])
})
