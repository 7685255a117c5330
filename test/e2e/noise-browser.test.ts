// Noise in a real browser: the bundled client, its own WebSocket, @noble's cryptography; a whole gateway and a host behind
// it, and a connection that is cut again and again.
// needs: chromium
import { execFileSync } from 'node:child_process'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import process from 'node:process'
import { build } from 'esbuild'
import { chromium } from 'playwright-core'
import t from 'tap'
import { json } from '../../sdk/client/index.ts'
import { service, startHost } from '../../sdk/host/index.ts'
import { portOf, started, testSettings } from '../gateway/io/started.ts'
import { findTool, tools } from '../plan.ts'
import { Relay } from './relay.ts'

const program = tools.chromium.programs.find((name) => findTool([name]))!
const COUNT = 60

t.test('a page speaks Noise over its WebSocket, is cut off, and has lost nothing', async (t) => {
  const entry = new URL('../../sdk/client/browser.ts', import.meta.url).pathname
  const bundle = { bundle: true, format: 'esm', platform: 'browser', target: 'es2022', write: false } as const
  const { outputFiles } = await build({ entryPoints: [entry], ...bundle })
  const script = outputFiles[0].text
  t.notMatch(script, /node:/, 'nothing of Node is in it')

  const heard: number[] = []
  const arena = service('arena', {
    keys: 'any',
    routes: {
      'arena.say': (_context, n) => {
        heard.push(n as number)
      },
      'arena.ask': (_context, payload) => payload,
    },
  })
  const host = await startHost({ name: 'local', listen: '127.0.0.1:0', services: [arena], codec: json })
  t.teardown(() => host.close())
  const settings = testSettings(t, host.address, (s) => {
    for (const listener of s.listeners) listener.security = 'noise'
    s.services = [{ ...s.services[0], name: 'arena', keys: 'any' }]
    s.routes = [{ match: 'arena.*', service: 'arena' }]
  })
  const running = await started(t, settings)
  const relay = new Relay(portOf(running, 'websocket'))
  const gateway = `ws://127.0.0.1:${await relay.listen()}/?key=${running.noisePublicKey}`
  t.teardown(() => relay.close())

  const server = createServer((request, response) => {
    const isScript = request.url === '/client.js'
    response.setHeader('content-type', isScript ? 'text/javascript' : 'text/html')
    response.end(isScript ? script : '<!doctype html><title>client</title>')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const page = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const browser = await chromium.launch({
    executablePath: execFileSync('which', [program], { encoding: 'utf8' }).trim(),
    args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
  })
  t.teardown(async () => {
    await browser.close()
    server.closeAllConnections()
    server.close()
  })
  const tab = await browser.newPage()
  await tab.exposeFunction('cut', () => relay.cut())
  await tab.goto(page)
  const seen = await tab.evaluate(
    async ([from, address, count]) => {
      const { connect, json } = await import(from as string)
      const client = connect({ gateways: [address], token: 'ana', codec: json, backoffBaseMs: 5 })
      const welcomes: boolean[] = []
      client.on('welcomed', ({ resumed }: { resumed: boolean }) => welcomes.push(resumed))
      const room = client.actor('arena', 'room')
      const first = await room.call('arena.ask', { text: 'žluť' })
      for (let n = 0; n < (count as number); n++) {
        while (room.trySend('arena.say', n) !== 0) await new Promise((resolve) => setTimeout(resolve))
        if (n % 20 !== 10) continue
        await (globalThis as unknown as { cut(): Promise<void> }).cut()
        await room.call('arena.ask', n)
      }
      const last = await room.call('arena.ask', 'the end')
      const what = { first, last, welcomes, transport: client.transport, user: client.user }
      await client.close()
      return what
    },
    [`${page}/client.js`, gateway, COUNT],
  )
  t.match(seen, { first: { text: 'žluť' }, last: 'the end', transport: 'ws', user: 'ana' })
  t.same(
    heard,
    Array.from({ length: COUNT }, (_, n) => n),
  )
  const [isFirstResumed, ...later] = seen.welcomes
  t.notOk(isFirstResumed)
  t.ok(later.length >= 3 && later.every((isResumed: boolean) => isResumed), 'the same session each time')
  t.notOk(Buffer.concat(relay.passed).includes('the end'), 'and nobody on the way could read it')
})
