// Two reports of one scenario, before and after a change. Times of two runs are of two moments of a machine, so what is
// judged are the ratios to rivals that ran in the same rounds; without rivals in both, times are shown and not judged.
import type { Report, Spread } from './report.ts'

export type Comparison = {
  rows: { figure: string; before: number | null; after: number | null; change: string }[]
  /** Ratios that are worse beyond what the rounds differ by. */
  regressions: string[]
}

/** Below this share of the ratio before, with spreads apart, it is a regression. */
const WORSE = 0.95

/** @throws Error where the two are not of one scenario */
export function compareReports(before: Report, after: Report): Comparison {
  if (before.scenario !== after.scenario) {
    throw new Error(`the reports are of two scenarios, ${before.scenario} and ${after.scenario}`)
  }
  const rows: Comparison['rows'] = []
  const regressions: string[] = []
  for (const ratio of after.ratios) {
    const earlier = before.ratios.find(({ name, of }) => name === ratio.name && of === ratio.of)
    if (earlier === undefined) continue
    const figure = `${ratio.name} / skewer, ${ratio.of}`
    rows.push({ figure, before: earlier.median, after: ratio.median, change: changeOf(earlier.median, ratio.median) })
    if (isWorse(earlier, ratio)) regressions.push(`${figure}: ${spread(earlier)} before, ${spread(ratio)} after`)
  }
  for (const subject of after.subjects) {
    const earlier = before.subjects.find(({ name }) => name === subject.name)
    if (earlier === undefined) continue
    for (const key of ['cpuUsPerMessage', 'messagesPerSecond', 'p50Us', 'p99Us', 'rssBytes'] as const) {
      const [was, is] = [earlier[key], subject[key]]
      rows.push({ figure: `${subject.name} ${key}`, before: was, after: is, change: changeOf(was, is) })
    }
  }
  return { rows, regressions }
}

/** A ratio above 1 of CPU time says that the gateway is the cheaper; of throughput (raw), that it is the slower. */
function isWorse(before: Spread & { of: string }, after: Spread): boolean {
  if (before.of === 'messagesPerSecond') return after.median > before.median / WORSE && after.min > before.max
  return after.median < before.median * WORSE && after.max < before.min
}

function changeOf(before: number | null, after: number | null): string {
  if (before === null || after === null || before === 0) return '-'
  const percent = (after / before - 1) * 100
  return `${percent > 0 ? '+' : ''}${percent.toFixed(1)}%`
}

const spread = ({ median, min, max }: Spread): string => `${median} (${min} to ${max})`
