// `skewer test [file]`: policy tests against a configuration, in virtual time: nothing listens, nobody waits.
import { loadSettings } from '../../config/settings-from-yaml.ts'
import process from 'node:process'
import { formatDuration } from '../../config/quantities.ts'
import type { Settings } from '../../config/settings.ts'
import { type Outcome, Rehearsal } from '../../gateway/rehearsal/rehearsal.ts'
import { Failure, exitCode } from '../failure.ts'
import { configFile, settingsOf } from '../load.ts'
import { printJson, printLine, printProblems } from '../output.ts'
import { type Expected, type PolicyTest, readPolicyTests } from '../policy-tests.ts'

type Result = { name: string; ok: boolean; failures: string[] }

export function test(file: string, flags: { config?: string; json?: boolean }): number {
  const read = readPolicyTests(file)
  if ('problems' in read) {
    printProblems(read.problems)
    throw new Failure(`${file} cannot be used`, exitCode.usage)
  }
  const config = flags.config ?? read.config ?? configFile(flags)
  const settings = settingsOf(loadSettings(config, process.env), config ?? 'the built-in configuration')
  const results = read.tests.map((one) => run(one, settings))
  const failed = results.filter(({ ok }) => !ok).length
  if (flags.json) printJson({ ok: failed === 0, file, config: config ?? null, tests: results })
  else {
    for (const { name, ok, failures } of results) {
      printLine(`${ok ? 'ok' : 'not ok'}  ${name}`)
      for (const failure of failures) printLine(`        ${failure}`)
    }
    printLine(`${results.length - failed} of ${results.length} passed`)
  }
  return failed === 0 ? exitCode.ok : exitCode.failed
}

/** Each test begins with a gateway that nobody has used. */
function run({ name, steps }: PolicyTest, settings: Settings): Result {
  const rehearsal = new Rehearsal(settings)
  const failures: string[] = []
  for (const [i, { waitMs, from, role, sending, expected, says }] of steps.entries()) {
    if (sending === undefined) {
      rehearsal.pass(waitMs)
      continue
    }
    const outcome = rehearsal.send(from, role, sending)
    for (const failure of differences(expected, outcome)) failures.push(`step ${i + 1}, ${says}: ${failure}`)
  }
  return { name, ok: failures.length === 0, failures }
}

function differences(expected: Expected, outcome: Outcome): string[] {
  const { passed, rejections, lost, closed, refused } = outcome
  const codes = [...new Set(rejections.map((one) => one.code))].join(', ')
  const retryMs = rejections.reduce((longest, one) => Math.max(longest, one.retryMs), 0)
  const found: string[] = []
  const compare = (what: string, wanted: unknown, got: unknown, gotText = String(got ?? 'none')) => {
    if (wanted !== undefined && wanted !== got) found.push(`${what}: expected ${String(wanted)}, got ${gotText}`)
  }
  compare('passed', expected.passed, passed)
  compare('rejected', expected.rejected, rejections.length, `${rejections.length}${codes === '' ? '' : ` (${codes})`}`)
  compare('lost', expected.lost, lost)
  compare('code', expected.code, codes, codes === '' ? 'none' : codes)
  if (expected.retry !== undefined && expected.retry !== retryMs) {
    found.push(`retry: expected ${formatDuration(expected.retry)}, got ${formatDuration(retryMs)}`)
  }
  compare('closed', expected.closed, closed)
  compare('refused', expected.refused, refused)
  if (expected.refused === undefined && refused !== undefined) found.push(`the login or attach was refused: ${refused}`)
  return found
}
