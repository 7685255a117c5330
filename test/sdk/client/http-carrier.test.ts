// A carrier over HTTP against servers that say anything: it tells its bytes in order, or its end once, and throws nothing.
import http from 'node:http'
import type net from 'node:net'
import t, { type Test } from 'tap'
import { fetchHttp } from '../../../sdk/client/fetch-http.ts'
import { HttpCarrier } from '../../../sdk/client/http-carrier.ts'
import { NodeHttp } from '../../../sdk/client/node-http.ts'

type Post = { sequence: string; connection: string; body: string }

async function serve(t: Test, stream: (response: http.ServerResponse) => void, status: () => number = () => 204) {
  const posts: Post[] = []
  const server = http.createServer((request, response) => {
    if (request.url === '/game/session') {
      stream(response)
      return
    }
    const chunks: Buffer[] = []
    request.on('data', (chunk) => chunks.push(chunk))
    request.on('end', () => {
      const { headers } = request
      const [sequence, connection] = [String(headers['skewer-sequence']), String(headers['skewer-connection'])]
      posts.push({ sequence, connection, body: Buffer.concat(chunks).toString() })
      response.writeHead(status()).end()
    })
  })
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { posts, url: new URL(`http://127.0.0.1:${(server.address() as net.AddressInfo).port}/game`) }
}

const clients = { node: () => new NodeHttp(false), fetch: () => fetchHttp }

function carrierTo(url: URL, client: keyof typeof clients, openMs = 2000) {
  let text = ''
  let ends = 0
  let wake = () => {}
  const told = { opened: 0, drained: 0 }
  const events = {
    opened: () => {
      told.opened++
      wake()
    },
    received: (bytes: Uint8Array) => {
      text += Buffer.from(bytes).toString()
      wake()
    },
    drained: () => {
      told.drained++
      wake()
    },
    closed: () => {
      ends++
      wake()
    },
  }
  const carrier = new HttpCarrier(clients[client](), url, events, openMs)
  const until = async (isSo: () => boolean) => {
    while (!isSo()) await new Promise<void>((resolve) => (wake = resolve))
  }
  return { carrier, told, until, text: () => text, ends: () => ends }
}

const data = (text: string) => `data:${Buffer.from(text).toString('base64')}\n\n`
const opening = 'event: connection\ndata: the-name\n\n'

for (const client of ['node', 'fetch'] as const) {
  t.test(`${client}: events are read however they are cut, and POSTs are numbered, one at a time`, async (t) => {
    const all = `:\n\n${opening}${data('one')}: a comment\r\n\r\nevent: other\ndata: !!\n\nid: 7\n${data('two')}`
    const { url, posts } = await serve(t, (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      let at = 0
      const piece = () => {
        if (at >= all.length) return
        response.write(all.slice(at, (at += 3)), () => setImmediate(piece))
      }
      piece()
    })
    const { carrier, until, text, told, ends } = carrierTo(url, client)
    carrier.write(Buffer.from('before it is open '))
    await until(() => text() === 'onetwo')
    carrier.write(Buffer.from('and '))
    carrier.write(Buffer.from('after'))
    carrier.write(new Uint8Array(200_000).fill(0x78))
    await until(() => told.drained > 0)
    while (posts.reduce((sum, { body }) => sum + body.length, 0) < 200_027) await new Promise(setImmediate)
    t.strictSame(
      posts.map(({ sequence }) => Number(sequence)),
      posts.map((_, i) => i + 1),
    )
    t.ok(posts.every(({ connection, body }) => connection === 'the-name' && body.length <= 64 * 1024))
    t.match(posts.map(({ body }) => body).join(''), /^before it is open and afterx{200000}$/)
    carrier.close()
    await until(() => ends() > 0)
    t.same([ends(), told.opened], [1, 1])
    t.equal(carrier.queuedBytes(), 0)
  })

  t.test(`${client}: whatever else comes is its end, once`, async (t) => {
    const streams: Record<string, (response: http.ServerResponse) => void> = {
      'no such page': (response) => response.writeHead(404).end(),
      'no answer': (response) => response.destroy(),
      'the end': (response) => response.writeHead(200).end(opening),
      'no base64': (response) => response.writeHead(200).write(`${opening}data: !!!\n\n`),
      'a line without an end': (response) => response.writeHead(200).write(`${opening}data:${'A'.repeat(5_000_000)}`),
      'a cut': (response) => response.writeHead(200).write(opening, () => setImmediate(() => response.destroy())),
    }
    for (const [what, stream] of Object.entries(streams)) {
      const { url } = await serve(t, stream)
      const { until, ends } = carrierTo(url, client)
      await until(() => ends() > 0)
      await new Promise(setImmediate)
      t.equal(ends(), 1, what)
    }
    const { url } = await serve(t, (response) => response.writeHead(200).write(':\n\n'))
    const silent = carrierTo(url, client, 100)
    await silent.until(() => silent.ends() === 1)
    t.equal(silent.told.opened, 0, 'not opened in time')
  })

  t.test(`${client}: an answer to a POST that is not 204 is its end`, async (t) => {
    for (const status of [200, 409, 410, 500]) {
      const { url } = await serve(
        t,
        (response) => response.writeHead(200).write(opening),
        () => status,
      )
      const { carrier, until, ends } = carrierTo(url, client)
      carrier.write(Buffer.from('x'))
      await until(() => ends() === 1)
      carrier.write(Buffer.from('more'))
      t.equal(carrier.queuedBytes(), 0, `${status}: nothing is kept`)
    }
  })
}
