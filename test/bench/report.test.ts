import t from 'tap'
import { type Round, ratiosOf, subjectOf } from '../../bench/report.ts'

const round = (messages: number, cpuUs: number | undefined, figures?: Record<string, number>): Round => ({
  messages,
  elapsedUs: 1e6,
  cpuUs,
  rssBytes: cpuUs === undefined ? undefined : 1000,
  p50Us: 5,
  p99Us: 9,
  limitedBy: 'none',
  generatorShare: 0.5,
  figures,
})

t.test('a subject is the median of its rounds, and the sum of its messages', async (t) => {
  const subject = subjectOf('skewer', [round(100, 1000), round(200, 600), round(100, 800)])
  t.match(subject, { name: 'skewer', messages: 400, messagesPerSecond: 100, cpuUsPerMessage: 8, rssBytes: 1000 })
})

t.test('ratios are taken within each round', async (t) => {
  const own = [round(100, 1000), round(100, 2000), round(100, 500)]
  const rival = [round(100, 2000), round(100, 2000), round(100, 1500)]
  t.strictSame(ratiosOf('nginx', rival, own), [{ name: 'nginx', of: 'cpuUsPerMessage', median: 2, min: 1, max: 3 }])
})

t.test('what has no process of its own is compared by throughput', async (t) => {
  const raw = [round(300, undefined), round(500, undefined)]
  t.equal(subjectOf('raw', raw).cpuUsPerMessage, null)
  const [ratio] = ratiosOf('raw', raw, [round(100, 1), round(100, 1)])
  t.strictSame(ratio, { name: 'raw', of: 'messagesPerSecond', median: 4, min: 3, max: 5 })
})

t.test('a game server is compared with the gateway, and with the gateway and its host together', async (t) => {
  const own = [round(100, 1000, { serverCpuUsPerMessage: 15 })]
  const rival = [round(100, 3000, { serverCpuUsPerMessage: 30 })]
  const spread = (value: number) => ({ median: value, min: value, max: value })
  t.strictSame(ratiosOf('socket.io', rival, own), [
    { name: 'socket.io', of: 'cpuUsPerMessage', ...spread(3) },
    { name: 'socket.io', of: 'serverCpuUsPerMessage', ...spread(2) },
  ])
  t.equal(ratiosOf('nginx', rival, own).length, 1, 'a proxy has its game elsewhere, too')
})

t.test('rounds without messages make no ratio and no division by zero', async (t) => {
  t.strictSame(ratiosOf('nginx', [round(0, 10)], [round(0, 10)]), [])
  t.equal(subjectOf('skewer', [round(0, 10)]).cpuUsPerMessage, null)
})

t.test("a scenario's own figures are medians too", async (t) => {
  const rounds = [3, 1, 2].map((sessions) => round(1, 1, { sessions }))
  t.strictSame(subjectOf('skewer', rounds).figures, { sessions: 2 })
})
