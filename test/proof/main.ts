// `npm run proof`: real processes, real sockets. Two gateways, two hosts, players over every transport asked for; gateways
// are killed with -9, links and connections cut, datagrams impaired, addresses changed, players hop. Then everything falls
// quiet and every message is accounted for from the game's own numbers in both ends' books. Exit code 1 on any violation.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { compare, noCounts } from './accounts.ts'
import type { Carried, PlayerBook } from './messages.ts'
import { readOptions } from './options.ts'
import { Stage } from './stage.ts'

const options = readOptions()
const say = (text: string) => {
  if (!options.isJson) console.log(text)
}
const folder = mkdtempSync(path.join(tmpdir(), 'skewer-proof-'))
const stage = new Stage(folder, options)
let failure = ''
try {
  await stage.start()
  const { clients, transports, seconds } = options
  say(`2 gateways, 2 hosts, ${clients} players over ${transports.join(', ')}; ${seconds} s of trouble`)
  await stage.trouble(say)
  say('everything heals; waiting until nothing is in flight')
  await stage.settle(60_000)
} catch (error) {
  failure = (error as Error).message
}
const result = await account()
await stage.stop()
if (failure !== '') say(stage.gatewayLogs())
rmSync(folder, { recursive: true, force: true })

if (options.isJson) console.log(JSON.stringify(result))
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
  const carried: Record<string, Carried> = {}
  for (const [name, { attaches, messages }] of players.flatMap((p) => Object.entries(p.carried))) {
    const sum = (carried[name] ??= { attaches: 0, messages: 0 })
    sum.attaches += attaches
    sum.messages += messages
  }
  return {
    ...counts,
    kills: stage.kills,
    ...(await stage.networkCounts()),
    hops: players.reduce((sum, p) => sum + p.hops, 0),
    hostCalls: hosts.reduce((sum, h) => sum + h.calls, 0),
    hostCallsFailed: hosts.reduce((sum, h) => sum + h.callsFailed, 0),
    carried,
    reattaches: reattach.length,
    silenceMaxMs: Math.round(Math.max(0, ...players.map((p) => p.silenceMaxMs))),
    reattachMs: { p50: at(0.5), p99: at(0.99), max: at(1) },
    violations,
  }
}

function print(): void {
  const { violations, reattachMs, carried, ...rest } = result
  const rows: [string, string | number][] = [
    ...Object.entries(rest),
    ...Object.entries(carried).map(([name, { attaches, messages }]): [string, string] => [
      `over ${name}`,
      `${messages} messages, ${attaches} attaches`,
    ]),
    ['re-attach ms', `p50 ${reattachMs.p50}, p99 ${reattachMs.p99}, max ${reattachMs.max}`],
  ]
  for (const [name, value] of rows) console.log(`${name.padEnd(22)} ${value}`)
  console.log(
    violations.length === 0
      ? 'proved: nothing lost, doubled or reordered'
      : `VIOLATED:\n  ${violations.slice(0, 20).join('\n  ')}`,
  )
}
