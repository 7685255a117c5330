// The processes that a run has started: ended by their ids when it ends, however it ends. Workers are modules of this
// room and are asked by messages; gateways and rivals are programs that write into a log.
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

const LOG_CHARACTERS = 2000

export class Crew {
  readonly #children: Set<ChildProcess> = new Set()
  readonly #onExit = () => this.#kill()
  readonly #onSignal = () => process.exit(130)

  constructor() {
    process.on('exit', this.#onExit)
    process.on('SIGINT', this.#onSignal)
    process.on('SIGTERM', this.#onSignal)
  }

  work(name: string, module: URL): Worker {
    const child = fork(fileURLToPath(module), [], { execArgv: [], env: environment() })
    return new Worker(name, this.#keep(child))
  }

  program(
    name: string,
    command: string,
    args: readonly string[],
    logFile: string,
    variables: NodeJS.ProcessEnv = {},
  ): Program {
    const log = openSync(logFile, 'a')
    const child = spawn(command, args, { stdio: ['ignore', log, log], env: { ...environment(), ...variables } })
    closeSync(log)
    return new Program(name, this.#keep(child), logFile)
  }

  async stop(): Promise<void> {
    const ends = [...this.#children].map((child) => new Promise((resolve) => child.once('exit', resolve)))
    this.#kill()
    await Promise.all(ends)
    process.off('exit', this.#onExit)
    process.off('SIGINT', this.#onSignal)
    process.off('SIGTERM', this.#onSignal)
  }

  #keep(child: ChildProcess): ChildProcess {
    this.#children.add(child)
    child.once('exit', () => this.#children.delete(child))
    // What could not be started has no exit.
    child.once('error', () => this.#children.delete(child))
    return child
  }

  #kill(): void {
    for (const child of this.#children) child.kill('SIGKILL')
  }
}

type Message = { kind: string } & Record<string, unknown>

/** A module of ours in a process of its own. */
export class Worker {
  readonly name: string
  readonly #child: ChildProcess

  constructor(name: string, child: ChildProcess) {
    this.name = name
    this.#child = child
  }

  get pid(): number {
    return this.#child.pid!
  }

  /** Its next answer; rejects where it fails, ends or takes too long. */
  ask<A>(message: Message, withinMs: number): Promise<A> {
    return new Promise((resolve, reject) => {
      const fail = (why: string) => done(() => reject(new Error(`${this.name} ${why}`)))
      const limit = setTimeout(() => fail(`did not answer '${message.kind}' within ${withinMs / 1000} s`), withinMs)
      const onMessage = (answer: unknown) => {
        const { failed } = answer as { failed?: string }
        if (failed === undefined) done(() => resolve(answer as A))
        else fail(failed)
      }
      const onExit = (code: number | null) => fail(`ended (${code})`)
      const done = (then: () => void) => {
        clearTimeout(limit)
        this.#child.off('message', onMessage)
        this.#child.off('exit', onExit)
        then()
      }
      this.#child.on('message', onMessage)
      this.#child.on('exit', onExit)
      this.#child.send(message)
    })
  }

  end(): Promise<void> {
    return ended(this.#child)
  }
}

/** Another program, the gateway among them. */
export class Program {
  readonly name: string
  readonly #child: ChildProcess
  readonly #logFile: string
  #error: Error | undefined

  constructor(name: string, child: ChildProcess, logFile: string) {
    this.name = name
    this.#child = child
    this.#logFile = logFile
    child.once('error', (error) => {
      this.#error = error
    })
  }

  get pid(): number {
    return this.#child.pid!
  }

  said(): string {
    return readFileSync(this.#logFile, 'utf8')
  }

  /** Tries until the answer is not undefined. Rejects where the program ends, or is not ready in time. */
  async until<A>(look: () => A | undefined | Promise<A | undefined>, withinMs: number): Promise<A> {
    const end = performance.now() + withinMs
    while (performance.now() < end) {
      if (this.#error !== undefined) throw new Error(`${this.name} could not be started: ${this.#error.message}`)
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) break
      const found = await look()
      if (found !== undefined) return found
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    throw new Error(`${this.name} was not ready: ${this.said().slice(-LOG_CHARACTERS)}`)
  }

  /** kill -9. */
  end(): Promise<void> {
    return ended(this.#child)
  }
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve()
    else {
      child.once('exit', () => resolve())
      child.kill('SIGKILL')
    }
  })
}

/** Flags for this process (a debugger's, a coverage tool's) would change what is measured. */
function environment(): NodeJS.ProcessEnv {
  return { ...process.env, NODE_OPTIONS: '' }
}

/** A port that was free a moment ago, for programs that cannot choose one themselves. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}
