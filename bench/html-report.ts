// A report as one HTML file: figures, ratios, and charts of latencies, throughput and CPU time by message.
import { alarmsOf, chartPlaces, chartsOf, factsOf, figureTable, page, ratioTable, table, text } from './html-page.ts'
import type { Report } from './report.ts'

/** @param command how it was run, as it is to be shown */
export function htmlReport(report: Report, command: string): string {
  const { scenario, subjects, ratios } = report
  const charts = chartsOf(subjects)
  const beside = `<h2>Beside others</h2>
<p class="facts">A figure divided by skewer's in the same round. Above 1 of cpuUsPerMessage, skewer was the cheaper.</p>
${ratioTable(ratios)}`
  const body = `<h1>skewer bench ${text(scenario)}</h1>
<p><code>${text(command)}</code></p>
${factsOf(report)}
${alarmsOf(report)}
${ratios.length === 0 ? '' : beside}
<h2>Figures</h2>
${figureTable(subjects)}
${phaseTable(report)}
${chartPlaces(charts, 0, 'h2')}`
  return page(`skewer bench ${scenario}`, body, charts)
}

/** A column a phase; nothing where there are none. */
function phaseTable({ phases = [] }: Report): string {
  if (phases.length === 0) return ''
  const names = [...new Set(phases.flatMap((row) => Object.keys(row)))].filter((name) => name !== 'phase')
  const rows = names.map((name) => [name, ...phases.map((row) => row[name] ?? '-')])
  return `<h2>Phases</h2>\n${table(['', ...phases.map(({ phase }) => phase)], rows)}`
}
