// What the lean reader takes, node:http reads in the same way; whatever is not of its one form it leaves alone.
import http from 'node:http'
import net from 'node:net'
import t from 'tap'
import { readLean } from '../../../gateway/io/lean-request.ts'

const lines = [
  'POST /call/arena.echo HTTP/1.1',
  'Host: play.example',
  'Authorization: Bearer ana',
  'Content-Type: application/json',
  'User-Agent: curl/8.0 (x)',
  'Idempotency-Key: k-1',
  'Content-Length: 5',
]
const whole = `${lines.join('\r\n')}\r\n\r\n"abc"`
const read = (text: string) => readLean(Buffer.from(text, 'latin1'))

t.test('a whole call is read', async (t) => {
  const got = read(`${whole}POST`)
  t.match(got, { path: '/call/arena.echo', end: whole.length })
  t.equal(Buffer.from(got!.body).toString(), '"abc"')
  t.match(got!.headers, {
    host: 'play.example',
    authorization: 'Bearer ana',
    'content-type': 'application/json',
    'content-length': '5',
    'idempotency-key': 'k-1',
  })
})

t.test('whatever is not all there, or not of the form, is left to node:http', async (t) => {
  for (let length = 0; length < whole.length; length++) {
    if (read(whole.slice(0, length)) !== undefined) t.fail(`${length} bytes of ${whole.length}`)
  }
  const but = (from: string | RegExp, to: string) => whole.replace(from, to)
  const others: Record<string, string> = {
    'another method': but('POST', 'GET'),
    'a query': but('arena.echo', 'arena.echo?x=1'),
    'an absolute path': but('/call/', 'http://x/call/'),
    'another path': but('/call/', '/session/'),
    'HTTP/1.0': but('HTTP/1.1', 'HTTP/1.0'),
    'no host': but('Host: play.example\r\n', ''),
    'a list of hosts': but('Host: play.example', 'Host: a, b'),
    'a long head': but('curl/8.0', 'x'.repeat(9000)),
    'two hosts': but('Host: play.example', 'Host: a\r\nHOST: b'),
    'no length': but('Content-Length: 5\r\n', ''),
    'two lengths': but('Content-Length: 5', 'Content-Length: 5\r\nContent-Length: 5'),
    'a sign': but('Length: 5', 'Length: +5'),
    'a list': but('Length: 5', 'Length: 5, 5'),
    chunks: but('User-Agent: curl/8.0 (x)', 'Transfer-Encoding: chunked'),
    upgrade: but('User-Agent: curl/8.0 (x)', 'Upgrade: h2c'),
    expect: but('User-Agent: curl/8.0 (x)', 'Expect: 100-continue'),
    close: but('User-Agent: curl/8.0 (x)', 'Connection: close'),
    'no space behind the colon': but('Host: ', 'Host:'),
    'a space before it': but('Host:', 'Host :'),
    'a fold': but('Bearer ana', 'Bearer\r\n ana'),
    'a bare line feed': but('ana\r\n', 'ana\n'),
    'a bare carriage return': but('ana\r\n', 'ana\r'),
    'a carriage return inside': but('ana', 'a\rna'),
    'a null': but('ana', 'a\0na'),
    'a tab': but('ana', 'a\tna'),
    'letters above 127': but('ana', 'an\xe1'),
    'an empty line first': `\r\n${whole}`,
  }
  for (const [what, text] of Object.entries(others)) t.equal(read(text), undefined, what)
})

t.test('of thousands of bent requests, node:http reads each that is taken in the same way', async (t) => {
  let seed = 7
  const random = (below: number) => {
    seed = (seed * 1103515245 + 12345) % 2 ** 31
    return seed % below
  }
  const pieces = [
    '\r\n',
    '\n',
    '\r',
    ' ',
    ':',
    ': ',
    ',',
    '\0',
    '\t',
    '0',
    '9',
    '+',
    'x',
    '\x7f',
    '\xff',
    'Host: b\r\n',
  ]
  pieces.push(
    'Content-Length: 3\r\n',
    'Transfer-Encoding: chunked\r\n',
    'Connection: keep-alive\r\n',
    'X: y\r\n',
    '%41',
    '/',
  )
  const bent = () => {
    let text = whole
    for (let i = random(3); i >= 0; i--) {
      const at = random(text.length)
      const piece = pieces[random(pieces.length)]
      text = text.slice(0, at) + (random(3) === 0 ? '' : piece) + text.slice(at + random(4))
    }
    return text
  }
  type Seen = { path?: string; headers: http.IncomingHttpHeaders; body: string }
  let answer: (seen: Seen | undefined) => void = () => {}
  const server = http.createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk) => chunks.push(chunk))
    request.on('end', () => {
      answer({ path: request.url, headers: request.headers, body: Buffer.concat(chunks).toString('latin1') })
      response.end()
    })
  })
  server.on('clientError', () => answer(undefined))
  t.teardown(() => server.close())
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as net.AddressInfo
  const byNode = (bytes: Buffer) =>
    new Promise<Seen | undefined>((resolve) => {
      const socket = net.connect(port, '127.0.0.1', () => socket.write(bytes))
      socket.on('error', () => {})
      answer = (seen) => {
        socket.destroy()
        resolve(seen)
      }
    })
  let taken = 0
  for (let i = 0; i < 6000; i++) {
    const bytes = Buffer.from(bent(), 'latin1')
    const got = readLean(bytes)
    if (got === undefined) continue
    taken++
    const seen = await byNode(bytes.subarray(0, got.end))
    const { path, headers } = got
    const same =
      seen?.path === path &&
      seen.body === Buffer.from(got.body).toString('latin1') &&
      Object.entries(headers).every(([name, value]) => seen.headers[name] === value)
    if (!same) t.fail(`${JSON.stringify(bytes.toString('latin1'))}: ${JSON.stringify(seen)}`)
  }
  t.ok(taken > 300, `${taken} were taken`)
})
