// The comparison with kcp-go on a bad network, small: both ends of both engines work and its table has its fields. How fast
// is no matter here.
// needs: go, kcp-go
import { execFileSync } from 'node:child_process'
import process from 'node:process'
import t from 'tap'

t.setTimeout(120_000)

t.test('both engines bring every message and some bulk across a network that loses', async (t) => {
  const program = new URL('../../bench/micro/kcp-loss.ts', import.meta.url).pathname
  const small = ['--loss', '10', '--seconds', '1', '--turns', '1', '--conversations', '3', '--rate', '20']
  const env = { ...process.env, NODE_OPTIONS: '' }
  const text = execFileSync(process.execPath, [program, ...small], { encoding: 'utf8', env })
  const rows = text.trim().split('\n').slice(2)
  t.equal(rows.length, 2)
  for (const [i, name] of ['skewer', 'kcp-go'].entries()) {
    const [, loss, engine, p50, p99, , datagrams, goodput] = rows[i].split('|').map((cell) => cell.trim())
    t.same([loss, engine], ['10 %', name])
    t.ok(Number.parseFloat(p50) >= 50, `${p50} over 25 ms each way`)
    t.ok(Number.parseFloat(p99) >= Number.parseFloat(p50))
    t.ok(Number(datagrams) > 2 && Number.parseFloat(goodput) > 0, rows[i])
  }
})
