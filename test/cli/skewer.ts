// The command as its users run it: a child process, what it printed and how it ended.
import { type ChildProcess, spawn } from 'node:child_process'
import path from 'node:path'
import process from 'node:process'

export const launcher = path.join(import.meta.dirname, '../../bin/skewer')
const DEADLINE_MS = 120_000

export type Ran = { code: number | null; signal: NodeJS.Signals | null; stdout: string; stderr: string }
export type RunOptions = {
  cwd?: string
  env?: NodeJS.ProcessEnv
  input?: string
  nodeArgs?: string[]
  file?: string
  program?: string
}

/** A running command (skewer, unless another program is named): its output so far, a line to wait for, its end. */
export class Running {
  readonly child: ChildProcess
  readonly ended: Promise<Ran>
  stdout = ''
  stderr = ''
  #waiting = new Set<() => void>()

  constructor(args: string[], options: RunOptions = {}) {
    const { cwd, env, input, nodeArgs = [], file = launcher, program } = options
    // Nothing of the developer's own settings decides: neither variables nor a skewer.yaml in the working folder.
    const clean = { PATH: process.env.PATH, HOME: process.env.HOME, NO_COLOR: '1', ...env }
    const stdio = ['pipe', 'pipe', 'pipe'] as const
    // tap adds NODE_OPTIONS to whatever a test starts, with hooks that no user has.
    const command = program ? [program, ...args] : [process.execPath, ...nodeArgs, file, ...args]
    this.child = spawn('env', ['-u', 'NODE_OPTIONS', ...command], { cwd, env: clean, stdio: [...stdio] })
    this.child.stdout!.setEncoding('utf8').on('data', (text: string) => this.#heard('stdout', text))
    this.child.stderr!.setEncoding('utf8').on('data', (text: string) => this.#heard('stderr', text))
    this.child.stdin!.on('error', () => {})
    this.child.stdin!.end(input ?? '')
    const limit = setTimeout(() => this.child.kill('SIGKILL'), DEADLINE_MS)
    this.ended = new Promise((resolve, reject) => {
      this.child.once('error', reject)
      this.child.once('close', (code, signal) => {
        clearTimeout(limit)
        for (const wake of this.#waiting) wake()
        resolve({ code, signal, stdout: this.stdout, stderr: this.stderr })
      })
    })
  }

  /** Resolves with the match once the output has it; rejects where the command ends without. */
  async said(pattern: RegExp, stream: 'stdout' | 'stderr' = 'stdout'): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this[stream])
      if (match) return match
      if (this.child.exitCode !== null || this.child.signalCode !== null) {
        throw new Error(
          `ended (${this.child.exitCode ?? this.child.signalCode}) without ${pattern}: ${this.stdout}${this.stderr}`,
        )
      }
      await new Promise<void>((resolve) => this.#waiting.add(resolve))
    }
  }

  #heard(stream: 'stdout' | 'stderr', text: string): void {
    this[stream] += text
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }
}

export function skewer(args: string[], options: RunOptions = {}): Promise<Ran> {
  return new Running(args, options).ended
}
