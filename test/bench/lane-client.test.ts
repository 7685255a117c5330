import t from 'tap'
import type { Manners } from '../../bench/load/client.ts'
import { LaneClient } from '../../bench/load/lane-client.ts'
import type { StreamEvents } from '../../bench/load/stream.ts'
import { writeAttached } from '../../protocols/client/frames.ts'
import { code } from '../../protocols/codes.ts'
import { writeAck, writeReject } from '../../protocols/wire/lane-frames.ts'
import { Writer } from '../../protocols/wire/writer.ts'

const WINDOW = 8

/** A client that is attached with a window of eight, and what its gateway can say. */
function attached(manners: Manners) {
  let events: StreamEvents
  const failures: string[] = []
  const client = new LaneClient(
    (_port, its) => {
      events = its
      return { write() {}, queuedBytes: () => 0, close() {} }
    },
    0,
    'a name',
    16,
    { ready() {}, heard() {}, turnEnded() {}, failed: (why) => failures.push(why) },
    {},
    manners,
  )
  const say = (write: (w: Writer) => void) => {
    const w = new Writer()
    write(w)
    events.received(w.view())
  }
  const counters = { life: 1n, received: 0, settled: 0, refused: [], quietForMs: 0, pin: new Uint8Array(0) }
  say((w) => writeAttached(w, { channel: 0, epoch: 1, ...counters, windowCount: WINDOW, windowBytes: 1 << 16 }))
  return {
    client,
    failures,
    send(count: number) {
      for (let i = 0; i < count; i++) client.send(0)
      client.flush()
    },
    refuse: (number: number) => say((w) => writeReject(w, 0, number, code.rate_limited, 100)),
    acknowledge: (number: number) => say((w) => writeAck(w, 0, number)),
  }
}

t.test('a sly one has a window of messages without an answer, and never more', async (t) => {
  const { client, failures, send, refuse, acknowledge } = attached('sly')
  t.equal(client.room(), WINDOW)
  send(WINDOW)
  t.equal(client.room(), 0)
  for (let number = 5; number <= 8; number++) refuse(number)
  t.equal(client.room(), 4, 'a refusal frees the window at once')
  send(4)
  t.equal(client.room(), 0)
  acknowledge(8)
  t.equal(client.room(), 4, 'what was refused and is acknowledged is not counted twice')
  refuse(8)
  t.equal(client.room(), 4, 'nor in this order')
  send(4)
  for (let number = 9; number <= 16; number++) refuse(number)
  t.equal(client.room(), WINDOW)
  t.strictSame(failures, [])
})

t.test('a rude one has no window, and an honest one fails when it is refused', async (t) => {
  const rude = attached('rude')
  rude.send(3 * WINDOW)
  t.equal(rude.client.room(), Infinity)
  const honest = attached('honest')
  honest.send(1)
  honest.refuse(1)
  t.match(honest.failures, [/a message was refused \(rate_limited\)/])
})
