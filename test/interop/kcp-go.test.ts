// kcp-go as somebody's client on plain KCP: our client protocol in Go over its conversation, without cipher and FEC, to a
// listener with `security: none`, through gateway and host and back, on a good network and on one that loses every fifth
// datagram each way.
// needs: go, kcp-go
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { ImpairingProxy } from '../../bench/impairing-proxy.ts'
import { kcpFrom } from '../../config/schema-kcp.ts'
import { bytes, service, startHost } from '../../sdk/host/index.ts'
import { portOf, started, type Test, testSettings } from '../gateway/io/started.ts'
import { goEnvironment } from '../../bench/go.ts'

t.setTimeout(300_000)

const MESSAGES = 10_000
const folder = mkdtempSync(join(tmpdir(), 'skewer-kcp-go-'))
t.teardown(() => rmSync(folder, { recursive: true }))
const program = join(folder, 'client')
const cwd = new URL('kcp-go/', import.meta.url).pathname
execFileSync('go', ['build', '-o', program, '.'], { cwd, env: goEnvironment() })

type Ended = { code: number | null; stdout: string; stderr: string }

/** Runs the client to its end; it is killed with the test. */
function run(t: Test, args: readonly string[]): Promise<Ended> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  t.teardown(() => child.kill('SIGKILL'))
  const said = { stdout: '', stderr: '' }
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].setEncoding('utf8').on('data', (text: string) => {
      said[stream] += text
    })
  }
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, ...said }))
  })
}

const handled: string[] = []
const echo = service('arena', {
  keys: 'any',
  routes: {
    'arena.echo'(ctx, payload) {
      const text = Buffer.from(payload as Uint8Array).toString()
      handled.push(text)
      ctx.push(ctx.session, 'arena.echo', text)
    },
  },
})
const host = await startHost({ name: 'local', listen: '127.0.0.1:0', services: [echo], codec: bytes })
t.teardown(() => host.close())
const settings = testSettings(t, host.address, (settings) => {
  const [first] = settings.listeners
  const udp = { name: 'udp', transport: 'udp', security: 'none', port: 0, kcp: kcpFrom(undefined) } as const
  settings.listeners = [{ ...first, ...udp }]
  // The limits that are on by default are for players, not for a loop.
  settings.policies = undefined
})
const running = await started(t, settings)

const wanted = Array.from({ length: MESSAGES }, (_, i) => `message ${i + 1}`)
const cases = [
  { lossShare: 0, mode: 'message', conv: 1 },
  { lossShare: 0, mode: 'stream', conv: 4_000_000_000 },
  { lossShare: 0.2, mode: 'stream', conv: 77 },
]
for (const { lossShare, mode, conv } of cases) {
  t.test(`${MESSAGES} messages both ways, ${100 * lossShare} % lost, ${mode} mode`, async (t) => {
    const proxy = await ImpairingProxy.start({ targetPort: portOf(running, 'udp'), impairment: { lossShare } })
    t.teardown(() => proxy.close())
    handled.length = 0
    const ended = await run(t, [`127.0.0.1:${proxy.port}`, String(conv), String(MESSAGES), mode])
    t.equal(ended.stderr, '')
    t.equal(ended.code, 0)
    const report = JSON.parse(ended.stdout || '{}')
    t.match(report, { Sent: MESSAGES, Received: MESSAGES, OutOfOrder: 0, Acked: MESSAGES })
    t.ok(handled.length === MESSAGES && handled.every((text, i) => text === wanted[i]), 'once and in order at the host')
    if (lossShare > 0) t.ok(report.Retransmitted > 20, `${report.Retransmitted} segments sent again`)
    t.comment(`${report.Ms} ms, ${report.Retransmitted} segments sent again by kcp-go`)
  })
}
