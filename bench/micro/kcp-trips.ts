// Round trips of two ends of our KCP engine in one process, as bench/rivals/node-kcp/trips.cjs makes them with the native one:
// nanoseconds of each round on stdout.
import { Kcp, type KcpSink } from '../../protocols/kcp/kcp.ts'
import { SegmentPool } from '../../protocols/kcp/segment-pool.ts'
import { kcpSettings } from '../../protocols/kcp/settings.ts'

class End implements KcpSink {
  readonly kcp: Kcp
  peer: End | undefined
  received: Uint8Array | undefined
  now = 0

  constructor(pool: SegmentPool) {
    this.kcp = new Kcp(1, kcpSettings('fast'), this, pool)
  }

  packet(bytes: Uint8Array, start: number, end: number): void {
    this.peer!.kcp.receiveIn(bytes, start, end, this.now)
  }

  /** A copy, as the native one gives. */
  message(bytes: Uint8Array, start: number, end: number): void {
    this.received = bytes.slice(start, end)
  }
}

const [payloadBytes, rounds, trips] = process.argv.slice(2).map(Number)
const pool = new SegmentPool()
const a = new End(pool)
const b = new End(pool)
a.peer = b
b.peer = a
const payload = new Uint8Array(payloadBytes).fill(7)
let now = 1000

function run(count: number): void {
  for (let i = 0; i < count; i++) {
    // A millisecond passes every 16 round trips.
    if ((i & 15) === 0) now++
    a.now = b.now = now
    a.kcp.send(payload, now)
    a.kcp.tick(now)
    if (b.received === undefined) throw new Error('nothing came')
    b.received = undefined
    b.kcp.send(payload, now)
    b.kcp.tick(now)
    if (a.received === undefined) throw new Error('no answer came')
    a.received = undefined
  }
}

run(trips)
for (let round = 0; round < rounds; round++) {
  const from = process.hrtime.bigint()
  run(trips)
  console.log(Number(process.hrtime.bigint() - from) / trips)
}
