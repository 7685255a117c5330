// Peers that say anything at any time, in well-formed frames: nothing throws, and when all have gone nothing is left.
import t from 'tap'
import {
  writeAnswer,
  writeJoin,
  writeLoose,
  writeLooseReply,
  writePair,
  writeReset,
} from '../../protocols/client/frames.ts'
import { writeClose } from '../../protocols/client/frames.ts'
import {
  linkKind as kinds,
  writeLinkInvite,
  writeLocate,
  writeLocated,
  writeNotHere,
} from '../../protocols/link/frames.ts'
import { writePublish } from '../../protocols/link/frames.ts'
import * as lane from '../../protocols/wire/lane-frames.ts'
import type { TestClient, TestHost } from './world.ts'
import { bytes, clientKind, EMPTY, host as hostSettings, testSettings, World } from './world.ts'

class Dice {
  #state: number
  constructor(seed: number) {
    this.#state = seed
  }
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  below(end: number): number {
    return Math.floor(this.next() * end)
  }
  chance(p: number): boolean {
    return this.next() < p
  }
}

/** Something that a client might say, mostly sensible: the epoch rises, numbers are near. */
function clientSays(c: TestClient, dice: Dice, epoch: number): void {
  const alias = dice.below(4)
  const n = 1 + dice.below(4)
  const route = dice.below(4)
  switch (dice.below(12)) {
    case 0:
    case 1:
    case 2:
      c.attach({
        alias,
        epoch: dice.chance(0.9) ? epoch : dice.below(5),
        key: `k${dice.below(4)}`,
        service: dice.chance(0.9) ? 'arena' : 'chat',
        life: BigInt(dice.below(2) * 7),
        received: dice.below(3),
        sent: dice.below(5),
        pin: c.pins.get(alias) ?? EMPTY,
      })
      break
    case 3:
    case 4:
      lane.writeOneway(c.w, alias, n, route, bytes('x'.repeat(dice.below(20))))
      break
    case 5:
      lane.writeSkip(c.w, alias, n, 1 + dice.below(3), 16)
      break
    case 6:
      lane.writeAck(c.w, alias, dice.below(2))
      break
    case 7:
      lane.writeUnreliable(c.w, alias, epoch & 0xff, route, bytes('u'))
      break
    case 8:
      c.w.begin(clientKind.detach).varint(alias).end()
      break
    case 9:
      writeLoose(c.w, { request: dice.below(9), route, key: 'k1', deadlineMs: dice.below(500), payload: EMPTY })
      break
    case 10:
      writePair(c.w, clientKind.ping, 1, 1)
      break
    default:
      lane.writeFin(c.w, alias, n, 0)
  }
  c.send()
}

function hostSays(h: TestHost, dice: Dice): void {
  const handle = 2 * dice.below(8)
  const epoch = dice.below(40)
  const n = 1 + dice.below(3)
  switch (dice.below(15)) {
    case 0:
      h.closeHandle(handle, dice.below(30), dice.chance(0.3) ? 'h2' : '')
      break
    case 1:
    case 2:
      lane.writeOneway(h.w, handle, n, dice.below(3), bytes('down'))
      break
    case 3:
      lane.writeLatest(h.w, handle, epoch & 0xff, 1, `k${dice.below(3)}`, 1, bytes('l'))
      break
    case 4:
      writeAnswer(h.w, clientKind.refused, { channel: handle, epoch, code: 25, retryMs: 10 })
      break
    case 5:
      writeNotHere(h.w, { handle, epoch, host: dice.chance(0.5) ? 'h2' : '' })
      break
    case 6:
      writeJoin(h.w, clientKind.join, {
        channel: handle,
        group: dice.below(3),
        recoverable: true,
        name: 'g',
        life: 1n,
        offset: 0,
      })
      break
    case 7:
      writePair(h.w, kinds.leave, handle, dice.below(3))
      break
    case 8:
      writePublish(h.w, dice.below(3), 0, 0, [handle], bytes('news'))
      break
    case 9:
      writeLocate(h.w, { id: dice.below(9), service: 'arena', key: 'k', asker: '' })
      break
    case 10:
      writeLocated(h.w, { id: dice.below(20), here: dice.chance(0.5), host: 'h1' })
      break
    case 11:
      writeLooseReply(h.w, kinds.looseReply, { request: dice.below(20), code: 0, payload: EMPTY })
      break
    case 12:
      h.openTo({ handle: 1 + 2 * dice.below(3), from: 'arena/k9', key: `k${dice.below(4)}`, epoch })
      return
    case 13:
      writeLinkInvite(h.w, kinds.invite, { session: 'nobody', service: 'arena', key: 'k', life: 1n })
      break
    default:
      writePair(h.w, kinds.ping, 1, 1)
  }
  h.send()
}

/** Answers most attaches, in one way or another. */
function hostAnswers(h: TestHost, dice: Dice): void {
  for (const a of h.attaches()) {
    const die = dice.below(10)
    if (die < 6) h.attached(a, { received: dice.below(3) })
    else if (die < 8) {
      const reset = { life: 9n, reason: 1, hadReceived: 0, windowCount: 16, windowBytes: 999, pin: EMPTY }
      writeReset(h.w, { channel: a.handle, epoch: a.epoch, ...reset })
      h.send()
    }
  }
}

function run(seed: number): string {
  const dice = new Dice(seed)
  const limits = { ...testSettings().limits, connectionBytesMax: 20_000, linkBytesMax: 5000, parkedMax: 3 }
  const times = { ...testSettings().times, goneAfterMs: 3000, parkMaxMs: 2000 }
  const world = new World({ hosts: [hostSettings('h1'), hostSettings('h2')], limits, times })
  const { gateway } = world
  const clients = new Set<TestClient>()
  const hosts = new Map<string, TestHost>()
  let instance = 1n
  for (let step = 0; step < 400; step++) {
    const die = dice.below(40)
    const c = [...clients][dice.below(clients.size)]
    const h = [...hosts.values()][dice.below(hosts.size)]
    if (die < 2 && clients.size < 6) {
      const young = world.client().login(`u${dice.below(3)}`)
      for (let i = 0; i < 3; i++) young.route(i, ['arena.move', 'arena.slow', 'chat.say'][i])
      clients.add(young)
    } else if (die < 4) {
      const name = `h${1 + dice.below(2)}`
      if (dice.chance(0.5)) instance++
      const link = world.host(name, instance, step)
      for (let i = 0; i < 3; i++) link.route(i, `arena.r${i}`)
      hosts.set(name, link)
    } else if (die < 5 && c !== undefined) c.carrier.events!.closed(world.now)
    else if (die < 6 && h !== undefined) h.carrier.events!.closed(world.now)
    else if (die < 7 && h !== undefined) {
      writeClose(h.w, dice.chance(0.5) ? kinds.goodbye : kinds.drain, { code: 1, retryMs: 0, text: '' })
      h.send()
    } else if (die < 8) world.pass(dice.below(1500))
    else if (die < 9 && c !== undefined) c.carrier.isReading = !c.carrier.isReading
    else if (die < 10 && h !== undefined) {
      if (h.carrier.isReading) h.carrier.isReading = false
      else h.carrier.read(world.now)
    } else if (die < 11) gateway.setHosts(dice.chance(0.5) ? [hostSettings('h2')] : gateway.settings.hosts, world.now)
    else if (die < 24 && c !== undefined) clientSays(c, dice, step)
    else if (die < 32 && h !== undefined) hostAnswers(h, dice)
    else if (h !== undefined) hostSays(h, dice)
    world.turn()
    for (const each of clients)
      if (each.carrier.closedWith !== undefined || each.carrier.isDestroyed) clients.delete(each)
    for (const [name, each] of hosts) if (each.carrier.closedWith !== undefined) hosts.delete(name)
    for (const connection of gateway.connections) {
      if (connection.outlet.held > 2 * limits.connectionBytesMax) return `held ${connection.outlet.held}`
    }
  }
  for (const connection of [...gateway.connections]) connection.closed(world.now)
  world.turn()
  const parked = gateway.parking.count
  for (const link of gateway.links) {
    for (const attachment of link.handles.attachments()) {
      if (attachment.connection !== undefined) return 'an attachment of a client that is gone'
    }
  }
  for (const link of [...gateway.links]) link.closed(world.now)
  gateway.setHosts([], world.now)
  world.pass(200_000)
  if (gateway.sessions().length > 0) return 'a session is left'
  if (gateway.parking.count > 0) return `${gateway.parking.count} parked, before ${parked}`
  if (gateway.deadlines.size > 0) return `${gateway.deadlines.size} deadlines are left`
  if (gateway.hosts().length > 0) return `${gateway.hosts().length} hosts are left`
  const { cells } = gateway.counters
  if (cells.some((value) => value < 0 || Number.isNaN(value))) return 'a counter fell below zero'
  return ''
}

t.test('whatever well-formed frames come, nothing throws and nothing is left behind', async (t) => {
  for (let seed = 1; seed <= 150; seed++) {
    const wrong = run(seed)
    if (wrong !== '') t.fail(`seed ${seed}: ${wrong}`)
  }
  t.pass('150 seeds')
})
