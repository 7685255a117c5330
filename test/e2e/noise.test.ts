// Noise from end to end: both SDKs and a gateway on real sockets, over TCP and over WebSocket, with connections that are
// cut, a gateway whose key changes, and handshakes with tickets that are refused.
import { readFileSync } from 'node:fs'
import path from 'node:path'
import t, { type Test } from 'tap'
import { readKey } from '../../config/keys.ts'
import { kcpFrom } from '../../config/schema-kcp.ts'
import type { Settings } from '../../config/settings.ts'
import type { RunningGateway } from '../../gateway/io/process.ts'
import { handshakeKind } from '../../protocols/secure/handshakes.ts'
import { PREAMBLE } from '../../protocols/secure/stream-preamble.ts'
import type { Client, ConnectOptions } from '../../sdk/client/client.ts'
import { connect, json } from '../../sdk/client/index.ts'
import { service, startHost } from '../../sdk/host/index.ts'
import { makeCertificate } from '../config/certificate.ts'
import { eventually, portOf, scratchFolder, started, testSettings } from '../gateway/io/started.ts'
import { Relay } from './relay.ts'

const SECRET_TEXT = 'nobody on the way can read this'
// Long enough not to come about by chance in what is sealed.
const TOKEN = 'ana-whom-nobody-overhears'

type Stage = {
  running: RunningGateway
  relay: Relay
  settings: Settings
  /** What the host got, in order. */
  said: string[]
  player(options?: Partial<ConnectOptions>): Client
}

async function stage(
  t: Test,
  transport: 'tcp' | 'websocket',
  change: (settings: Settings) => void = () => {},
): Promise<Stage> {
  const said: string[] = []
  const arena = service('arena', {
    keys: 'any',
    routes: {
      'arena.say': (_context, payload) => {
        said.push(payload as string)
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
    change(s)
  })
  const running = await started(t, settings)
  const relay = new Relay(portOf(running, transport))
  const port = await relay.listen()
  t.teardown(() => relay.close())
  const scheme = transport === 'tcp' ? 'tcp' : 'ws'
  const address = `${scheme}://127.0.0.1:${port}/?key=${running.noisePublicKey}`
  const player = (options: Partial<ConnectOptions> = {}) => {
    const client = connect({ gateways: [address], token: TOKEN, codec: json, backoffBaseMs: 5, ...options })
    t.teardown(() => client.close({ timeoutMs: 0 }))
    return client
  }
  return { running, relay, settings, said, player }
}

/** The kind of the handshake that a connection began with; of a WebSocket's upgrade, nothing. */
const kindOf = (first: Buffer): number => (first.subarray(0, 3).equals(PREAMBLE) ? first[3] : 0)

for (const transport of ['tcp', 'websocket'] as const) {
  t.test(`${transport}: cut again and again, nothing is lost, doubled or readable on the way`, async (t) => {
    const { relay, said, player } = await stage(t, transport)
    const client = player()
    const welcomes: boolean[] = []
    client.on('welcomed', ({ resumed }) => welcomes.push(resumed))
    const room = client.actor('arena', 'room-1')
    const expected: string[] = []
    for (let cut = 0; cut < 6; cut++) {
      for (let i = 0; i < 30; i++) {
        const text = `${cut}:${i} ${SECRET_TEXT}`
        expected.push(text)
        room.send('arena.say', text)
      }
      if (cut % 2 === 0) await eventually(() => said.length > expected.length - 15, 'some of them')
      relay.cut()
      await eventually(() => welcomes.length > cut, 'the session again')
      t.same(await room.call('arena.ask', { cut, pad: 'x'.repeat(10_000) }), { cut, pad: 'x'.repeat(10_000) })
    }
    t.same(said, expected)
    t.ok(welcomes.slice(1).every((isResumed) => isResumed))
    const passed = Buffer.concat(relay.passed)
    t.notOk(passed.includes(SECRET_TEXT))
    t.notOk(passed.includes(TOKEN), 'nor is the token')
    if (transport === 'tcp') {
      const [first, ...later] = relay.firsts.map(kindOf)
      t.equal(first, handshakeKind.nk)
      t.ok(later.length >= 5 && later.every((kind) => kind === handshakeKind.nkpsk2), 'tickets ride in the handshake')
    }
  })
}

t.test('where the handshake with a ticket comes to nothing, one without goes on with the same session', async (t) => {
  const { relay, player } = await stage(t, 'tcp')
  const client = player()
  const welcomes: { session: string; resumed: boolean }[] = []
  client.on('welcomed', ({ resumed }) => welcomes.push({ session: client.session, resumed }))
  const room = client.actor('arena', 'room-1')
  t.equal(await room.call('arena.ask', 1), 1)
  relay.admits = (first) => kindOf(first) !== handshakeKind.nkpsk2
  relay.cut()
  t.equal(await room.call('arena.ask', 2), 2)
  t.same(relay.firsts.map(kindOf), [handshakeKind.nk, handshakeKind.nkpsk2, handshakeKind.nk])
  t.same(welcomes, [
    { session: client.session, resumed: false },
    { session: client.session, resumed: true },
  ])
})

t.test(
  'a gateway that cannot open the ticket refuses it in the handshake, and the session waits for one that can',
  async (t) => {
    const { running, settings, said, player } = await stage(t, 'tcp')
    const noise = { keyFile: path.join(settings.stateDir, 'noise.key') }
    const keys = (JSON.parse(readFileSync(path.join(settings.stateDir, 'keys.json'), 'utf8')) as { keys: string[] })
      .keys
    const second = { ...structuredClone(settings), name: 'second', noise, stateDir: scratchFolder(t) }
    const other = await started(t, second)
    const relay = new Relay(portOf(other, 'tcp'))
    t.teardown(() => relay.close())
    const addressOf = (port: number) => `tcp://127.0.0.1:${port}?key=${running.noisePublicKey}`
    const client = player({ gateways: [addressOf(portOf(running, 'tcp')), addressOf(await relay.listen())] })
    const room = client.actor('arena', 'room-1')
    t.equal(await room.call('arena.ask', 1), 1)
    const { session } = client
    const refusals: string[] = []
    client.on('disconnected', ({ name }) => refusals.push(name))
    await running.close()
    room.send('arena.say', 'while nobody can open the ticket')
    await eventually(() => refusals.includes('ticket_key_unknown'), 'a refusal')
    t.ok(relay.firsts.every((first) => kindOf(first) === handshakeKind.nkpsk2))
    await other.configure({ ...second, ticketKeys: { current: readKey(keys[0])! } })
    t.equal(await room.call('arena.ask', 2, { timeoutMs: 10_000 }), 2)
    t.equal(client.session, session, 'the same session')
    t.same(said, ['while nobody can open the ticket'])
  },
)

t.test(
  'T3: where the key of tickets is gone for good, channels end after keep, and the client logs in anew',
  async (t) => {
    for (const transport of ['tcp', 'udp'] as const) {
      const { running, settings, said, player } = await stage(t, 'tcp', (s) => {
        s.times.keepMs = 1500
        const udp = { ...s.listeners[0], name: 'udp', transport: 'udp' as const, security: 'noise' as const, port: 0 }
        s.listeners.push({ ...udp, kcp: kcpFrom(undefined) })
      })
      const noise = { keyFile: path.join(settings.stateDir, 'noise.key') }
      const scheme = transport === 'tcp' ? 'tcp' : 'kcp'
      const port = portOf(running, transport)
      const client = player({
        gateways: [`${scheme}://127.0.0.1:${port}?key=${running.noisePublicKey}`],
        backoffMaxMs: 200,
      })
      const room = client.actor('arena', 'room-1')
      t.equal(await room.call('arena.ask', 1), 1)
      const { session } = client
      const [refusals, endings]: [string[], string[]] = [[], []]
      client.on('disconnected', ({ name }) => refusals.push(name))
      room.on('ended', ({ name }) => endings.push(name))
      await running.close()
      room.send('arena.say', 'before the keys were lost')
      const listeners = settings.listeners.map((listener) =>
        listener.transport === transport ? { ...listener, port } : listener,
      )
      await started(t, { ...structuredClone(settings), noise, listeners, stateDir: scratchFolder(t) })
      await eventually(() => refusals.includes('ticket_key_unknown'), `a refusal over ${transport}`)
      await eventually(() => endings.length > 0, 'the end of the channel')
      t.same(endings, ['expired'])
      await eventually(() => client.session !== '' && client.session !== session, 'a new session')
      t.equal(await client.actor('arena', 'room-1').call('arena.ask', 2, { timeoutMs: 4000 }), 2)
      t.same(said, [])
      await client.close()
    }
  },
)

t.test('a wrong key and a port without Noise are told in words', async (t) => {
  const { running, settings, player } = await stage(t, 'tcp')
  const other = Buffer.alloc(32, 9).toString('base64url')
  const told = async (address: string) => {
    const client = player({ gateways: [address] })
    const why: string[] = []
    client.on('disconnected', ({ text }) => why.push(text))
    await eventually(() => why.length > 0, `the end of ${address}`)
    await client.close({ timeoutMs: 0 })
    return why[0]
  }
  const port = portOf(running, 'tcp')
  t.match(await told(`tcp://127.0.0.1:${port}?key=${other}`), /is it the gateway's public key, and/)
  const plain = structuredClone(settings)
  for (const listener of plain.listeners) listener.security = 'none'
  plain.stateDir = testSettings(t, '127.0.0.1:1').stateDir
  const open = await started(t, plain)
  for (const address of [`tcp://127.0.0.1:${portOf(open, 'tcp')}`, `ws://127.0.0.1:${portOf(open, 'websocket')}/`]) {
    t.match(await told(`${address}?key=${other}`), /does not speak Noise on this port: use its address without a key/)
  }
  const folder = scratchFolder(t)
  const pair = { certFile: path.join(folder, 'a.crt'), keyFile: path.join(folder, 'a.key') }
  makeCertificate(pair.certFile, pair.keyFile)
  const secure = structuredClone(plain)
  for (const listener of secure.listeners) Object.assign(listener, { security: 'tls', tls: pair })
  const certified = await started(t, secure)
  t.match(await told(`tcp://127.0.0.1:${portOf(certified, 'tcp')}?key=${other}`), /speaks TLS on this port, not Noise/)
})
