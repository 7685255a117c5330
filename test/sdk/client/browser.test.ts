// The client SDK in a real browser: bundled, over its own WebSocket, through a broken connection.
// needs: chromium
import { execFileSync } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import process from 'node:process'
import { build } from 'esbuild'
import { chromium } from 'playwright-core'
import t from 'tap'
import { WebSocketServer } from 'ws'
import { findTool, tools } from '../../plan.ts'
import { EchoGateway } from './echo-gateway.ts'

const program = tools.chromium.programs.find((name) => findTool([name]))!

async function bundled(): Promise<string> {
  const entry = new URL('../../../sdk/client/browser.ts', import.meta.url).pathname
  const options = { bundle: true, format: 'esm', platform: 'browser', target: 'es2022', write: false } as const
  const { outputFiles } = await build({ entryPoints: [entry], ...options })
  return outputFiles[0].text
}

t.test('a page connects, sends, is cut off, and has lost nothing', async (t) => {
  const script = await bundled()
  t.notMatch(script, /node:/, 'nothing of Node is in it')
  const gateway = new EchoGateway()
  const server = createServer((request, response) => {
    const isScript = request.url === '/client.js'
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html')
    response.end(isScript ? script : '<!doctype html><title>client</title>')
  })
  const sockets = new WebSocketServer({ server })
  sockets.on('connection', (socket) => {
    const connection = gateway.accept({ write: (bytes) => socket.send(bytes), close: () => socket.terminate() })
    socket.on('message', (data) => connection.receive(data as Buffer))
    socket.on('close', () => connection.cut())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const browser = await chromium.launch({
    executablePath: execFileSync('which', [program], { encoding: 'utf8' }).trim(),
    args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
  })
  t.teardown(async () => {
    await browser.close()
    server.closeAllConnections()
    server.close()
  })
  const page = await browser.newPage()
  await page.exposeFunction('cut', () => gateway.cut())
  await page.goto(`http://${address}/`)
  const seen = await page.evaluate(
    async ([from, ws]) => {
      const { connect, json } = await import(from)
      const client = connect({ gateways: [ws], token: 'ana', codec: json, backoffBaseMs: 5 })
      const room = client.actor('echo', 'room')
      const said: unknown[] = []
      room.on('echo.said', (payload: unknown) => said.push(payload))
      const first = await room.call('echo.ask', { text: 'žluť' })
      for (let n = 0; n < 60; n++) {
        while (room.trySend('echo.say', n) !== 0) await new Promise((resolve) => setTimeout(resolve))
        if (n % 20 === 10) await (globalThis as unknown as { cut(): Promise<void> }).cut()
      }
      const last = await room.call('echo.ask', 'the end')
      const what = { first, said, last, transport: client.transport, rttMs: client.rttMs, user: client.user }
      await client.close()
      return what
    },
    [`http://${address}/client.js`, `ws://${address}/`],
  )
  t.match(seen, { first: { text: 'žluť' }, last: 'the end', transport: 'ws', user: 'ana' })
  t.same(
    seen.said,
    Array.from({ length: 60 }, (_, n) => n),
  )
  t.ok(gateway.resumes > 0)
  t.equal(gateway.sessions, 1)
})
