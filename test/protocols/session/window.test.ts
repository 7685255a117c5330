import t from 'tap'
import { code } from '../../../protocols/codes.ts'
import type { ChannelSink } from '../../../protocols/session/channel-end.ts'
import { ChannelEnd, endLimits } from '../../../protocols/session/channel-end.ts'
import { Item, Outbox } from '../../../protocols/session/outbox.ts'
import { LaneFrame, laneKind, readLaneHeader, writeFin } from '../../../protocols/wire/lane-frames.ts'
import { FrameSplitter } from '../../../protocols/wire/splitter.ts'
import { Writer } from '../../../protocols/wire/writer.ts'

const oneway = (size: number) => new Item(laneKind.oneway, 'r', new Uint8Array(size))

function written(out: Outbox): number[] {
  const numbers: number[] = []
  for (let item = out.next(); item !== undefined; item = out.next()) numbers.push(item.number)
  return numbers
}

t.test('W1: what is in flight never exceeds a window that was granted later, in bytes', async (t) => {
  const out = new Outbox({ count: 100, bytes: 1000 })
  for (let i = 0; i < 10; i++) out.push(oneway(50))
  out.window = { count: 100, bytes: 200 }
  out.attach(0)
  t.same(written(out), [1, 2, 3, 4])
  t.notOk(out.hasUntransmitted)
  out.ack(1)
  t.same(written(out), [5])
  out.bury(5, code.rate_limited)
  t.same(written(out), [6], 'a tombstone weighs nothing')
  out.attach(3)
  t.same(written(out), [4, 5, 6], 'what the other end holds unsettled counts')
  out.ack(6)
  t.same(written(out), [7, 8, 9, 10])
})

t.test('W1: nor in count, with room for what does not count', async (t) => {
  const out = new Outbox({ count: 200, bytes: 1000 })
  for (let i = 0; i < 200; i++) out.push(oneway(1))
  out.window = { count: 8, bytes: 1000 }
  out.attach(0)
  t.equal(written(out).length, 8 + 65)
  out.ack(10)
  t.equal(written(out).length, 10)
})

t.test('W1: a message larger than a granted window is taken back while that is certain, and told (N4)', async (t) => {
  const refused: number[] = []
  const sink: ChannelSink = {
    deliver() {},
    refused: (_item, number, why) => refused.push(number, why),
    outcome() {},
    finished() {},
  }
  const end = new ChannelEnd({ count: 8, bytes: 4000 }, endLimits, sink, 0)
  end.send('r', new Uint8Array(1000))
  end.send('r', new Uint8Array(10))
  end.grant({ count: 8, bytes: 400 })
  t.same(refused, [1, code.too_large])
  end.attached(1, 0, 0, 0, 0)
  t.same(written(end.out), [1, 2])
})

t.test('W3: a quarter of the granted window is acknowledged at once', async (t) => {
  const sink: ChannelSink = { deliver() {}, refused() {}, outcome() {}, finished() {} }
  const end = new ChannelEnd({ count: 256, bytes: 4000 }, endLimits, sink, 0)
  end.grant({ count: 8, bytes: 4000 })
  end.attached(1, 0, 0, 0, 0)
  for (let n = 1; n <= 2; n++) {
    end.in.take(n, 0)
    end.settle(n, 1, 0)
    t.equal(end.needsTransmit(0), n === 2)
  }
})

t.test('W3: an acknowledgement rides along where the next write would come too late for it', async (t) => {
  const sink: ChannelSink = { deliver() {}, refused() {}, outcome() {}, finished() {} }
  const end = new ChannelEnd({ count: 256, bytes: 65_536 }, endLimits, sink, 0)
  const routes = { numberOf: () => 0 }
  const acks = (now: number): number => {
    const n = end.in.received + 1
    end.in.take(n, now)
    end.settle(n, 1, now)
    end.send('r', new Uint8Array(1))
    const w = new Writer(64)
    end.transmit(w, 0, routes, now)
    let count = 0
    new FrameSplitter(64).receive(w.view(), {
      frame(bytes, start) {
        if (bytes[start] === laneKind.ack) count++
        return true
      },
    })
    return count
  }
  end.attached(1, 0, 0, 0, 0)
  t.equal(acks(2), 0, 'written every 2 ms: one ACK for many messages')
  t.equal(acks(4), 0)
  t.equal(acks(128), 1, 'in half of its time at the latest')
  t.equal(acks(450), 1, 'written every 300 ms: alone it would be a write more for each message')
  t.equal(end.deadline(), Infinity)
  t.equal(acks(452), 0)
  t.equal(end.deadline(), 702)
})

t.test("X4, W3: the other end's FIN is acknowledged at once, and all before it", async (t) => {
  const sink: ChannelSink = { deliver() {}, refused() {}, outcome() {}, finished() {} }
  const end = new ChannelEnd({ count: 256, bytes: 65_536 }, endLimits, sink, 0)
  end.attached(1, 0, 0, 0, 0)
  end.in.take(1, 5)
  end.settle(1, 1, 5)
  t.equal(end.deadline(), 255)
  const w = new Writer(64)
  writeFin(w, 0, 2, code.closed)
  const frame = new LaneFrame()
  new FrameSplitter(64).receive(w.view(), {
    frame: (bytes, from, to) => readLaneHeader(frame, bytes, from, to),
  })
  t.equal(end.receive(frame, '', 6), code.ok)
  t.equal(end.deadline(), 6)
})

t.test('W5: what a channel was granted bounds what is accepted, one message always is', async (t) => {
  const out = new Outbox({ count: 100, bytes: 4000 })
  out.grantedBytes = 300
  t.equal(out.admits(1000), code.ok, 'larger than the grant, and alone')
  t.equal(out.admits(1001), code.too_large, 'the largest message is that of the window')
  out.push(oneway(1000))
  t.equal(out.admits(0), code.window_full)
  out.attach(0)
  t.same(written(out), [1])
  out.ack(1)
  out.push(oneway(100))
  t.equal(out.admits(200), code.ok)
  t.equal(out.admits(201), code.window_full)
  out.push(oneway(200))
  out.grantedBytes = 50
  out.attach(1)
  t.same(written(out), [2, 3], 'what was accepted under a larger grant goes')
})
