// One run of tap: over which files, with what said of it.
import { spawn } from 'node:child_process'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stripVTControlCharacters } from 'node:util'

export type TapRun = {
  files: readonly string[]
  /** Files at a time. */
  jobs: number
  timeoutSeconds: number
  /** Where tap's raw output goes. */
  report: string
  /** Further options of tap's own. */
  options: readonly string[]
}

const root = fileURLToPath(new URL('..', import.meta.url))
const bin = join(root, 'node_modules', '.bin')

/** Runs tap: on a terminal it draws there itself, else `say` is given what a log needs. Returns the exit code, 1 for a signal. */
export function runTap(run: TapRun, onTerminal: boolean, say: (text: string) => void): Promise<number> {
  const command = [join(bin, 'tap'), 'run', `--jobs=${run.jobs}`, `--timeout=${run.timeoutSeconds}`]
  command.push(`--output-file=${run.report}`, `--reporter=${onTerminal ? 'base' : 'terse'}`)
  const child = spawn(process.execPath, [...command, ...run.options, ...run.files], {
    cwd: root,
    stdio: ['ignore', onTerminal ? 'inherit' : 'pipe', 'inherit'],
    // What draws tap's reports keeps what failed to itself where CI is set.
    env: { ...process.env, PATH: `${bin}${delimiter}${process.env['PATH'] ?? ''}`, CI: 'false' },
  })
  let output = ''
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output += text
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (exitCode) => {
      say(forLog(output))
      resolve(exitCode ?? 1)
    })
  })
}

/** tap redraws its counters in place; a log gets the failures and nothing that was drawn over. */
function forLog(output: string): string {
  const lines = stripVTControlCharacters(output).split('\n')
  const kept = lines.filter((line) => line.trim() !== '' && !/^(Asserts|Suites): |^# (No coverage|time=|\{)/.test(line))
  return kept.length === 0 ? '' : `${kept.join('\n')}\n`
}
