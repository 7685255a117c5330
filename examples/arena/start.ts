// `npm start`: brings up a gateway, an actor host, some bots and the page, as separate processes, and keeps them up. The
// page's kill button ends the gateway with SIGKILL; it is started again at once, and play goes on.
import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs, styleText } from 'node:util'
import { readNoiseKey } from '../../config/noise-keys.ts'
import { freePort, refusalOf } from './free-port.ts'
import { startPage } from './page-server.ts'

const here = path.dirname(fileURLToPath(import.meta.url))
const root = path.join(here, '..', '..')
/** What each part loads first. */
const tied = pathToFileURL(path.join(here, 'tied.ts')).href
const RESTART_MS = 300
const SHORT_LIFE_MS = 2000
const READY_MS = 10_000
const STOP_MS = 3000
const TWICE_MS = 500
const LOOK_MS = 50

// Node strips the types of the page's sources, and calls that an experiment; players need not hear of it.
process.removeAllListeners('warning')
process.on('warning', (warning) => warning.name === 'ExperimentalWarning' || console.error(warning.stack))

const { values } = parseArgs({
  options: {
    'page-port': { type: 'string', default: '3000' },
    'tcp-port': { type: 'string', default: '7777' },
    'ws-port': { type: 'string', default: '8080' },
    'host-port': { type: 'string', default: '7800' },
    'admin-port': { type: 'string', default: '9902' },
    bots: { type: 'string', default: '8' },
    help: { type: 'boolean', short: 'h' },
  },
})
if (values.help) {
  console.log(
    'usage: npm start -- [--page-port N] [--tcp-port N] [--ws-port N] [--host-port N] [--admin-port N] [--bots N]   (port 0: any free one)',
  )
  process.exit(0)
}

const taken: Set<number> = new Set()
const ports = {
  page: await portOf('page-port'),
  tcp: await portOf('tcp-port'),
  ws: await portOf('ws-port'),
  host: await portOf('host-port'),
  admin: await portOf('admin-port'),
}

/** The number given, or a free port for 0; a busy one ends with one clear line. */
async function portOf(option: 'page-port' | 'tcp-port' | 'ws-port' | 'host-port' | 'admin-port'): Promise<number> {
  const wanted = Number(values[option])
  if (!Number.isInteger(wanted) || wanted < 0 || wanted > 65535) fail(`--${option} takes a port, not ${values[option]}`)
  if (wanted === 0) return freePort(taken)
  const refusal = await refusalOf(wanted)
  if (refusal !== undefined) {
    const why = refusal === 'EADDRINUSE' ? 'is busy' : `cannot be had (${refusal})`
    fail(`port ${wanted} ${why}; take a free one with: npm start -- --${option} 0`)
  }
  return wanted
}

function fail(text: string): never {
  console.error(text)
  process.exit(1)
}

/** The demo's configuration; other ports are written into a copy of it. */
function configFile(): string {
  const file = path.join(here, 'skewer.yaml')
  if (ports.tcp === 7777 && ports.ws === 8080 && ports.host === 7800 && ports.admin === 9902) return file
  const text = readFileSync(file, 'utf8')
    .replaceAll('port: 7777', `port: ${ports.tcp}`)
    .replace('port: 8080', `port: ${ports.ws}`)
    .replace('127.0.0.1:7800', `127.0.0.1:${ports.host}`)
    .replace('port: 9902', `port: ${ports.admin}`)
  const folder = path.join(root, '.skewer')
  mkdirSync(folder, { recursive: true })
  const copy = path.join(folder, `arena-${ports.tcp}.yaml`)
  writeFileSync(copy, text)
  process.on('exit', () => rmSync(copy, { force: true }))
  return copy
}

type Part = { name: string; args: string[]; env?: Record<string, string> }

const config = configFile()

/** The ways of the bots to the gateway: UDP, with the public key that the gateway made at its first start, then TCP. */
function waysOfBots(): string {
  const tcp = `tcp://127.0.0.1:${ports.tcp}`
  const file = path.join(path.dirname(config), '.skewer', 'noise.key')
  const key = existsSync(file) ? readNoiseKey(readFileSync(file, 'utf8')) : undefined
  return key === undefined ? tcp : `kcp://127.0.0.1:${ports.tcp}?key=${key.publicKey} ${tcp}`
}

const parts: Record<string, Part> = {
  host: {
    name: 'host',
    args: [path.join(here, 'host.ts')],
    env: { LISTEN: `127.0.0.1:${ports.host}` },
  },
  gateway: { name: 'gateway', args: [path.join(root, 'bin', 'skewer'), 'run', '--config', config] },
  bots: {
    name: 'bots',
    args: [path.join(here, 'bots.ts')],
    env: { BOTS: String(values.bots) },
  },
}
const running: Map<string, ChildProcess> = new Map()
let isStopping = false
let stoppedAt = 0
let kills = 0

function start(part: Part): void {
  const startedAt = Date.now()
  const child = spawn(process.execPath, ['--import', tied, ...part.args], {
    cwd: root,
    env: { ...process.env, ...part.env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  running.set(part.name, child)
  const isShown = process.env.ARENA_VERBOSE !== undefined
  child.stdout!.on('data', (data) => isShown && process.stdout.write(data))
  // What the gateway says of itself is told once; of a start after a kill only what is wrong would be news.
  child.stderr!.on('data', (data) => (isShown || !isSaid(String(data))) && process.stderr.write(data))
  child.on('exit', (exitCode, signal) => {
    running.delete(part.name)
    if (isStopping) return
    // A part that cannot stay up is not started in a hurry.
    const waitMs = Date.now() - startedAt < SHORT_LIFE_MS && signal !== 'SIGKILL' ? SHORT_LIFE_MS : RESTART_MS
    setTimeout(() => {
      if (isStopping) return
      console.log(styleText('yellow', `  ${part.name} ended (${signal ?? exitCode}) and starts again`))
      start(part)
    }, waitMs)
  })
}

/** Lines of a gateway that runs well, which the lines below say already. */
function isSaid(text: string): boolean {
  return text
    .trim()
    .split('\n')
    .every((line) => / listens on | runs \(pid |: draining;|: stopped: /.test(line))
}

/** Until the gateway says that it has what it needs, its link to the host included. */
async function ready(): Promise<void> {
  const until = Date.now() + READY_MS
  while (Date.now() < until && !isStopping) {
    const isReady = await fetch(`http://127.0.0.1:${ports.admin}/ready`).then(
      (response) => response.ok,
      () => false,
    )
    if (isReady) return
    await wait(LOOK_MS)
  }
}

function stop(): void {
  if (isStopping) {
    // From a terminal one Ctrl-C comes twice: from the terminal itself and from npm.
    if (Date.now() - stoppedAt < TWICE_MS) return
    for (const child of running.values()) child.kill('SIGKILL')
    process.exit(1)
  }
  isStopping = true
  stoppedAt = Date.now()
  console.log('\n  everything stops')
  // Players first: a gateway that drains waits for none then.
  for (const child of [...running.values()].reverse()) child.kill('SIGTERM')
  const limit = setTimeout(() => {
    for (const child of running.values()) child.kill('SIGKILL')
  }, STOP_MS)
  page.closeAllConnections()
  page.close()
  const looking = setInterval(() => {
    if (running.size > 0) return
    clearInterval(looking)
    clearTimeout(limit)
    process.exit(0)
  }, LOOK_MS)
}

start(parts.host)
start(parts.gateway)
const page = await startPage({
  port: ports.page,
  gateways: [`ws://127.0.0.1:${ports.ws}/`],
  killGateway: () => {
    const gateway = running.get('gateway')
    if (gateway === undefined) return false
    kills++
    console.log(styleText('red', `  kill -9 ${gateway.pid} (gateway), kill number ${kills}`))
    return gateway.kill('SIGKILL')
  },
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop)
await ready()
if (!isStopping) {
  parts.bots.env!.GATEWAY = waysOfBots()
  start(parts.bots)
}

const bold = (text: string) => styleText('bold', text)
console.log(`
  ${bold('arena')}     ${styleText('cyan', `http://127.0.0.1:${ports.page}`)}   open it in two windows
  gateway   tcp:// and kcp://127.0.0.1:${ports.tcp}  ws://127.0.0.1:${ports.ws}/  admin http://127.0.0.1:${ports.admin}
  host      arena-1 on 127.0.0.1:${ports.host}, ${values.bots} bots play over KCP

  Try: steer, then "kill -9 the gateway" on the page. Play goes on and the counters of lost, doubled and
  reordered messages stay 0.  Ctrl-C stops everything.
`)
