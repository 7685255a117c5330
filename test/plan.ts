// What a test run consists of: which files, in which steps, and what is left out and why. Pure but for `findTool`;
// test/run.ts acts on it.
//
// A test file that needs a program from outside says so in a comment among its first lines:
//     // needs: chromium, nginx
// `npm test` leaves such files out and says so; `npm run test:all` runs them and fails beforehand where one is missing.
import { accessSync, constants, existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export type TestFile = { path: string; needs: string[] }
export type Step = {
  name: string
  /** Folders of test/ that the step takes; empty: whatever no other step takes. */
  folders: readonly string[]
  /** Files at a time: what starts processes of its own is not measured against its neighbours. */
  jobs: number
  timeoutSeconds: number
}
export type Plan = { steps: { step: Step; files: string[] }[]; leftOut: TestFile[] }

export const steps: readonly Step[] = [
  { name: 'tests', folders: [], jobs: 2, timeoutSeconds: 60 },
  { name: 'simulator', folders: ['test/sim/'], jobs: 2, timeoutSeconds: 300 },
  {
    name: 'processes',
    folders: ['test/cli/', 'test/e2e/', 'test/interop/', 'test/proof/', 'test/bench/'],
    jobs: 1,
    timeoutSeconds: 300,
  },
]

const root = fileURLToPath(new URL('..', import.meta.url))

/** What a test may need: the programs (or files, by absolute names) of which one must be there, and what brings it. */
export const tools: Record<string, { programs: readonly string[]; install: string }> = {
  chromium: { programs: ['chromium', 'chromium-browser', 'google-chrome'], install: 'apt-get install chromium' },
  curl: { programs: ['curl'], install: 'apt-get install curl' },
  docker: { programs: ['docker'], install: 'apt-get install docker.io' },
  'game-servers': {
    programs: [join(root, 'bench/rivals/node_modules/pinus/package.json')],
    install: 'npm ci --prefix bench/rivals',
  },
  gcc: { programs: ['gcc', 'cc'], install: 'apt-get install gcc' },
  'flynn-noise': {
    programs: ['/usr/share/gocode/src/github.com/flynn/noise/state.go'],
    install: 'apt-get install golang-github-flynn-noise-dev',
  },
  go: { programs: ['go'], install: 'apt-get install golang-go' },
  haproxy: { programs: ['haproxy'], install: 'apt-get install haproxy' },
  'kcp-go': {
    programs: ['/usr/share/gocode/src/github.com/xtaci/kcp-go/sess.go'],
    install: 'apt-get install golang-github-xtaci-kcp-dev',
  },
  kcptun: { programs: ['kcptun-server'], install: 'apt-get install kcptun' },
  nginx: { programs: ['nginx'], install: 'apt-get install nginx' },
  openssl: { programs: ['openssl'], install: 'apt-get install openssl' },
  redis: { programs: ['redis-server', 'valkey-server'], install: 'apt-get install redis-server' },
}

const NEEDS_LINES = 12

/** Tools named by `// needs:` in the first lines of a test file. */
export function needsOf(source: string): string[] {
  for (const line of source.split('\n', NEEDS_LINES)) {
    const match = /^\/\/ needs: (.+)$/.exec(line.trim())
    if (match) return match[1].split(',').map((need) => need.trim())
  }
  return []
}

/** Files by step; with filters only those whose path contains one of them. */
export function planOf(files: readonly TestFile[], filters: readonly string[], all: boolean): Plan {
  const wanted = files.filter((file) => filters.length === 0 || filters.some((filter) => file.path.includes(filter)))
  const runs = wanted.filter((file) => all || file.needs.length === 0)
  return {
    steps: steps.map((step) => ({
      step,
      files: runs.filter((file) => stepOf(file.path) === step).map((file) => file.path),
    })),
    leftOut: wanted.filter((file) => !runs.includes(file)),
  }
}

const stepOf = (path: string): Step =>
  steps.find((step) => step.folders.some((folder) => path.startsWith(folder))) ?? steps[0]

/** One line for each tool that the plan needs and this machine does not have. */
export function missingTools(files: readonly TestFile[], has: (programs: readonly string[]) => boolean): string[] {
  const lines: string[] = []
  for (const need of [...new Set(files.flatMap((file) => file.needs))].sort()) {
    const tool = tools[need]
    if (tool === undefined) lines.push(`${need}: no such tool is known to test/plan.ts`)
    else if (!has(tool.programs)) lines.push(`${need} is missing: ${tool.install}`)
  }
  return lines
}

/** Whether one of the programs can be run, or is there where its name is absolute; also looks where Debian puts daemons. */
export function findTool(programs: readonly string[]): boolean {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/bin', '/usr/local/go/bin']
  return programs.some((program) =>
    program.startsWith('/') ? existsSync(program) : folders.some((folder) => isExecutable(join(folder, program))),
  )
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** tap's own totals from the last line of its raw output: assertions, skipped ones not among them. */
export function totalsOf(tapOutput: string): { passed: number; failed: number } | undefined {
  const match = /^# \{ total: \d+, pass: (\d+)(?:, fail: (\d+))?/m.exec(
    tapOutput.slice(tapOutput.lastIndexOf('# { total')),
  )
  return match === null ? undefined : { passed: Number(match[1]), failed: Number(match[2] ?? 0) }
}
