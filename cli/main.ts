// What bin/skewer starts: parses the arguments, runs one command, ends with its exit code. Failures are one sentence on
// stderr; only what should not happen shows a stack.
import process from 'node:process'
import { CommanderError } from 'commander'
import { Failure, exitCode } from './failure.ts'
import { buildProgram } from './program.ts'

// The launcher's mark is not for what this process starts.
delete process.env.SKEWER_RELAUNCHED
// `skewer config schema | head` ends when head does.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? exitCode.ok : exitCode.failed)
})

process.exitCode = await main(process.argv.slice(2))

async function main(args: string[]): Promise<number> {
  let code: number = exitCode.ok
  try {
    const program = buildProgram((finished) => {
      code = finished
    })
    await program.parseAsync(args, { from: 'user' })
  } catch (error) {
    code = told(error)
  }
  return code
}

function told(error: unknown): number {
  // Commander has said what is wrong already; help that was asked for is no failure.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCode.ok : exitCode.usage
  if (error instanceof Failure) {
    process.stderr.write(`skewer: ${error.message}\n`)
    return error.exitCode
  }
  process.stderr.write(`skewer: this should not happen: ${error instanceof Error ? error.stack : String(error)}\n`)
  return exitCode.failed
}
