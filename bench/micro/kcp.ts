// What one round trip of two KCP ends costs in process: A sends, B takes it and answers as much, A takes the answer; two
// datagrams, no network, no sealing, nothing done with the messages. Run it with `node bench/micro/kcp.ts [bytes]`. The
// best of several rounds is printed beside the median, since machines are shared. Bytes allocated are V8's own count,
// which a collection in between does not change.
import { getHeapStatistics } from 'node:v8'
import { Kcp, type KcpSink } from '../../protocols/kcp/kcp.ts'
import { SegmentPool } from '../../protocols/kcp/segment-pool.ts'
import { kcpSettings } from '../../protocols/kcp/settings.ts'

const ROUNDS = 15
const TRIPS = 100_000
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

const payloadBytes = Number(process.argv[2] ?? 64)
const payload = new Uint8Array(payloadBytes).fill(FILL)
const pool = new SegmentPool()
const a = new End(pool)
const b = new End(pool)
a.peer = b
b.peer = a
let now = run(a, b, payload, TRIPS, 1000)

const nanoseconds: number[] = []
for (let round = 0; round < ROUNDS; round++) {
  const from = process.hrtime.bigint()
  now = run(a, b, payload, TRIPS, now)
  nanoseconds.push(Number(process.hrtime.bigint() - from) / TRIPS)
}
nanoseconds.sort((x, y) => x - y)

// Newer than its type declarations.
const allocated = (): number =>
  (getHeapStatistics() as unknown as { total_allocated_bytes: number }).total_allocated_bytes
const before = allocated()
now = run(a, b, payload, TRIPS, now)
const perTrip = (allocated() - before) / TRIPS

if (a.receivedCount !== b.receivedCount || a.kcp.unackedBytes !== 0) throw new Error('a round trip was lost')
process.stdout.write(
  `kcp round trip of ${payloadBytes} bytes: best ${nanoseconds[0].toFixed(0)} ns, ` +
    `median ${nanoseconds[ROUNDS >> 1].toFixed(0)} ns, allocated ${perTrip.toFixed(1)} bytes\n`,
)
