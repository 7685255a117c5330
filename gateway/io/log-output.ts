// Where the log goes unless told otherwise: standard output. Lines gather for a turn and are written beside the event loop.
// Whoever reads them may be slow, stuck or gone, and a disk may be full: that costs lines, which are counted and told of
// when it is over; it never costs the gateway its memory or its life. (pino's own destination holds without limit what is
// not taken, ends the process at an error that is no EPIPE, and its synchronous flush tries again for ever at any.)
import fs from 'node:fs'

/** What may wait to be written. */
const WAITING_LENGTH_MAX = 4 * 1024 * 1024
/** A full pipe is tried again after this. */
const AGAIN_MS = 50
/** What is left at the end may take so long; a write that takes longer is stuck. */
const END_MS = 1000

const open = new Set<LogOutput>()
const sleeper = new Int32Array(new SharedArrayBuffer(4))

export class LogOutput {
  readonly #fd: number
  #waiting: string[] = []
  #waitingLength = 0
  /** Since when a write is under way; Infinity: none is. */
  #writingSince = Infinity
  #lost = 0
  #written: (() => void) | undefined

  constructor(fd: number) {
    this.#fd = fd
    if (open.size === 0) process.on('exit', flushAll)
    open.add(this)
  }

  /** Takes a line, or loses it where too much waits. */
  write(line: string): void {
    if (this.#waitingLength + line.length > WAITING_LENGTH_MAX) {
      this.#lost++
      return
    }
    this.#waiting.push(line)
    this.#waitingLength += line.length
    if (this.#writingSince !== Infinity) return
    this.#writingSince = performance.now()
    setImmediate(this.#next)
  }

  /** Writes out what waits at once, as far as it is taken: for a process that is about to die. */
  flushSync(): void {
    if (performance.now() - this.#writingSince > END_MS) return
    const until = performance.now() + END_MS
    const bytes = this.#take()
    for (let at = 0; at < bytes.length; ) {
      try {
        at += fs.writeSync(this.#fd, bytes, at)
      } catch (error) {
        if (!isFull(error) || performance.now() > until) return
        Atomics.wait(sleeper, 0, 0, AGAIN_MS)
      }
    }
  }

  /** Resolves when all was written, or cannot be in good time. What is written later goes out by `flushSync`. */
  async close(): Promise<void> {
    if (this.#writingSince !== Infinity) {
      await new Promise<void>((resolve) => {
        const tooLate = setTimeout(resolve, END_MS)
        this.#written = () => {
          clearTimeout(tooLate)
          resolve()
        }
      })
    }
    this.flushSync()
    open.delete(this)
    if (open.size === 0) process.off('exit', flushAll)
  }

  readonly #next = (): void => {
    const bytes = this.#take()
    if (bytes.length > 0) {
      this.#send(bytes, 0)
      return
    }
    this.#writingSince = Infinity
    this.#written?.()
  }

  #send(bytes: Buffer, from: number): void {
    this.#writingSince = performance.now()
    fs.write(this.#fd, bytes, from, bytes.length - from, null, (error, count) => {
      if (error === null && from + count < bytes.length) {
        this.#send(bytes, from + count)
      } else if (isFull(error)) {
        setTimeout(() => this.#send(bytes, from), AGAIN_MS).unref()
      } else {
        if (error !== null) this.#lost += linesIn(bytes.subarray(from))
        this.#next()
      }
    })
  }

  #take(): Buffer {
    if (this.#waiting.length === 0) return Buffer.alloc(0)
    const lines = this.#waiting
    if (this.#lost > 0) lines.push(lossLine(this.#lost))
    this.#waiting = []
    this.#waitingLength = this.#lost = 0
    return Buffer.from(lines.join(''))
  }
}

const isFull = (error: unknown): boolean => (error as NodeJS.ErrnoException | null)?.code === 'EAGAIN'

function linesIn(bytes: Buffer): number {
  let count = 0
  for (const byte of bytes) if (byte === 0x0a) count++
  return count
}

function lossLine(count: number): string {
  const time = new Date().toISOString()
  return `${JSON.stringify({ level: 40, time, lines: count, msg: 'lines of the log were lost: they were not taken' })}\n`
}

function flushAll(): void {
  for (const output of open) output.flushSync()
}
