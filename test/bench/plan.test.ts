import t from 'tap'
import { lengthMs, momentOf, type Plan, planShare, scaledPlan, transportOfSeat } from '../../bench/play/plan.ts'
import { usageIn } from '../../bench/admin-usage.ts'

const phase = (name: string, forMs: number, clients: number, more = {}) => {
  return { name, forMs, clients, isRamp: false, pace: 1, cuts: 0, ...more }
}
const plan: Plan = {
  name: 'day',
  transports: [
    { transport: 'tcp', share: 0.5 },
    { transport: 'websocket', share: 0.3 },
    { transport: 'kcp', share: 0.2 },
  ],
  roomClients: 1,
  messages: [],
  phases: [
    phase('come', 1000, 100, { isRamp: true }),
    phase('play', 2000, 100, { cuts: 10 }),
    phase('peak', 1000, 300, { isRamp: true, pace: 3 }),
    phase('gone', 1000, 0),
  ],
}

t.test('a ramp leads evenly from the phase before, and what is no ramp is there at once', async (t) => {
  t.match(momentOf(plan, 0), { phase: 0, clients: 0, pace: 1 })
  t.match(momentOf(plan, 500), { phase: 0, clients: 50 })
  t.match(momentOf(plan, 1000), { phase: 1, clients: 100 })
  t.match(momentOf(plan, 3500), { phase: 2, clients: 200, pace: 2 })
  t.match(momentOf(plan, 4000), { phase: 3, clients: 0 })
  t.equal(momentOf(plan, 5000), undefined)
})

t.test('a plan is the same day for fewer players in less time', async (t) => {
  const small = scaledPlan(plan, { clients: 30, seconds: 10 })
  t.equal(lengthMs(small), 10_000)
  t.strictSame(
    small.phases.map(({ clients }) => clients),
    [10, 10, 30, 0],
  )
  t.equal(small.phases[1].cuts, 1)
  t.strictSame(scaledPlan(plan, {}), plan)
})

t.test('processes have all players between them', async (t) => {
  for (const count of [1, 2, 3, 7]) {
    const shares = Array.from({ length: count }, (_, i) => planShare(plan, i, count))
    for (const [i, { clients, cuts }] of plan.phases.entries()) {
      t.equal(
        shares.reduce((sum, { phases }) => sum + phases[i].clients, 0),
        clients,
      )
      t.ok(Math.abs(shares.reduce((sum, { phases }) => sum + phases[i].cuts, 0) - cuts) < 1e-9)
    }
  }
})

t.test('the mix of transports is kept at every number of players', async (t) => {
  const seats = Array.from({ length: 100 }, (_, seat) => transportOfSeat(plan, seat))
  const count = (of: readonly string[], transport: string) => of.filter((one) => one === transport).length
  for (const size of [10, 20, 50, 100]) {
    const there = seats.slice(0, size)
    t.equal(count(there, 'tcp'), size * 0.5)
    t.equal(count(there, 'websocket'), size * 0.3)
    t.equal(count(there, 'kcp'), size * 0.2)
  }
})

t.test(
  'CPU time and memory are read from what a gateway says of itself, and nothing else is taken for one',
  async (t) => {
    const text =
      '# HELP x y\nskewer_cpu_seconds_total 1.5\nskewer_memory_bytes{kind="heap"} 7\nskewer_memory_bytes{kind="resident"} 42\n'
    t.strictSame(usageIn(text), { cpuUs: 1_500_000, rssBytes: 42 })
    t.throws(() => usageIn('<html>'), /there is no skewer_cpu_seconds_total/)
  },
)
