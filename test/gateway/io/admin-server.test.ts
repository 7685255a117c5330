import http from 'node:http'
import t from 'tap'
import type { Settings } from '../../../config/settings.ts'
import { AdminServer } from '../../../gateway/io/admin-server.ts'
import { ScriptedHost } from './scripted-host.ts'
import { eventually, portOf, started, type Test, tcpClient, testSettings } from './started.ts'

async function running(t: Test, change: (settings: Settings) => void = () => {}, host = '127.0.0.1:1') {
  const gateway = await started(t, testSettings(t, host, change))
  const { port } = new URL(gateway.adminAddress!)
  return { gateway, port: Number(port) }
}

type Ask = { method?: string; host?: string; headers?: Record<string, string>; body?: string }

/** fetch does not let a test write its own Host header. */
const ask = (port: number, path: string, { method = 'GET', host, headers = {}, body }: Ask = {}) =>
  new Promise<{ status: number; headers: http.IncomingHttpHeaders; text: string; json: () => Record<string, unknown> }>(
    (resolve, reject) => {
      const request = http.request({
        port,
        host: '127.0.0.1',
        path,
        method,
        headers: { ...headers, ...(host && { host }) },
      })
      request.on('error', reject)
      request.on('response', (response) => {
        let text = ''
        response.on('data', (chunk) => (text += chunk))
        response.on('end', () =>
          resolve({ status: response.statusCode!, headers: response.headers, text, json: () => JSON.parse(text) }),
        )
      })
      request.end(body)
    },
  )

t.test('live at once, ready when a host is linked, and the reasons while not', async (t) => {
  const host = new ScriptedHost({ name: 'local' })
  t.teardown(() => host.close())
  const { port } = await running(t)
  t.equal((await ask(port, '/live')).status, 200)
  const notReady = await ask(port, '/ready')
  t.equal(notReady.status, 503)
  t.same(notReady.json(), { ready: false, reasons: ['no host is linked'] })
  const linked = await running(t, () => {}, await host.listen())
  await eventually(() => linked.gateway.gateway.readiness().ready, 'the link')
  t.equal((await ask(linked.port, '/ready')).status, 200)
})

t.test('views: stats, hosts, listeners, sessions, metrics, the page', async (t) => {
  const host = new ScriptedHost({ name: 'local' })
  t.teardown(() => host.close())
  const { gateway, port } = await running(t, () => {}, await host.listen())
  const client = await tcpClient(t, gateway, 'ada')
  await client.attach('arena', 'a1')
  const session = client.welcome!.session
  t.match((await ask(port, '/stats')).json(), {
    ready: true,
    counters: { connectionsOpen: 1, sessionsOpen: 1, logins: 1 },
    edge: { socketsOpen: 1 },
    process: { rssBytes: Number },
  })
  t.match((await ask(port, '/hosts')).json(), [{ host: 'local', state: 'linked', services: ['arena'] }])
  const listeners = (await ask(port, '/listeners')).json() as unknown as { transport: string; port: number }[]
  t.equal(listeners.find(({ transport }) => transport === 'tcp')?.port, portOf(gateway, 'tcp'))
  const channels = [{ service: 'arena', key: 'a1', host: 'local', state: 'attached' }]
  t.match((await ask(port, '/sessions')).json(), [{ session, user: 'ada', channels }])
  const [{ connections }] = (await ask(port, '/sessions')).json() as unknown as { connections: { ageMs: number }[] }[]
  t.ok(connections[0].ageMs >= 0 && connections[0].ageMs < 60_000, `${connections[0].ageMs} ms old`)
  t.match((await ask(port, `/sessions?session=${session}`)).json(), [{ session }])
  t.equal((await ask(port, '/sessions?session=nobody')).status, 404)
  t.equal((await ask(port, '/sessions?limit=0')).status, 400)
  t.match((await ask(port, '/metrics')).text, /^skewer_connections_open 1$/m)
  const page = await ask(port, '/')
  t.match(page.headers['content-type'], 'text/html')
  t.match(page.headers['content-security-policy'], "default-src 'none'")
  t.notMatch(page.text, /https?:\/\//, 'fetches nothing from elsewhere')
})

t.test('/config shows no secret and has an ETag', async (t) => {
  const { port } = await running(t, (s) => {
    s.linkKey = 'hidden-link-key'
    const secret = 'hidden-secret-of-32-bytes-and-more'
    s.auth = { kind: 'jwt', algorithms: ['HS256'], secret, userClaim: 'sub', labels: {}, clockToleranceMs: 5000 }
  })
  const first = await ask(port, '/config')
  t.equal(first.status, 200)
  t.notMatch(first.text, 'hidden')
  t.match(first.json(), { version: 1 })
  const again = await ask(port, '/config', { headers: { 'if-none-match': first.headers.etag! } })
  t.equal(again.status, 304)
  t.equal(again.text, '')
})

t.test('wrong paths, methods and bodies are refused as JSON', async (t) => {
  const { port } = await running(t)
  t.match((await ask(port, '/nothing')).json(), { status: 404, error: 'there is no /nothing' })
  const got = await ask(port, '/drain')
  t.equal(got.status, 405)
  t.equal(got.headers.allow, 'POST')
  t.equal((await ask(port, '/stats', { method: 'DELETE' })).status, 405)
  const post = (body: string) => ask(port, '/drain', { method: 'POST', body })
  t.equal((await post('{')).status, 400)
  t.equal((await post('[]')).status, 400)
  t.equal((await post('{"withinMs":-1}')).status, 400)
  t.equal((await post(JSON.stringify({ x: 'x'.repeat(70_000) }))).status, 413)
  t.equal((await ask(port, '//evil')).status, 404)
})

t.test('a name that is not ours is refused (DNS rebinding), with a token or without', async (t) => {
  const { port } = await running(t)
  t.equal((await ask(port, '/stats', { host: `evil.example:${port}` })).status, 403)
  t.equal((await ask(port, '/live', { host: 'evil.example' })).status, 403)
  for (const host of [`localhost:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`, 'LOCALHOST']) {
    t.equal((await ask(port, '/stats', { host })).status, 200, host)
  }
  t.equal((await ask(port, '/drain', { method: 'POST', host: 'evil.example' })).status, 403)
})

t.test('what changes anything is refused to pages of other sites', async (t) => {
  const { port } = await running(t)
  const post = (headers: Record<string, string>) =>
    ask(port, '/kick', { method: 'POST', headers, body: '{"session":"x"}' })
  t.equal((await post({ origin: 'https://evil.example' })).status, 403)
  t.equal((await post({ origin: 'null' })).status, 403)
  t.equal((await post({ 'sec-fetch-site': 'cross-site' })).status, 403)
  t.equal((await post({ origin: `http://127.0.0.1:${port}`, 'sec-fetch-site': 'same-origin' })).status, 404)
  t.equal((await post({})).status, 404, 'no browser')
})

t.test('with a token configured, only who brings it gets answers', async (t) => {
  const { port } = await running(t, (s) => {
    s.admin.token = 'a-token-of-some-length'
  })
  const bearing = (token: string) => ({ headers: { authorization: `Bearer ${token}` } })
  const without = await ask(port, '/stats')
  t.equal(without.status, 401)
  t.equal(without.headers['www-authenticate'], 'Bearer')
  t.equal((await ask(port, '/stats', bearing('wrong'))).status, 401)
  t.equal((await ask(port, '/drain', { method: 'POST' })).status, 401)
  t.equal((await ask(port, '/stats', bearing('a-token-of-some-length'))).status, 200)
  t.equal((await ask(port, '/stats', { ...bearing('a-token-of-some-length'), host: 'gateway.example' })).status, 200)
  t.equal((await ask(port, '/live')).status, 200)
  t.same((await ask(port, '/ready')).json(), { ready: false }, 'no reasons without the token')
  t.equal((await ask(port, '/')).status, 200)
})

t.test('beyond this machine it does not start without a token', async (t) => {
  t.throws(() => new AdminServer({ host: '0.0.0.0', port: 0 }, []), /has no token; set admin.token/)
  t.throws(() => new AdminServer({ host: '::', port: 0 }, []), /has no token/)
  t.doesNotThrow(() => new AdminServer({ host: '0.0.0.0', port: 0, token: 'x' }, []))
  t.doesNotThrow(() => new AdminServer({ host: '::1', port: 0 }, []))
  const own = new AdminServer({ host: '127.0.0.2', port: 0 }, [])
  t.equal((await own.listen()).host, '127.0.0.2', 'all of 127.0.0.0/8 is this machine, as the configuration has it')
  own.close()
})

t.test('a session is kicked, a log level is set', async (t) => {
  const { gateway, port } = await running(t)
  const client = await tcpClient(t, gateway, 'ada')
  const body = JSON.stringify({ session: client.welcome!.session })
  t.equal((await ask(port, '/kick', { method: 'POST', body })).status, 200)
  await client.until(() => client.isGone, 'the end')
  t.equal(client.closedWith?.code, 505)
  const level = (name: string) => ask(port, '/log-level', { method: 'POST', body: JSON.stringify({ level: name }) })
  t.equal((await level('silent')).status, 200)
  t.equal((await level('loud')).status, 400)
})

t.test('/events tells what happens, and only what was asked for', async (t) => {
  const { gateway, port } = await running(t)
  const all = await fetch(`http://127.0.0.1:${port}/events?only=session_welcomed,connection_closed`)
  t.equal(all.headers.get('content-type'), 'text/event-stream')
  const reader = all.body!.pipeThrough(new TextDecoderStream()).getReader()
  t.teardown(() => reader.cancel())
  const client = await tcpClient(t, gateway, 'ada')
  client.pipe.destroy()
  let text = ''
  while (!text.includes('connection_closed')) text += (await reader.read()).value
  t.match(text, /event: session_welcomed\ndata: \{.*"user":"ada"/)
  t.notMatch(text, 'connection_opened')
})

t.test('a watcher that does not read loses events and is told how many', async (t) => {
  const { gateway, port } = await running(t)
  const request = http.get({ port, host: '127.0.0.1', path: '/events?only=connection_opened' })
  const response = await new Promise<http.IncomingMessage>((resolve) => request.once('response', resolve))
  t.teardown(() => request.destroy())
  response.pause()
  const { observe } = gateway.gateway.env
  const address = 'x'.repeat(60_000)
  for (let i = 0; i < 400; i++) observe({ event: 'connection_opened', transport: 'tcp', address })
  let text = ''
  response.setEncoding('utf8').on('data', (chunk) => (text += chunk))
  response.resume()
  await eventually(() => text.split('event: connection_opened').length > 3, 'what fitted')
  observe({ event: 'connection_opened', transport: 'tcp', address: 'last' })
  await eventually(() => text.includes('last'), 'the last event')
  t.match(text, /event: dropped\ndata: \{"event":"dropped","count":\d+\}/)
})

t.test('draining by the admin interface ends the gateway with 0', async (t) => {
  const { gateway, port } = await running(t)
  const answer = await ask(port, '/drain', { method: 'POST', body: '{"withinMs":50}' })
  t.equal(answer.status, 202)
  t.same(await gateway.closed, { code: 0, reason: 'drained' })
})

t.test('quitting ends it at once', async (t) => {
  const { gateway, port } = await running(t)
  t.equal((await ask(port, '/quit', { method: 'POST' })).status, 202)
  t.match(await gateway.closed, { code: 0 })
})
