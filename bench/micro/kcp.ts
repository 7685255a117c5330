// What one round trip of two KCP ends costs in process: A sends, B takes it and answers as much, A takes the answer; two
// datagrams, no network, no sealing, nothing done with the messages. Run it with `node bench/micro/kcp.ts [bytes]`.
import { Kcp, type KcpSink } from '../../protocols/kcp/kcp.ts'
import { SegmentPool } from '../../protocols/kcp/segment-pool.ts'
import { kcpSettings } from '../../protocols/kcp/settings.ts'
import { measure } from './measure.ts'

const FILL = 7

class End implements KcpSink {
  readonly kcp: Kcp
  receivedCount = 0
  peer: End | undefined
  now = 0

  constructor(pool: SegmentPool) {
    this.kcp = new Kcp(1, kcpSettings('fast'), this, pool)
  }

  packet(bytes: Uint8Array, start: number, end: number): void {
    this.peer!.kcp.receiveIn(bytes, start, end, this.now)
  }

  message(bytes: Uint8Array, start: number, end: number): void {
    if (bytes[start] !== FILL || bytes[end - 1] !== FILL) throw new Error('another message came')
    this.receivedCount++
  }
}

function run(a: End, b: End, payload: Uint8Array, trips: number, from: number): number {
  let now = from
  for (let i = 0; i < trips; i++) {
    a.now = b.now = now
    a.kcp.send(payload, now)
    a.kcp.tick(now)
    b.kcp.send(payload, now)
    b.kcp.tick(now)
    // A millisecond passes every 16 round trips.
    if ((i & 15) === 0) now++
  }
  return now
}

const pool = new SegmentPool()

function pair(): [End, End] {
  const [a, b] = [new End(pool), new End(pool)]
  a.peer = b
  b.peer = a
  return [a, b]
}

const sizes = process.argv[2] === undefined ? [64, 1200] : [Number(process.argv[2])]
const ends: End[] = []
await measure(
  'kcp',
  sizes.map((payloadBytes) => {
    const payload = new Uint8Array(payloadBytes).fill(FILL)
    const [a, b] = pair()
    ends.push(a, b)
    let now = 1000
    return {
      what: `round trip of ${payloadBytes} bytes`,
      run(count: number) {
        now = run(a, b, payload, count, now)
      },
    }
  }),
)
for (let i = 0; i < ends.length; i += 2) {
  const [a, b] = [ends[i], ends[i + 1]]
  if (a.receivedCount !== b.receivedCount || a.kcp.unackedBytes !== 0) throw new Error('a round trip was lost')
}
