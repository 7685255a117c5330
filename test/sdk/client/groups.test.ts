import t from 'tap'
import type { Join } from '../../../protocols/client/frames.ts'
import { clientKind, writeJoin, writeNumber, writePublished } from '../../../protocols/client/frames.ts'
import { code } from '../../../protocols/codes.ts'
import { decodeRecover, encodeRecovered } from '../../../protocols/session/group-member.ts'
import { writeReplay, writeReply } from '../../../protocols/wire/lane-frames.ts'
import { Rig, text } from './rig.ts'

class Room {
  readonly rig = new Rig()
  readonly channel = this.rig.channel()
  id: number

  constructor() {
    this.id = this.rig.online()
    this.rig.accept(this.id)
    this.rig.route(this.id, 0, 'say')
  }

  join(changes: Partial<Join> = {}): void {
    const join = { channel: 0, group: 70_000, recoverable: true, name: 'chat', life: 3n, offset: 5, ...changes }
    this.rig.send(this.id, (w) => writeJoin(w, clientKind.join, join))
  }

  publish(offset: number, group = 70_000): void {
    const payload = text(`p${offset}`)
    this.rig.send(this.id, (w) => writePublished(w, group, 0, offset, payload, 0, payload.length))
  }

  replay(number: number, offset: number, life = 3n): void {
    this.rig.send(this.id, (w) => writeReplay(w, 0, number, 0, 'chat', life, offset, text(`p${offset}`)))
  }

  /** The RECOVERs that were written since, as the host reads them. */
  recovers(): { request: number; offset: number; life: bigint; name: string }[] {
    const asked = this.rig.frames(this.id).filter((frame) => frame.kind === 'request')
    return asked.map((frame) => ({ request: frame.request as number, ...decodeRecover(frame.payloadBytes as never)! }))
  }

  answer(number: number, request: number, offset: number, missed = false, life = 3n): void {
    this.rig.send(this.id, (w) => writeReply(w, 0, number, request, code.ok, encodeRecovered({ missed, life, offset })))
  }

  get seen(): string {
    return this.rig.publications.map((line) => line.split(' ')[1]).join(' ')
  }
  get replayed(): string {
    return this.rig.delivered.map(({ message }) => message.offset).join(' ')
  }
}

t.test('G1: a plain group delivers what comes; after LAG something is missing', async (t) => {
  const room = new Room()
  room.join({ recoverable: false, life: 0n, offset: 0 })
  room.publish(0)
  room.publish(0)
  t.equal(room.rig.publications.length, 2)
  room.rig.send(room.id, (w) => writeNumber(w, clientKind.lag, 70_000))
  t.ok(room.rig.log.includes('missed chat some'))
})

t.test('G3: last + 1 is delivered, what is not above is dropped', async (t) => {
  const room = new Room()
  room.join()
  for (const offset of [4, 5, 6, 6, 7]) room.publish(offset)
  t.equal(room.seen, '6 7')
  t.same(room.recovers(), [])
})

t.test('G3: on anything further nothing is delivered, and one RECOVER is open', async (t) => {
  const room = new Room()
  room.join()
  room.publish(8)
  const [recover, ...more] = room.recovers()
  t.match(recover, { name: 'chat', life: 3n, offset: 5 })
  t.same(more, [])
  room.publish(9)
  t.same(room.recovers(), [], 'one at a time')
  t.equal(room.seen, '')
  room.replay(1, 6)
  room.replay(2, 7)
  room.replay(3, 8)
  room.replay(4, 9)
  room.answer(5, recover.request, 9)
  room.publish(10)
  t.equal(room.replayed, '6 7 8 9', 'in the order of the offsets, through the lane')
  t.equal(room.seen, '10')
  t.same(room.recovers(), [])
  t.equal(room.rig.outcomes.length, 0, 'the answer is the SDK its own')
})

t.test('G3: what was published between the answer and its arrival is asked for again', async (t) => {
  const room = new Room()
  room.join()
  room.publish(7)
  const [recover] = room.recovers()
  room.publish(8)
  room.replay(1, 6)
  room.replay(2, 7)
  room.answer(3, recover.request, 7)
  t.match(room.recovers(), [{ offset: 7 }])
})

t.test('G2: what the history has not any more is missed', async (t) => {
  const room = new Room()
  room.join()
  room.publish(300)
  const [recover] = room.recovers()
  room.answer(1, recover.request, 300, true)
  t.ok(room.rig.log.includes('missed chat 6-300'))
  room.publish(301)
  t.equal(room.seen, '301')
})

t.test('G2: ATTACH lists the places; what is missing comes by the lane, then JOIN', async (t) => {
  const room = new Room()
  room.join()
  room.publish(6)
  const { rig } = room
  rig.core.lost(room.id, rig.now)
  rig.pass(0)
  room.id = rig.lastDial
  rig.greet(room.id)
  t.match(rig.accept(room.id).groups, [{ name: 'chat', life: 3n, offset: 6 }])
  rig.route(room.id, 0, 'say')
  room.publish(9)
  t.equal(room.seen, '6', 'not a member yet')
  room.replay(1, 7)
  room.replay(2, 8)
  room.join({ offset: 8, group: 12 })
  room.publish(9, 12)
  t.equal(room.replayed, '7 8')
  t.equal(room.seen, '6 9')
  t.same(room.recovers(), [])
})

t.test('G2: a JOIN that jumps asks once, and another life of the group is missed whole', async (t) => {
  const room = new Room()
  room.join()
  room.join({ offset: 9 })
  const [recover] = room.recovers()
  t.match(recover, { offset: 5 })
  room.answer(1, recover.request, 9, true)
  t.ok(room.rig.log.includes('missed chat 6-9'))
  room.join({ life: 4n, offset: 2 })
  t.ok(room.rig.log.includes('missed chat 1-2'))
  room.publish(3)
  t.equal(room.seen, '3')
})

t.test('G4: LAG of a recoverable group recovers', async (t) => {
  const room = new Room()
  room.join()
  room.rig.send(room.id, (w) => writeNumber(w, clientKind.lag, 70_000))
  t.match(room.recovers(), [{ offset: 5 }])
})

t.test('a publication for which the application has no room comes again by the lane', async (t) => {
  const room = new Room()
  room.join()
  room.rig.hasRoom = false
  room.publish(6)
  const [recover] = room.recovers()
  t.match(recover, { offset: 5 })
  room.rig.hasRoom = true
  room.replay(1, 6)
  room.answer(2, recover.request, 6)
  room.publish(7)
  t.equal(room.replayed, '6')
  t.equal(room.seen, '7')
})

t.test('a RECOVER that fails is asked again after a second, not at once', async (t) => {
  const room = new Room()
  room.join()
  room.publish(7)
  const [recover] = room.recovers()
  room.rig.reply(room.id, 0, 1, recover.request, code.not_found, '')
  t.same(room.recovers(), [])
  room.rig.pass(999)
  t.same(room.recovers(), [])
  room.rig.pass(1)
  t.match(room.recovers(), [{ offset: 5 }])
})

t.test('a host whose answers bring nothing is believed to have nothing after three of them', async (t) => {
  const room = new Room()
  room.join()
  room.publish(9)
  for (let i = 0; i < 3; i++) {
    const [recover] = room.recovers()
    room.answer(1 + i, recover.request, 5)
  }
  t.same(room.recovers(), [])
  t.ok(room.rig.log.includes('missed chat 6-9'))
  room.publish(10)
  t.equal(room.seen, '10')
})

t.test('replays count as received and are settled, delivered or not', async (t) => {
  const room = new Room()
  room.join()
  room.rig.settlesAtOnce = true
  room.replay(1, 4)
  room.replay(2, 6)
  room.replay(3, 6, 99n)
  t.equal(room.replayed, '6')
  room.rig.pass(250)
  t.match(room.rig.frames(room.id).at(-1), { kind: 'ack', n: 3 })
})

t.test('LEAVE ends a membership and its place', async (t) => {
  const room = new Room()
  room.join()
  room.rig.send(room.id, (w) => writeNumber(w, clientKind.leave, 70_000))
  room.publish(6)
  t.equal(room.seen, '')
  room.rig.core.lost(room.id, room.rig.now)
  room.rig.pass(0)
  room.rig.greet(room.rig.lastDial)
  t.same(room.rig.accept(room.rig.lastDial).groups, [])
})

t.test('no more than 64 places are listed, and no more than 256 groups are kept', async (t) => {
  const room = new Room()
  for (let i = 0; i < 300; i++) room.join({ name: `g${i}`, group: i })
  t.equal(room.rig.log.filter((line) => line.startsWith('joined')).length, 256)
  room.rig.core.lost(room.id, room.rig.now)
  room.rig.pass(0)
  room.rig.greet(room.rig.lastDial)
  t.equal(room.rig.accept(room.rig.lastDial).groups.length, 64)
})
