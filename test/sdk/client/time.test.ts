import t from 'tap'
import { clientKind, writePair } from '../../../protocols/client/frames.ts'
import { code } from '../../../protocols/codes.ts'
import { Rig, text } from './rig.ts'

const pings = (rig: Rig, id: number) => rig.frames(id, true).filter((frame) => frame.kind === 'ping')

t.test('O1: PING at welcome, when it is quiet, and each heartbeat', async (t) => {
  const rig = new Rig()
  const id = rig.online()
  t.equal(pings(rig, id).length, 1)
  const times: number[] = []
  const from = rig.now
  while (rig.now - from < 40_000) {
    rig.pass(100)
    for (const ping of pings(rig, id)) {
      times.push(rig.now - from)
      rig.send(id, (w) => writePair(w, clientKind.pong, ping.first as number, 0))
    }
  }
  t.ok(times.length >= 4 && times.length <= 8, `${times.length} in four heartbeats`)
  t.equal(rig.core.state, 'online')
})

t.test('no byte for two heartbeats: the connection is lost', async (t) => {
  const rig = new Rig({ addresses: ['a', 'b'] })
  const channel = rig.channel()
  const id = rig.online()
  rig.accept(id)
  rig.pass(19_999)
  t.equal(rig.core.state, 'online')
  rig.pass(1)
  t.equal(channel.state, 'apart')
  t.same(rig.closed, [id])
  rig.pass(0)
  t.equal(rig.dials[1].address, 'b')
})

t.test('a PING of the gateway is answered', async (t) => {
  const rig = new Rig()
  const id = rig.online()
  rig.send(id, (w) => writePair(w, clientKind.ping, 4711, 0))
  t.match(rig.frames(id), [{ kind: 'pong', first: 4711, second: rig.now }])
})

t.test('the round trip is smoothed, and the server its time follows it', async (t) => {
  const rig = new Rig()
  const id = rig.online()
  t.equal(rig.core.serverTimeMs(rig.now), 1_700_000_000_000)
  for (let i = 0; i < 100; i++) {
    const sentAt = Math.floor(rig.now)
    rig.pass(40)
    // The server's clock is a second ahead of what WELCOME said.
    rig.send(id, (w) => writePair(w, clientKind.pong, sentAt, 1_700_000_001_000 + sentAt - 1000 + 20))
  }
  t.equal(Math.round(rig.core.rttMs), 40)
  const off = rig.core.serverTimeMs(rig.now) - (1_700_000_001_000 + rig.now - 1000)
  t.ok(Math.abs(off) < 5, `${off} ms off`)
  rig.send(id, (w) => writePair(w, clientKind.pong, rig.now + 5, 0))
  t.equal(Math.round(rig.core.rttMs), 40, 'an echo from the future is no sample')
})

t.test('O1: after the process stood still there is a grace: what was sent meanwhile may still wait', async (t) => {
  const rig = new Rig()
  const channel = rig.channel()
  const id = rig.online()
  rig.accept(id)
  channel.request('a.ask', text('?'), rig.now + 5000, rig.now)
  rig.pass(1000)
  rig.core.deadline()
  rig.now += 60_000
  rig.core.tick(rig.now)
  rig.turn()
  t.equal(channel.state, 'attached', 'not given up at once')
  t.same(rig.outcomes, [], 'no deadline has passed yet')
  rig.reply(id, 0, 1, 1, code.ok, 'it waited in the socket')
  t.match(rig.outcomes, [{ outcome: { code: code.ok } }])
  rig.pass(10_000)
  t.equal(rig.core.state, 'online', 'the answer was heard')
  rig.pass(10_000)
  t.not(rig.core.state, 'online', 'but silence after the grace is silence')
})

t.test('a stall is seen by whatever comes first', async (t) => {
  const rig = new Rig()
  const id = rig.online()
  rig.pass(1000)
  rig.core.deadline()
  rig.now += 30_000
  rig.core.receive(id, new Uint8Array(0), rig.now)
  rig.pass(0)
  t.equal(rig.core.state, 'online')
})

t.test('nothing is due once it is closed', async (t) => {
  const rig = new Rig()
  const channel = rig.channel()
  const id = rig.online()
  rig.accept(id)
  rig.core.close(rig.now)
  t.match(rig.frames(id), [{ kind: 'close', code: code.closed }])
  t.equal(channel.state, 'ended')
  t.equal(rig.core.deadline(), Infinity)
  t.equal(rig.core.state, 'offline')
  t.same(rig.log.slice(-3), ['ended room 511', 'session ended 511', 'state offline'])
})

t.test('whoever waits for an ACK asks every two seconds of silence whether the gateway is there', async (t) => {
  const rig = new Rig()
  const channel = rig.channel()
  const id = rig.online()
  rig.accept(id)
  rig.keepAlive(id, 6000)
  pings(rig, id)
  rig.pass(2500)
  t.equal(pings(rig, id).length, 0, 'nothing is owed')
  channel.send('a.b', text('x'), rig.now)
  rig.pass(1)
  t.equal(pings(rig, id).length, 1, 'silent for longer')
  rig.pass(4000)
  t.equal(pings(rig, id).length, 2)
  rig.lane(id, 'ack', 0, 1)
  rig.pass(900)
  t.equal(pings(rig, id).length, 0)
})
