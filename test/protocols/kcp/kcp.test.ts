// A conversation from outside: what two engines owe each other over any network, when they want to be called, and what
// they hold. Byte for byte comparison with ikcp is in equality.test.ts, lies in forged.test.ts.
import t from 'tap'
import { kcpVerdict } from '../../../protocols/kcp/datagram-check.ts'
import { Kcp } from '../../../protocols/kcp/kcp.ts'
import { SegmentPool } from '../../../protocols/kcp/segment-pool.ts'
import { kcpSettings } from '../../../protocols/kcp/settings.ts'
import { Random } from '../../sim/random.ts'
import { hex, KcpEnd, KcpPair, numbered, type Weather } from './network.ts'
import { CMD_PUSH, CMD_WASK, CMD_WINS, encodeSegment } from './reference.ts'

const CLEAR: Weather = { loss: 0, duplicate: 0, delayMs: 10, jitterMs: 0 }
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString()
const bytes = (of: string): Uint8Array => new TextEncoder().encode(of)
const command = (packet: Uint8Array): number => packet[4]

function settle(pair: KcpPair): void {
  for (let steps = 0; pair.step(); steps++) if (steps > 100_000) throw new Error('never quiet')
}

t.test('a message travels as the header and its bytes (KCP-1.1)', async (t) => {
  const end = new KcpEnd(0x11223344, kcpSettings('fast'))
  end.kcp.send(bytes('hi'), 0x01020304)
  end.kcp.tick(0x01020304)
  t.equal(
    hex(end.packets[0]),
    '44332211' + '51' + '00' + '0001' + '04030201' + '00000000' + '00000000' + '02000000' + '6869',
  )
})

t.test('messages keep their boundaries and order, whatever their length (KCP-3.2)', async (t) => {
  for (const preset of ['fast', 'normal', 'thrifty'] as const) {
    const pair = new KcpPair(1, { loss: 0.1, duplicate: 0.1, delayMs: 10, jitterMs: 30 }, kcpSettings(preset))
    const longest = pair.a.kcp.messageBytesMax
    const messages = [0, 1, 1175, 1176, 1177, 2352, 5000, 40_000, 0, longest].map((length, i) => numbered(i, length))
    const sent: string[] = []
    for (const message of messages) {
      while (!pair.a.kcp.send(message, pair.now)) pair.step()
      sent.push(hex(message))
    }
    settle(pair)
    t.ok(pair.b.messages.map(hex).join() === sent.join(), preset)
    t.equal(pair.a.kcp.unackedBytes, 0)
  }
})

t.test('a message that is too long throws and names the limit; a stream takes it', async (t) => {
  const message = new KcpEnd(1, kcpSettings('normal'))
  t.throws(() => message.kcp.send(new Uint8Array(message.kcp.messageBytesMax + 1), 0), /^bytes: .*149352/)
  const stream = new KcpEnd(1, kcpSettings('normal', { stream: true }))
  t.equal(stream.kcp.send(new Uint8Array(200_000), 0), true)
})

t.test('a stream joins short sends into full segments', async (t) => {
  const end = new KcpEnd(1, kcpSettings('fast', { stream: true, mtu: 124 }))
  const whole = numbered(3, 250)
  for (let at = 0; at < 250; at += 10) t.ok(end.kcp.send(whole.subarray(at, at + 10), 5))
  t.ok(end.kcp.send(new Uint8Array(0), 5))
  t.equal(end.kcp.queuedBytes, 250)
  end.kcp.tick(5)
  t.strictSame(
    end.packets.map(({ length }) => length),
    [124, 124, 74],
  )
  t.equal(end.packets.map((packet) => hex(packet.subarray(24))).join(''), hex(whole))
})

t.test('a stream over a bad network gives the same bytes', async (t) => {
  const settings = kcpSettings('normal', { stream: true })
  const pair = new KcpPair(5, { loss: 0.2, duplicate: 0.1, delayMs: 20, jitterMs: 20 }, settings)
  const random = new Random(5)
  const whole = random.bytes(60_000)
  for (let at = 0; at < whole.length; ) {
    const end = Math.min(at + random.between(1, 3000), whole.length)
    if (pair.a.kcp.send(whole.subarray(at, end), pair.now)) at = end
    if (random.chance(0.5)) pair.step()
  }
  settle(pair)
  t.ok(Buffer.concat(pair.b.messages).equals(Buffer.from(whole)))
})

t.test('a megabyte crosses a network that loses 30 %', async (t) => {
  for (const preset of ['fast', 'normal'] as const) {
    const weather = { loss: 0.3, duplicate: 0.05, delayMs: 25, jitterMs: 20 }
    const pair = new KcpPair(30, weather, kcpSettings(preset, { sendBytesMax: 64 * 1024 }))
    const total = 1024 * 1024
    let sent = 0
    let read = 0
    let wrong = 0
    for (let number = 0, expected = 0; read < total; ) {
      while (sent < total && pair.a.kcp.send(numbered(number, 1024), pair.now)) {
        number++
        sent += 1024
      }
      if (!pair.step()) break
      for (const message of pair.b.takeMessages()) {
        if (hex(message) !== hex(numbered(expected++, 1024))) wrong++
        read += message.length
      }
    }
    settle(pair)
    t.equal(wrong, 0)
    t.equal(read, total, `${preset}: all of it`)
    t.equal(pair.a.kcp.ackedBytes, total)
    t.comment(
      `${preset}: ${pair.now} ms, ${pair.packetsSent} datagrams, ${pair.a.kcp.timedOut} timed out, ${pair.a.kcp.fastResent} fast`,
    )
    t.ok(pair.now < (preset === 'fast' ? 60_000 : 3_600_000), `${preset}: in ${pair.now} ms`)
  }
})

t.test('numbers and clock wrap around in the middle of a conversation (KCP-1.4)', async (t) => {
  const weather = { loss: 0.15, duplicate: 0.1, delayMs: 20, jitterMs: 30 }
  for (const [firstSn, startAt] of [
    [0xffffffc0, 2 ** 32 - 300],
    [0x7fffffc0, 2 ** 31 - 300],
    [0xffffffff, 2 ** 33 - 1],
  ]) {
    const pair = new KcpPair(8, weather, kcpSettings('fast'), startAt, firstSn)
    const sent: string[] = []
    for (let number = 0; number < 300; number++) {
      const message = numbered(number, 1 + (number % 2000))
      sent.push(hex(message))
      while (!pair.a.kcp.send(message, pair.now)) pair.step()
      pair.step()
    }
    settle(pair)
    t.ok(pair.b.messages.map(hex).join() === sent.join(), `from ${firstSn} at ${startAt}`)
    t.ok(pair.now > startAt + 300 && pair.a.kcp.rttMs > 15 && pair.a.kcp.rttMs < 200, `${pair.a.kcp.rttMs} ms`)
  }
})

t.test('who has nothing to do asks for no timer (KCP-5.1)', async (t) => {
  for (const preset of ['fast', 'normal', 'thrifty'] as const) {
    const pair = new KcpPair(2, CLEAR, kcpSettings(preset))
    t.equal(pair.a.kcp.deadline(), Infinity, `${preset}: before anything`)
    pair.a.kcp.send(bytes('x'), pair.now)
    t.ok(pair.a.kcp.deadline() <= pair.now, 'a first message waits for nothing')
    pair.step()
    const due = pair.a.kcp.deadline()
    t.ok(due > pair.now && due < pair.now + 1000, 'then for the acknowledgement')
    settle(pair)
    t.strictSame(pair.b.messages.map(text), ['x'])
    t.equal(pair.a.kcp.deadline(), Infinity, `${preset}: the sender is idle again`)
    t.equal(pair.b.kcp.deadline(), Infinity, `${preset}: the receiver too`)
    pair.a.kcp.tick(pair.now + 1e6)
    pair.b.kcp.tick(pair.now + 1e6)
    t.equal(pair.a.packets.length + pair.b.packets.length, 0)
  }
})

t.test('a tick before the deadline does nothing (KCP-4.2)', async (t) => {
  const end = new KcpEnd(1, kcpSettings('normal'))
  end.kcp.send(bytes('x'), 1000)
  end.kcp.tick(1000)
  t.equal(end.takePackets().length, 1)
  // First timeout: 200 ms and an eighth.
  t.equal(end.kcp.deadline(), 1225)
  for (let now = 1001; now < 1225; now++) end.kcp.tick(now)
  t.equal(end.takePackets().length, 0)
  end.kcp.tick(1225)
  t.equal(end.takePackets().length, 1)
})

t.test('acknowledgements wait for the interval, or not at all', async (t) => {
  const pushed = (sn: number): Uint8Array =>
    encodeSegment({ conv: 1, cmd: CMD_PUSH, frg: 0, wnd: 128, ts: 990, sn, una: 0, data: bytes('m') })
  const calm = new KcpEnd(1, kcpSettings('normal', { intervalMs: 20 }))
  calm.kcp.receive(pushed(0), 1000)
  calm.kcp.tick(1000)
  calm.kcp.receive(pushed(1), 1001)
  calm.kcp.receive(pushed(2), 1002)
  t.equal(calm.kcp.deadline(), 1020)
  calm.kcp.tick(1020)
  t.strictSame(
    calm.packets.map(({ length }) => length),
    [24, 48],
    'two in one datagram',
  )
  const prompt = new KcpEnd(1, kcpSettings('fast'))
  for (const sn of [0, 1]) {
    prompt.kcp.receive(pushed(sn), 1000 + sn)
    t.equal(prompt.kcp.deadline(), 1000 + sn)
    prompt.kcp.tick(1000 + sn)
  }
  t.strictSame(
    prompt.packets.map(({ length }) => length),
    [24, 24],
    'each at once',
  )
})

t.test('segments are packed up to the mtu and not beyond (KCP-4.7)', async (t) => {
  const end = new KcpEnd(1, kcpSettings('fast', { mtu: 300 }))
  for (let i = 0; i < 20; i++) end.kcp.send(numbered(i, 30), 1)
  end.kcp.tick(1)
  t.strictSame(
    end.packets.map(({ length }) => length),
    [270, 270, 270, 270],
  )
})

t.test('a sink that keeps no copy and a caller that reuses its buffers change nothing', async (t) => {
  const end = new KcpEnd(1, kcpSettings('fast'))
  const message = bytes('precious')
  end.kcp.send(message, 1)
  message.fill(0)
  end.kcp.tick(1)
  end.kcp.tick(31 + 200)
  // KcpEnd overwrites the lent buffer, room around it and all, after each packet.
  t.strictSame(
    end.packets.map((packet) => text(packet.subarray(24))),
    ['precious', 'precious'],
  )
  const ahead = encodeSegment({ conv: 1, cmd: CMD_PUSH, frg: 0, wnd: 128, ts: 1, sn: 1, una: 0, data: bytes('second') })
  end.kcp.receive(ahead, 5)
  ahead.fill(0)
  end.kcp.receive(
    encodeSegment({ conv: 1, cmd: CMD_PUSH, frg: 0, wnd: 128, ts: 1, sn: 0, una: 0, data: bytes('first') }),
    6,
  )
  t.strictSame(end.messages.map(text), ['first', 'second'])
})

t.test('a duplicate is acknowledged again but not delivered twice (KCP-3.3, KCP-3.4)', async (t) => {
  const end = new KcpEnd(1, kcpSettings('fast'))
  const push = encodeSegment({ conv: 1, cmd: CMD_PUSH, frg: 0, wnd: 128, ts: 1, sn: 0, una: 0, data: bytes('once') })
  for (let i = 0; i < 3; i++) t.equal(end.kcp.receive(push, 5), kcpVerdict.accepted)
  end.kcp.tick(5)
  t.strictSame(end.messages.map(text), ['once'])
  t.equal(end.packets[0].length, 3 * 24)
  t.equal(end.kcp.duplicates, 2)
})

t.test('what was overtaken travels again before its timeout (KCP-4.4)', async (t) => {
  const settings = kcpSettings('fast', { mtu: 64 })
  const a = new KcpEnd(1, settings)
  const b = new KcpEnd(1, settings)
  for (let i = 0; i < 4; i++) {
    a.kcp.send(numbered(i, 40), 1000 + i)
    a.kcp.tick(1000 + i)
  }
  const [, ...arrive] = a.takePackets()
  for (const [i, packet] of arrive.entries()) {
    b.kcp.receive(packet, 1010 + i)
    b.kcp.tick(1010 + i)
  }
  const acks = b.takePackets()
  a.kcp.receive(acks[0], 1020)
  t.equal(a.kcp.deadline(), 1029, 'overtaken once is not yet lost')
  a.kcp.receive(acks[1], 1021)
  t.equal(a.kcp.deadline(), 1021)
  a.kcp.tick(1021)
  t.equal(a.kcp.fastResent, 1)
  b.kcp.receive(a.takePackets()[0], 1030)
  t.equal(b.messages.length, 4)
})

t.test(
  'what was overtaken once is late when the round trip has passed, and its wait begins anew (KCP-4.9)',
  async (t) => {
    const a = new KcpEnd(1, kcpSettings('fast', { mtu: 64 }))
    const b = new KcpEnd(1, kcpSettings('fast', { mtu: 64 }))
    /** One of so many milliseconds each way, sent at `at`; the acknowledgement comes if the segment does. */
    const send = (at: number, oneWayMs: number, isLost: boolean): void => {
      a.kcp.send(numbered(at, 40), at)
      a.kcp.tick(at)
      for (const packet of a.takePackets()) if (!isLost) b.kcp.receive(packet, at + oneWayMs)
      b.kcp.tick(at + oneWayMs)
      for (const packet of b.takePackets()) a.kcp.receive(packet, at + 2 * oneWayMs)
    }
    for (let at = 1000; at < 3000; at += 100) send(at, 50, false)
    t.equal(a.kcp.rtoMs, 110)
    send(3000, 50, true)
    a.kcp.tick(3110)
    t.equal(a.kcp.timedOut, 1, 'nothing has overtaken it')
    a.takePackets()
    t.equal(a.kcp.deadline(), 3275, 'and the second wait is half as long again')
    // With it goes the segment once more (KCP-4.10), and both are lost.
    send(3111, 50, true)
    send(3112, 50, false)
    t.equal(
      a.kcp.deadline(),
      3221,
      'what was sent after them has come: 110 ms after the last transmission they are late',
    )
    a.kcp.tick(3220)
    t.equal(a.takePackets().length, 0)
    a.kcp.tick(3221)
    t.match([a.kcp.fastResent, a.kcp.timedOut], [2, 1])
    t.equal(a.takePackets().length, 2)
    t.equal(a.kcp.deadline(), 3331)
    a.kcp.tick(3331)
    t.equal(a.kcp.timedOut, 3)
    t.equal(a.kcp.deadline(), 3331 + 165, 'nothing has overtaken them since: the wait grows')
  },
)

t.test(
  'what travels again is written once more beside what goes next, on a line with little on it (KCP-4.10)',
  async (t) => {
    const numbersOf = (packet: Uint8Array): number[] => {
      const numbers: number[] = []
      for (let at = 0; at < packet.length; at += 24 + packet[at + 20]) numbers.push(packet[at + 12])
      return numbers
    }
    for (const { nc, inFlight, isRepeated } of [
      { nc: true, inFlight: 16, isRepeated: true },
      { nc: true, inFlight: 17, isRepeated: false },
      { nc: false, inFlight: 1, isRepeated: false },
    ]) {
      const a = new KcpEnd(1, kcpSettings('fast', { nc }))
      for (let i = 0; i < inFlight; i++) a.kcp.send(numbered(i, 20), 1000)
      a.kcp.tick(1000)
      a.takePackets()
      a.kcp.tick(1200)
      const again = Array.from({ length: inFlight }, (_, i) => i)
      t.same(a.takePackets().flatMap(numbersOf), again)
      t.equal(a.kcp.deadline(), 1500, 'nothing is sent for that alone')
      a.kcp.send(numbered(99, 20), 1210)
      a.kcp.flush(1210)
      const next = nc ? [inFlight] : []
      t.same(a.takePackets().flatMap(numbersOf), isRepeated ? [...again, ...next] : next, `${inFlight} in flight`)
      a.kcp.flush(1220)
      t.same(a.takePackets(), [], 'once')
    }
  },
)

t.test('written means passed by una (KCP-3.6)', async (t) => {
  const a = new KcpEnd(1, kcpSettings('fast', { sendWindow: 2 }))
  for (const length of [10, 20, 30]) a.kcp.send(new Uint8Array(length), 1000)
  t.strictSame([a.kcp.queuedBytes, a.kcp.unackedBytes, a.kcp.ackedBytes], [60, 60, 0])
  a.kcp.tick(1000)
  t.strictSame([a.kcp.queuedBytes, a.kcp.unackedBytes, a.kcp.ackedBytes], [30, 60, 0])
  const ack = (sn: number, una: number): Uint8Array =>
    encodeSegment({ conv: 1, cmd: 82, frg: 0, wnd: 128, ts: 1000, sn, una, data: new Uint8Array(0) })
  a.kcp.receive(ack(1, 0), 1010)
  t.strictSame(
    [a.kcp.queuedBytes, a.kcp.unackedBytes, a.kcp.ackedBytes],
    [30, 60, 0],
    'the second alone is not written',
  )
  a.kcp.receive(ack(0, 0), 1011)
  t.strictSame([a.kcp.queuedBytes, a.kcp.unackedBytes, a.kcp.ackedBytes], [30, 30, 30], 'the first completes both')
})

t.test('send refuses what its queue has no room for, whole, in bytes and in count', async (t) => {
  const end = new KcpEnd(1, kcpSettings('normal', { sendBytesMax: 3000, sendCountMax: 5 }))
  t.equal(end.kcp.send(new Uint8Array(2000), 1), true)
  t.equal(end.kcp.send(new Uint8Array(1001), 1), false)
  t.equal(end.kcp.unackedBytes, 2000)
  t.equal(end.kcp.send(new Uint8Array(1000), 1), true)
  t.equal(end.kcp.send(new Uint8Array(0), 1), true)
  t.equal(end.kcp.send(new Uint8Array(0), 1), true)
  t.equal(end.kcp.send(new Uint8Array(0), 1), false, 'empty messages count')
})

t.test(
  'a reader that stalls closes the window, holds two of them at most, and goes on where it stopped (KCP-3.1, KCP-4.5)',
  async (t) => {
    const settings = kcpSettings('fast', { sendBytesMax: 8 * 1024 * 1024, sendCountMax: 4096 })
    const pair = new KcpPair(3, { loss: 0.1, duplicate: 0.05, delayMs: 5, jitterMs: 5 }, settings)
    pair.b.kcp.pause()
    for (let i = 0; i < 2000; i++) t.ok(pair.a.kcp.send(numbered(i, 1000), pair.now) || 'full')
    let held = 0
    while (pair.now < 20_000 && pair.step(20_000)) held = Math.max(held, pair.b.kcp.heldBytes)
    // What was sent before the sender knew that the window had moved is ahead of it.
    t.ok(held >= 256 * 1000 && held <= 2 * 256 * 1000, `${held} bytes`)
    t.equal(pair.b.messages.length, 0)
    t.ok(pair.a.kcp.queuedBytes >= 1_700_000, 'the rest waits at the sender')
    pair.b.kcp.resume(pair.now)
    settle(pair)
    t.ok(pair.b.messages.map(hex).join() === Array.from({ length: 2000 }, (_, i) => hex(numbered(i, 1000))).join())
  },
)

t.test('a peer that ignores the closed window fills two windows and not one byte more (KCP-3.1)', async (t) => {
  const pool = new SegmentPool()
  const end = new KcpEnd(1, kcpSettings('fast', { receiveWindow: 128 }), pool)
  end.kcp.pause()
  const data = new Uint8Array(1000)
  for (let sn = 0; sn < 1000; sn++) {
    end.kcp.receive(encodeSegment({ conv: 1, cmd: CMD_PUSH, frg: 0, wnd: 9, ts: 1, sn, una: 0, data }), 5)
    end.kcp.tick(5)
  }
  t.equal(end.kcp.heldBytes, 2 * 128 * 1000)
  t.equal(pool.takenCount, 256)
  end.kcp.release()
  t.equal(pool.takenCount, 0, 'all of it goes back')
})

t.test('a closed window is asked about, less and less often, by who has something to send (KCP-4.5)', async (t) => {
  const a = new KcpEnd(1, kcpSettings('fast'))
  const tell = (wnd: number): Uint8Array =>
    encodeSegment({ conv: 1, cmd: CMD_WINS, frg: 0, wnd, ts: 0, sn: 0, una: 0, data: new Uint8Array(0) })
  a.kcp.receive(tell(0), 1000)
  t.equal(a.kcp.deadline(), Infinity, 'nobody asks for nothing')
  a.kcp.send(bytes('late'), 1000)
  const asked: number[] = []
  for (let now = 1000; asked.length < 5; now = a.kcp.deadline()) {
    a.kcp.tick(now)
    for (const packet of a.takePackets()) {
      t.equal(command(packet), CMD_WASK)
      asked.push(now)
    }
  }
  t.strictSame(asked, [1500, 2250, 3375, 5062, 7592])
  a.kcp.receive(tell(1), 8000)
  a.kcp.tick(8000)
  t.strictSame(a.packets.map(command), [CMD_PUSH])
  const b = new KcpEnd(1, kcpSettings('fast'))
  b.kcp.receive(
    encodeSegment({ conv: 1, cmd: CMD_WASK, frg: 0, wnd: 1, ts: 0, sn: 0, una: 0, data: new Uint8Array(0) }),
    1,
  )
  t.equal(b.kcp.deadline(), 1)
  b.kcp.tick(1)
  t.strictSame(b.packets.map(command), [CMD_WINS])
})

t.test('a peer that never answers makes the link dead, and dead is quiet (KCP-4.3, KCP-4.8)', async (t) => {
  const end = new KcpEnd(1, kcpSettings('fast', { deadLinkCount: 6 }))
  end.kcp.send(bytes('anyone?'), 1000)
  const times: number[] = []
  for (let at = 1000; at !== Infinity; at = end.kcp.deadline()) {
    end.kcp.tick(at)
    if (end.takePackets().length > 0) times.push(at - 1000)
  }
  // 200 ms, then half more each time.
  t.strictSame(times, [0, 200, 500, 950, 1625, 2637])
  t.equal(end.kcp.isDead, true)
  t.equal(end.kcp.send(bytes('x'), 9999), false)
  t.equal(end.kcp.receive(new Uint8Array(24), 9999), kcpVerdict.dead)
  end.kcp.flush(9999)
  t.equal(end.packets.length, 0)
})

t.test('the wait between two transmissions never passes a minute (KCP-5.6)', async (t) => {
  const end = new KcpEnd(1, kcpSettings('normal', { deadLinkCount: 40 }))
  end.kcp.send(bytes('anyone?'), 1000)
  let longest = 0
  for (let at = 1000, last = 1000; at !== Infinity; at = end.kcp.deadline()) {
    longest = Math.max(longest, at - last)
    last = at
    end.kcp.tick(at)
  }
  t.equal(longest, 60_000)
})

t.test('a handler may send, pause and release in the middle of a datagram', async (t) => {
  const segments = [0, 1, 2].map((sn) =>
    encodeSegment({ conv: 1, cmd: CMD_PUSH, frg: 0, wnd: 128, ts: 1, sn, una: 0, data: bytes(`m${sn}`) }),
  )
  const datagram = new Uint8Array(Buffer.concat(segments))
  for (const act of ['send', 'pause', 'release'] as const) {
    const got: string[] = []
    const pool = new SegmentPool()
    const kcp: Kcp = new Kcp(
      1,
      kcpSettings('fast'),
      {
        packet: () => {},
        message: (from, start, end) => {
          got.push(text(from.subarray(start, end)))
          if (act === 'send') kcp.send(bytes('echo'), 5)
          else if (act === 'pause') kcp.pause()
          else kcp.release()
        },
      },
      pool,
    )
    t.equal(kcp.receive(datagram, 5), kcpVerdict.accepted)
    t.strictSame(got, act === 'send' ? ['m0', 'm1', 'm2'] : ['m0'], act)
    t.equal(kcp.queuedBytes, act === 'send' ? 12 : 0)
    t.equal(pool.takenCount, act === 'send' ? 3 : act === 'pause' ? 2 : 0)
    if (act === 'pause') {
      kcp.resume(6)
      t.strictSame(got, ['m0', 'm1'], 'one at a time')
    }
  }
})

t.test('a pool gets everything back and keeps no more than its bound', async (t) => {
  const pool = new SegmentPool(10_000)
  const settings = kcpSettings('fast', { mtu: 200 })
  const ends = [new KcpEnd(1, settings, pool), new KcpEnd(1, settings, pool)]
  for (let round = 0; round < 30; round++) {
    const now = 1000 + 50 * round
    for (const { kcp } of ends) for (let i = 0; i < 20; i++) kcp.send(numbered(i, 37 * i), now)
    for (const [i, end] of ends.entries()) {
      end.kcp.tick(now)
      // Backwards, so that the receiver has to hold what is ahead.
      for (const packet of end.takePackets().reverse()) ends[1 - i].kcp.receive(packet, now)
    }
  }
  for (const { kcp } of ends) kcp.tick(5000)
  for (const [i, end] of ends.entries()) for (const packet of end.takePackets()) ends[1 - i].kcp.receive(packet, 5000)
  t.strictSame(
    ends.map(({ kcp }) => kcp.unackedBytes),
    [0, 0],
  )
  t.equal(ends[0].messages.length, 600)
  t.equal(pool.takenCount, 0)
  t.ok(pool.keptBytes <= 10_000)
})
