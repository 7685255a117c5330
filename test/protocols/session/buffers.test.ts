// What an end keeps is messages: names, not a connection's numbers; bytes of its own, not encoded frames.
import t from 'tap'
import type { ChannelSink } from '../../../protocols/session/channel-end.ts'
import { ChannelEnd, endLimits } from '../../../protocols/session/channel-end.ts'
import { LaneFrame, laneKind, readLaneBody, readLaneHeader } from '../../../protocols/wire/lane-frames.ts'
import { FrameSplitter } from '../../../protocols/wire/splitter.ts'
import { Writer } from '../../../protocols/wire/writer.ts'

const sink: ChannelSink = { deliver() {}, refused() {}, outcome() {}, finished() {} }

/** Lane frames of one transmission on an attach whose routes have the given numbers. */
function transmission(end: ChannelEnd, channel: number, numbers: Record<string, number>, now: number): unknown[] {
  const w = new Writer()
  end.transmit(w, channel, { numberOf: (route) => numbers[route] }, now)
  const frames: unknown[] = []
  new FrameSplitter(1 << 16).receive(w.view(), {
    frame(bytes, start, end) {
      const f = new LaneFrame()
      if (!readLaneHeader(f, bytes, start, end) || !readLaneBody(f)) throw new Error('malformed')
      const left = f.kind === laneKind.request ? f.deadlineMs : 0
      frames.push([f.channel, f.number, f.route, Buffer.from(f.payload()).toString(), left])
      return true
    },
  })
  return frames
}

t.test(
  'S3: every attach encodes anew, with its own channel, route numbers and what is left of a deadline',
  async (t) => {
    const end = new ChannelEnd({ count: 16, bytes: 4096 }, endLimits, sink, 0)
    end.send('arena.move', Buffer.from('a'))
    end.send('chat.say', Buffer.from('b'))
    end.request('arena.join', Buffer.from('c'), 5000)
    end.attached(1, 0, 0, 0, 0)
    t.strictSame(transmission(end, 0, { 'arena.move': 0, 'chat.say': 1, 'arena.join': 2 }, 0), [
      [0, 1, 0, 'a', 0],
      [0, 2, 1, 'b', 0],
      [0, 3, 2, 'c', 5000],
    ])
    end.detached()
    end.attached(2, 1, 1, 0, 1000)
    t.strictSame(transmission(end, 7, { 'arena.move': 5, 'chat.say': 0, 'arena.join': 300 }, 1000), [
      [7, 2, 0, 'b', 0],
      [7, 3, 300, 'c', 4000],
    ])
  },
)
