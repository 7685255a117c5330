// `skewer run`: the gateway in the foreground. Says where it listens, then runs until it is told to stop: SIGTERM and
// SIGINT drain (clients are told to go elsewhere), the second one ends it at once; SIGHUP has it read its file again. The
// exit code is the gateway's.
import process from 'node:process'
import { loadSettingsText } from '../../config/settings-from-yaml.ts'
import { acceleratorState } from '../../gateway/io/accelerator.ts'
import type { RunningGateway } from '../../gateway/io/process.ts'
import { Failure, exitCode } from '../failure.ts'
import { type LoadedFile, loadConfig, loadLastGoodConfig, settingsOf } from '../load.ts'
import { printJson, printProblems } from '../output.ts'
import { packageVersion } from '../../gateway/io/package-version.ts'

export type RunFlags = {
  config?: string
  dev?: boolean
  lastGood?: string | true
  service?: string[]
  host?: string[]
  tcpPort?: number
  websocketPort?: number
  adminPort?: number
  json?: boolean
}

/** One Ctrl-C may arrive twice: from the terminal, and passed on by npm or the launcher. */
const REPEAT_MS = 300
/** What still holds the process after the gateway has closed is left behind. */
const LINGER_MS = 1000

export async function run(flags: RunFlags): Promise<number> {
  const { settings, file, source } = configOf(flags)
  const { startGateway } = await import('../../gateway/io/process.ts')
  const running = await startGateway(settings, { configFile: file, source, ownsProcess: true }).catch(
    (error: Error) => {
      throw startFailure(error)
    },
  )
  // Who reads what is said may go; the gateway stays.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
  // Whoever reads that it runs may stop it at once.
  const ending = stopped(running)
  if (file !== undefined) process.on('SIGHUP', () => reload(running))
  announce(running, file, flags)
  const code = await ending
  setTimeout(() => process.exit(code), LINGER_MS).unref()
  return code
}

function configOf(flags: RunFlags): LoadedFile {
  if (flags.dev) return developmentConfig(flags)
  return flags.lastGood === undefined ? loadConfig(flags) : loadLastGoodConfig(flags, flags.lastGood)
}

/** Flags as a configuration: JSON is YAML, so they are checked as a file is. */
function developmentConfig(flags: RunFlags): LoadedFile {
  const services = flags.service ?? ['arena']
  const hosts = flags.host ?? ['127.0.0.1:7800']
  const text = JSON.stringify({
    services: Object.fromEntries(services.map((name) => [name, { keys: 'any' }])),
    hosts: hosts.map(hostOf),
    listeners: [
      { transport: 'tcp', port: flags.tcpPort },
      { transport: 'websocket', port: flags.websocketPort },
    ],
    auth: { development: true },
    admin: { port: flags.adminPort },
  })
  const loaded = loadSettingsText(text, { file: 'command line', directory: process.cwd() }, process.env)
  return { settings: settingsOf(loaded, 'the command line'), file: undefined }
}

/** `name=address`, or an address alone: a host must call itself what the gateway calls it, or its link is refused (L4). */
function hostOf(written: string, i: number): { name: string; address: string } {
  const [, name, address] = /^(?:([^=:/]+)=)?(.+)$/.exec(written) ?? []
  return { name: name ?? `host-${i + 1}`, address: address ?? written }
}

/** Lines for people go to stderr: stdout is the log's. With --json, a first line there says where it listens. */
function announce(running: RunningGateway, file: string | undefined, flags: RunFlags): void {
  const { addresses, adminAddress } = running
  const version = packageVersion()
  if (flags.json) {
    const admin = adminAddress ?? null
    const accelerator = acceleratorState()
    printJson({
      event: 'started',
      version,
      pid: process.pid,
      config: file ?? null,
      listeners: addresses,
      admin,
      accelerator,
    })
    return
  }
  const last = flags.lastGood === undefined ? '' : 'last good configuration of '
  const config = flags.dev ? 'development configuration' : `${last}${file ?? 'built-in configuration'}`
  say(`${version} runs (pid ${process.pid}, ${config})`)
  for (const { name, transport, host, port } of addresses) {
    const scheme = transport === 'websocket' ? 'ws' : transport
    say(`${name} listens on ${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`)
  }
  if (adminAddress) say(`admin listens on ${adminAddress}`)
}

async function stopped(running: RunningGateway): Promise<number> {
  let stoppingSince = Number.NaN
  const stop = (signal: NodeJS.Signals): void => {
    const now = performance.now()
    if (Number.isNaN(stoppingSince)) {
      stoppingSince = now
      say(`${signal}: draining; a second signal ends it at once`)
      drainThenClose(running)
    } else if (now - stoppingSince > REPEAT_MS) {
      say(`${signal} again: ending at once`)
      running.close().catch(failLoudly)
    }
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
  const { code, reason } = await running.closed
  process.off('SIGTERM', stop)
  process.off('SIGINT', stop)
  say(`stopped: ${reason}`)
  return code
}

function reload(running: RunningGateway): void {
  running
    .reload('signal')
    .then((outcome) => {
      if (outcome.outcome === 'refused') {
        printProblems(outcome.problems)
        say(`SIGHUP: nothing has changed: ${outcome.reason}`)
      } else {
        printProblems(outcome.warnings)
        const paths = outcome.changes.map(({ path }) => path).join(', ')
        say(`SIGHUP: reloaded, ${paths === '' ? 'nothing has changed' : `changed: ${paths}`}`)
      }
    })
    .catch((error: Error) => say(`SIGHUP: the configuration could not be read: ${error.stack}`))
}

function drainThenClose(running: RunningGateway): void {
  running
    .drain()
    .then(() => running.close())
    .catch(failLoudly)
}

function failLoudly(error: Error): void {
  say(`could not stop in order: ${error.stack}`)
  process.exit(exitCode.failed)
}

function say(text: string): void {
  process.stderr.write(`skewer: ${text}\n`)
}

/** What it says itself (a port is taken, keys cannot be read) is one sentence; any other kind of error is a bug. */
function startFailure(error: Error): Error {
  return error.constructor === Error ? new Failure(error.message) : error
}
