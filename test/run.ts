// The test runner: `npm test`, `npm run test:all`, `npm test -- kcp wire` (files whose path contains one of the words;
// what begins with a dash goes to tap). Runs tap over the files of each step of test/plan.ts, one step after the other,
// and closes with the totals that tap itself counted. Exit code: tap's, 1 where tap was ended by a signal, 2 where a
// tool is missing.
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TestFile } from './plan.ts'
import { findTool, missingTools, needsOf, planOf, totalsOf } from './plan.ts'
import { runTap } from './tap.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

const options = process.argv.slice(2)
const all = options.includes('--all')
const forTap = options.filter((option) => option.startsWith('-') && option !== '--all')
const filters = options.filter((option) => !option.startsWith('-'))

const say = (line: string): void => {
  process.stdout.write(`${line}\n`)
}

const [major, minor] = process.versions.node.split('.').map(Number)
if (!((major === 24 && minor >= 18) || (major === 26 && minor >= 5) || major > 26)) {
  say(`tests need Node 24.18 or 26.5 and newer, this is ${process.version}; npm test brings its own`)
  process.exit(2)
}

const files: TestFile[] = globSync('test/**/*.test.ts', { cwd: root })
  .sort()
  .map((path) => ({ path, needs: needsOf(readFileSync(join(root, path), 'utf8')) }))
const plan = planOf(files, filters, all)
const planned = plan.steps.flatMap(({ files }) => files)
if (planned.length + plan.leftOut.length === 0) {
  say(`no test file's path contains ${filters.join(' or ')}`)
  process.exit(2)
}
const missing = missingTools(
  files.filter((file) => planned.includes(file.path)),
  findTool,
)
if (missing.length > 0) {
  for (const line of missing) say(line)
  process.exit(2)
}

const reports = mkdtempSync(join(tmpdir(), 'skewer-tests-'))
let passed = 0
let failed = 0
let worst = 0
for (const { step, files } of plan.steps) {
  if (files.length === 0) continue
  say(`${step.name}: ${files.length} ${files.length === 1 ? 'file' : 'files'}`)
  const report = join(reports, `${step.name}.tap`)
  const { jobs, timeoutSeconds } = step
  const run = { files, jobs, timeoutSeconds, report, options: forTap }
  const exitCode = await runTap(run, process.stdout.isTTY === true, (text) => process.stdout.write(text))
  const totals = existsSync(report) ? totalsOf(readFileSync(report, 'utf8')) : undefined
  passed += totals?.passed ?? 0
  // A step that ends without totals has failed, whatever it managed to say.
  failed += totals?.failed ?? 1
  worst ||= exitCode
}
rmSync(reports, { recursive: true, force: true })

for (const file of plan.leftOut) say(`left out: ${file.path} (needs ${file.needs.join(', ')})`)
say(`${passed} passed, ${failed} failed`)
process.exitCode = worst !== 0 ? worst : failed > 0 ? 1 : 0
