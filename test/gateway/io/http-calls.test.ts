import http from 'node:http'
import net from 'node:net'
import { SignJWT } from 'jose'
import zlib from 'node:zlib'
import t from 'tap'
import { cell } from '../../../gateway/counters.ts'
import { Refusal } from '../../../sdk/host/index.ts'
import { ask, httpGateway, rawAnswer } from './http-rig.ts'
import { eventually } from './started.ts'

const echo = { 'arena.echo': (_: unknown, payload: unknown) => payload }

t.test("H1: a call reaches the user's own actor, and its reply is the answer", async (t) => {
  const { port, sharedPort } = await httpGateway(t, {
    'arena.who': (ctx, payload) => ({ user: ctx.user, key: ctx.key, session: ctx.session, payload }),
    'arena.nothing': () => undefined,
  })
  for (const at of [port, sharedPort]) {
    const got = await ask(at, '/call/arena.who', 'ana', { body: '{"x":1}' })
    t.match(got, { status: 200, headers: { 'content-type': 'application/json' } })
    t.strictSame(got.json, { user: 'ana', key: 'ana', session: '', payload: { x: 1 } })
    t.match(await ask(at, '/call/arena.nothing', 'ana'), { status: 204, text: '' }, 'no body either way')
  }
})

t.test('what is refused says so by status, code and name', async (t) => {
  const { port } = await httpGateway(t, {
    ...echo,
    'arena.no': () => {
      throw new Refusal('not enough gold')
    },
    'arena.bug': () => {
      throw new Error('secret')
    },
  })
  const refused = async (path: string, a = {}, user: string | undefined = 'ana') => {
    const { status, headers, json } = await ask(port, path, user, a)
    t.equal(headers['content-type'], 'application/problem+json', path)
    return `${status} ${json['name']} ${json['ran']}: ${json['detail']}`
  }
  t.equal(await refused('/call/other.route'), '404 no_route no: no route of that name is configured for this service')
  t.equal(await refused('/call/arena.unknown'), '404 not_found no: the receiver has no handler for this route')
  t.equal(await refused('/call/arena.no'), '403 not_allowed yes: not enough gold')
  t.equal(await refused('/call/arena.bug'), '500 handler_failed yes: the handler threw')
  t.equal(
    await refused('/call/arena.echo', { headers: { 'skewer-key': 'bob' } }),
    '403 not_allowed no: this session may not do that',
  )
  t.match(await refused('/call/arena.echo', { body: '{' }), /^400 invalid_payload no/)
  t.match(await refused('/nothing'), /^404 not_found no: nothing is here/)
  const bare = await ask(port, '/call/arena.echo', undefined)
  t.match(bare, { status: 401, headers: { 'www-authenticate': 'Bearer' }, json: { name: 'unauthenticated' } })
  t.match(await ask(port, '/call/arena.echo', 'not/a/name'), { status: 401 })
})

t.test('behind a trusted proxy the client that it names is let in or not, and not the proxy', async (t) => {
  const { port, sharedPort } = await httpGateway(t, { 'arena.from': (ctx) => ctx.address }, (s) => {
    for (const listener of s.listeners) listener.forwarded = ['127.0.0.0/8']
    const limits = { isObserved: false, perAddress: Infinity, perNetwork: Infinity }
    s.admission = { limits, lists: { allow: [], deny: ['203.0.113.0/24'] } }
  })
  for (const at of [port, sharedPort]) {
    const from = (list: string) => ask(at, '/call/arena.from', 'ana', { headers: { 'x-forwarded-for': list } })
    t.match(await from('192.0.2.9'), { status: 200, text: '"192.0.2.9"' })
    const denied = await from('192.0.2.9, 203.0.113.9')
    t.equal(denied.status, 403)
    t.match(denied.json, { name: 'admission', ran: 'no', detail: 'this address is not let in' })
    t.match(await from('203.0.113.9, 192.0.2.9'), { text: '"192.0.2.9"' }, 'what a client claims of itself is nothing')
  }
})

t.test('an actor may be named where the service lets callers do that', async (t) => {
  const { port } = await httpGateway(t, { 'lobby.key': (ctx) => ctx.key })
  const headers = { 'skewer-key': encodeURIComponent('räum 1') }
  t.match(await ask(port, '/call/lobby.key', 'ana', { headers }), { status: 200, text: '"räum 1"' })
  t.match(await ask(port, '/call/lobby.key', 'ana'), { text: '"ana"' }, 'else it is the own one')
})

t.test('a deadline of the caller ends in 504, and what waited longer does not run', async (t) => {
  const ran: unknown[] = []
  const held: (() => void)[] = []
  const { port } = await httpGateway(t, {
    'arena.slow': (_, payload) => {
      ran.push(payload)
      return new Promise<void>((resolve) => held.push(resolve))
    },
  })
  const first = ask(port, '/call/arena.slow', 'ana', { body: '1', headers: { 'skewer-timeout': '150' } })
  await eventually(() => ran.length === 1, 'the handler')
  const second = ask(port, '/call/arena.slow', 'ana', { body: '2', headers: { 'skewer-timeout': '50' } })
  t.match(await first, { status: 504, json: { name: 'unknown', ran: 'unknown' } })
  t.match(await second, { status: 504 })
  held[0]()
  await ask(port, '/call/arena.slow', 'bob', { headers: { 'skewer-timeout': '50' } })
  held[1]()
  t.strictSame(ran, [1, undefined])
})

t.test('headers that mean nothing get 400', async (t) => {
  const { port } = await httpGateway(t, { 'lobby.echo': (_: unknown, payload: unknown) => payload })
  for (const headers of [
    { 'skewer-timeout': '0' },
    { 'skewer-timeout': '1.5' },
    { 'skewer-timeout': '120001' },
    { 'skewer-timeout': ['1', '2'] },
    { 'skewer-key': '%zz' },
    { 'skewer-key': 'x'.repeat(129) },
    { 'skewer-key': ['a', 'b'] },
    { 'skewer-key': 'a b' },
    { 'skewer-key': 'r\u00e4um' },
    { 'idempotency-key': 'a b' },
    { 'idempotency-key': ['a', 'b'] },
    { 'idempotency-key': 'x'.repeat(129) },
  ]) {
    t.match(await ask(port, '/call/lobby.echo', 'ana', { headers }), { status: 400 }, JSON.stringify(headers))
  }
  t.match(await ask(port, '/call/', 'ana'), { status: 400 })
  t.match(await ask(port, '/call/%ff', 'ana'), { status: 400 })
})

t.test('bodies: one type, one size', async (t) => {
  const { port } = await httpGateway(t, echo, (s) => {
    for (const { http } of s.listeners) if (http !== undefined) http.bodyBytesMax = 1000
  })
  const body = (length: number) => JSON.stringify('x'.repeat(length - 2))
  t.match(await ask(port, '/call/arena.echo', 'ana', { body: body(1000) }), { status: 200 })
  t.match(await ask(port, '/call/arena.echo', 'ana', { body: body(1001) }), {
    status: 413,
    json: { name: 'too_large' },
  })
  const chunked = { 'transfer-encoding': 'chunked' }
  t.match(await ask(port, '/call/arena.echo', 'ana', { body: body(1000), headers: chunked }), { status: 200 })
  t.match(await ask(port, '/call/arena.echo', 'ana', { body: body(1001), headers: chunked }), { status: 413 })
  t.match(await ask(port, '/call/arena.echo', 'ana', { body: body(4_000_000) }), { status: 413 }, 'read to its end')
  const form = { 'content-type': 'application/x-www-form-urlencoded' }
  t.match(await ask(port, '/call/arena.echo', 'ana', { body: 'x=1', headers: form }), { status: 415 })
  const withCharset = { 'content-type': 'Application/JSON; charset=utf-8' }
  t.match(await ask(port, '/call/arena.echo', 'ana', { body: '1', headers: withCharset }), { status: 200, text: '1' })
})

t.test('large replies are compressed as the caller takes them', async (t) => {
  const text = 'abc'.repeat(3000)
  const { port } = await httpGateway(t, { 'arena.large': () => text, 'arena.small': () => 'x' })
  const large = async (accepted?: string) => {
    const headers = accepted === undefined ? {} : { 'accept-encoding': accepted }
    const { headers: got, body } = await ask(port, '/call/arena.large', 'ana', { headers })
    t.equal(got['vary'], 'Accept-Encoding')
    const coding = got['content-encoding']
    const plain = coding === 'br' ? zlib.brotliDecompressSync(body) : coding === 'gzip' ? zlib.gunzipSync(body) : body
    t.equal(plain.toString(), JSON.stringify(text))
    return coding
  }
  t.equal(await large('gzip, deflate, br'), 'br')
  t.equal(await large('gzip'), 'gzip')
  t.equal(await large('br;q=0.5, gzip;q=0.8'), 'gzip')
  t.equal(await large('br;q=0, *'), 'gzip')
  t.equal(await large('identity'), undefined)
  t.equal(await large(), undefined)
  const small = await ask(port, '/call/arena.small', 'ana', { headers: { 'accept-encoding': 'br' } })
  t.equal(small.headers['content-encoding'], undefined)
})

t.test('browsers are told what the configuration allows their page', async (t) => {
  const { port } = await httpGateway(t, echo, (s) => {
    s.listeners.find(({ name }) => name === 'http')!.http!.corsOrigins = ['https://play.example']
  })
  const preflight = (origin: string) =>
    ask(port, '/call/arena.echo', undefined, { method: 'OPTIONS', headers: { origin } })
  t.match(await preflight('https://play.example'), {
    status: 204,
    headers: {
      'access-control-allow-origin': 'https://play.example',
      'access-control-allow-methods': 'POST',
      'access-control-allow-headers': /Idempotency-Key/,
      vary: 'Origin',
    },
  })
  const evil = await preflight('https://evil.example')
  t.equal(evil.headers['access-control-allow-origin'], undefined)
  const call = await ask(port, '/call/arena.echo', 'ana', { headers: { origin: 'https://Play.example' } })
  t.match(call.headers, { 'access-control-allow-origin': 'https://Play.example' })
  const refused = await ask(port, '/call/arena.echo', undefined, { headers: { origin: 'https://play.example' } })
  t.match(refused, { status: 401, headers: { 'access-control-allow-origin': 'https://play.example' } })
  const anybody = await httpGateway(t, echo, (s) => {
    for (const { http } of s.listeners) if (http !== undefined) http.corsOrigins = ['*']
  })
  const headers = { origin: 'https://any.example' }
  t.match(await ask(anybody.port, '/call/arena.echo', 'ana', { headers }), {
    headers: { 'access-control-allow-origin': '*' },
  })
})

t.test('what cannot be read is not answered where that would be taken for the answer to a call', async (t) => {
  const open: (() => void)[] = []
  const { port } = await httpGateway(t, {
    'arena.wait': () => new Promise<string>((resolve) => open.push(() => resolve('done'))),
  })
  const call = 'POST /call/arena.wait HTTP/1.1\r\nHost:x\r\nAuthorization: Bearer ana\r\nContent-Length: 0\r\n\r\n'
  const got = rawAnswer(port, `${call}no request at all\r\n\r\n`)
  t.notMatch(await got, /^HTTP\/1.1 4/)
  for (const each of open) each()
})

t.test('methods, health and paths', async (t) => {
  const { port, sharedPort, running } = await httpGateway(t, echo)
  for (const method of ['GET', 'HEAD', 'PUT', 'DELETE']) {
    const got = await ask(port, '/call/arena.echo', 'ana', { method })
    t.match(got, { status: 405, headers: { allow: 'POST, OPTIONS' } }, method)
  }
  t.match(await ask(port, '/healthz', undefined, { method: 'GET' }), { status: 200, text: '{"ready":true}\n' })
  t.match(await ask(port, '/healthz', undefined, { method: 'HEAD' }), { status: 200, text: '' })
  t.match(await ask(port, '/healthz', undefined), { status: 405 })
  t.match(await ask(port, 'http://elsewhere/call/arena.echo', 'ana'), { status: 404 })
  t.match(await ask(sharedPort, '/health', undefined, { method: 'GET' }), { status: 200, text: /WebSocket/ })
  running.gateway.drain(60_000, performance.now())
  t.match(await ask(port, '/healthz', undefined, { method: 'GET' }), { status: 503, text: '{"ready":false}\n' })
})

t.test('a WebSocket listener without `http` answers no calls', async (t) => {
  const { sharedPort } = await httpGateway(t, echo, (s) => {
    delete s.listeners.find(({ transport }) => transport === 'websocket')!.http
  })
  t.match(await ask(sharedPort, '/call/arena.echo', 'ana'), { status: 405, text: /only GET/ })
  t.match(await ask(sharedPort, '/healthz', undefined, { method: 'GET' }), { status: 404 })
})

t.test('requests that two programs could read in two ways get 400 and the end of the connection', async (t) => {
  const { port, sharedPort } = await httpGateway(t, echo)
  const head =
    'POST /call/arena.echo HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ana\r\nContent-Type: application/json\r\n'
  const smuggled = 'POST /call/arena.echo HTTP/1.1\r\nHost: x\r\n\r\n'
  const tricks: Record<string, string> = {
    'a length and chunks': `${head}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`,
    'two lengths': `${head}Content-Length: 1\r\nContent-Length: 2\r\n\r\n12${smuggled}`,
    'two equal lengths': `${head}Content-Length: 1\r\nContent-Length: 1\r\n\r\n1${smuggled}`,
    'a length with a sign': `${head}Content-Length: +1\r\n\r\n1${smuggled}`,
    'a length in hex': `${head}Content-Length: 0x1\r\n\r\n1${smuggled}`,
    'an unknown transfer encoding': `${head}Transfer-Encoding: chunky\r\n\r\n0\r\n\r\n${smuggled}`,
    'chunked not last': `${head}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n${smuggled}`,
    'a coding below the chunks': `${head}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
    'chunks in HTTP/1.0': `${head.replace('1.1', '1.0')}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    'a folded header': `${head}X: a\r\n b\r\nContent-Length: 0\r\n\r\n${smuggled}`,
    'a space before the colon': `${head}Content-Length : 0\r\n\r\n${smuggled}`,
    'bare line feeds': `${head.replaceAll('\r\n', '\n')}Content-Length: 0\n\n${smuggled}`,
    'a bare line feed in one header': `${head}X: a\nContent-Length: 0\r\n\r\n${smuggled}`,
    'a bare carriage return': `${head}X: a\rContent-Length: 0\r\n\r\n${smuggled}`,
    'a null in a header': `${head}X: a\0b\r\nContent-Length: 0\r\n\r\n${smuggled}`,
    'a bad chunk size': `${head}Transfer-Encoding: chunked\r\n\r\n1x\r\n1\r\n0\r\n\r\n${smuggled}`,
    'a chunk that ends too late': `${head}Transfer-Encoding: chunked\r\n\r\n1\r\n12\r\n0\r\n\r\n${smuggled}`,
    'no host': 'POST /call/arena.echo HTTP/1.1\r\nContent-Length: 0\r\n\r\n',
    'two hosts': `POST /call/arena.echo HTTP/1.1\r\nHost: a\r\nHost: b\r\nAuthorization: Bearer ana\r\n\r\n`,
    'no HTTP': 'hello there\r\n\r\n',
    'TLS on a plain port': '\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03',
    'HTTP/2 prior knowledge': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
    'a large header': `${head}X: ${'x'.repeat(20_000)}\r\n\r\n`,
  }
  for (const at of [port, sharedPort]) {
    for (const [what, bytes] of Object.entries(tricks)) {
      const got = await rawAnswer(at, Buffer.from(bytes, 'latin1'))
      t.match(got, /^HTTP\/1.1 4(00|31) /, what)
      t.notMatch(got, /HTTP\/1.1 2/, `${what}: nothing is let through`)
      t.equal(got.split(/HTTP\/1.1 \d/).length, 2, `${what}: one answer`)
    }
  }
})

t.test('requests that come too slowly are cut, whatever part of them is slow', async (t) => {
  const { port, sharedPort } = await httpGateway(t, echo, (s) => {
    s.times.handshakeMs = 300
    for (const { http } of s.listeners) {
      if (http === undefined) continue
      http.requestMs = 300
      http.keepAliveMs = 1000
    }
  })
  const head =
    'POST /call/arena.echo HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ana\r\nContent-Type: application/json\r\n'
  for (const at of [port, sharedPort]) {
    const [headers, body, drip, idle] = await Promise.all([
      rawAnswer(at, 'POST /call/arena.echo HTTP/1.1\r\nHo'),
      rawAnswer(at, `${head}Content-Length: 10\r\n\r\n123`),
      dripping(at, 'POST /call/arena.echo HTTP/1.1\r\nX-A: '),
      rawAnswer(at, `${head}Content-Length: 1\r\n\r\n1`),
    ])
    t.match(headers, /^(HTTP\/1.1 408 |$)/, 'the headers')
    t.match(body, /^(HTTP\/1.1 408 |$)/, 'the body')
    t.match(drip, /^(HTTP\/1.1 408 |$)/, 'a byte now and then')
    t.match(idle, /^HTTP\/1.1 200 /, 'an idle connection is closed behind its answer')
  }
})

/** Sends a byte now and then until the other side has enough. */
function dripping(port: number, head: string): Promise<string> {
  return new Promise((resolve) => {
    let came = ''
    const socket = net.connect(port, '127.0.0.1', () => socket.write(head))
    const timer = setInterval(() => socket.write('x'), 20)
    socket.on('data', (chunk) => (came += chunk.toString()))
    socket.on('error', () => {})
    socket.on('close', () => {
      clearInterval(timer)
      resolve(came)
    })
  })
}

t.test('pipelined requests are answered in their order, and not too many at once', async (t) => {
  const held: (() => void)[] = []
  const { port, running } = await httpGateway(t, {
    'arena.echo': (_, payload) => payload,
    'arena.hold': () => new Promise<void>((resolve) => held.push(resolve)),
  })
  const head = 'Host: x\r\nAuthorization: Bearer ana\r\nContent-Type: application/json\r\n'
  const one = (i: number, last = '') =>
    `POST /call/arena.echo HTTP/1.1\r\n${head}${last}Content-Length: ${String(i).length}\r\n\r\n${i}`
  let bytes = ''
  for (let i = 1; i <= 50; i++) bytes += one(i, i === 50 ? 'Connection: close\r\n' : '')
  const got = await rawAnswer(port, bytes)
  const bodies = [...got.matchAll(/\r\n\r\n(\d+)/g)].map(([, body]) => Number(body))
  t.strictSame(
    bodies,
    Array.from({ length: 50 }, (_, i) => i + 1),
  )
  const flood = Array.from({ length: 200 }, () => `POST /call/arena.hold HTTP/1.1\r\n${head}Content-Length: 0\r\n\r\n`)
  const socket = net.connect(port, '127.0.0.1', () => socket.write(flood.join('')))
  t.teardown(() => socket.destroy())
  await eventually(() => held.length > 0, 'the first')
  // Behind it on the link: all that came through is there.
  await ask(port, '/call/arena.echo', 'bob', { body: '1' })
  t.equal(running.gateway.counters.cells[cell.looseOpen], 1, 'what lies behind a whole call waits for its answer')
  const behind = `GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n${flood.join('')}`
  const other = net.connect(port, '127.0.0.1', () => other.write(behind))
  t.teardown(() => other.destroy())
  await eventually(() => held.length > 0, 'the first')
  await ask(port, '/call/arena.echo', 'bob', { body: '1' })
  await eventually(() => running.gateway.counters.cells[cell.looseOpen] === 65, '64 more')
})

t.test('a caller that goes away leaves nothing behind', async (t) => {
  let calls = 0
  const { port, running, host } = await httpGateway(t, {
    'arena.slow': async () => {
      calls++
      await new Promise((resolve) => setTimeout(resolve, 20))
    },
  })
  for (let i = 0; i < 20; i++) {
    const request = http.request({
      host: '127.0.0.1',
      port,
      path: '/call/arena.slow',
      method: 'POST',
      headers: { authorization: `Bearer u${i}` },
    })
    request.on('error', () => {})
    request.end()
    await eventually(() => calls === i + 1, 'the call')
    request.destroy()
  }
  await eventually(() => host.counters.loose === 20, 'all calls')
  t.match(await ask(port, '/call/arena.slow', 'ana'), { status: 204 })
  const metrics = await (await fetch(`${running.adminAddress}/metrics`)).text()
  t.match(metrics, /skewer_loose_calls_open 0/)
  t.match(metrics, /skewer_http_requests_total\{status="204"\} 1\n/)
})

t.test('a drain answers what is under way, and closes behind it', async (t) => {
  let letGo: (() => void) | undefined
  const { port, running } = await httpGateway(t, {
    'arena.slow': () =>
      new Promise<string>((resolve) => {
        letGo = () => resolve('done')
      }),
  })
  const agent = new http.Agent({ keepAlive: true })
  t.teardown(() => agent.destroy())
  const slow = ask(port, '/call/arena.slow', 'ana', { agent })
  await eventually(() => letGo !== undefined, 'the call')
  const drained = running.drain(5000)
  letGo!()
  t.match(await slow, { status: 200, text: '"done"', headers: { connection: 'close' } })
  await drained
})

t.test('a drain waits for a reply that is being compressed', async (t) => {
  let letGo: (() => void) | undefined
  // Hard to compress, and a lot of it.
  const reply = Array.from({ length: 150_000 }, (_, i) => ((i * 2_654_435_761) % 4_294_967_296).toString(36)).join('')
  const { port, running } = await httpGateway(t, {
    'arena.slow': () =>
      new Promise<string>((resolve) => {
        letGo = () => resolve(reply.slice(0, 900_000))
      }),
  })
  const agent = new http.Agent({ keepAlive: true })
  t.teardown(() => agent.destroy())
  const slow = ask(port, '/call/arena.slow', 'ana', { agent, headers: { 'accept-encoding': 'br' } })
  await eventually(() => letGo !== undefined, 'the call')
  const drained = running.drain(5000)
  letGo!()
  t.match(await slow, { status: 200, headers: { 'content-encoding': 'br', connection: 'close' } })
  await drained
})

t.test('a connection that is not read by the lean way serves as many calls, one after the other', async (t) => {
  const { port } = await httpGateway(t, echo)
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
  t.teardown(() => agent.destroy())
  for (let i = 0; i < 80; i++) {
    const answer = await ask(port, '/call/arena.echo', 'ana', { agent, body: String(i), headers: { te: 'trailers' } })
    t.match(answer, { status: 200, text: String(i) })
  }
})

t.test('a body waits for the check of its token, whatever is read meanwhile', async (t) => {
  const secret = 'a secret of at least thirty-two bytes'
  const { port, sharedPort } = await httpGateway(t, echo, (s) => {
    s.auth = { kind: 'jwt', algorithms: ['HS256'], secret, userClaim: 'sub', labels: {}, clockToleranceMs: 0 }
  })
  const tokens = await Promise.all(
    Array.from({ length: 40 }, (_, i) =>
      new SignJWT({ sub: `u${i}` }).setProtectedHeader({ alg: 'HS256' }).sign(new TextEncoder().encode(secret)),
    ),
  )
  const agent = new http.Agent({ keepAlive: true })
  t.teardown(() => agent.destroy())
  const answers = await Promise.all(
    tokens.map((token, i) =>
      ask(i % 2 === 0 ? port : sharedPort, '/call/arena.echo', token, { agent, body: `"user ${i}"` }),
    ),
  )
  for (const [i, answer] of answers.entries()) t.match(answer, { status: 200, text: `"user ${i}"` })
})

t.test('a caller that reads no replies is closed', async (t) => {
  let calls = 0
  const reply = 'x'.repeat(800_000)
  const { port, running } = await httpGateway(
    t,
    {
      'arena.big': () => {
        calls++
        return reply
      },
    },
    (s) => {
      for (const { http } of s.listeners) if (http !== undefined) http.requestMs = 400
    },
  )
  const isAnswered = () => running.gateway.counters.cells[cell.looseOpen] === 0
  const sockets = async () => {
    const metrics = await (await fetch(`${running.adminAddress}/metrics`)).text()
    return Number(/^skewer_sockets_open (\d+)$/m.exec(metrics)![1])
  }
  for (const [way, more] of [
    ['lean', ''],
    ['node', 'TE: trailers\r\n'],
  ]) {
    const call = `POST /call/arena.big HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ana\r\n${more}Content-Length: 0\r\n\r\n`
    const socket = net.connect(port, '127.0.0.1').pause()
    let isOver = false
    socket.on('error', () => (isOver = true)).on('close', () => (isOver = true))
    t.teardown(() => socket.destroy())
    calls = 0
    for (let i = 1; i <= 40 && !isOver && (i === 1 || (await sockets()) > 0); i++) {
      socket.write(call)
      const until = performance.now() + 500
      while (performance.now() < until && !(calls === i && isAnswered()))
        await new Promise((resolve) => setImmediate(resolve))
    }
    t.ok(calls > 1 && calls < 40, `${way}: ${calls} calls`)
    t.equal(await sockets(), 0, way)
    socket.destroy()
  }
})

t.test('H1: a call that is repeated with its key runs once', async (t) => {
  let runs = 0
  let letGo = () => {}
  const { port, sharedPort } = await httpGateway(t, {
    'arena.buy': (_, payload) => {
      runs++
      return new Promise((resolve) => {
        letGo = () => resolve({ bought: payload, runs })
      })
    },
  })
  const buy = (at: number, body: string, timeout = '5000') =>
    ask(at, '/call/arena.buy', 'ana', { body, headers: { 'idempotency-key': '"k-1"', 'skewer-timeout': timeout } })
  t.match(await buy(port, '"sword"', '50'), { status: 504 }, 'nobody knows whether it ran')
  const joined = buy(sharedPort, '"sword"')
  await eventually(() => runs === 1, 'the handler')
  t.match(await buy(port, '"shield"'), { status: 422, json: { name: 'key_reused', ran: 'no' } })
  letGo()
  t.match(await joined, { status: 200, text: '{"bought":"sword","runs":1}' })
  t.match(await buy(port, '"sword"'), { status: 200, text: '{"bought":"sword","runs":1}' })
  t.equal(runs, 1)
})

t.test(
  'calls are judged by the policies of their route and listener, whatever token or port they come by',
  async (t) => {
    const { port, sharedPort } = await httpGateway(t, echo, (s) => {
      s.routes.unshift({ match: 'arena.echo', service: 'arena', rate: { perSecond: 1, burst: 3 } })
    })
    const call = (at: number, user: string) => ask(at, '/call/arena.echo', user, { body: '1' })
    for (const at of [port, sharedPort, port]) t.match(await call(at, 'ana'), { status: 200 })
    const refused = await call(sharedPort, 'ana')
    t.match(refused, { status: 429, headers: { 'retry-after': '1' }, json: { name: 'rate_limited', ran: 'no' } })
    t.ok(Number(refused.json['retryMs']) > 0)
    t.match(await call(port, 'bob'), { status: 200 }, 'others have their own')
  },
)
