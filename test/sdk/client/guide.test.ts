// The examples of docs/client-sdk.md, and the echo client, run as they stand against a small gateway.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Test } from 'tap'
import t from 'tap'
import type { Client } from '../../../sdk/client/index.ts'
import { EchoGateway } from './echo-gateway.ts'

const clients: Client[] = []
const gateway = new EchoGateway()
const server = net.createServer((socket) => {
  const connection = gateway.accept({ write: (bytes) => socket.write(bytes), close: () => socket.end() })
  socket.on('data', (bytes) => connection.receive(bytes as Buffer))
  socket.on('close', () => connection.cut())
  socket.on('error', () => {})
})
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
const { port } = server.address() as net.AddressInfo
Object.assign(globalThis, { clients, port })

const index = new URL('../../../sdk/client/index.ts', import.meta.url).href
const folder = mkdtempSync(join(tmpdir(), 'skewer-'))
const shim = join(folder, 'client.mjs')
writeFileSync(
  shim,
  `import { connect as real } from '${index}'
export * from '${index}'
export const connect = (options) => {
  const client = real({ ...options, gateways: ['tcp://127.0.0.1:' + port], backoffBaseMs: 5 })
  clients.push(client)
  return client
}`,
)
t.teardown(async () => {
  // The examples say how their clients ended, when nobody listens any more.
  console.log = () => {}
  for (const client of clients) await client.close({ timeoutMs: 0 })
  server.close()
  rmSync(folder, { recursive: true })
})

async function run(t: Test, name: string, source: string): Promise<string> {
  const file = join(folder, name)
  const here = `'${pathToFileURL(shim)}'`
  writeFileSync(file, stripTypeScriptTypes(source).replace(/'(skewer\/client|[./]*sdk\/client\/index\.ts)'/g, here))
  const printed = t.capture(console, 'log')
  const before = clients.length
  await import(pathToFileURL(file).href)
  t.equal(clients.length, before + 1, source.slice(0, 60))
  const lines = printed.args().map((args) => args.map((arg) => JSON.stringify(arg)).join(' '))
  printed.restore()
  return lines.join('\n')
}

t.test('every example of the guide runs', async (t) => {
  const guide = readFileSync(new URL('../../../docs/client-sdk.md', import.meta.url), 'utf8')
  const examples = [...guide.matchAll(/^```ts\n(.*?)^```/gms)].map(([, source]) => source)
  t.ok(examples.length >= 5)
  for (const [i, source] of examples.entries()) await run(t, `example-${i}.mjs`, source)
})

t.test('the echo client says what came back', async (t) => {
  const source = readFileSync(new URL('../../../examples/echo/client.ts', import.meta.url), 'utf8')
  const printed = await run(t, 'echo.mjs', source)
  for (const text of ['hello', 'is there anybody', 'out there?']) t.match(printed, JSON.stringify({ text }))
})
