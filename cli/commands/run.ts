// `skewer run`: the gateway in the foreground. Says where it listens, then runs until it is told to stop: SIGTERM and
// SIGINT drain (clients are told to go elsewhere), the second one ends it at once. The exit code is the gateway's.
import process from 'node:process'
import { loadSettingsText } from '../../config/settings-from-yaml.ts'
import type { Settings } from '../../config/settings.ts'
import type { RunningGateway } from '../../gateway/io/process.ts'
import { Failure, exitCode } from '../failure.ts'
import { type LoadedFile, loadConfig, settingsOf } from '../load.ts'
import { printJson, printLine } from '../output.ts'
import { packageVersion } from '../package-version.ts'

export type RunFlags = {
  config?: string
  dev?: boolean
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
  const { settings, file } = flags.dev ? developmentConfig(flags) : loadConfig(flags)
  const { startGateway } = await import('../../gateway/io/process.ts')
  const running = await startGateway(settings, { configFile: file }).catch((error: Error) => {
    throw startFailure(error, settings)
  })
  announce(running, file, flags)
  const code = await stopped(running)
  setTimeout(() => process.exit(code), LINGER_MS).unref()
  return code
}

/** Flags as a configuration: JSON is YAML, so they are checked as a file is. */
function developmentConfig(flags: RunFlags): LoadedFile {
  const services = flags.service ?? ['arena']
  const hosts = flags.host ?? ['127.0.0.1:7800']
  const text = JSON.stringify({
    services: Object.fromEntries(services.map((name) => [name, { keys: 'any' }])),
    hosts: hosts.map((address, i) => ({ name: `host-${i + 1}`, address })),
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

function announce(running: RunningGateway, file: string | undefined, flags: RunFlags): void {
  const { addresses, adminAddress } = running
  const version = packageVersion()
  if (flags.json) {
    printJson({
      event: 'started',
      version,
      pid: process.pid,
      config: file ?? null,
      listeners: addresses,
      admin: adminAddress ?? null,
    })
    return
  }
  const config = flags.dev ? 'development configuration' : (file ?? 'built-in configuration')
  printLine(`skewer ${version} runs (pid ${process.pid}, ${config})`)
  for (const { name, transport, host, port } of addresses) {
    const scheme = transport === 'websocket' ? 'ws' : transport
    printLine(`  ${name.padEnd(16)} ${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`)
  }
  if (adminAddress)
    printLine(`  ${'admin'.padEnd(16)} ${adminAddress.includes('://') ? adminAddress : `http://${adminAddress}`}`)
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

/** The usual reasons why a port cannot be had, in one line that names the listener. */
function startFailure(error: Error, settings: Settings): Error {
  const system = [error, error.cause].find((error) => (error as NodeJS.ErrnoException | undefined)?.code) as
    | (NodeJS.ErrnoException & { address?: string; port?: number })
    | undefined
  const says = system?.syscall === 'listen' || system?.syscall === 'bind' ? listenErrors[system.code!] : undefined
  if (!system || !says) return error
  const listener = settings.listeners.find(({ port }) => port === system.port)
  const isAdmin = !listener && settings.admin.port === system.port
  const who = listener ? `listener ${listener.name}` : isAdmin ? 'the admin port' : 'a listener'
  return new Failure(`${who} cannot listen on ${system.address ?? ''}:${system.port ?? ''}: ${says}`)
}

const listenErrors: Record<string, string> = {
  EADDRINUSE: 'the port is in use by another process',
  EACCES: 'not permitted; ports below 1024 need CAP_NET_BIND_SERVICE',
  EADDRNOTAVAIL: 'this machine has no such address',
}
