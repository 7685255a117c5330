// Round trips of two ends of node-kcp in one process, as bench/micro/kcp.ts makes them with ours: nanoseconds of each round
// on stdout. The package's main file points nowhere: the addon itself is loaded.
const { KCP } = require('node-kcp/build/Release/kcp')

const [payloadBytes, rounds, trips] = process.argv.slice(2).map(Number)
const a = new KCP(1, {})
const b = new KCP(1, {})
for (const end of [a, b]) {
  end.nodelay(1, 10, 2, 1)
  end.wndsize(256, 256)
}
a.output((data, size) => b.input(data.subarray(0, size)))
b.output((data, size) => a.input(data.subarray(0, size)))
let now = 1000
a.update(now)
b.update(now)
const payload = Buffer.alloc(payloadBytes, 7)

function run(count) {
  for (let i = 0; i < count; i++) {
    // A millisecond passes every 16 round trips.
    if ((i & 15) === 0) now++
    a.send(payload)
    a.update(now)
    a.flush()
    if (b.recv() === undefined) throw new Error('nothing came')
    b.send(payload)
    b.update(now)
    b.flush()
    if (a.recv() === undefined) throw new Error('no answer came')
  }
}

run(trips)
for (let round = 0; round < rounds; round++) {
  const from = process.hrtime.bigint()
  run(trips)
  console.log(Number(process.hrtime.bigint() - from) / trips)
}
