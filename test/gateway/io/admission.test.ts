// Who may connect, over real sockets: lists, counts, bans that outlive the process, PROXY headers and Forwarded from
// trusted proxies only.
import fs from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { performance } from 'node:perf_hooks'
import t from 'tap'
import { WebSocket } from 'ws'
import { networkName } from '../../../config/networks.ts'
import type { ListenerSettings, Settings } from '../../../config/settings.ts'
import { KeptBans } from '../../../gateway/io/kept-bans.ts'
import { requestAddress } from '../../../gateway/io/client-address.ts'
import { Networks } from '../../../gateway/io/networks.ts'
import type { RunningGateway } from '../../../gateway/io/process.ts'
import { resumeProof } from '../../../gateway/tickets.ts'
import { writeResume } from '../../../protocols/client/frames.ts'
import { code } from '../../../protocols/codes.ts'
import { Writer } from '../../../protocols/wire/writer.ts'
import { hmac } from '../world.ts'
import { httpSettings } from './http-rig.ts'
import { overSocket, overWebSocket } from './scripted-client.ts'
import { eventually, portOf, scratchFolder, started, tcpClient, type Test, testSettings } from './started.ts'

const limits = { isObserved: false, perAddress: Infinity, perNetwork: Infinity }
const lists = { allow: [], deny: [] }

const gatewayWith = (t: Test, change: (settings: Settings) => void) =>
  started(
    t,
    testSettings(t, '127.0.0.1:1', (settings) => {
      settings.times.handshakeMs = 400
      change(settings)
    }),
  )

const onEach = (settings: Settings, change: Partial<ListenerSettings>) => {
  for (const listener of settings.listeners) Object.assign(listener, change)
}

/** What a socket gets that says this first, until it is closed; greeted, it stays open and this is its first bytes. */
function knock(t: Test, port: number, says: Uint8Array | string = ''): Promise<'closed' | 'greeted'> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write(says))
    t.teardown(() => socket.destroy())
    socket.once('data', () => resolve('greeted'))
    socket.on('error', () => {})
    socket.once('close', () => resolve('closed'))
  })
}

function openWebSocket(t: Test, port: number, headers: Record<string, string> = {}): Promise<WebSocket | 'closed'> {
  return new Promise((resolve) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`, { headers })
    socket.on('open', () => resolve(socket)).on('error', () => resolve('closed'))
    t.teardown(() => socket.terminate())
  })
}

const addressesOf = (running: RunningGateway) =>
  running.gateway.sessions().flatMap(({ connections }) => connections.map(({ address }) => address))

t.test('denied networks are closed before a word, those that are only observed are counted', async (t) => {
  const deny = ['127.0.0.0/8']
  const closed = await gatewayWith(t, (s) => {
    s.admission = { limits, lists: { ...lists, deny } }
  })
  t.equal(await knock(t, portOf(closed, 'tcp')), 'closed')
  t.equal(await knock(t, portOf(closed, 'websocket'), 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'), 'closed')
  const observed = await gatewayWith(t, (s) => {
    s.admission = { limits: { ...limits, isObserved: true }, lists: { ...lists, deny } }
  })
  t.equal(await knock(t, portOf(observed, 'tcp')), 'greeted')
  const metrics = await (await fetch(`${observed.adminAddress}/metrics`)).text()
  t.match(metrics, /^skewer_admission_refused_total\{reason="denied",mode="observe"\} 1$/m)
})

t.test('so many connections of one address, and again when one has gone; a reload changes how many', async (t) => {
  const running = await gatewayWith(t, (s) => {
    s.admission = { limits: { ...limits, perAddress: 2 }, lists }
  })
  const port = portOf(running, 'tcp')
  const first = net.connect(port, '127.0.0.1')
  await new Promise((resolve) => first.once('data', resolve))
  t.equal(await knock(t, port), 'greeted')
  t.equal(await knock(t, port), 'closed')
  first.destroy()
  await eventually(() => running.gateway.connections.size === 1, 'the first to be gone')
  t.equal(await knock(t, port), 'greeted')
  const { settings } = running.gateway
  await running.configure({ ...settings, admission: { limits: { ...limits, perAddress: 3 }, lists } })
  t.equal(await knock(t, port), 'greeted')
  t.equal(await knock(t, port), 'closed')
})

for (const http of [undefined, httpSettings]) {
  t.test(
    `a WebSocket ${http ? 'beside calls ' : ''}gives the place of its address back once, as it ends`,
    async (t) => {
      const running = await gatewayWith(t, (s) => {
        onEach(s, { http })
        s.admission = { limits: { ...limits, perAddress: 2 }, lists }
      })
      const { gateway } = running
      const port = portOf(running, 'websocket')
      const enter = async (user: string) => {
        const socket = (await openWebSocket(t, port)) as WebSocket
        await overWebSocket(socket).login(user)
        return socket
      }
      await enter('ann')
      for (let i = 0; i < 3; i++) {
        const bobs = await enter('bob')
        t.equal(gateway.connections.size, 2)
        t.equal(await knock(t, port, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'), 'closed', 'one too many')
        bobs.terminate()
        await eventually(() => gateway.connections.size === 1, 'the place')
      }
    },
  )
}

t.test('networks come from files, with comments; a bad line is named when the gateway starts', async (t) => {
  const file = path.join(scratchFolder(t), 'deny.txt')
  fs.writeFileSync(file, '# of yesterday\n10.0.0.0/8\n127.0.0.1  # us\n\n2001:db8::/32\n')
  const networks = new Networks([], [file])
  t.same(
    ['10.9.9.9', '127.0.0.1', '127.0.0.2', '2001:db8::7', 'nonsense'].map((address) => networks.has(address)),
    [true, true, false, true, false],
  )
  fs.appendFileSync(file, '10.0.0.0/33\n')
  await t.rejects(
    gatewayWith(t, (s) => {
      s.admission = { limits, lists: { ...lists, denyFile: file } }
    }),
    /deny\.txt:6: 10\.0\.0\.0\/33 is not a network/,
  )
})

t.test('twenty thousand networks are read in steps between which others have their turn', async (t) => {
  const file = path.join(scratchFolder(t), 'deny.txt')
  fs.writeFileSync(file, Array.from({ length: 20_000 }, (_, i) => `10.${i >> 8}.${i & 255}.0/24`).join('\n'))
  let turns = 0
  let isDone = false
  const count = () => {
    turns++
    if (!isDone) setImmediate(count)
  }
  setImmediate(count)
  const networks = await Networks.inSteps([], [file])
  isDone = true
  t.equal(networks.count, 20_000)
  t.ok(turns >= 190, `${turns} turns`)
  t.equal(networks.has('10.77.200.3'), true)
  t.equal(networks.has('11.77.200.3'), false)
})

t.test('a banned user is ended, and kept out of logins, tickets and a new process', async (t) => {
  const settings = testSettings(t, '127.0.0.1:1')
  const running = await started(t, settings)
  const client = await tcpClient(t, running, 'ann')
  const { ticket, secret } = client.welcome!
  const post = (body: object) =>
    fetch(`${running.adminAddress}/bans`, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
    })
  t.equal((await post({ what: 'user:ann', forMs: 60_000, reason: 'cheats' })).status, 200)
  await client.until(() => client.closedWith !== undefined, 'CLOSE')
  t.equal(client.closedWith!.code, code.banned)
  t.match(await (await fetch(`${running.adminAddress}/bans`)).json(), [{ what: 'user:ann', reason: 'cheats' }])
  t.equal((await post({ what: 'nobody in particular' })).status, 400)
  await running.close()

  const again = await started(t, settings)
  const port = portOf(again, 'tcp')
  const login = overSocket(net.connect(port, '127.0.0.1'))
  void login.login('ann').catch(() => {})
  await login.until(() => login.closedWith !== undefined, 'CLOSE')
  t.equal(login.closedWith!.code, code.banned)
  const back = net.connect(port, '127.0.0.1')
  const resume = overSocket(back)
  await resume.until(() => resume.isGreeted, 'HELLO')
  const writer = new Writer()
  const proof = resumeProof(hmac, secret, resume.nonce!, new Uint8Array(0))
  writeResume(writer, { version: 1, proof, ticket, agent: 'test' })
  back.write(writer.drain())
  await resume.until(() => resume.closedWith !== undefined, 'CLOSE')
  t.equal(resume.closedWith!.code, code.banned)
  const other = await tcpClient(t, again, 'bob')
  t.ok(other.welcome)
})

t.test('what policies ban is kept, too, many at once', async (t) => {
  const folder = scratchFolder(t)
  const bans = new KeptBans(folder, () => t.fail('a warning'))
  const decide = (address: string) => bans.keepDecided({ of: 'address', address, user: '', ms: 60_000 })
  for (let i = 0; i < 12_000; i++) decide(`10.${i >> 8}.${i & 255}.1`)
  decide('2001:db8::7')
  t.equal(bans.list().length, 10_000, 'the most there are')
  bans.stop()
  const again = new KeptBans(folder, () => t.fail('a warning'))
  t.equal(again.list().length, 10_000)
  t.equal(again.hasAddress('10.1.7.1'), true)
  again.stop()
})

t.test('what a policy decides makes no ban shorter', async (t) => {
  let now = 1_000_000
  const bans = new KeptBans(
    scratchFolder(t),
    () => t.fail('a warning'),
    () => now,
  )
  t.teardown(() => bans.stop())
  const decide = (ms: number) => bans.keepDecided({ of: 'user', address: '', user: 'ann', ms })
  bans.add('user:ann', 60_000, 'cheats')
  decide(10_000)
  t.match(bans.list(), [{ untilWallMs: 1_060_000, reason: 'cheats' }])
  now += 10_000
  t.equal(bans.hasUser('ann'), true)
  decide(100_000)
  t.match(bans.list(), [{ untilWallMs: 1_110_000, reason: 'a policy' }])
})

t.test('a ban is one, however its network is written, and is taken back in any notation', async (t) => {
  const folder = scratchFolder(t)
  const bans = new KeptBans(folder, () => {})
  t.teardown(() => bans.stop())
  for (const what of ['203.0.113.7/24', '203.0.113.0/24', '2001:DB8:0::1/64', '2001:db8::/64'])
    bans.add(what, 60_000, '')
  for (const what of ['::ffff:192.0.2.1', '192.0.2.1', '::ffff:192.0.2.1/128', '10.9.8.7/32'])
    bans.add(what, 60_000, '')
  const names = () => bans.list().map(({ what }) => what)
  t.same(names(), ['203.0.113.0/24', '2001:db8::/64', '192.0.2.1/32', '10.9.8.7/32'])
  t.same(
    [bans.hasAddress('203.0.113.200'), bans.hasAddress('2001:db8::5'), bans.hasAddress('192.0.2.1')],
    [true, true, true],
  )
  t.ok(bans.remove('2001:0db8:0:0:ffff::/64'))
  t.notOk(bans.hasAddress('2001:db8::5'), 'lifted is lifted')
  t.ok(bans.remove('::ffff:192.0.2.1'))
  t.notOk(bans.hasAddress('192.0.2.1'))
  const again = new KeptBans(folder, () => {})
  t.teardown(() => again.stop())
  t.same(again.list(), bans.list(), 'and after a restart')
})

t.test('networks have one name each', async (t) => {
  const cases = [
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['255.255.255.255/1', '128.0.0.0/1'],
    ['10.1.255.1/15', '10.0.0.0/15'],
    ['::/0', '::/0'],
    ['ffff:ffff:ffff::1/33', 'ffff:ffff:8000::/33'],
    ['fe80::1%eth0', 'fe80::1/128'],
    ['::FFFF:a01:203/120', '10.1.2.0/24'],
    ['::ffff:10.1.2.3/95', '::fffe:0:0/95'],
    ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8/128'],
    ['64:ff9b::192.0.2.33/96', '64:ff9b::/96'],
    ['10.0.0.0/33', undefined],
    ['nobody', undefined],
  ] as const
  for (const [written, name] of cases) t.equal(networkName(written), name, written)
})

t.test('bans end by themselves, are bounded, and a broken file stops nobody', async (t) => {
  const folder = scratchFolder(t)
  let now = 1_000_000
  const warnings: string[] = []
  const bans = new KeptBans(
    folder,
    (text) => warnings.push(text),
    () => now,
  )
  t.teardown(() => bans.stop())
  t.equal(bans.add('10.1.0.0/16', 1000, ''), undefined)
  t.equal(bans.add('user:ann', 5000, ''), undefined)
  t.match(bans.add('10.1.0.0/40', 1000, ''), /neither/)
  t.match(bans.add('user:', 1000, ''), /neither/)
  t.same([bans.hasAddress('10.1.2.3'), bans.hasAddress('10.2.2.3'), bans.hasUser('ann')], [true, false, true])
  now += 1000
  t.same(
    bans.list().map(({ what }) => what),
    ['user:ann'],
  )
  bans.add('192.0.2.1', 1000, '')
  t.equal(bans.hasAddress('10.1.2.3'), false)
  t.equal(bans.remove('192.0.2.1'), true, 'by the name that was given')
  t.equal(bans.remove('192.0.2.1'), false)
  now += 4000
  t.equal(bans.hasUser('ann'), false)
  fs.writeFileSync(path.join(folder, 'bans.json'), '{"not": "a list')
  const broken = new KeptBans(
    folder,
    (text) => warnings.push(text),
    () => now,
  )
  t.same(broken.list(), [])
  t.equal(warnings.length, 1)
})

t.test('bans of thousands that end one by one are forgotten together', async (t) => {
  const bans = new KeptBans(scratchFolder(t), () => t.fail('a warning'))
  t.teardown(() => bans.stop())
  for (let i = 0; i < 9000; i++) {
    bans.keepDecided({ of: 'address', address: `10.${i >> 8}.${i & 255}.1`, user: '', ms: 1200 + i / 10 })
  }
  t.equal(bans.add('192.0.2.1', 60_000, ''), undefined)
  await eventually(() => !bans.hasAddress('10.0.0.1'), 'the first to be over')
  const before = performance.eventLoopUtilization()
  await eventually(() => !bans.hasAddress('10.35.39.1'), 'the last to be over')
  const { active } = performance.eventLoopUtilization(before)
  t.ok(active < 600, `${active} ms of work`)
  t.equal(bans.hasAddress('192.0.2.1'), true)
})

t.test('an operator is told when there are too many bans; one for years does not keep the process busy', async (t) => {
  const folder = scratchFolder(t)
  const kept = Array.from({ length: 9_999 }, (_, i) => ({
    what: `10.${i >> 8}.${i & 255}.0/24`,
    untilWallMs: Date.now() + 60_000,
    reason: '',
  }))
  const others = [{ what: 'nobody', untilWallMs: 1e15, reason: '' }, { what: '10.0.0.0/8' }, null, 7]
  fs.writeFileSync(path.join(folder, 'bans.json'), JSON.stringify([...others, ...kept]))
  const full = new KeptBans(folder, () => t.fail('a warning'))
  t.teardown(() => full.stop())
  t.equal(full.list().length, 9_999, 'what is no ban is left out')
  t.equal(full.add('user:ann', 1000, ''), undefined)
  t.match(full.add('user:bob', 1000, ''), /10000 bans, the most allowed/)
  t.equal(full.add('user:ann', 2000, ''), undefined, 'one that is there may be made longer')
  const bans = new KeptBans(scratchFolder(t), () => t.fail('a warning'))
  t.teardown(() => bans.stop())
  let warned = 0
  const overflow = (warning: Error) => {
    if (warning.name === 'TimeoutOverflowWarning') warned++
  }
  process.on('warning', overflow)
  t.teardown(() => process.off('warning', overflow))
  bans.add('192.0.2.1', 10 * 365 * 86_400_000, '')
  await new Promise((resolve) => setImmediate(resolve))
  t.equal(warned, 0)
  t.equal(bans.hasAddress('192.0.2.1'), true)
})

t.test('bans are enforced where admission is only observed; who is refused takes no place', async (t) => {
  const running = await gatewayWith(t, (s) => {
    s.admission = { limits: { ...limits, isObserved: true }, lists }
    s.limits.connectionsMax = 3
  })
  const admin = (body: object) =>
    fetch(`${running.adminAddress}/bans`, { method: 'POST', body: JSON.stringify(body) }).then(({ status }) => status)
  t.equal(await admin({ what: '127.0.0.1', forMs: 60_000, reason: '' }), 200)
  for (let i = 0; i < 6; i++) t.equal(await knock(t, portOf(running, 'tcp')), 'closed')
  const metrics = await (await fetch(`${running.adminAddress}/metrics`)).text()
  t.match(metrics, /^skewer_admission_refused_total\{reason="banned",mode="enforce"\} 6$/m, 'all of them by the ban')
})

t.test('a trusted proxy names the client by a PROXY header, also in pieces and before TLS or HTTP', async (t) => {
  const running = await gatewayWith(t, (s) => onEach(s, { proxyProtocol: ['127.0.0.0/8'] }))
  const socket = net.connect(portOf(running, 'tcp'), '127.0.0.1')
  socket.write('PROXY TCP4 203.0.113.9 ')
  await new Promise((resolve) => socket.once('connect', resolve))
  socket.write('198.51.100.7 40000 7777\r\n')
  const client = overSocket(socket)
  t.teardown(() => socket.destroy())
  await client.login('ann')
  t.same(addressesOf(running), ['203.0.113.9'])
  const web = net.connect(portOf(running, 'websocket'), '127.0.0.1')
  const upgrade =
    'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n'
  web.write(`PROXY TCP4 203.0.113.10 198.51.100.7 1 2\r\n${upgrade}Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`)
  t.teardown(() => web.destroy())
  await eventually(() => running.gateway.connections.size === 2, 'the upgrade')
  const addresses = [...running.gateway.connections].map(({ outlet }) => outlet.carrier.address)
  t.same(addresses, ['203.0.113.9', '203.0.113.10'])
})

t.test('an IPv4 address that a proxy writes as IPv6 is that IPv4 address, and players are not one /64', async (t) => {
  const running = await gatewayWith(t, (s) => {
    onEach(s, { proxyProtocol: ['127.0.0.0/8'] })
    s.admission = { lists: { ...lists, deny: ['192.0.2.66'] }, limits: { ...limits, perAddress: 1 } }
  })
  /** Version 2, TCP over IPv6: ::ffff:192.0.2.n */
  const connect = (n: number) => {
    const head = Buffer.from('0d0a0d0a000d0a515549540a21210024', 'hex')
    const source = Buffer.from(`${'00'.repeat(10)}ffffc0000200`, 'hex')
    source[15] = n
    const socket = net.connect(portOf(running, 'tcp'), '127.0.0.1')
    t.teardown(() => socket.destroy())
    socket.on('error', () => {}).write(Buffer.concat([head, source, Buffer.alloc(20)]))
    return socket
  }
  await overSocket(connect(1)).login('ann')
  await overSocket(connect(2)).login('bob')
  t.same(addressesOf(running).sort(), ['192.0.2.1', '192.0.2.2'])
  await new Promise((resolve) => connect(66).once('close', resolve))
  t.equal(running.gateway.connections.size, 2)
  const trusted = new Networks(['10.0.0.0/8'])
  for (const hop of ['::ffff:192.0.2.1', '0:0:0:0:0:ffff:c000:201', '[::FFFF:C000:201]:4711']) {
    t.equal(requestAddress(from(), { 'x-forwarded-for': hop }, trusted), '192.0.2.1', hop)
  }
  t.equal(requestAddress(from(), { 'x-forwarded-for': '2001:DB8:0:0::1' }, trusted), '2001:db8::1')
})

t.test('what stands in front and sends no PROXY header, or half of one, is closed', async (t) => {
  const running = await gatewayWith(t, (s) => onEach(s, { proxyProtocol: ['127.0.0.0/8'] }))
  const port = portOf(running, 'tcp')
  t.equal(await knock(t, port, 'GET / HTTP/1.1\r\n\r\n'), 'closed')
  t.equal(await knock(t, port, 'PROXY TCP4 203.0.'), 'closed', 'in the time of a handshake')
  t.equal(await knock(t, port), 'closed')
  const metrics = await (await fetch(`${running.adminAddress}/metrics`)).text()
  t.match(metrics, /reason="proxy_header"\} 3$/m)
  t.match(metrics, /^skewer_sockets_open 0$/m)
})

t.test('a PROXY header of somebody who is not trusted is garbage', async (t) => {
  const running = await gatewayWith(t, (s) => onEach(s, { proxyProtocol: ['192.0.2.0/24'] }))
  const socket = net.connect(portOf(running, 'tcp'), '127.0.0.1')
  t.teardown(() => socket.destroy())
  socket.write('PROXY TCP4 203.0.113.9 198.51.100.7 40000 7777\r\n')
  await new Promise((resolve) => socket.resume().once('close', resolve))
  t.same(
    running.gateway.sessions().map(({ connections }) => connections),
    [],
  )
})

t.test('admission judges the address that the PROXY header names', async (t) => {
  const running = await gatewayWith(t, (s) => {
    onEach(s, { proxyProtocol: ['127.0.0.0/8'] })
    s.admission = { limits, lists: { ...lists, deny: ['203.0.113.0/24'] } }
  })
  const port = portOf(running, 'tcp')
  t.equal(await knock(t, port, 'PROXY TCP4 203.0.113.9 198.51.100.7 1 2\r\n'), 'closed')
  t.equal(await knock(t, port, 'PROXY TCP4 203.0.114.9 198.51.100.7 1 2\r\n'), 'greeted')
})

const from = (peer = '10.0.0.1') => peer

t.test('Forwarded and X-Forwarded-For are believed hop by hop, from trusted proxies only', async (t) => {
  const trusted = new Networks(['10.0.0.0/8'])
  const of = (headers: { forwarded?: string; 'x-forwarded-for'?: string }, peer?: string) =>
    requestAddress(from(peer), headers, trusted)
  t.equal(of({ 'x-forwarded-for': '203.0.113.9' }), '203.0.113.9')
  t.equal(of({ 'x-forwarded-for': '1.1.1.1, 203.0.113.9, 10.0.0.7' }), '203.0.113.9', 'what is left of it is a claim')
  t.equal(of({ 'x-forwarded-for': '10.0.0.9, 10.0.0.7' }), '10.0.0.9', 'all trusted: the first')
  t.equal(of({ 'x-forwarded-for': '203.0.113.9' }, '192.0.2.1'), '192.0.2.1', 'a stranger says so')
  t.equal(of({ 'x-forwarded-for': 'unknown' }), '10.0.0.1')
  t.equal(of({ 'x-forwarded-for': '203.0.113.9, garbage' }), '10.0.0.1')
  t.equal(of({ 'x-forwarded-for': Array.from({ length: 40 }, () => '10.0.0.2').join(',') }), '10.0.0.1')
  t.equal(of({ forwarded: 'for=192.0.2.60;proto=http;by=203.0.113.43' }), '192.0.2.60')
  t.equal(of({ forwarded: 'for="[2001:db8:cafe::17]:4711"' }), '2001:db8:cafe::17')
  t.equal(of({ forwarded: 'for=_hidden, for=10.0.0.3' }), '10.0.0.3')
  t.equal(requestAddress(from(), { 'x-forwarded-for': '203.0.113.9' }, undefined), '10.0.0.1')
})

t.test('a WebSocket behind a trusted proxy is the named client, and judged as such', async (t) => {
  const running = await gatewayWith(t, (s) => {
    onEach(s, { forwarded: ['127.0.0.0/8'] })
    s.admission = { limits: { ...limits, perAddress: 1 }, lists: { ...lists, deny: ['203.0.113.66'] } }
  })
  const connect = (address: string) => openWebSocket(t, portOf(running, 'websocket'), { 'X-Forwarded-For': address })
  const first = await connect('203.0.113.9')
  t.not(first, 'closed')
  await overWebSocket(first as WebSocket).login('ann')
  t.same(addressesOf(running), ['203.0.113.9'])
  t.equal(await connect('203.0.113.66'), 'closed')
  t.equal(await connect('203.0.113.9'), 'closed', 'one connection of that client')
  t.not(await connect('203.0.113.10'), 'closed', 'the proxy itself is not counted')
  ;(first as WebSocket).terminate()
  await eventually(() => running.gateway.connections.size === 1, 'the first to be gone')
  t.not(await connect('203.0.113.9'), 'closed')
})
