// The load that is paced by what was possible a moment before.
import process from 'node:process'
import t from 'tap'
import type { Report } from '../../bench/report.ts'
import { skewer } from '../cli/skewer.ts'

t.setTimeout(120_000)
const needsProc = { skip: process.platform === 'linux' ? false : 'reads /proc' }

t.test('latency asks for half of what was possible, and tells what was added', needsProc, async (t) => {
  const args = ['--clients', '20', '--seconds', '1', '--rounds', '2', '--warmup', '0', '--json']
  const { code, stdout, stderr } = await skewer(['bench', 'latency', ...args])
  t.equal(code, 0, stderr)
  const { options, subjects } = JSON.parse(stdout) as Report
  const most = Number(/skewer: (\d+) messages\/s at most/.exec(stderr)?.[1])
  t.ok(Math.abs(Number(options.rate) - most / 2) <= 1, `${options.rate} of ${most}`)
  t.strictSame(
    subjects.map(({ name }) => name),
    ['skewer', 'raw'],
  )
  const [own, raw] = subjects
  t.equal(own.limitedBy, 'rate')
  const { addedP50Us, addedP99Us } = own.figures
  t.ok(addedP50Us >= own.p50Us - raw.p50Us && addedP99Us >= own.p99Us - raw.p99Us, `${addedP50Us}, ${addedP99Us} us`)
  t.notOk('addedP99Us' in raw.figures)
})
