// `npm run proof`: real processes, real sockets. Two gateways, two hosts, players over TCP and WebSocket; gateways are
// killed with -9, host links cut, players hop. Then everything falls quiet and every message is accounted for from the
// game's own numbers in both ends' books. Exit code 1 on any violation.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { parseArgs } from 'node:util'
import { compare, noCounts } from './accounts.ts'
import type { PlayerBook } from './messages.ts'
import { Stage } from './stage.ts'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    clients: { type: 'string', default: '200' },
    rate: { type: 'string', default: '45' },
    'kill-ms': { type: 'string', default: '5000' },
    'cut-ms': { type: 'string', default: '7000' },
    'hop-ms': { type: 'string', default: '8000' },
    sabotage: { type: 'string', default: '' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
})
const USAGE = `usage: npm run proof -- [--seconds N] [--clients N] [--rate messages/s a client] [--kill-ms N] [--cut-ms N]
       [--hop-ms N] [--sabotage swallow|repeat|swap] [--json]`
if (values.help) {
  console.log(USAGE)
  process.exit(0)
}
const number = (name: 'seconds' | 'clients' | 'rate' | 'kill-ms' | 'cut-ms' | 'hop-ms'): number => {
  const value = Number(values[name])
  if (!(value > 0)) {
    console.error(`--${name} takes a positive number, not ${values[name]}\n${USAGE}`)
    process.exit(2)
  }
  return value
}
if (!['', 'swallow', 'repeat', 'swap'].includes(values.sabotage)) {
  console.error(`--sabotage takes swallow, repeat or swap\n${USAGE}`)
  process.exit(2)
}

const say = (text: string) => {
  if (!values.json) console.log(text)
}
const folder = mkdtempSync(path.join(tmpdir(), 'skewer-proof-'))
const stage = new Stage(folder, {
  clients: number('clients'),
  messagesPerSecond: number('rate'),
  hopMs: number('hop-ms'),
  sabotage: values.sabotage,
})
let failure = ''
try {
  await stage.start()
  say(`2 gateways, 2 hosts, ${values.clients} players; ${values.seconds} s of trouble`)
  await stage.trouble(number('seconds') * 1000, number('kill-ms'), number('cut-ms'), say)
  say('everything heals; waiting until nothing is in flight')
  await stage.settle(60_000)
} catch (error) {
  failure = (error as Error).message
}
const result = await account()
await stage.stop()
if (failure !== '') say(stage.gatewayLogs())
rmSync(folder, { recursive: true, force: true })

if (values.json) console.log(JSON.stringify(result))
else print()
process.exit(result.violations.length > 0 ? 1 : 0)

async function account() {
  const counts = noCounts()
  const violations: string[] = failure === '' ? [] : [failure]
  const { players, hosts } = await stage.books()
  const books: Map<string, PlayerBook> = new Map(players.flatMap((p) => p.books).map((book) => [book.user, book]))
  const hostBooks = hosts.flatMap((host) => host.books)
  for (const book of books.values()) {
    const mine = hostBooks.filter((hostBook) => hostBook.user === book.user)
    if (mine.length > 1) violations.push(`${book.user}: its actor ran on ${mine.length} hosts`)
    const own = mine[0] ?? { handled: [], asked: [], pushed: 0 }
    compare(book, own.handled, counts)
    compare({ accepted: own.pushed, refused: [], unknown: [] }, book.received, counts)
    const askedTwice = own.asked.length - new Set(own.asked).size
    counts.doubled += askedTwice
    counts.sent += book.asked
    counts.delivered += own.asked.length
    counts.refused += book.askedRefused
    counts.unknown += book.askedUnknown
    const withoutOutcome = book.asked - book.answered - book.askedRefused - book.askedUnknown
    if (withoutOutcome !== 0) violations.push(`${book.user}: ${withoutOutcome} requests without an outcome`)
    if (book.answered > own.asked.length) violations.push(`${book.user}: more answers than handled requests`)
    if (book.endings.length > 0) violations.push(`${book.user}: ${book.endings.join(', ')}`)
    if (book.resets > 0) violations.push(`${book.user}: ${book.resets} resets although no host died`)
    if (book.lane.unacked > 0)
      violations.push(`${book.user}: ${book.lane.unacked} still unacknowledged (${book.lane.state})`)
  }
  for (const { ended } of hosts) if (ended > 0) violations.push(`${ended} channels ended on a host`)
  for (const what of ['lost', 'doubled', 'reordered', 'contradicted'] as const) {
    if (counts[what] > 0) violations.push(`${counts[what]} ${what}`)
  }
  const reattach = players.flatMap((p) => p.reattachMs).sort((a, b) => a - b)
  const at = (share: number) =>
    Math.round((reattach[Math.min(reattach.length - 1, Math.floor(reattach.length * share))] ?? 0) * 10) / 10
  const transports: Record<string, number> = {}
  for (const player of players)
    for (const [name, n] of Object.entries(player.transports)) transports[name] = (transports[name] ?? 0) + n
  return {
    ...counts,
    kills: stage.kills,
    linkCuts: stage.linkCuts,
    hops: players.reduce((sum, p) => sum + p.hops, 0),
    hostCalls: hosts.reduce((sum, h) => sum + h.calls, 0),
    hostCallsFailed: hosts.reduce((sum, h) => sum + h.callsFailed, 0),
    transports,
    reattaches: reattach.length,
    reattachMs: { p50: at(0.5), p99: at(0.99), max: at(1) },
    violations,
  }
}

function print(): void {
  const { violations, reattachMs, transports, ...rest } = result
  const rows: [string, string | number][] = [
    ...Object.entries(rest),
    [
      'attaches by transport',
      Object.entries(transports)
        .map(([name, n]) => `${name} ${n}`)
        .join(', '),
    ],
    ['re-attach ms', `p50 ${reattachMs.p50}, p99 ${reattachMs.p99}, max ${reattachMs.max}`],
  ]
  for (const [name, value] of rows) console.log(`${name.padEnd(22)} ${value}`)
  console.log(
    violations.length === 0
      ? 'proved: nothing lost, doubled or reordered'
      : `VIOLATED:\n  ${violations.slice(0, 20).join('\n  ')}`,
  )
}
