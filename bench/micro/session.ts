// What the session costs at an end: a message sent, taken by the other end, settled, and acknowledged back, eight in one
// turn; a request and its reply; an attach that replays what was under way. Both ends in one process, frames in between,
// no network. `node bench/micro/session.ts`.
import { code } from '../../protocols/codes.ts'
import { ChannelEnd, type ChannelSink, endLimits, type Incoming } from '../../protocols/session/channel-end.ts'
import { LaneFrame, laneKind, readLaneHeader } from '../../protocols/wire/lane-frames.ts'
import { FrameSplitter } from '../../protocols/wire/splitter.ts'
import { Writer } from '../../protocols/wire/writer.ts'
import { measure } from './measure.ts'

const TURN = 8
const ROUTE = 'arena.move'
const window = { count: 256, bytes: 64 * 1024 }
const payload = new Uint8Array(64).fill(7)
const routes = { numberOf: () => 1 }
let now = 1000
let outcomes = 0

/** An end, what it writes, and how it hears the other one. */
class Side implements ChannelSink {
  readonly end: ChannelEnd
  readonly writer = new Writer()
  peer: Side | undefined
  readonly #lane = new LaneFrame()
  readonly #splitter = new FrameSplitter(64 * 1024)

  constructor() {
    this.end = new ChannelEnd(window, endLimits, this, now)
    this.end.attached(1, 0, 0, 0, now)
  }

  deliver({ number, kind, request, payload: came }: Incoming): void {
    if (kind === laneKind.request) this.end.reply(request, code.ok, came)
    this.end.settle(number, came.length, now)
  }
  refused(): void {
    throw new Error('a message was refused')
  }
  outcome(): void {
    outcomes++
  }
  finished(): void {}

  frame(bytes: Uint8Array, start: number, end: number): boolean {
    const lane = this.#lane
    if (!readLaneHeader(lane, bytes, start, end) || this.end.receive(lane, ROUTE, now) !== code.ok) {
      throw new Error('a frame was not taken')
    }
    return true
  }

  /** The end of a turn: what it has to say goes to the other. */
  flush(): void {
    this.end.transmit(this.writer, 0, routes, now)
    if (this.writer.at === 0) return
    this.peer!.#splitter.receive(this.writer.view(), this.peer!)
    this.writer.clear()
  }
}

function pair(): [Side, Side] {
  const [a, b] = [new Side(), new Side()]
  a.peer = b
  b.peer = a
  return [a, b]
}

const [a, b] = pair()
const [c, d] = pair()
const [e, f] = pair()

await measure(`session, both ends, by message of ${payload.length} bytes`, [
  {
    what: `sent, delivered, settled, acknowledged, ${TURN} a turn`,
    run(count) {
      for (let i = 0; i < count; i += TURN) {
        now += 300
        for (let j = 0; j < TURN; j++) if (a.end.send(ROUTE, payload) < 0) throw new Error('the window is full')
        a.flush()
        now += 300
        b.flush()
      }
    },
  },
  {
    what: `request and reply, ${TURN} a turn`,
    run(count) {
      for (let i = 0; i < count; i += TURN) {
        now += 300
        for (let j = 0; j < TURN; j++) if (c.end.request(ROUTE, payload, now + 10_000) < 0) throw new Error('no room')
        c.flush()
        now += 300
        d.flush()
        c.flush()
      }
    },
  },
  {
    what: 'detached, attached again, 8 replayed and settled',
    run(count) {
      for (let i = 0; i < count; i++) {
        now += 300
        for (let j = 0; j < TURN; j++) e.end.send(ROUTE, payload)
        e.end.transmit(e.writer, 0, routes, now)
        // All of it is lost with the connection.
        e.writer.clear()
        e.end.detached()
        f.end.detached()
        const epoch = (i & 0xff) + 1
        e.end.attached(epoch, f.end.in.received, f.end.in.settled, e.end.in.settled, now)
        f.end.attached(epoch, e.end.in.received, e.end.in.settled, f.end.in.settled, now)
        e.flush()
        now += 300
        f.flush()
      }
    },
  },
])
if (outcomes === 0) throw new Error('no request was answered')
