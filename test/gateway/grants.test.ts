// W5 on the way: what the channels of a client may have on it together, and what becomes of it when they end.
import t from 'tap'
import { nextGrant } from '../../gateway/grants.ts'
import { code } from '../../protocols/codes.ts'
import { writeNotHere } from '../../protocols/link/frames.ts'
import { laneKind, writeOneway, writeRequest } from '../../protocols/wire/lane-frames.ts'
import { attachedPair, bytes, host, testSettings, World } from './world.ts'

const { limits } = testSettings()

t.test('W5: whatever is granted, the sum stays within its limit, and no channel gets less than its part', async (t) => {
  for (const grantedBytesMax of [2048, 10_000, 262_144, 1_000_000]) {
    for (const channelsPerSession of [1, 2, 5, 16]) {
      const own = { ...limits, grantedBytesMax, channelsPerSession }
      let sum = 0
      for (let count = 0; count < channelsPerSession; count++) {
        const { windowBytes, replyBytes } = nextGrant(own, sum, count)
        const part = Math.floor(grantedBytesMax / (2 * channelsPerSession))
        t.ok(windowBytes + replyBytes >= Math.min(part, limits.windowBytes), `${count}: ${windowBytes + replyBytes}`)
        t.ok(windowBytes >= 1 && replyBytes >= 0)
        sum += windowBytes + replyBytes
      }
      t.ok(sum <= grantedBytesMax, `${sum} of ${grantedBytesMax}`)
    }
  }
})

t.test('W5: the first channel has its whole window', async (t) => {
  t.equal(nextGrant(limits, 0, 0).windowBytes, 65_536)
})

t.test('W5: hosts are told their shares, and a channel that ends gives its own back', async (t) => {
  const world = new World()
  const h = world.host()
  const c = world.client().login('ann')
  const granted: number[] = []
  for (let alias = 0; alias < 16; alias++) {
    c.attach({ alias, key: `room${alias}`, epoch: alias + 1 })
    const a = h.attaches()[0]
    granted.push(a.grantedBytes)
    h.attached(a)
  }
  t.equal(granted[0], 65_536)
  t.ok(granted.reduce((a, b) => a + b) <= limits.grantedBytesMax, `${granted}`)
  t.ok(Math.min(...granted) >= 6 * 1024, `${granted}`)
  c.take()
  const connection = [...world.gateway.connections][0]
  const bytesOfAll = connection.grants.bytes
  // The same channel again and again: what the former attach had is free.
  for (let epoch = 20; epoch < 40; epoch++) {
    c.attach({ alias: 15, key: 'room15', epoch })
    const a = h.attaches()[0]
    t.equal(a.grantedBytes, granted[15])
    h.attached(a)
  }
  t.equal(connection.grants.bytes, bytesOfAll)
  t.equal(connection.grants.count, 16)
  h.carrier.events!.closed(world.now)
  t.equal(connection.grants.bytes, 0, 'without a host nothing is granted')
  t.equal(connection.grants.count, 0)
})

t.test('W5: what a host answers with NOT_HERE is granted once, to the next one', async (t) => {
  const world = new World({ hosts: [host('h1'), host('h2')] })
  const hosts = [world.host('h1'), world.host('h2')]
  const c = world.client().login('ann')
  c.attach({ key: 'room' })
  const granted: number[] = []
  for (let hops = 0; hops < 2; hops++) {
    for (const [i, h] of hosts.entries()) {
      for (const a of h.attaches()) {
        granted.push(a.grantedBytes)
        writeNotHere(h.w, { handle: a.handle, epoch: 1, host: hosts[1 - i].name })
        h.send()
      }
    }
  }
  t.ok(granted.length >= 2)
  for (const each of granted) t.equal(each, 65_536)
})

t.test('W5: while more waits than channels may have, requests are refused and messages are not (R1)', async (t) => {
  const world = new World({ limits: { ...limits, windowBytes: 4096, replyBytesMax: 4096, grantedBytesMax: 16_384 } })
  const { client, host: h, handle } = attachedPair(world)
  h.route(0, 'arena.x').take()
  client.take()
  client.carrier.isReading = false
  for (let n = 1; n <= 17; n++) writeOneway(h.w, handle, n, 0, new Uint8Array(1024))
  h.send()
  writeRequest(client.w, 0, 1, 0, 1, 1000, bytes('?'))
  writeOneway(client.w, 0, 2, 0, bytes('!'))
  client.send()
  const [skip, oneway] = h.take().filter((frame) => frame.lane !== undefined)
  t.match(skip.lane, { kind: laneKind.skip, number: 1, count: 1, code: code.busy })
  t.match(oneway.lane, { kind: laneKind.oneway, number: 2 })
  client.carrier.read(world.now)
  writeRequest(client.w, 0, 3, 0, 2, 1000, bytes('?'))
  client.send()
  t.equal(h.only(laneKind.request).length, 1, 'it has read')
})
