// The same load through nginx, HAProxy and kcptun, with the configurations that the load tool brings.
// needs: nginx, haproxy, kcptun
import t from 'tap'
import type { Report } from '../../bench/report.ts'
import { skewer } from '../cli/skewer.ts'

t.setTimeout(180_000)

t.test('nginx and HAProxy are measured in the same rounds', async (t) => {
  const args = ['--clients', '20', '--seconds', '1', '--rounds', '2', '--warmup', '0', '--against', 'nginx,haproxy']
  const { code, stdout, stderr } = await skewer(['bench', 'tcp-echo', ...args, '--json'])
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
})

t.test('nginx carries each of the other echoes in a configuration of its own', async (t) => {
  for (const scenario of ['ws-echo', 'tls-echo', 'kcp-echo', 'http-call']) {
    const args = ['--clients', '20', '--seconds', '1', '--rounds', '1', '--warmup', '0', '--against', 'nginx']
    const { code, stdout, stderr } = await skewer(['bench', scenario, ...args, '--json'])
    t.equal(code, 0, stderr)
    const [skewers, nginx] = (JSON.parse(stdout) as Report).subjects
    t.ok(skewers.messages > 20 && nginx.messages > 20, `${scenario}: ${skewers.messages}, ${nginx.messages}`)
    t.ok(nginx.cpuUsPerMessage! > 0 && skewers.figures.hostCpuUsPerMessage > 0)
  }
})

t.test('kcptun carries connections over a KCP of its own, in one session or in one for each', async (t) => {
  const rivals = ['kcptun', 'kcptun-each', 'kcptun-defaults']
  const args = ['--clients', '20', '--seconds', '1', '--rounds', '1', '--warmup', '1', '--against', rivals.join()]
  const { code, stdout, stderr } = await skewer(['bench', 'kcp-echo', ...args, '--json'])
  t.equal(code, 0, stderr)
  const { subjects, missing } = JSON.parse(stdout) as Report
  t.strictSame(missing, [])
  t.strictSame(
    subjects.map(({ name }) => name),
    ['skewer', ...rivals],
  )
  for (const { name, messages, cpuUsPerMessage } of subjects) {
    t.ok(messages > 20 && cpuUsPerMessage! > 0, `${name}: ${messages}, ${cpuUsPerMessage}`)
  }
})
