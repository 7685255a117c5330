// Reports before and after a change: what counts as worse, and what only looks so on a noisy machine.
import t from 'tap'
import { compareReports } from '../../bench/compare.ts'
import { type Ratio, type Report, type Round, subjectOf } from '../../bench/report.ts'

const round: Round = {
  messages: 100,
  elapsedUs: 1e6,
  cpuUs: 500,
  rssBytes: 1000,
  p50Us: 5,
  p99Us: 9,
  limitedBy: 'none',
  generatorShare: 0.5,
}

const ratio = (median: number, min: number, max: number, of: Ratio['of'] = 'cpuUsPerMessage'): Ratio => ({
  name: 'nginx',
  of,
  median,
  min,
  max,
})

const report = (ratios: Ratio[], cpuUs = 500): Report => ({
  scenario: 'tcp-echo',
  options: {},
  machine: { cpus: 2, loadAverage: 0, node: '26' },
  subjects: [subjectOf('skewer', [{ ...round, cpuUs }])],
  ratios,
  missing: [],
  violations: [],
})

t.test('a ratio is worse when it fell by more than a twentieth and the spreads are apart', async (t) => {
  const worse = (before: Ratio, after: Ratio) => compareReports(report([before]), report([after])).regressions.length
  t.equal(worse(ratio(1.2, 1.1, 1.3), ratio(1, 0.9, 1.05)), 1)
  t.equal(worse(ratio(1.2, 1.1, 1.3), ratio(1, 0.9, 1.15)), 0, 'the spreads meet')
  t.equal(worse(ratio(1.2, 1.19, 1.21), ratio(1.16, 1.15, 1.17)), 0, 'within a twentieth')
  t.equal(worse(ratio(1, 0.9, 1.05), ratio(1.2, 1.1, 1.3)), 0, 'better')
  t.equal(worse(ratio(2, 1.9, 2.1, 'messagesPerSecond'), ratio(3, 2.9, 3.1, 'messagesPerSecond')), 1, 'raw pulls ahead')
})

t.test('times of two runs are shown and not judged', async (t) => {
  const { rows, regressions } = compareReports(report([], 500), report([], 5000))
  t.same(regressions, [])
  t.match(rows[0], { figure: 'skewer cpuUsPerMessage', before: 5, after: 50, change: '+900.0%' })
})

t.test('reports of two scenarios are not compared', async (t) => {
  t.throws(() => compareReports(report([]), { ...report([]), scenario: 'idle' }), /two scenarios, tcp-echo and idle/)
})
