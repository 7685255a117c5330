// A session over HTTP through a real gateway process that is killed with -9 again and again: every message arrives exactly
// once and in order (S1, H2), and a call that is repeated with its key runs once (H1).
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { freePort } from '../../examples/arena/free-port.ts'
import { connect, json } from '../../sdk/client/index.ts'
import { service, startHost } from '../../sdk/host/index.ts'
import { Running } from '../cli/skewer.ts'
import { eventually } from '../gateway/io/started.ts'

/** Several processes, on a machine that may be busy. */
t.setTimeout(120_000)

const MESSAGES = 400
const KILLS = 2

t.test('a session over HTTP outlives its gateway, kill -9 included', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'skewer-http-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const heard: number[] = []
  let buys = 0
  const lobby = service('lobby', {
    keys: 'any',
    routes: {
      'lobby.say': (ctx, n) => {
        heard.push(n as number)
        ctx.push(ctx.session, 'lobby.said', n)
      },
      'lobby.buy': () => ++buys,
    },
  })
  const host = await startHost({ name: 'h1', listen: '127.0.0.1:0', services: [lobby], codec: json })
  t.teardown(() => host.close())
  const port = await freePort(new Set())
  const file = join(folder, 'skewer.yaml')
  const listener = `{ transport: http, port: ${port} }`
  const hosts = `hosts: [{ name: h1, address: '${host.address}' }]`
  writeFileSync(
    file,
    `services: { lobby: { keys: any } }\n${hosts}\nlisteners: [${listener}]\nadmin: { enabled: false }\n`,
  )
  const start = async () => {
    const gateway = new Running(['run', '--config', file, '--json'], { cwd: folder })
    await gateway.said(/^\{"event":"started".*$/m)
    // Started is not linked yet.
    while ((await fetch(`http://127.0.0.1:${port}/healthz`)).status !== 200) await new Promise(setImmediate)
    return gateway
  }
  let gateway = await start()
  t.teardown(() => gateway.child.kill('SIGKILL'))

  const client = connect({ gateways: [`http://127.0.0.1:${port}/`], token: 'ana', codec: json, backoffBaseMs: 20 })
  t.teardown(() => client.close())
  const room = client.actor('lobby', 'room')
  const said: unknown[] = []
  room.on('lobby.said', (payload) => said.push(payload))
  for (let n = 0; n < MESSAGES; n++) {
    while (room.trySend('lobby.say', n) !== 0) await new Promise((resolve) => setTimeout(resolve, 2))
    if (n % (MESSAGES / KILLS) !== MESSAGES / KILLS / 2) continue
    await eventually(() => heard.length > n - 50, 'some of them')
    gateway.child.kill('SIGKILL')
    await gateway.ended
    gateway = await start()
  }
  await eventually(() => said.length >= MESSAGES, 'all of them')
  const all = Array.from({ length: MESSAGES }, (_, n) => n)
  t.same(heard, all)
  t.same(said, all)

  const headers = { authorization: 'Bearer ana', 'content-type': 'application/json', 'idempotency-key': 'k1' }
  const buy = async () => (await fetch(`http://127.0.0.1:${port}/call/lobby.buy`, { method: 'POST', headers })).json()
  t.equal(await buy(), 1)
  gateway.child.kill('SIGKILL')
  await gateway.ended
  gateway = await start()
  t.equal(await buy(), 1, 'the first answer, from the actor')
  t.equal(buys, 1)
})
