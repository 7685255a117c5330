// The client SDK over UDP with a whole gateway and host on real sockets: one session over KCP, TCP and WebSocket, whatever
// the network does.
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import t, { type Test } from 'tap'
import { ImpairingProxy } from '../../bench/impairing-proxy.ts'
import type { Client, ConnectOptions } from '../../sdk/client/client.ts'
import { DatagramCarrier } from '../../sdk/client/datagram-carrier.ts'
import { connect, json } from '../../sdk/client/index.ts'
import { readNoiseKey } from '../../config/noise-keys.ts'
import { handshakeKind } from '../../protocols/secure/handshakes.ts'
import { KcpLine } from '../../sdk/client/kcp-line.ts'
import type { RunningGateway } from '../../gateway/io/process.ts'
import { eventually, portOf, scratchFolder, started } from '../gateway/io/started.ts'
import { readKey } from '../../config/keys.ts'
import { Running } from '../cli/skewer.ts'
import { FirstDatagrams } from './first-datagrams.ts'
import { carriedBy, echoHost, gatewayYaml, next, stage, type Stage, Talker } from './stage.ts'

t.setTimeout(120_000)

function clientOf(t: Test, gateways: ConnectOptions['gateways'], options: Partial<ConnectOptions> = {}): Client {
  const client = connect({ gateways, token: 'ana', codec: json, ...options })
  t.teardown(() => client.close({ timeoutMs: 0 }))
  return client
}

async function proxied(t: Test, { udpPort }: Stage): Promise<ImpairingProxy> {
  const proxy = await ImpairingProxy.start({ targetPort: udpPort })
  t.teardown(() => proxy.close())
  return proxy
}

/** All that was said was taken once and in order, and came back so. */
async function isWhole(t: Test, talker: Talker, { taken }: Pick<Stage, 'taken'>, user = 'ana'): Promise<void> {
  const said = await talker.finished()
  const all = Array.from({ length: said }, (_, i) => i + 1)
  t.ok(said > 0, `${said} said`)
  t.same(taken.get(user), all, 'the host took each once, in order')
  t.same(talker.heard, all, 'and so did the client')
}

t.test('a session hops between KCP, TCP and WebSocket under load: nothing lost, doubled or out of order', async (t) => {
  const s = await stage(t)
  const client = clientOf(t, [s.kcp(), s.tcp, s.ws])
  const room = client.actor('arena', 'lobby')
  const talker = new Talker(room)
  await talker.goOn(100)
  const { session } = client
  for (const transport of ['tcp', 'kcp', 'ws', 'kcp', 'tcp', 'ws', 'kcp']) {
    client.switchTo(['kcp', 'tcp', 'ws'].indexOf(transport))
    await carriedBy(client, transport)
    await talker.goOn(100)
  }
  await isWhole(t, talker, s)
  t.equal(client.session, session)
  await eventually(() => s.transports().length === 1, 'the other connections to be closed')
  t.same(s.transports(), ['kcp-noise'])
})

t.test('addresses that change in mid-session, known to the client or not, cost no handshake', async (t) => {
  const s = await stage(t)
  const proxy = await proxied(t, s)
  const client = clientOf(t, [s.kcp(proxy.port)])
  const ends: unknown[] = []
  client.on('disconnected', (end) => ends.push(end))
  const talker = new Talker(client.actor('arena', 'lobby'))
  await talker.goOn(100)
  proxy.impair({ lossShare: 0.05, delayMs: 10, jitterMs: 20 })
  for (let i = 0; i < 4; i++) {
    client.rebind()
    await talker.goOn(100)
    proxy.rebind()
    await talker.goOn(100)
  }
  await isWhole(t, talker, s)
  t.same(ends, [])
  t.ok(proxy.rebindings >= 4)
})

t.test(
  'A1: a session comes back with its ticket in the encrypted first message, and one round trip less',
  async (t) => {
    const s = await stage(t)
    const relay = await FirstDatagrams.start(t, s.udpPort)
    const client = clientOf(t, [s.kcp(relay.port)])
    const room = client.actor('arena', 'lobby')
    t.equal(await room.call('arena.ask', 1), 1)
    const welcomed = next(client, 'welcomed')
    client.interrupt(0)
    t.match(await welcomed, { resumed: true })
    t.equal(await room.call('arena.ask', 2), 2)
    const { nk, nkpsk2 } = handshakeKind
    t.same(relay.inits, [nk, nk, nkpsk2], 'the cookie is good for the second connection')
  },
)

t.test(
  'unreliable and latest go both ways beside the stream, and newer ones do not wait for what was lost',
  async (t) => {
    const s = await stage(t)
    const client = clientOf(t, [s.kcp()])
    const room = client.actor('arena', 'lobby')
    const waved: number[] = []
    const poses: number[] = []
    room.on('arena.waved', (payload) => waved.push(payload as number))
    room.on('arena.pose', (payload) => poses.push(payload as number))
    const sent = t.capture(KcpLine.prototype, 'sendBare', KcpLine.prototype.sendBare)
    const came = t.capture(DatagramCarrier.prototype, 'bare', DatagramCarrier.prototype.bare)
    let count = 0
    // Datagrams may be lost on this machine, too: until enough have come.
    while (waved.length < 50 || poses.length < 50) {
      room.unreliable('arena.wave', ++count)
      await room.call('arena.ask', count)
    }
    t.ok(count < 200, `${count} said`)
    t.equal(new Set(waved).size, waved.length, 'C1: none twice')
    t.same(
      poses,
      [...poses].sort((a, b) => a - b),
      'C2: never an older one behind a newer one',
    )
    const out = sent().filter((call) => 'returned' in call && call.returned).length
    t.ok(out > 40, `${out} left in datagrams`)
    const { length } = came()
    t.ok(length > 80, `${length} came in datagrams`)
  },
)

t.test('KCP wins the race where UDP works', async (t) => {
  const s = await stage(t)
  const client = clientOf(t, [[s.kcp(), s.ws, s.tcp]])
  await client.ready()
  t.equal(client.transport, 'kcp')
})

t.test('UDP that is swallowed: TCP carries the session, and KCP when it works again', async (t) => {
  const s = await stage(t)
  const proxy = await proxied(t, s)
  proxy.impair({ lossShare: 1 })
  const since = performance.now()
  const client = clientOf(t, [[s.kcp(proxy.port), s.tcp]], { probeMs: 300, handshakeMs: 1000 })
  const talker = new Talker(client.actor('arena', 'lobby'))
  await client.ready()
  t.equal(client.transport, 'tcp')
  t.ok(performance.now() - since < 2000, 'soon')
  await talker.goOn(100)
  proxy.impair({ lossShare: 0 })
  await carriedBy(client, 'kcp')
  await talker.goOn(100)
  await isWhole(t, talker, s)
})

t.test('UDP that falls silent in mid-session: TCP takes over within seconds, and nothing is lost', async (t) => {
  const s = await stage(t)
  const proxy = await proxied(t, s)
  const client = clientOf(t, [[s.kcp(proxy.port), s.tcp]], { probeMs: 500, handshakeMs: 1000 })
  const talker = new Talker(client.actor('arena', 'lobby'))
  await carriedBy(client, 'kcp')
  await talker.goOn(100)
  for (const _ of [1, 2]) {
    proxy.impair({ lossShare: 1 })
    const since = performance.now()
    await carriedBy(client, 'tcp')
    t.ok(performance.now() - since < 5000, `${Math.round(performance.now() - since)} ms`)
    await talker.goOn(100)
    proxy.impair({ lossShare: 0 })
    await carriedBy(client, 'kcp')
    await talker.goOn(100)
  }
  await isWhole(t, talker, s)
})

t.test('another key is told clearly, and another way is taken where there is one', async (t) => {
  const s = await stage(t)
  const otherKey = Buffer.alloc(32, 9).toString('base64url')
  const wrong = s.kcp().replace(/key=.*/, `key=${otherKey}`)
  const client = clientOf(t, [[wrong, s.tcp]], { handshakeMs: 400 })
  await client.ready()
  t.equal(client.transport, 'tcp')
  const alone = clientOf(t, [wrong], { handshakeMs: 400 })
  const { text } = await next(alone, 'disconnected')
  t.match(text, /or the gateway has another key/)
})

t.test('damaged and foreign datagrams on the way change nothing', async (t) => {
  const s = await stage(t)
  const proxy = await proxied(t, s)
  proxy.impair({ corruptShare: 0.05, lossShare: 0.02 })
  const client = clientOf(t, [s.kcp(proxy.port)])
  const talker = new Talker(client.actor('arena', 'lobby'))
  await talker.goOn(2000)
  await isWhole(t, talker, s)
})

t.test('a gateway process that is killed with -9 and started again, over KCP alone and with TCP beside', async (t) => {
  const { host, taken } = await echoHost(t)
  const folder = scratchFolder(t)
  const file = path.join(folder, 'skewer.yaml')
  const run = async (tcp: number, udp: number) => {
    writeFileSync(file, gatewayYaml(host.address, tcp, udp))
    const gateway = new Running(['run', '--config', file, '--json'], { cwd: folder })
    t.teardown(() => gateway.child.kill('SIGKILL'))
    const [line] = await gateway.said(/^\{"event":"started".*$/m)
    const { listeners } = JSON.parse(line) as { listeners: { transport: string; port: number }[] }
    const portOf = (name: string) => listeners.find(({ transport }) => transport === name)!.port
    return { gateway, tcp: portOf('tcp'), udp: portOf('udp') }
  }
  const first = await run(0, 0)
  const { publicKey } = readNoiseKey(readFileSync(path.join(folder, '.skewer', 'noise.key'), 'utf8'))!
  const kcp = `kcp://127.0.0.1:${first.udp}?key=${publicKey}`
  const alone = clientOf(t, [kcp], { token: 'alone' })
  const racing = clientOf(t, [[kcp, `tcp://127.0.0.1:${first.tcp}`]], { token: 'racing', probeMs: 300 })
  const talkers = [alone, racing].map((client) => new Talker(client.actor('arena', 'lobby')))
  await Promise.all(talkers.map((talker) => talker.goOn(200)))
  let { gateway } = first
  for (let i = 0; i < 2; i++) {
    gateway.child.kill('SIGKILL')
    await gateway.ended
    gateway = (await run(first.tcp, first.udp)).gateway
    await Promise.all(talkers.map((talker) => talker.goOn(200)))
  }
  await carriedBy(racing, 'kcp')
  for (const [i, talker] of talkers.entries()) await isWhole(t, talker, { taken }, ['alone', 'racing'][i])
})

const resetsOf = async ({ adminAddress }: RunningGateway): Promise<number> =>
  Number(/^skewer_udp_resets_total (\d+)/m.exec(await (await fetch(`${adminAddress}/metrics`)).text())![1])

t.test('DGM-9: a balancer hands a client to another gateway of the cluster, and it attaches there', async (t) => {
  const s = await stage(t)
  const { stateDir } = s.settings
  const { keys } = JSON.parse(readFileSync(path.join(stateDir, 'keys.json'), 'utf8')) as { keys: string[] }
  const shared = {
    ...structuredClone(s.settings),
    noise: { keyFile: path.join(stateDir, 'noise.key') },
    ticketKeys: { current: readKey(keys[0])! },
  }
  const gateways: RunningGateway[] = []
  for (const name of ['one', 'two'])
    gateways.push(await started(t, { ...structuredClone(shared), name, stateDir: scratchFolder(t) }))
  const proxy = await proxied(t, s)
  proxy.aim(portOf(gateways[0], 'udp'))
  const client = clientOf(t, [s.kcp(proxy.port)])
  const talker = new Talker(client.actor('arena', 'lobby'))
  await talker.goOn(100)
  t.same(await Promise.all(gateways.map(resetsOf)), [0, 0])
  const sessions = () =>
    gateways.map(({ gateway }) => gateway.sessions().filter((it) => it.connections.length > 0).length)
  t.same(sessions(), [1, 0])
  proxy.aim(portOf(gateways[1], 'udp'))
  proxy.rebind()
  const since = performance.now()
  await eventually(() => sessions()[1] === 1, 'the client to be at the other gateway')
  t.comment(`${Math.round(performance.now() - since)} ms`)
  await talker.goOn(100)
  const [, resets] = await Promise.all(gateways.map(resetsOf))
  t.ok(resets >= 1, `${resets} resets`)
  await isWhole(t, talker, s)
})
