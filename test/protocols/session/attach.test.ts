import t from 'tap'
import { resetReason } from '../../../protocols/client/frames.ts'
import { code } from '../../../protocols/codes.ts'
import type { LinkAttach } from '../../../protocols/link/frames.ts'
import type { ChannelSink, Incoming, Outcome } from '../../../protocols/session/channel-end.ts'
import { endLimits } from '../../../protocols/session/channel-end.ts'
import { ClientChannel } from '../../../protocols/session/client-channel.ts'
import type { Ending } from '../../../protocols/session/client-channel.ts'
import { answerAttach, HostRecord, isRecordClosed, judgeAttach } from '../../../protocols/session/host-record.ts'
import type { Item } from '../../../protocols/session/outbox.ts'
import {
  LaneFrame,
  readLaneHeader,
  writeAck,
  writeOneway,
  writeReject,
  writeSkip,
} from '../../../protocols/wire/lane-frames.ts'
import { Writer } from '../../../protocols/wire/writer.ts'

const window = { count: 8, bytes: 4096 }
const text = (s: string) => new TextEncoder().encode(s)

class Log implements ChannelSink {
  delivered: Incoming[] = []
  refusals: { number: number; code: number }[] = []
  outcomes: { request: number; outcome: Outcome }[] = []
  resets: Ending[] = []
  endings: Ending[] = []
  finishes: number[] = []
  deliver(message: Incoming): void {
    this.delivered.push(message)
  }
  refused(_item: Item, number: number, why: number): void {
    this.refusals.push({ number, code: why })
  }
  outcome(request: number, outcome: Outcome): void {
    this.outcomes.push({ request, outcome })
  }
  finished(why: number): void {
    this.finishes.push(why)
  }
  reset(ending: Ending): void {
    this.resets.push(ending)
  }
  ended(ending: Ending): void {
    this.endings.push(ending)
  }
  get texts(): string[] {
    return this.delivered.map((message) => new TextDecoder().decode(message.payload))
  }
}

const routes = { numberOf: () => 0 }

function record(life = 5n, log = new Log()): { record: HostRecord; log: Log } {
  return { record: new HostRecord('s', 'arena', 'k', life, window, endLimits, log, 0), log }
}

function attach(changes: Partial<LinkAttach> = {}): LinkAttach {
  return {
    handle: 2,
    epoch: 1,
    ticketGeneration: 1,
    session: 's',
    user: 'u',
    address: 'x',
    labels: {},
    service: 'arena',
    key: 'k',
    pinned: false,
    pinnedGone: false,
    grantedBytes: 65_536,
    end: 77n,
    life: 0n,
    received: 0,
    settled: 0,
    acked: 0,
    sent: 0,
    groups: [],
    ...changes,
  }
}

/** Everything that one end has to say goes to the other, frame by frame. */
function carry(from: { transmit: HostRecord['end']['transmit'] }, to: HostRecord['end'], now: number): number[] {
  const w = new Writer()
  from.transmit(w, 1, routes, now)
  const bytes = w.drain()
  const answers: number[] = []
  let at = 0
  while (at < bytes.length) {
    const length = bytes[at]
    const frame = new LaneFrame()
    if (!readLaneHeader(frame, bytes, at + 1, at + 1 + length)) throw new Error('unreadable')
    answers.push(to.receive(frame, 'arena.move', now))
    at += 1 + length
  }
  return answers
}

function single(write: (w: Writer) => void): LaneFrame {
  const w = new Writer()
  write(w)
  const bytes = w.drain()
  const frame = new LaneFrame()
  readLaneHeader(frame, bytes, 1, bytes.length)
  return frame
}

t.test('A5: each attach gets the answer of its row', async (t) => {
  const known = () => {
    const r = record().record
    r.epoch = 4
    r.ticketGeneration = 3
    r.isConfirmed = true
    return r
  }
  const busy = known()
  busy.end.send('r', text('p'))
  const rows: [string, HostRecord | undefined, Partial<LinkAttach>, object][] = [
    ['no record, life 0', undefined, {}, { verdict: 'new', isReset: false, reason: 0, hadReceived: 0 }],
    ['no record, a life, not pinned here', undefined, { life: 9n }, { verdict: 'not_here' }],
    [
      'no record, a life, pinned here (X3)',
      undefined,
      { life: 9n, pinned: true },
      { verdict: 'new', isReset: true, reason: resetReason.recordLost, hadReceived: 0 },
    ],
    [
      'no record, a life, the pinned host is gone (P3)',
      undefined,
      { life: 9n, pinnedGone: true },
      { verdict: 'new', isReset: true, reason: resetReason.recordLost, hadReceived: 0 },
    ],
    ['older ticket (T1)', known(), { ticketGeneration: 2, epoch: 9, life: 5n }, { verdict: 'spent', have: 3 }],
    ['equal epoch', known(), { ticketGeneration: 3, epoch: 4, life: 5n }, { verdict: 'stale', have: 4 }],
    ['same life', known(), { ticketGeneration: 3, epoch: 5, life: 5n }, { verdict: 'continue', isReset: false }],
    [
      'another life, confirmed',
      known(),
      { ticketGeneration: 3, epoch: 5, life: 6n },
      { verdict: 'new', isReset: true, reason: resetReason.lifeUnknown, hadReceived: 0 },
    ],
    [
      'life 0 against a confirmed record (S4)',
      known(),
      { ticketGeneration: 3, epoch: 5, life: 0n },
      { verdict: 'new', isReset: false, reason: resetReason.lifeUnknown, hadReceived: 0 },
    ],
    [
      'they know more acked than we received (V13b)',
      known(),
      { ticketGeneration: 3, epoch: 5, life: 5n, acked: 1, sent: 1 },
      { verdict: 'new', isReset: true, reason: resetReason.stateBehind, hadReceived: 0 },
    ],
    [
      'they received more than we sent',
      busy,
      { ticketGeneration: 3, epoch: 5, life: 5n, received: 2 },
      { verdict: 'new', isReset: true, reason: resetReason.stateBehind, hadReceived: 0 },
    ],
  ]
  for (const [name, has, changes, expected] of rows) t.same(judgeAttach(has, attach(changes)), expected, name)
  const fresh = record().record
  fresh.epoch = 1
  t.same(
    judgeAttach(fresh, attach({ epoch: 2, life: 7n })),
    { verdict: 'continue', isReset: true },
    'X2: never confirmed',
  )
  fresh.offeredTo = 77n
  t.same(judgeAttach(fresh, attach({ epoch: 2 })), { verdict: 'continue', isReset: false }, 'X2: to the same end again')
  t.same(
    judgeAttach(fresh, attach({ epoch: 2, end: 78n })),
    { verdict: 'new', isReset: false, reason: resetReason.lifeUnknown, hadReceived: 0 },
    'to no other end: it may have handled what was sent',
  )
})

t.test('A8: a client that is told received 2 sends from 3, and what it sent before is not doubled', async (t) => {
  const client = new Log()
  const channel = new ClientChannel('arena', 'k', 77n, { window, limits: endLimits, keepMs: 1000 }, client, 0)
  const { record: host, log } = record()
  for (const name of ['a', 'b', 'c']) channel.end.send('arena.move', text(name))
  const join = (epoch: number, now: number) => {
    const a = { ...channel.attach(0, epoch, 1, [], now), ...attach(), epoch }
    const said = {
      ...a,
      life: channel.life,
      received: channel.end.in.received,
      settled: channel.end.in.settled,
      acked: channel.end.out.acked,
      sent: channel.end.out.sent,
    }
    const verdict = judgeAttach(host, said)
    t.equal(verdict.verdict, 'continue')
    const answer = answerAttach(host, said, false, now)
    if (!answer.isReset) t.equal(channel.attached(answer.frame, now), code.ok)
  }
  join(1, 0)
  carry(channel.end, host.end, 1)
  t.same(log.texts, ['a', 'b', 'c'])
  host.end.settle(1, 1, 1)
  host.end.settle(2, 1, 1)
  channel.lost(2)
  channel.end.send('arena.move', text('d'))
  join(2, 3)
  t.equal(channel.end.out.acked, 2, 'settled numbers are forgotten')
  carry(channel.end, host.end, 4)
  t.same(log.texts, ['a', 'b', 'c', 'd'])
})

t.test('A8: an answer to an older attach is ignored', async (t) => {
  const channel = new ClientChannel('arena', 'k', 77n, { window, limits: endLimits, keepMs: 1000 }, new Log(), 0)
  channel.attach(0, 1, 1, [], 0)
  channel.attach(0, 2, 1, [], 1)
  const answer = {
    channel: 0,
    epoch: 1,
    life: 5n,
    received: 0,
    settled: 0,
    refused: [],
    quietForMs: 0,
    windowCount: 8,
    windowBytes: 4096,
    pin: new Uint8Array(0),
  }
  t.equal(channel.attached(answer, 2), code.ok)
  t.equal(channel.state, 'attaching')
  channel.attached({ ...answer, epoch: 2 }, 2)
  t.equal(channel.state, 'attached')
})

t.test('R1-R3: a refused number is told once, whether by REJECT or by the list, and travels on as SKIP', async (t) => {
  const log = new Log()
  const channel = new ClientChannel('arena', 'k', 77n, { window, limits: endLimits, keepMs: 1000 }, log, 0)
  const { record: host } = record()
  channel.end.send('arena.move', text('a'))
  channel.end.send('arena.move', text('b'))
  channel.attach(0, 1, 1, [], 0)
  const answer = {
    channel: 0,
    epoch: 1,
    life: 5n,
    received: 0,
    settled: 0,
    refused: [],
    quietForMs: 0,
    windowCount: 8,
    windowBytes: 4096,
    pin: new Uint8Array(0),
  }
  channel.attached(answer, 0)
  answerAttach(host, attach(), false, 0)
  channel.end.transmit(new Writer(), 1, routes, 0)
  t.equal(
    host.end.receive(
      single((w) => writeSkip(w, 1, 1, 1, code.rate_limited)),
      '',
      1,
    ),
    code.ok,
  )
  t.same(host.refused, [{ number: 1, code: code.rate_limited }])
  t.equal(
    channel.end.receive(
      single((w) => writeReject(w, 1, 1, code.rate_limited, 50)),
      '',
      1,
    ),
    code.ok,
  )
  t.same(log.refusals, [{ number: 1, code: code.rate_limited }])
  channel.lost(2)
  channel.attach(0, 2, 1, [], 3)
  channel.attached(
    { ...answer, epoch: 2, received: 1, settled: 1, refused: [{ number: 1, code: code.rate_limited }] },
    3,
  )
  t.equal(log.refusals.length, 1, 'not told again')
  t.equal(channel.end.out.acked, 1)
})

t.test('R2: the list is kept until the client is known to know', async (t) => {
  const { record: host } = record()
  answerAttach(host, attach(), false, 0)
  host.end.receive(
    single((w) => writeSkip(w, 1, 1, 2, code.rate_limited)),
    '',
    1,
  )
  host.end.detached()
  const again = answerAttach(host, attach({ epoch: 2, life: 5n, acked: 1, sent: 4 }), false, 2)
  t.same(again.isReset ? [] : again.frame.refused, [{ number: 2, code: code.rate_limited }])
  for (let n = 3; n <= 3 + window.count + 65; n++) {
    t.equal(
      host.end.receive(
        single((w) => writeOneway(w, 1, n, 0, text('x'))),
        'r',
        3,
      ),
      code.ok,
    )
    host.end.settle(n, 1, 3)
  }
  host.end.receive(
    single((w) => writeSkip(w, 1, host.end.in.received + 1, 1, code.dropped)),
    '',
    4,
  )
  t.equal(host.refused.length, 1, 'numbers a whole window behind are forgotten')
})

t.test('N3: nobody accepts a gap, and duplicates are dropped and counted', async (t) => {
  const { record: host, log } = record()
  answerAttach(host, attach(), false, 0)
  t.equal(
    host.end.receive(
      single((w) => writeOneway(w, 1, 1, 0, text('a'))),
      'r',
      0,
    ),
    code.ok,
  )
  t.equal(
    host.end.receive(
      single((w) => writeOneway(w, 1, 1, 0, text('a'))),
      'r',
      0,
    ),
    code.ok,
  )
  t.equal(host.end.in.duplicates, 1)
  t.equal(
    host.end.receive(
      single((w) => writeOneway(w, 1, 3, 0, text('c'))),
      'r',
      0,
    ),
    code.protocol,
  )
  t.same(log.texts, ['a'])
})

t.test('W2, W3: settled is acknowledged, not received, within 250 ms or a quarter of the window', async (t) => {
  const { record: host } = record()
  answerAttach(host, attach(), false, 0)
  for (let n = 1; n <= 4; n++)
    host.end.receive(
      single((w) => writeOneway(w, 1, n, 0, text('a'))),
      'r',
      0,
    )
  t.notOk(host.end.needsTransmit(1000), 'received is not settled')
  host.end.settle(2, 1, 10)
  t.notOk(host.end.needsTransmit(1000), '1 is still running')
  host.end.settle(1, 1, 10)
  t.ok(host.end.needsTransmit(10), 'a quarter of the window')
  const w = new Writer()
  host.end.transmit(w, 1, routes, 10)
  t.same([...w.drain()], [4, 0x07, 1, 2, 0])
  host.end.settle(3, 1, 11)
  t.notOk(host.end.needsTransmit(260))
  t.ok(host.end.needsTransmit(261), '250 ms later')
})

t.test('W1: a sender that ignores its window is a protocol violation, not a growing mailbox', async (t) => {
  const { record: host } = record()
  answerAttach(host, attach(), false, 0)
  let last: number = code.ok
  let n = 0
  while (last === code.ok && n < 1000) {
    n++
    last = host.end.receive(
      single((w) => writeOneway(w, 1, n, 0, text('a'))),
      'r',
      0,
    )
  }
  t.equal(last, code.protocol)
  t.ok(n <= window.count + 66)
})

t.test('an ACK beyond what was transmitted is a protocol violation', async (t) => {
  const { record: host } = record()
  answerAttach(host, attach(), false, 0)
  host.end.send('r', text('p'))
  t.equal(
    host.end.receive(
      single((w) => writeAck(w, 1, 1)),
      '',
      0,
    ),
    code.protocol,
  )
})

t.test('X1: a reset reports what is unknown and what was acknowledged and lost, and starts at 1', async (t) => {
  const log = new Log()
  const channel = new ClientChannel('arena', 'k', 77n, { window, limits: endLimits, keepMs: 1000 }, log, 0)
  const answer = {
    channel: 0,
    epoch: 1,
    life: 5n,
    received: 0,
    settled: 0,
    refused: [],
    quietForMs: 0,
    windowCount: 8,
    windowBytes: 4096,
    pin: new Uint8Array(0),
  }
  for (const name of ['a', 'b', 'c', 'd']) channel.end.send('arena.move', text(name))
  const request = channel.end.request('arena.ask', text('q'), Infinity)
  channel.attach(0, 1, 1, [], 0)
  channel.attached(answer, 0)
  channel.end.transmit(new Writer(), 1, routes, 0)
  channel.end.receive(
    single((w) => writeAck(w, 1, 2)),
    '',
    1,
  )
  channel.lost(2)
  channel.attach(0, 2, 1, [], 3)
  const reset = {
    channel: 0,
    epoch: 2,
    life: 6n,
    reason: resetReason.stateBehind,
    hadReceived: 1,
    windowCount: 8,
    windowBytes: 4096,
    pin: new Uint8Array(0),
  }
  const oldEnd = channel.end
  t.equal(channel.reset(reset, 4), code.ok)
  t.same(
    log.resets[0].unknown.map((item) => item.number),
    [3, 4],
  )
  t.same([log.resets[0].lostFrom, log.resets[0].lostTo], [1, 2])
  t.same(
    log.outcomes.map((o) => [o.request, o.outcome.ran]),
    [[request, 'unknown']],
  )
  t.equal(channel.end.send('arena.move', text('e')), 1)
  oldEnd.settle(3, 1, 5)
  t.equal(channel.end.in.settled, 0, 'a handler of the old life settles nothing in the new one')
})

t.test('A8: STALE is retried three times above what the host has, SPENT and superseded end the channel', async (t) => {
  const make = () => {
    const log = new Log()
    return { log, channel: new ClientChannel('arena', 'k', 77n, { window, limits: endLimits, keepMs: 1000 }, log, 0) }
  }
  const stale = make()
  for (let i = 1; i <= 3; i++) {
    stale.channel.attach(0, i, 1, [], 0)
    t.equal(stale.channel.stale({ channel: 0, epoch: i, have: 40 }, 0), 40)
  }
  stale.channel.attach(0, 9, 1, [], 0)
  stale.channel.stale({ channel: 0, epoch: 9, have: 40 }, 0)
  t.same(
    stale.log.endings.map((e) => e.code),
    [code.taken_over],
  )
  const spent = make()
  spent.channel.attach(0, 1, 1, [], 0)
  spent.channel.spent({ channel: 0, epoch: 1, have: 2 })
  t.same(
    spent.log.endings.map((e) => e.code),
    [code.taken_over],
  )
  const superseded = make()
  superseded.channel.attach(0, 1, 1, [], 0)
  superseded.channel.detached(1, code.superseded, 0, new Uint8Array(0), 0)
  t.same(
    superseded.log.endings.map((e) => e.code),
    [code.taken_over],
  )
  superseded.channel.detached(1, code.superseded, 0, new Uint8Array(0), 0)
  t.equal(superseded.log.endings.length, 1, 'X5: told once')
})

t.test('S2: a channel apart for longer than keep has expired, and the unknown messages are named', async (t) => {
  const log = new Log()
  const channel = new ClientChannel('arena', 'k', 77n, { window, limits: endLimits, keepMs: 1000 }, log, 0)
  channel.end.send('arena.move', text('a'))
  t.equal(channel.deadline(), 1000)
  channel.tick(999)
  t.equal(log.endings.length, 0)
  channel.tick(1000)
  t.same(
    log.endings.map((e) => [e.code, e.unknown.length]),
    [[code.expired, 1]],
  )
})

t.test('X4: a channel is closed by a FIN each way, both settled', async (t) => {
  const log = new Log()
  const channel = new ClientChannel('arena', 'k', 77n, { window, limits: endLimits, keepMs: 1000 }, log, 0)
  const { record: host, log: hostLog } = record()
  const a = channel.attach(0, 1, 1, [], 0)
  const answer = answerAttach(host, { ...attach(), ...a, handle: 2 }, false, 0)
  if (!answer.isReset) channel.attached(answer.frame, 0)
  channel.end.send('arena.move', text('last'))
  channel.end.fin(code.closed)
  t.equal(channel.end.send('arena.move', text('too late')), -code.closed)
  carry(channel.end, host.end, 1)
  t.same(hostLog.finishes, [code.closed])
  t.notOk(isRecordClosed(host), 'a handler still runs')
  host.end.settle(1, 4, 2)
  t.notOk(isRecordClosed(host), 'its own FIN is not through')
  carry(host.end, channel.end, 30)
  t.notOk(channel.considerClosed(), 'the last ACK has not left')
  carry(channel.end, host.end, 60)
  t.ok(channel.considerClosed())
  t.ok(isRecordClosed(host))
  t.same(
    log.endings.map((e) => e.code),
    [code.closed],
  )
})

t.test(
  'Q2: a request past its deadline is withdrawn if it still can be, else unknown, and its late reply is dropped',
  async (t) => {
    const log = new Log()
    const channel = new ClientChannel('arena', 'k', 77n, { window, limits: endLimits, keepMs: 10_000 }, log, 0)
    const { record: host } = record()
    const early = channel.end.request('arena.ask', text('q1'), 50)
    channel.tick(50)
    t.same(
      log.outcomes.map((o) => [o.request, o.outcome.code, o.outcome.ran]),
      [[early, code.expired, 'no']],
    )
    const late = channel.end.request('arena.ask', text('q2'), 200)
    const answer = answerAttach(host, { ...attach(), ...channel.attach(0, 1, 1, [], 60), handle: 2 }, false, 60)
    if (!answer.isReset) channel.attached(answer.frame, 60)
    carry(channel.end, host.end, 70)
    channel.tick(200)
    t.same(
      log.outcomes.slice(1).map((o) => [o.request, o.outcome.ran]),
      [[late, 'unknown']],
    )
    t.equal(channel.end.openRequests, 1, 'W4: the room for its reply stays reserved')
    host.end.reply(late, code.ok, text('r'))
    carry(host.end, channel.end, 210)
    t.equal(log.outcomes.length, 2)
    t.equal(channel.end.lateReplies, 1)
    t.equal(channel.end.openRequests, 0)
  },
)

t.test('C1: unnumbered messages of another epoch are dropped', async (t) => {
  const { record: host, log } = record()
  answerAttach(host, attach({ epoch: 0x101 }), false, 0)
  const { record: other } = record()
  answerAttach(other, attach({ epoch: 0x102 }), false, 0)
  other.end.sendUnreliable('arena.look', text('u'))
  const w = new Writer()
  other.end.transmit(w, 1, routes, 0)
  const bytes = w.drain()
  const frame = new LaneFrame()
  readLaneHeader(frame, bytes, 1, bytes.length)
  t.equal(host.end.receive(frame, 'arena.look', 0), code.ok)
  t.same(log.delivered, [])
  t.equal(host.end.staleUnnumbered, 1)
})
