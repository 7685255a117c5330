// What a log is told of tests that fail: their file, their name and what was expected, also where CI is set.
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import t from 'tap'
import { totalsOf } from '../plan.ts'

const root = path.join(import.meta.dirname, '../..')

/** tap says by its environment that it runs within itself. */
const outsideTap = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('TAP')))

for (const CI of ['true', 'false']) {
  t.test(`with CI=${CI}`, async (t) => {
    const folder = t.testdir({})
    const file = path.join(folder, 'broken.mjs')
    writeFileSync(
      file,
      `import t from ${JSON.stringify(import.meta.resolve('tap'))}
t.test('sums', async (t) => t.equal(1 + 1, 3, 'one and one'))
t.test('is never over', (t) => t.pass('so far'))
`,
    )
    const report = path.join(folder, 'report.tap')
    const script = `
      const { runTap } = await import(${JSON.stringify(path.join(root, 'test/tap.ts'))})
      const run = { files: [${JSON.stringify(file)}], jobs: 1, timeoutSeconds: 20, report: ${JSON.stringify(report)}, options: [] }
      console.log('exit code', await runTap(run, false, console.log))`
    const said = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
      env: { ...outsideTap, CI },
    })
    t.match(said, 'broken.mjs')
    t.match(said, 'sums > one and one')
    t.match(said, '-3\n')
    t.match(said, 'is never over')
    t.match(said, 'exit code 1')
    t.notMatch(said, 'Asserts:')
    t.strictSame(totalsOf(readFileSync(report, 'utf8')), { passed: 1, failed: 2 })
  })
}
