// The log: pino, JSON lines or, on a terminal, something to read. Where the lines go is the target's (io/log-output.ts);
// `close` has it write out what is left. Secrets do not get here by design (events carry none); the names below are a second
// net for objects that somebody logs whole.
import { styleText } from 'node:util'
import pino from 'pino'

export type LogSettings = { level: string; format: 'json' | 'pretty' | 'auto' }
/** Where lines go. */
export type LogTarget = {
  write(line: string): unknown
  /** Writes out what it holds; never throws. */
  flushSync?(): void
  close?(): Promise<void>
}
export type Log = pino.Logger

const secrets = [
  'token',
  'ticket',
  'secret',
  'proof',
  'password',
  'linkKey',
  'ticketKeys',
  'authorization',
  'privateKey',
]
const redact = { paths: secrets.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: '[redacted]' }

export class LogFile {
  readonly log: Log
  readonly #target: LogTarget

  constructor(settings: LogSettings, target: LogTarget) {
    this.#target = target
    const isPretty = settings.format === 'pretty' || (settings.format === 'auto' && process.stdout.isTTY === true)
    const stream = isPretty ? { write: (line: string) => target.write(prettyLine(line)) } : target
    this.log = pino(
      { level: settings.level, redact, base: undefined, timestamp: pino.stdTimeFunctions.isoTime },
      stream,
    )
  }

  /** Writes out what the target holds. */
  async close(): Promise<void> {
    await this.#target.close?.()
  }

  /** The same, at once, for a process that is about to die: what cannot be written is lost. */
  closeNow(): void {
    this.#target.flushSync?.()
  }
}

/** Says in the log that the shared store answers, or does not. */
export const storeTeller = (log: Log) => (isUp: boolean, error: Error | undefined) => {
  if (isUp) log.info('the shared store answers')
  else log.warn({ err: error }, 'the shared store is away: limits hold on this gateway alone')
}

const levels: Record<number, [string, 'gray' | 'cyan' | 'green' | 'yellow' | 'red' | 'magenta']> = {
  10: ['trace', 'gray'],
  20: ['debug', 'cyan'],
  30: ['info', 'green'],
  40: ['warn', 'yellow'],
  50: ['error', 'red'],
  60: ['fatal', 'magenta'],
}

/** One line of JSON as a person reads it: time, level, sentence, then the rest as name=value. */
export function prettyLine(line: string): string {
  const { level, time, msg, event, err, ...rest } = JSON.parse(line) as Record<string, unknown>
  const [name, color] = levels[level as number] ?? [String(level), 'gray']
  const fields = Object.entries(rest).map(([key, value]) => `${key}=${shown(value)}`)
  const head = `${styleText('gray', String(time).slice(11, 23))} ${styleText(color, name.padEnd(5))} ${msg ?? event ?? ''}`
  const stack = (err as { stack?: string } | undefined)?.stack
  const tail = stack === undefined ? '' : `\n${stack}`
  return `${head}${fields.length > 0 ? ` ${styleText('gray', fields.join(' '))}` : ''}${tail}\n`
}

function shown(value: unknown): string {
  if (typeof value === 'string') return /^[\w.:/@-]+$/.test(value) ? value : JSON.stringify(value)
  return JSON.stringify(value)
}
