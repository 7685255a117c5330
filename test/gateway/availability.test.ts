// What a host that is away may do to a session, and what a reload may do to a channel: refuse attaches, never numbers;
// nothing to the session's other channels; and a channel keeps its actor.
import t from 'tap'
import { code } from '../../protocols/codes.ts'
import { laneKind, writeOneway } from '../../protocols/wire/lane-frames.ts'
import { attachedPair, bytes, clientKind, host, linkKind, read, testSettings, World } from './world.ts'

t.test(
  'R5: a host that goes away settles no number: its channels are detached, new attaches wait or are refused',
  async (t) => {
    const world = new World()
    const { client, host } = attachedPair(world)
    client.take()
    writeOneway(client.w, 0, 1, 0, bytes('on its way'))
    client.send()
    host.carrier.events!.closed(world.now)
    world.turn()
    writeOneway(client.w, 0, 2, 0, bytes('behind it'))
    client.send()
    const frames = client.take()
    t.strictSame(
      frames.map((frame) => frame.kind),
      [clientKind.detached],
      'neither REJECT nor ACK',
    )
    client.attach({ epoch: 2 })
    t.equal(client.only(clientKind.parked).length, 1)
    client.attach({ alias: 1, epoch: 3, service: 'chat', key: 'ann' })
    t.equal(read.answer(client.only(clientKind.refused)[0]).code, code.host_away)
    t.equal(client.carrier.closedWith, undefined)
  },
)

t.test('A9: one channel of a session waits or is refused while another is attached', async (t) => {
  const arena = [{ name: 'arena', weight: 1, keys: 1, park: true }]
  const chat = [{ name: 'chat', weight: 1, keys: 0, park: false }]
  const world = new World({ hosts: [host('h1'), host('h2')] })
  const h1 = world.host('h1', 1n, 1, arena)
  const h2 = world.host('h2', 1n, 1, chat)
  const { client } = attachedPair(world, 'room', h1)
  client.take()
  h2.carrier.events!.closed(world.now)
  world.turn()
  client.attach({ alias: 1, epoch: 2, service: 'chat', key: 'ann' })
  t.equal(read.answer(client.only(clientKind.refused)[0]).code, code.host_away)
  h1.take()
  writeOneway(client.w, 0, 1, 0, bytes('goes on'))
  client.send()
  t.equal(h1.only(laneKind.oneway)[0].payload, 'goes on')
})

t.test(
  'S6: a route that moves to another service is refused on the channel it was on, which keeps its actor',
  async (t) => {
    const world = new World()
    const { client, host, handle } = attachedPair(world)
    client.take()
    host.take()
    const routes = [
      { match: 'arena.move', service: 'chat' },
      { match: 'arena.slow', service: 'arena' },
    ]
    world.gateway.configure({ ...testSettings(), routes }, world.now)
    writeOneway(client.w, 0, 1, 0, bytes('to whom?'))
    writeOneway(client.w, 0, 2, 1, bytes('still here'))
    client.send()
    const frames = client.take()
    t.strictSame(
      frames.map((frame) => frame.kind),
      [laneKind.reject],
      'and not detached',
    )
    t.equal(frames[0].lane!.code, code.no_route)
    const lanes = host.take().filter((frame) => frame.kind !== linkKind.route)
    t.match(lanes, [
      { kind: laneKind.skip, lane: { channel: handle } },
      { kind: laneKind.oneway, lane: { channel: handle }, payload: 'still here' },
    ])
  },
)
