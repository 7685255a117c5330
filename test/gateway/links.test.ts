// Links and hosts: proof of the key, instances and serials, heartbeats, back-off, draining, leaving, being removed.
import t from 'tap'
import { writeClose, writePair } from '../../protocols/client/frames.ts'
import { code } from '../../protocols/codes.ts'
import { writeLinkHello, writeLinkProof } from '../../protocols/link/frames.ts'
import { linkProof } from '../../protocols/link/proof.ts'
import { laneKind, writeOneway } from '../../protocols/wire/lane-frames.ts'
import { attachedPair, bytes, clientKind, hmac, host as hostSettings, linkKind, offers, read, World } from './world.ts'

t.test('L4: the gateway shows its proof over both hellos', async (t) => {
  const world = new World()
  const host = world.dial('h1').open(offers, 'between us', 5n, 1)
  const proof = read.linkProof(host.only(linkKind.proof)[0])
  const own = { nonce: host.nonce, name: 'h1' }
  const theirs = { nonce: host.hello!.nonce, name: 'g1' }
  t.same(proof, linkProof(hmac, bytes('between us'), 'gateway', theirs, own))
  t.match(world.event('link_opened'), [{ host: 'h1', instance: '5', serial: 1 }])
  t.match(world.gateway.hosts()[0], { host: 'h1', state: 'linked', services: ['arena', 'chat'] })
})

t.test('L4: a wrong key, none where one is configured, or a reflected proof is refused', async (t) => {
  for (const key of ['something else', '']) {
    const world = new World()
    const host = world.dial('h1').open(offers, key, 1n, 1)
    t.equal(host.carrier.closedWith, code.link_auth)
    t.equal(world.gateway.readiness().ready, false)
  }
  const world = new World()
  const mirror = world.dial('h1')
  const hello = read.linkHello(mirror.only(linkKind.hello)[0])
  writeLinkHello(mirror.w, { ...hello, name: 'h1', services: offers })
  mirror.send()
  const proof = read.linkProof(mirror.only(linkKind.proof)[0])
  writeLinkProof(mirror.w, proof)
  mirror.send()
  t.equal(mirror.carrier.closedWith, code.link_auth)
})

t.test('L4: two ends without a key accept each other', async (t) => {
  const world = new World({ linkKey: undefined })
  const host = world.dial('h1').open(offers, '', 1n, 1)
  t.equal(host.carrier.closedWith, undefined)
  t.equal(world.gateway.readiness().ready, true)
})

t.test('a host of another name or version, or one that says something else first, is refused', async (t) => {
  const world = new World()
  const other = world.dial('h1')
  other.name = 'h2'
  other.open(offers, 'between us', 1n, 1)
  t.equal(other.carrier.closedWith, code.link_auth)
  const future = world.dial('h1')
  writeLinkHello(future.w, {
    versionMin: 2,
    versionMax: 3,
    nonce: future.nonce,
    name: 'h1',
    instance: 1n,
    serial: 1,
    services: [],
    labels: {},
  })
  future.send()
  t.equal(future.carrier.closedWith, code.version)
  const early = world.dial('h1')
  writeLinkProof(early.w, new Uint8Array(32))
  early.send()
  t.equal(early.carrier.closedWith, code.protocol)
  const silent = world.dial('h1')
  world.pass(5000)
  t.equal(silent.carrier.closedWith, code.handshake_timeout)
})

t.test('L1: new channels go to the highest serial of an instance, old ones stay where they are', async (t) => {
  const world = new World()
  const { client, host, handle } = attachedPair(world)
  const second = world.host('h1', 1n, 2)
  client.attach({ alias: 1, key: 'b' })
  t.equal(host.attaches().length, 0)
  t.equal(second.attaches().length, 1)
  host.route(0, 'arena.x')
  client.take()
  writeOneway(host.w, handle, 1, 0, bytes('still'))
  host.send()
  t.equal(client.only(laneKind.oneway).length, 1)
  second.carrier.events!.closed(world.now)
  world.turn()
  client.attach({ alias: 2, key: 'c' })
  t.equal(host.attaches().length, 1, 'and back when the newer ends')
})

t.test('L1: another instance of the same name is a restart: what its predecessor held is lost', async (t) => {
  const world = new World()
  const { client, host } = attachedPair(world)
  client.take()
  const again = world.host('h1', 2n, 1)
  t.equal(read.detached(client.take()[0]).code, code.host_lost)
  t.equal(host.carrier.closedWith, code.host_lost)
  client.attach({ epoch: 2, life: 7n })
  t.equal(again.attaches().length, 1)
})

t.test('a link that falls silent ends after two heartbeats; one that answers does not', async (t) => {
  const world = new World({ hosts: [hostSettings('h1'), hostSettings('h2')] })
  const silent = world.host('h1')
  const alive = world.host('h2')
  for (let i = 0; i < 5; i++) {
    world.pass(2400)
    for (const ping of alive.only(linkKind.ping)) writePair(alive.w, linkKind.pong, read.pair(ping).first, 0)
    world.now += 3
    alive.send()
  }
  t.equal(silent.carrier.closedWith, code.idle)
  t.equal(alive.carrier.closedWith, undefined)
})

t.test('a gateway answers the pings of its hosts', async (t) => {
  const world = new World()
  const host = world.host()
  writePair(host.w, linkKind.ping, 77, 0)
  writePair(host.w, linkKind.load, 5, 900)
  host.send()
  t.match(read.pair(host.only(linkKind.pong)[0]), { first: 77, second: world.wall })
  t.equal(world.gateway.hosts()[0].busyThousandths, 900)
})

t.test(
  'a host that cannot be reached is dialled again, later each time, and at once no more when linked',
  async (t) => {
    const world = new World()
    const waits: number[] = []
    for (let i = 0; i < 9; i++) {
      world.gateway.linkFailed('h1', 'refused', world.now)
      const before = world.dialled.length
      const from = world.now
      while (world.dialled.length === before) world.pass(10)
      waits.push(world.now - from)
    }
    t.ok(waits[0] <= 110 && waits[0] >= 50)
    t.ok(waits[8] <= 5010 && waits[8] >= 2500)
    world.host()
    const dialled = world.dialled.length
    for (let i = 0; i < 4; i++) world.pass(2000)
    t.equal(world.dialled.length, dialled)
  },
)

t.test('a draining host gets no new actors, but the channels pinned to it', async (t) => {
  const world = new World({ hosts: [hostSettings('h1'), hostSettings('h2')] })
  const h1 = world.host('h1')
  const h2 = world.host('h2')
  const c = world.client().login('ann')
  c.attach()
  const draining = h1.attaches().map((a) => h1.attached(a))[0] ?? h2
  if (draining === h2) h2.attached({ handle: 0, epoch: 1, life: 0n } as never)
  const { pin } = read.attached(c.only(clientKind.attached)[0])
  writeClose(draining.w, linkKind.drain, { code: code.going_away, retryMs: 1000, text: '' })
  draining.send().take()
  for (let i = 0; i < 10; i++) c.attach({ alias: i + 1, key: `k${i}` })
  t.equal(draining.attaches().length, 0)
  c.attach({ epoch: 2, life: 7n, pin })
  t.equal(draining.attaches().length, 1)
  t.equal(world.event('host_draining').length, 1)
})

t.test('a host that drained and comes back gets new actors again', async (t) => {
  const world = new World()
  const host = world.host('h1')
  writeClose(host.w, linkKind.drain, { code: code.going_away, retryMs: 1000, text: '' })
  host.send()
  t.equal(world.gateway.hostTable.choose('arena', 'k'), undefined)
  host.carrier.events!.closed(world.now)
  world.host('h1', 2n, 1)
  t.equal(world.gateway.hostTable.choose('arena', 'k')?.name, 'h1')
})

t.test(
  'P3: a host that was never met is waited for only as long as a gateway that has just started cannot know',
  async (t) => {
    const world = new World()
    const { hostTable, times } = world.gateway
    t.equal(hostTable.named('unmet', world.now)?.name, 'unmet')
    world.pass(times.goneAfterMs)
    t.equal(hostTable.named('unmet', world.now), undefined)
    t.equal(hostTable.named('another', world.now), undefined)
  },
)

t.test('P3: GOODBYE detaches at once and gives the pins up', async (t) => {
  const world = new World({ hosts: [hostSettings('h1'), hostSettings('h2')] })
  const hosts = [world.host('h1'), world.host('h2')]
  const c = world.client().login('ann')
  c.attach()
  const leaving = hosts.find((h) => h.attaches().map((a) => h.attached(a)).length)!
  const staying = hosts[1 - hosts.indexOf(leaving)]
  const { pin } = read.attached(c.only(clientKind.attached)[0])
  writeClose(leaving.w, linkKind.goodbye, { code: code.going_away, retryMs: 0, text: '' })
  leaving.send()
  t.equal(read.detached(c.only(clientKind.detached)[0]).code, code.host_lost)
  c.attach({ epoch: 2, life: 7n, pin })
  t.match(staying.attaches()[0], { pinnedGone: true })
})

t.test('P3: a removed host is drained, then gone; one that comes back meanwhile stays', async (t) => {
  const world = new World({ hosts: [hostSettings('h1'), hostSettings('h2')] })
  const h1 = world.host('h1')
  const h2 = world.host('h2')
  const c = world.client().login('ann')
  world.gateway.setHosts([hostSettings('h2')], world.now)
  for (let i = 0; i < 10; i++) c.attach({ alias: i, key: `k${i}` })
  t.equal(h1.attaches().length, 0)
  t.equal(h2.attaches().length, 10)
  world.pass(4000)
  for (const h of [h1, h2]) {
    writePair(h.w, linkKind.ping, 0, 0)
    h.send()
  }
  world.pass(6000)
  t.equal(h1.carrier.closedWith, code.going_away)
  t.match(world.event('host_gone'), [{ host: 'h1', reason: 'removed' }])
  t.equal(world.gateway.hosts()[0].state, 'gone')
  world.gateway.setHosts([hostSettings('h2'), hostSettings('h3')], world.now)
  t.ok(world.dialled.includes('h3'))
  world.gateway.setHosts([hostSettings('h3')], world.now)
  world.gateway.setHosts([hostSettings('h2'), hostSettings('h3')], world.now)
  for (let i = 0; i < 10; i++) {
    world.pass(2000)
    writePair(h2.w, linkKind.ping, 0, 0)
    h2.send()
  }
  t.equal(h2.carrier.closedWith, undefined)
  world.client().login('bob').attach({ key: 'another' })
  t.equal(h2.attaches().length, 1, 'and it gets new actors')
})

t.test('P3: a host that was removed and is gone is dialled when it is named again, once', async (t) => {
  const world = new World({ hosts: [hostSettings('h1'), hostSettings('h2')] })
  world.host('h1')
  world.host('h2')
  world.gateway.setHosts([hostSettings('h2')], world.now)
  world.pass(10_000)
  t.match(world.event('host_gone'), [{ host: 'h1', reason: 'removed' }])
  const dials = () => world.dialled.filter((name) => name === 'h1').length
  const before = dials()
  for (let i = 0; i < 3; i++) world.gateway.setHosts([hostSettings('h1'), hostSettings('h2')], world.now)
  t.equal(dials(), before + 1)
  world.host('h1')
  world.gateway.setHosts([hostSettings('h1'), hostSettings('h2')], world.now)
  t.equal(dials(), before + 1, 'one that is linked is not')
})

t.test('P3: a gone host is remembered while a host never met would be waited for, and then forgotten', async (t) => {
  const world = new World()
  world.host()
  world.gateway.setHosts([], world.now)
  for (let i = 0; i < 12; i++) world.pass(10_000)
  t.equal(world.gateway.hosts().length, 0)
  t.equal(world.gateway.deadlines.size, 0)
})

t.test('a host whose address has changed is dialled there', async (t) => {
  const world = new World()
  const host = world.host()
  world.gateway.setHosts([{ ...hostSettings('h1'), address: 'elsewhere:2' }], world.now)
  world.turn()
  t.equal(host.carrier.closedWith, code.going_away)
  const before = world.dialled.length
  world.pass(200)
  t.equal(world.dialled.length, before + 1)
})

t.test(
  'a host with another key or other TLS settings is dialled anew; one that is written the same is left alone',
  async (t) => {
    const base = { ...hostSettings('h1'), security: 'tls' as const, tls: { caFile: 'a.crt', serverName: 'h1' } }
    const others = [
      { ...base, tls: { caFile: 'b.crt', serverName: 'h1' } },
      { ...base, tls: { caFile: 'a.crt', serverName: 'h2' } },
      { ...base, tls: { ...base.tls, certFile: 'own.crt' } },
      { ...base, tls: { ...base.tls, keyFile: 'own.key' } },
      { ...base, tls: undefined },
      { ...base, publicKey: 'another' },
    ]
    for (const other of others) {
      const world = new World({ hosts: [base] })
      const host = world.host()
      world.gateway.setHosts([{ ...base, tls: { ...base.tls }, weight: 2 }], world.now)
      world.turn()
      t.equal(host.carrier.closedWith, undefined, 'another weight')
      const before = world.dialled.length
      world.gateway.setHosts([other], world.now)
      world.turn()
      t.equal(host.carrier.closedWith, code.going_away, JSON.stringify(other))
      world.pass(200)
      t.equal(world.dialled.length, before + 1)
    }
  },
)

t.test(
  'a dial that was under way when the settings changed comes to nothing, and the next one goes by the new',
  async (t) => {
    const before = { ...hostSettings('h1'), security: 'noise' as const, publicKey: 'old' }
    const world = new World({ hosts: [before] })
    t.equal(world.dialled.length, 1)
    world.gateway.setHosts([{ ...before, publicKey: 'new' }], world.now)
    const late = world.dial('h1').open(offers, 'between us', 1n, 1)
    t.equal(late.carrier.closedWith, code.going_away)
    t.not(world.gateway.hosts()[0].state, 'linked')
    world.pass(200)
    t.equal(world.dialled.length, 2)
    t.equal(world.host().carrier.closedWith, undefined)
    t.equal(world.gateway.hosts()[0].state, 'linked')
  },
)

t.test('garbage on a link closes that link, and its channels attach anew', async (t) => {
  const garbage: ((h: ReturnType<World['host']>) => void)[] = [
    (h) => h.w.begin(laneKind.oneway).varint(0).end(),
    (h) => writeOneway(h.w, 0, 1, 99, bytes('route')),
    (h) => h.w.begin(linkKind.attached).varint(0).end(),
    (h) => h.w.begin(linkKind.hello).end(),
    (h) => h.w.begin(0x3e).end(),
    (h) => h.w.begin(linkKind.route).varint(100_000).text('x').end(),
    (h) => h.w.u8(0),
  ]
  for (const write of garbage) {
    const world = new World()
    const { client, host } = attachedPair(world)
    client.take()
    write(host)
    host.send()
    t.equal(host.carrier.closedWith, code.protocol)
    t.equal(read.detached(client.take()[0]).code, code.link_lost)
  }
  const world = new World()
  const host = world.host()
  host.w.begin(0xbe).end()
  // Extended, with an extension that is critical and unknown.
  host.w
    .begin(0xff)
    .raw(new Uint8Array([2, 1, 0]))
    .end()
  host.send()
  t.equal(host.carrier.closedWith, undefined, 'an unknown frame that may be skipped is')
})

t.test('L3: names that clients invent cannot use up the numbers of a link for others', async (t) => {
  const world = new World()
  const { client, host } = attachedPair(world)
  host.take()
  writeOneway(client.w, 0, 1, 1, bytes('configured by name'))
  client.send()
  const slow = read.route(host.take()[0])
  const flood = world.client().login('eve')
  for (let round = 0; round < 2; round++) {
    flood.attach({ alias: round, key: `flood ${round}` })
    host.attached(host.attaches()[0])
    for (let i = round * 500; i < round * 500 + 500; i++) {
      flood.route(i, `arena.invented.${i}`)
      writeOneway(flood.w, round, i - round * 500 + 1, i, bytes('x'))
    }
    flood.send()
    world.pass(4000)
    writePair(host.w, linkKind.ping, 0, 0)
    host.send()
  }
  const more = world.client().login('mal')
  more.attach({ key: 'more' })
  host.attached(host.attaches()[0])
  for (let i = 0; i < 500; i++) {
    more.route(i, `arena.more.${i}`)
    writeOneway(more.w, 0, i + 1, i, bytes('x'))
  }
  more.send()
  const names = new Map<number, string>()
  const seen: string[] = []
  for (const frame of host.take()) {
    if (frame.kind === linkKind.route) names.set(read.route(frame).number, read.route(frame).name)
    else if (frame.kind === laneKind.oneway) seen.push(names.get(frame.lane!.route) ?? '')
  }
  t.same(
    seen.filter((name) => name.startsWith('arena.more')),
    Array.from({ length: 500 }, (_, i) => `arena.more.${i}`),
  )
  t.ok(Math.max(...names.keys()) < 1024)
  t.notOk(names.has(slow.number), 'a configured name keeps its number')
  writeOneway(client.w, 0, 2, 0, bytes('mine'))
  client.send()
  const last = host.take()
  for (const frame of last)
    if (frame.kind === linkKind.route) names.set(read.route(frame).number, read.route(frame).name)
  const mine = last.find((frame) => frame.lane)!
  t.equal(names.get(mine.lane!.route) ?? 'arena.move', 'arena.move')
})

t.test('P2: a gateway that has met one host only chooses as one that has met them all', async (t) => {
  const heavy = [{ name: 'arena', weight: 100, keys: 1, park: true }]
  const hosts = [hostSettings('h1'), hostSettings('h2'), hostSettings('h3')]
  const all = new World({ hosts })
  for (const { name } of hosts) all.host(name, 1n, 1, heavy)
  const one = new World({ hosts })
  one.host('h2', 1n, 1, heavy)
  for (let i = 0; i < 100; i++) {
    const chosen = [all, one].map((world) => world.gateway.hostTable.choose('arena', `k${i}`)?.name)
    t.equal(chosen[0], chosen[1])
  }
})

t.test('P2: a host that was never met is no candidate for services that its configuration does not name', async (t) => {
  const world = new World({ hosts: [hostSettings('h1'), { ...hostSettings('h2'), services: ['chat'] }] })
  world.host('h1', 1n, 1, [{ name: 'arena', weight: 100, keys: 1, park: true }])
  for (let i = 0; i < 50; i++) t.equal(world.gateway.hostTable.choose('arena', `k${i}`)?.name, 'h1')
  t.equal(world.gateway.hostTable.choose('chat', 'k')?.name, 'h2')
})

t.test('L3: a number that went to another name is announced again before its old name is used', async (t) => {
  const world = new World()
  const { client, host } = attachedPair(world)
  writeOneway(client.w, 0, 1, 1, bytes('configured by name'))
  client.send()
  const names = new Map<number, string>()
  const seen: string[] = []
  const read1 = () => {
    for (const frame of host.take()) {
      if (frame.kind === linkKind.route) names.set(read.route(frame).number, read.route(frame).name)
      else if (frame.kind === laneKind.oneway) seen.push(names.get(frame.lane!.route) ?? 'unknown')
    }
  }
  read1()
  const slow = [...names].find(([, name]) => name === 'arena.slow')![0]
  const inventors = Array.from({ length: 5 }, (_, k) => {
    const c = world.client().login(`eve${k}`)
    c.attach({ key: `flood ${k}` })
    host.attached(host.attaches()[0])
    for (let i = 0; i < 500; i++) c.route(i, `arena.${k}.${i}`)
    return c
  })
  for (const [k, c] of inventors.entries()) {
    for (let i = 0; i < 500; i++) writeOneway(c.w, 0, i + 1, i, bytes('x'))
    c.send()
    read1()
    t.same(
      seen.splice(0).slice(-500),
      Array.from({ length: 500 }, (_, i) => `arena.${k}.${i}`),
    )
  }
  t.equal(names.get(slow), 'arena.slow', 'what is configured by name keeps its number')
  writeOneway(inventors[0].w, 0, 501, 7, bytes('again'))
  inventors[0].send()
  read1()
  t.same(seen, ['arena.0.7'])
  t.equal(Math.max(...names.keys()), 1023)
})
