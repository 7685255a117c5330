// Any plan: `mixed`, `churn` and those that users write. All phases one after the other, with as many processes of players
// as were asked for, and at each border a look at the gateway. Where rounds are asked for, the whole day is played again.
import { monotonicUs } from '../clock.ts'
import type { Worker } from '../crew.ts'
import { Histogram } from '../histogram.ts'
import type { BenchOptions } from '../options.ts'
import { Book } from '../play/book.ts'
import { type Ground, ownGround, targetGround } from '../play/ground.ts'
import { lengthMs, type Plan, planShare } from '../play/plan.ts'
import type { PlayersState, ToPlayers } from '../processes/players.ts'
import type { Usage } from '../process-usage.ts'
import type { Limit, PhaseRow, Round } from '../report.ts'
import { slopeOf } from '../slope.ts'
import type { Outcome, Scenario, Stage } from '../stage.ts'

const ANSWER_MS = 60_000
/** Processes have heard of the beginning by then. */
const LEAD_MS = 300
const BUSY_SHARE = 0.9

/** How often memory is looked at, for its slope. */
const MEMORY_MS = 500

type Look = { atUs: number; gateway: Usage | undefined; states: PlayersState[] }

export function play(plan: Plan): Scenario {
  return async (stage, options): Promise<Outcome> => {
    const ground = options.target ? targetGround(plan, options.target) : await ownGround(stage, plan, options)
    const rounds: Round[] = []
    const phases: PhaseRow[] = []
    const violations: string[] = []
    for (let i = 0; i < options.rounds; i++) {
      const played = await playOnce(stage, plan, options, ground)
      rounds.push(played.round)
      phases.push(...played.phases.map((row) => (options.rounds === 1 ? row : { round: i + 1, ...row })))
      violations.push(...played.violations.map((what) => (options.rounds === 1 ? what : `round ${i + 1}: ${what}`)))
    }
    const { workers, target } = options
    const clients = Math.max(...plan.phases.map((phase) => phase.clients))
    const shown = { clients, seconds: lengthMs(plan) / 1000, rounds: options.rounds, workers }
    const elsewhere = target && { target: target.addresses, service: target.service, prefix: target.prefix }
    return { rounds: { skewer: rounds }, violations, phases, options: { ...shown, ...elsewhere } }
  }
}

async function playOnce(stage: Stage, plan: Plan, options: BenchOptions, { place, usage }: Ground) {
  const count = Math.min(options.workers, Math.max(1, ...plan.phases.map(({ clients }) => clients)))
  const workers = Array.from({ length: count }, (_, i) => {
    const name = count === 1 ? 'the players' : `players ${i + 1}`
    return stage.crew.work(name, new URL('../processes/players.ts', import.meta.url))
  })
  const tell = <A>(worker: Worker, message: ToPlayers): Promise<A> => worker.ask<A>(message, ANSWER_MS)
  await tell(workers[0], { kind: 'try', plan, place: { ...place, at: 0, of: 1 } })
  const prepared = workers.map((worker, i) => {
    return tell(worker, { kind: 'prepare', plan: planShare(plan, i, count), place: { ...place, at: i, of: count } })
  })
  await Promise.all(prepared)

  const look = async (kind: 'look' | 'end'): Promise<Look> => {
    const states = await Promise.all(workers.map((worker) => tell<PlayersState>(worker, { kind })))
    return { atUs: monotonicUs(), gateway: await usage(), states }
  }
  const looks = [await look('look')]
  const memory: [seconds: number, bytes: number][] = []
  const remembering = setInterval(() => {
    // Who cannot be asked now is asked again; what is told of a phase is asked for with its failure.
    usage().then(
      (now) => now && memory.push([monotonicUs() / 1e6, now.rssBytes]),
      () => {},
    )
  }, MEMORY_MS)
  const startUs = monotonicUs() + LEAD_MS * 1000
  await Promise.all(workers.map((worker) => tell(worker, { kind: 'begin', atUs: startUs })))
  let endMs = 0
  const phases: PhaseRow[] = []
  for (const [i, phase] of plan.phases.entries()) {
    endMs += phase.forMs
    await until(startUs + endMs * 1000)
    looks.push(await look('look'))
    const row = rowOf(plan, i, looks.slice(-2))
    Object.assign(row, slopeFigures(memory, looks.slice(-2)))
    phases.push(row)
    const cpu = row.cpuUsPerMessage === undefined ? '' : `, ${row.cpuUsPerMessage.toFixed(1)} us of CPU each`
    stage.say(`${phase.name}: ${row.clients} clients, ${Math.round(row.messagesPerSecond)} messages/s${cpu}`)
  }
  clearInterval(remembering)
  const last = await look('end')
  await Promise.all(workers.map((worker) => worker.end()))
  return { round: roundOf(plan, looks[0], last), phases, violations: violationsOf(last.states) }
}

async function until(us: number): Promise<void> {
  const ms = (us - monotonicUs()) / 1000
  if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms))
}

function bookOf(plan: Plan, phases: readonly number[], states: readonly PlayersState[]): Book {
  const sum = new Book(plan.messages.length)
  for (const { books } of states) for (const phase of phases) sum.add(books[phase])
  return sum
}

/** What a phase was, by the looks before and behind it. */
function rowOf(plan: Plan, phase: number, [before, after]: Look[]): PhaseRow {
  const book = bookOf(plan, [phase], after.states)
  const elapsedUs = after.atUs - before.atUs
  const heard = book.messages.reduce((sum, message) => sum + message.heard, 0)
  const cpuUs = after.gateway && before.gateway && after.gateway.cpuUs - before.gateway.cpuUs
  const row: PhaseRow = {
    phase: plan.phases[phase].name,
    clients: after.states.reduce((sum, { clients }) => sum + clients, 0),
    messagesPerSecond: (heard * 1e6) / elapsedUs,
    cpuUsPerMessage: cpuUs === undefined || heard === 0 ? undefined : cpuUs / heard,
    cpuShare: cpuUs === undefined ? undefined : cpuUs / elapsedUs,
    rssBytes: after.gateway?.rssBytes,
    logins: book.logins.total,
    limitedBy: limitOf(before, after),
  }
  if (book.logins.total > 0) row.loginP99Ms = book.logins.percentile(0.99) / 1000
  if (book.returns.total > 0) Object.assign(row, { returns: book.returns.total, returnP99Ms: p99Ms(book.returns) })
  for (const [i, { name }] of plan.messages.entries()) {
    const { latencies } = book.messages[i]
    if (latencies.total > 0) row[`${name}P99Ms`] = p99Ms(latencies)
  }
  return row
}

/** What memory grew by within a phase that is long enough to say so. */
function slopeFigures(memory: readonly (readonly [number, number])[], [before, after]: Look[]): object {
  const slope = slopeOf(memory.filter(([at]) => at >= before.atUs / 1e6 && at < after.atUs / 1e6))
  if (slope === undefined) return {}
  return { rssBytesPerMinute: slope.perSecond * 60, rssBytesPerMinuteError: slope.error * 60 }
}

function roundOf(plan: Plan, first: Look, last: Look): Round {
  const book = bookOf(plan, [...plan.phases.keys()], last.states)
  const elapsedUs = last.atUs - first.atUs
  const all = new Histogram()
  const figures: Record<string, number> = {}
  let messages = 0
  for (const [i, { name }] of plan.messages.entries()) {
    const { heard, refused, skipped, latencies } = book.messages[i]
    messages += heard
    all.add(latencies.counts())
    figures[name] = heard
    figures[`${name}P50Ms`] = latencies.percentile(0.5) / 1000
    figures[`${name}P99Ms`] = p99Ms(latencies)
    if (refused > 0) figures[`${name}Refused`] = refused
    if (skipped > 0) figures[`${name}Skipped`] = skipped
  }
  const sum = (figure: (state: PlayersState) => number): number =>
    last.states.reduce((n, state) => n + figure(state), 0)
  const limitedBy = limitOf(first, last)
  return {
    messages,
    elapsedUs,
    cpuUs: last.gateway && first.gateway && last.gateway.cpuUs - first.gateway.cpuUs,
    rssBytes: last.gateway?.rssBytes,
    p50Us: all.percentile(0.5),
    p99Us: all.percentile(0.99),
    limitedBy,
    generatorShare: busiestShare(first, last),
    latencies: all.counts(),
    figures: {
      logins: book.logins.total,
      loginP99Ms: p99Ms(book.logins),
      left: book.left,
      cuts: book.cuts,
      returnP99Ms: p99Ms(book.returns),
      ...figures,
      lost: sum(({ broken }) => broken.lost),
      doubled: sum(({ broken }) => broken.doubled),
      reordered: sum(({ broken }) => broken.reordered),
    },
  }
}

const p99Ms = (times: Histogram): number => times.percentile(0.99) / 1000

function busiestShare(before: Look, after: Look): number {
  const shares = after.states.map(({ cpuUs }, i) => (cpuUs - before.states[i].cpuUs) / (after.atUs - before.atUs))
  return Math.max(...shares)
}

/** Rates are what a plan says: it is limited where somebody has no more to give. */
function limitOf(before: Look, after: Look): Limit {
  if (busiestShare(before, after) >= BUSY_SHARE) return 'generator'
  const cpuUs = (after.gateway?.cpuUs ?? 0) - (before.gateway?.cpuUs ?? 0)
  return cpuUs >= (after.atUs - before.atUs) * BUSY_SHARE ? 'gateway' : 'rate'
}

function violationsOf(states: readonly PlayersState[]): string[] {
  const sum = (what: 'lost' | 'doubled' | 'reordered' | 'ended') =>
    states.reduce((n, { broken }) => n + broken[what], 0)
  const why = states.map(({ broken }) => broken.why).find((text) => text !== '')
  return (['lost', 'doubled', 'reordered', 'ended'] as const)
    .filter((what) => sum(what) > 0)
    .map((what) => (what === 'ended' ? `${sum(what)} sessions or channels ended: ${why}` : `${sum(what)} ${what}`))
}
