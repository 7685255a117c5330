// Every scenario once, small: it works, its report has its fields, and it leaves nothing behind. How fast is no matter here.
import fs from 'node:fs'
import process from 'node:process'
import t, { type Test } from 'tap'
import { missingGameServer } from '../../bench/game-servers.ts'
import { abuserKinds } from '../../bench/options.ts'
import { scenarioNames } from '../../bench/options.ts'
import type { Report } from '../../bench/report.ts'
import { missingRival } from '../../bench/rival-process.ts'
import { acceleratorState } from '../../gateway/io/accelerator.ts'
import { skewer } from '../cli/skewer.ts'

/** Many processes, on a machine that may be busy. */
t.setTimeout(180_000)

const small = ['--clients', '20', '--seconds', '2', '--rounds', '1', '--warmup', '0', '--json']
const needsProc = { skip: process.platform === 'linux' ? false : 'reads /proc' }

async function report(t: Test, args: string[]): Promise<{ report: Report; stderr: string }> {
  const folder = t.testdir({})
  const env = { TMPDIR: folder }
  const { code, stdout, stderr } = await skewer(['bench', ...args, ...small], { env })
  t.equal(code, 0, stderr)
  t.strictSame(fs.readdirSync(folder), [], 'nothing is left behind')
  const report: Report = JSON.parse(stdout)
  t.match(report, { scenario: args[0], options: { clients: 20, rounds: 1 }, missing: [], violations: [] })
  t.match(report.machine, { cpus: Number, loadAverage: Number, node: process.versions.node })
  t.equal(report.accelerator, acceleratorState() === 'on')
  for (const subject of report.subjects) {
    for (const field of ['messages', 'messagesPerSecond', 'p50Us', 'p99Us', 'generatorShare'] as const) {
      t.ok(Number.isFinite(subject[field]), `${subject.name} has ${field}`)
    }
    t.type(subject.limitedBy, 'string')
  }
  return { report, stderr }
}

for (const scenario of ['tcp-echo', 'ws-echo', 'tls-echo', 'noise-echo', 'kcp-echo', 'http-call', 'push'] as const) {
  t.test(`${scenario} tells what a message costs`, needsProc, async (t) => {
    const { subjects } = (await report(t, [scenario])).report
    t.equal(subjects.length, 1)
    const [subject] = subjects
    t.equal(subject.name, 'skewer')
    t.ok(subject.messages > 100, `${subject.messages} messages`)
    t.ok(subject.cpuUsPerMessage! > 0)
    t.ok(subject.rssBytes! > 1e6)
    t.ok(subject.p50Us > 0 && subject.p50Us <= subject.p99Us)
  })
}

t.test('tcp-echo beside an echo without a gateway gives a ratio', needsProc, async (t) => {
  const { subjects, ratios } = (await report(t, ['tcp-echo', '--against', 'raw'])).report
  t.strictSame(
    subjects.map(({ name }) => name),
    ['skewer', 'raw'],
  )
  t.match(subjects[1], { cpuUsPerMessage: null, rssBytes: null })
  t.match(ratios, [{ name: 'raw', of: 'messagesPerSecond', median: Number, min: Number, max: Number }])
})

t.test('an open loop keeps its rate', needsProc, async (t) => {
  const { subjects } = (await report(t, ['tcp-echo', '--rate', '500', '--depth', '100'])).report
  t.equal(subjects[0].limitedBy, 'rate')
  t.ok(subjects[0].messages > 800 && subjects[0].messages < 1200, `${subjects[0].messages} messages in 2 s`)
})

t.test('broadcast tells how much is delivered for a second of CPU time', needsProc, async (t) => {
  const { figures, messages, limitedBy } = (await report(t, ['broadcast', '--rate', '50'])).report.subjects[0]
  t.ok(messages > 1500 && messages < 2500, `${messages} deliveries of 100 publications to 20`)
  t.equal(limitedBy, 'rate')
  t.equal(figures.leftOut, 0)
  t.ok(figures.deliveriesPerCpuSecond > figures.deliveriesPerCpuSecondWithHost)
})

t.test('several processes make one load', needsProc, async (t) => {
  const { subjects } = (await report(t, ['tcp-echo', '--rate', '500', '--depth', '100', '--workers', '3'])).report
  t.equal(subjects[0].limitedBy, 'rate')
  t.ok(subjects[0].messages > 800 && subjects[0].messages < 1200, `${subjects[0].messages} messages in 2 s`)
})

for (const over of ['tcp', 'websocket', 'kcp']) {
  t.test(`idle tells what a session over ${over} costs`, needsProc, async (t) => {
    const { figures, rssBytes } = (await report(t, ['idle', '--over', over])).report.subjects[0]
    t.equal(figures.sessions, 20)
    t.ok(Number.isFinite(figures.rssBytesPerSession) && Number.isFinite(figures.cpuUsPerSessionSecond))
    t.ok(rssBytes! > 1e6)
  })
}

t.test('storm: everybody comes back and nothing is lost, doubled or out of order', needsProc, async (t) => {
  const { figures, messages } = (await report(t, ['storm'])).report.subjects[0]
  t.match(figures, { lost: 0, doubled: 0, reordered: 0 })
  t.ok(messages > 100, `${messages} messages`)
  t.ok(figures.reattachP50Ms > 0 && figures.reattachP50Ms <= figures.reattachMaxMs)
})

t.test('storm --restart: everybody comes back to the gateway that was started again', needsProc, async (t) => {
  const { figures, messages } = (await report(t, ['storm', '--restart'])).report.subjects[0]
  t.match(figures, { lost: 0, doubled: 0, reordered: 0 })
  t.ok(messages > 100, `${messages} messages`)
  t.ok(figures.downMs > 0 && figures.backMaxMs > 0 && figures.reattachMaxMs > figures.downMs)
  t.ok(figures.loopDelayFirstSecondMs > 0 && figures.loopDelayMaxMs > 0, 'both were watched')
})

t.test('reload: the configuration changes under load, and nobody notices', needsProc, async (t) => {
  const { figures, messages } = (await report(t, ['reload'])).report.subjects[0]
  t.ok(figures.reloads >= 2, `${figures.reloads} reloads`)
  t.ok(figures.reloadMaxMs > 0 && figures.longestMs > 0)
  t.ok(messages > 100, `${messages} messages`)
})

t.test('abuse: who sends too much is held to the limit, and the others lose nothing', needsProc, async (t) => {
  const { figures } = (await report(t, ['abuse', '--abuse-rate', '5000'])).report.subjects[0]
  t.ok(figures.calmP99Ms > 0 && figures.abusedP99Ms > 0)
  // That none of them got more than its limit gives is among the violations, of which there are none.
  for (const kind of abuserKinds) t.ok(figures[`${kind}TriedPerSecond`] > 0, `${kind} tried`)
  for (const kind of ['tcp', 'websocket', 'kcp', 'http']) {
    t.ok(figures[`${kind}RanPerSecond`] > 500, `${kind}: what is within the limit runs`)
  }
})

t.test(
  'slow-readers: who does not read costs a bounded amount of memory, and the others nothing',
  needsProc,
  async (t) => {
    const { figures, messages } = (await report(t, ['slow-readers'])).report.subjects[0]
    t.equal(figures.slowReaders, 4)
    t.ok(messages > 1000, `${messages} publications to 16`)
    t.ok(figures.besideP99Ms > 0 && figures.calmP99Ms > 0)
    t.equal(figures.closedSlow, 0, 'what they miss is dropped, and they stay')
  },
)

t.test('growth: what a message costs with many clients and with few', needsProc, async (t) => {
  const { figures, messages } = (await report(t, ['growth'])).report.subjects[0]
  t.equal(figures.fewClients, 3)
  t.ok(messages > 100 && figures.growth > 0 && figures.fewCpuUsPerMessage > 0)
})

t.test('a rival that is not there is named with its package', async (t) => {
  const empty = [t.testdir({})]
  t.equal(missingRival('haproxy', empty), 'haproxy is missing: apt-get install haproxy')
  t.equal(missingRival('kcptun-each', empty), 'kcptun-each is missing: apt-get install kcptun')
  t.equal(missingRival('nginx', empty), 'nginx is missing: apt-get install nginx libnginx-mod-stream')
  t.match(missingGameServer('pinus', empty[0]), /^pinus is missing: npm ci --prefix /)
})

t.test('wrong usage is told before anything is started', async (t) => {
  const bad = async (...args: string[]) => (await skewer(['bench', ...args])).stderr
  t.match(await bad(), /missing required argument 'scenario'/)
  t.match(await bad('tcp-ecko'), new RegExp(`Allowed choices are ${scenarioNames.join(', ')}, and files`))
  t.match(await bad('tcp-echo', '--payload', '7'), /whole number from 8 to 16384/)
  t.match(await bad('tcp-echo', '--against', 'apache'), /The rivals are nginx, haproxy, kcptun, .*socket.io, .*raw/)
  t.match(await bad('idle', '--restart'), /--restart is of storm: idle does not know it/)
  t.match(await bad('tcp-echo', '--slow-percent', '5'), /--slow-percent is of slow-readers/)
  t.match(await bad('push', '--against', 'nginx'), /push can be compared with nobody, not with nginx/)
})
