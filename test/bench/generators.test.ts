import t from 'tap'
import { busiestUs, sharesOf, sumOf } from '../../bench/generators.ts'
import type { LoadPlan, Measured } from '../../bench/processes/load.ts'

t.test('clients and rate are shared out without any left over', async (t) => {
  const plan = { clients: 10, rate: 1000 } as LoadPlan
  t.strictSame(
    sharesOf(plan, 3).map(({ clients, rate }) => [clients, rate]),
    [
      [4, 400],
      [3, 300],
      [3, 300],
    ],
  )
})

t.test('what several measured at one time is added up, and the busiest of them can be the limit', async (t) => {
  const part = (messages: number, cpuUs: number): Measured => ({
    messages,
    elapsedUs: 1000,
    latencies: [[7, messages]],
    samples: [messages, messages],
    resent: 1,
    leftOut: 2,
    closed: 3,
    used: { generator: { cpuUs, userUs: cpuUs, systemUs: 0, rssBytes: 1 } },
  })
  const sum = sumOf([part(10, 300), part(20, 900)])
  t.match(sum, {
    messages: 30,
    elapsedUs: 1000,
    samples: [30, 30],
    resent: 2,
    leftOut: 4,
    closed: 6,
    latencies: [[7, 30]],
  })
  t.equal(busiestUs(sum.used), 900)
  t.equal(busiestUs({ ...sum.used, middle: { cpuUs: 5000, rssBytes: 1 } }), 900)
})
