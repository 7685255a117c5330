// Every bar on one page: how much of each is used, and behind it the run that says so, with its figures and charts. The page
// carries the runs it was made of, so that some of them can be run anew and the others kept.
import type { Row } from './bars.ts'
import {
  alarmsOf,
  type Chart,
  chartPlaces,
  chartsOf,
  factsOf,
  figureTable,
  forScript,
  page,
  ratioTable,
  text,
} from './html-page.ts'
import type { Report } from './report.ts'

/** One run and the bars that it was held against. `id` is the same for the same run at another time. */
export type BarRun = { id: string; rows: Row[]; report: Report }

const RUNS = /<script type="application\/json" id="runs">(.*?)<\/script>/s

/** @param command how it was run, as it is to be shown */
export function htmlBars(runs: readonly BarRun[], command: string): string {
  const charts: Chart[] = []
  const sections = runs.map((run) => {
    const own = chartsOf(run.report.subjects)
    const section = sectionOf(run, own, charts.length)
    charts.push(...own)
    return section
  })
  const rows = runs.flatMap((run) => run.rows)
  const met = rows.filter(({ isMet }) => isMet).length
  const measured = rows.filter(({ isMet }) => isMet !== undefined).length
  const body = `<h1>skewer bench: ${met} of ${measured} bars met</h1>
<p><code>${text(command)}</code></p>
<p class="facts">Ours divided by the rival's in the same round (median, least and most of the rounds), or a figure of ours alone.
The line in the middle of a gauge is the bar: what ends left of it meets it.</p>
<div class="scroll"><table><tr><th>run</th><th>against</th><th></th><th>ours</th><th>least-most</th><th>bar</th><th>met</th></tr>
${rows.map(barRow).join('\n')}
</table></div>
<h2>Runs</h2>
<p class="facts">In a run's ratios a rival's figure is divided by skewer's: above 1 of cpuUsPerMessage, skewer was the cheaper.</p>
${sections.join('\n')}
<script type="application/json" id="runs">${forScript(runs)}</script>`
  return page('skewer bench: every bar', body, charts)
}

/** The runs that a page of `htmlBars` carries; none where it is another page. */
export function runsIn(html: string): BarRun[] {
  const found = RUNS.exec(html)
  return found === null ? [] : (JSON.parse(found[1]) as BarRun[])
}

/** The runs of a page and the new ones in the order of `ids`; where a run is in both, the new one. */
export function merged(html: string, runs: readonly BarRun[], ids: readonly string[]): BarRun[] {
  const known = new Map([...runsIn(html), ...runs].map((run) => [run.id, run]))
  return ids.flatMap((id) => known.get(id) ?? [])
}

function barRow({ what, against, ours, spread, bar, isMet }: Row): string {
  const share = Number(ours) / bar
  const percent = Number.isFinite(share) ? Math.min(100, share * 50) : 0
  const gauge = `<div class="gauge"><i${share > 1 ? ' class="over"' : ''} style="width:${percent.toFixed(1)}%"></i><b></b></div>`
  const verdict = isMet === undefined ? '<td>not measured' : isMet ? '<td class="met">yes' : '<td class="missed">no'
  const cells = [what, against].map((cell) => `<td>${text(cell)}</td>`).join('')
  const figures = [ours, spread, String(bar)].map((cell) => `<td>${text(cell)}</td>`).join('')
  return `<tr>${cells}<td>${gauge}</td>${figures}${verdict}</td></tr>`
}

function sectionOf({ rows, report }: BarRun, charts: readonly Chart[], first: number): string {
  const { subjects, ratios } = report
  const title = rows[0].what.replace(/: [a-z ]+$/, '')
  const met = rows.filter(({ isMet }) => isMet).length
  return `<details><summary>${text(title)} <small>(${met} of ${rows.length})</small></summary>
${factsOf(report)}
${alarmsOf(report)}
${ratios.length === 0 ? '' : ratioTable(ratios)}
<h3>Figures</h3>
${figureTable(subjects)}
${chartPlaces(charts, first, 'h3')}
</details>`
}
