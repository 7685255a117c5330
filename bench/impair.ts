// `npm run impair -- --to 127.0.0.1:7777 --loss 5`: the impairing proxy by itself, for trying a game on a bad network.
// Tells every 10 s, and at its end, what it has done to how many datagrams.
import process from 'node:process'
import { parseArgs } from 'node:util'
import type { ImpairmentCounts } from './impairment.ts'
import { ImpairingProxy } from './impairing-proxy.ts'

const REPORT_MS = 10_000
const USAGE = `usage: npm run impair -- --to host:port [--listen host:port] [--loss %] [--duplicate %] [--corrupt %]
       [--reorder %] [--delay ms] [--jitter ms] [--rebind ms]
UDP only; hosts are IP addresses. --delay and --jitter are one way; --rebind gives all clients other ports so often.`

const { values } = parseArgs({
  options: {
    to: { type: 'string', default: '' },
    listen: { type: 'string', default: '127.0.0.1:0' },
    loss: { type: 'string', default: '0' },
    duplicate: { type: 'string', default: '0' },
    corrupt: { type: 'string', default: '0' },
    reorder: { type: 'string', default: '0' },
    delay: { type: 'string', default: '0' },
    jitter: { type: 'string', default: '0' },
    rebind: { type: 'string', default: '0' },
    help: { type: 'boolean', short: 'h', default: false },
  },
})
if (values.help) {
  console.log(USAGE)
  process.exit(0)
}

function fail(text: string): never {
  console.error(`${text}\n${USAGE}`)
  process.exit(2)
}

function endpoint(name: 'to' | 'listen'): { host: string; port: number } {
  const match = /^(?:\[([0-9a-f:]+)\]|([0-9.]+)):(\d{1,5})$/i.exec(values[name])
  const port = Number(match?.[3])
  if (match === null || port > 65_535) fail(`--${name} takes host:port, like 127.0.0.1:7777, not ${values[name]}`)
  return { host: match[1] ?? match[2], port }
}

function number(name: Exclude<keyof typeof values, 'to' | 'listen' | 'help'>, most: number): number {
  const value = Number(values[name])
  if (values[name] === '' || !(value >= 0 && value <= most)) {
    fail(`--${name} takes a number from 0 to ${most}, not ${values[name]}`)
  }
  return value
}

const to = endpoint('to')
const listen = endpoint('listen')
const rebindMs = number('rebind', 3_600_000)
const proxy = await ImpairingProxy.start({
  host: listen.host,
  port: listen.port,
  targetHost: to.host,
  targetPort: to.port,
  impairment: {
    lossShare: number('loss', 100) / 100,
    duplicateShare: number('duplicate', 100) / 100,
    corruptShare: number('corrupt', 100) / 100,
    reorderShare: number('reorder', 100) / 100,
    delayMs: number('delay', 60_000),
    jitterMs: number('jitter', 60_000),
  },
})

const line = (counts: Readonly<ImpairmentCounts>): string =>
  Object.entries(counts)
    .map(([what, count]) => `${count} ${what}`)
    .join(', ')
const report = (): void => {
  const { up, down } = proxy.counts
  console.log(`${proxy.clients} clients, ${proxy.rebindings} rebindings; up: ${line(up)}; down: ${line(down)}`)
}
console.log(`${listen.host}:${proxy.port} -> ${to.host}:${to.port}`)
setInterval(report, REPORT_MS)
if (rebindMs > 0) setInterval(() => proxy.rebind(), rebindMs)
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    report()
    process.exit(0)
  })
}
