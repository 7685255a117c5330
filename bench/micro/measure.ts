// How all micro benchmarks measure and what they print: CPU time (user and system, all threads) and bytes of V8's heap by
// operation. The cases of a group have their turns one after the other in each round, so that two of them can be compared;
// the best round is printed beside the median, since machines are shared. What V8 has allocated is its own count, which a
// collection in between does not change; array buffers' memory lies beside that heap and is not in it.
import { getHeapStatistics } from 'node:v8'

const ROUNDS = 9
const ROUND_US = 40_000
const WARM_UP_US = 120_000
const WIDTH = 58

export type Case = {
  what: string
  /** Does the operation so often, in a loop of its own. */
  run(count: number): void | Promise<void>
}
export type Figures = { what: string; roundsNs: number[]; bytes: number | undefined }

/** Newer than its type declarations, and than Node 24. */
type Heap = { total_allocated_bytes?: number }
const allocated = (): number | undefined => (getHeapStatistics() as Heap).total_allocated_bytes

/** Calls a function so often: what is long enough that the call itself means nothing. */
export const repeat =
  (once: () => void) =>
  (count: number): void => {
    for (let i = 0; i < count; i++) once()
  }

/** Measures the cases of a group and prints a line for each. */
export async function measure(group: string, cases: readonly Case[]): Promise<Figures[]> {
  const counts: number[] = []
  for (const { run } of cases) counts.push(await warmUp(run))
  const figures = cases.map(({ what }): Figures => ({ what, roundsNs: [], bytes: undefined }))
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, { run }] of cases.entries()) {
      const spentUs = await spent(run, counts[i])
      figures[i].roundsNs.push((spentUs * 1000) / counts[i])
    }
  }
  for (const [i, { run }] of cases.entries()) figures[i].bytes = await bytesOf(run, counts[i])
  print(group, figures)
  return figures
}

/** What the second costs of the first, in the same rounds. */
export function printRatio(what: string, first: Figures, second: Figures): void {
  const ratios = first.roundsNs.map((ns, i) => second.roundsNs[i] / ns).sort((a, b) => a - b)
  const [least, middle, most] = [0, ROUNDS >> 1, ROUNDS - 1].map((i) => ratios[i].toFixed(1))
  process.stdout.write(`${what.padEnd(WIDTH)} ${middle} (${least} to ${most})\n`)
}

/** How many operations fill a round. */
async function warmUp(run: Case['run']): Promise<number> {
  let count = 1
  let usedUs = 0
  for (;;) {
    const spentUs = await spent(run, count)
    usedUs += spentUs
    if (usedUs >= WARM_UP_US && spentUs >= ROUND_US / 4) return Math.max(1, Math.round((count * ROUND_US) / spentUs))
    if (spentUs < ROUND_US) count *= 2
  }
}

async function spent(run: Case['run'], count: number): Promise<number> {
  const before = process.cpuUsage()
  await run(count)
  const { user, system } = process.cpuUsage(before)
  return user + system
}

async function bytesOf(run: Case['run'], count: number): Promise<number | undefined> {
  const before = allocated()
  await run(count)
  const after = allocated()
  return before === undefined || after === undefined ? undefined : (after - before) / count
}

function print(group: string, figures: readonly Figures[]): void {
  const line = (what: string, ...cells: string[]): void => {
    process.stdout.write(`${what.padEnd(WIDTH)}${cells.map((cell) => cell.padStart(11)).join('')}\n`)
  }
  line(group, 'best ns', 'median ns', 'bytes')
  for (const { what, roundsNs, bytes } of figures) {
    const sorted = [...roundsNs].sort((a, b) => a - b)
    line(`  ${what}`, ns(sorted[0]), ns(sorted[ROUNDS >> 1]), bytes === undefined ? '-' : shown(bytes))
  }
}

const ns = (value: number): string => (value < 100 ? value.toFixed(1) : value.toFixed(0))
/** What a measuring allocates for itself is a few bytes in all. */
const shown = (bytes: number): string => (bytes < 0.5 ? '0' : bytes.toFixed(0))
