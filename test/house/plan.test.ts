// What `npm test` runs, leaves out and counts.
import t from 'tap'
import { findTool, missingTools, needsOf, planOf, steps, tools, totalsOf } from '../plan.ts'

const plain = { path: 'test/wire/reader.test.ts', needs: [] }
const sim = { path: 'test/sim/seeds.test.ts', needs: [] }
const browser = { path: 'test/e2e/arena.test.ts', needs: ['chromium'] }

t.test('a file says in its first lines what it needs', async (t) => {
  t.strictSame(needsOf('// A browser plays.\n// needs: chromium, nginx\nimport t from "tap"\n'), ['chromium', 'nginx'])
  t.strictSame(needsOf('// It needs: patience\n'), [])
  t.strictSame(needsOf('import t from "tap"\n'.repeat(20) + '// needs: docker\n'), [])
})

t.test('files that need a tool are left out, and run with --all', async (t) => {
  const some = planOf([plain, sim, browser], [], false)
  t.strictSame(
    some.steps.map(({ files }) => files),
    [[plain.path], [sim.path], []],
  )
  t.strictSame(some.leftOut, [browser])
  const every = planOf([plain, sim, browser], [], true)
  t.strictSame(every.steps[2].files, [browser.path])
  t.strictSame(every.leftOut, [])
})

t.test('a word picks the files whose path contains it', async (t) => {
  const plan = planOf([plain, sim, browser], ['wire', 'arena'], false)
  t.strictSame(
    plan.steps.map(({ files }) => files),
    [[plain.path], [], []],
  )
  t.strictSame(plan.leftOut, [browser])
})

t.test('each file belongs to one step', async (t) => {
  const folders = steps.flatMap((step) => step.folders)
  t.equal(new Set(folders).size, folders.length)
  t.strictSame(steps[0].folders, [])
})

t.test('a missing tool is told with the command that brings it', async (t) => {
  t.strictSame(
    missingTools([browser, plain], () => false),
    ['chromium is missing: apt-get install chromium'],
  )
  t.strictSame(
    missingTools([browser, plain], () => true),
    [],
  )
  t.match(
    missingTools([{ path: 'x', needs: ['abacus'] }], () => true),
    [/abacus: no such tool/],
  )
  t.ok(Object.values(tools).every((tool) => tool.programs.length > 0 && tool.install !== ''))
})

t.test('programs are looked up where they can be run', async (t) => {
  t.ok(findTool(['no-such-program-anywhere', 'sh']))
  t.notOk(findTool(['no-such-program-anywhere']))
})

t.test('totals are what tap counted last', async (t) => {
  t.strictSame(totalsOf('ok 1\n# { total: 7, pass: 3, fail: 3, skip: 1 }\n# time=9ms\n'), { passed: 3, failed: 3 })
  t.strictSame(totalsOf('ok 1\n# { total: 5, pass: 5 }\n'), { passed: 5, failed: 0 })
  t.equal(totalsOf('Bail out!\n'), undefined)
})
