// The same load through nginx and HAProxy, with the configurations that the load tool brings.
// needs: nginx, haproxy
import t, { type Test } from 'tap'
import type { Report } from '../../bench/report.ts'
import { skewer } from '../cli/skewer.ts'

t.setTimeout(180_000)

for (const scenario of ['tcp-echo', 'http-call']) {
  t.test(`${scenario}: nginx and HAProxy are measured in the same rounds`, (t) => sameRounds(t, scenario))
}

async function sameRounds(t: Test, scenario: string): Promise<void> {
  const args = ['--clients', '20', '--seconds', '1', '--rounds', '2', '--warmup', '0', '--against', 'nginx,haproxy']
  const { code, stdout, stderr } = await skewer(['bench', scenario, ...args, '--json'])
  t.equal(code, 0, stderr)
  const { subjects, ratios, missing } = JSON.parse(stdout) as Report
  t.strictSame(missing, [])
  for (const [i, name] of ['skewer', 'nginx', 'haproxy'].entries()) {
    t.equal(subjects[i].name, name)
    t.ok(subjects[i].messages > 100 && subjects[i].cpuUsPerMessage! > 0 && subjects[i].rssBytes! > 0, name)
  }
  for (const { name, of, median, min, max } of ratios) {
    t.equal(of, 'cpuUsPerMessage')
    t.ok(min > 0 && min <= median && median <= max, name)
  }
  t.equal(ratios.length, 2)
}
