// A report as one HTML file that needs nothing else: figures, ratios, and charts of latencies, throughput and CPU time by
// message. The chart library is written into the file, so that it opens without a network.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { type Report, SAMPLE_MS, type Subject } from './report.ts'

const COLOURS = ['#0a7ea4', '#d9822b', '#6b4fa0', '#3a8f4d', '#b8336a', '#7a7a7a']

/** @param command how it was run, as it is to be shown */
export function htmlReport(report: Report, command: string): string {
  const { scenario, options, machine, subjects, ratios, missing, violations } = report
  const { script, style } = chartLibrary()
  const facts = [
    `Node ${machine.node}, ${machine.cpus} cores, load ${machine.loadAverage} at the beginning`,
    ...Object.entries(options).map(
      ([name, value]) => `${name} ${Array.isArray(value) ? value.join(' ') || '-' : value}`,
    ),
  ]
  const alarms = [...violations.map((what) => `violated: ${what}`), ...missing]
  const charts = [
    chart('Latency', 'by share of messages', latencyData(subjects)),
    chart('Throughput', 'messages a second over time, all rounds one after the other', throughputData(subjects)),
    chart('CPU', 'microseconds of the process in the middle by message, round by round', cpuData(subjects)),
  ].filter((data) => data.series.length > 0)
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>skewer bench ${text(scenario)}</title>
<style>${style}
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:64rem;padding:0 1rem;color:#1c2024;background:#fff}
h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}
code{background:#f1f3f5;padding:.15rem .4rem;border-radius:4px}
p.facts{color:#5a6169;font-size:.85rem}p.alarm{color:#b3261e;font-weight:600}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.9rem}
th,td{padding:.3rem .8rem;text-align:right;border-bottom:1px solid #e3e6e9}th:first-child,td:first-child{text-align:left}
.scroll{overflow-x:auto}.u-legend{font-size:.85rem}
</style>
</head>
<body>
<h1>skewer bench ${text(scenario)}</h1>
<p><code>${text(command)}</code></p>
<p class="facts">${facts.map(text).join(' \u00b7 ')}</p>
${alarms.map((what) => `<p class="alarm">${text(what)}</p>`).join('')}
${
  ratios.length === 0
    ? ''
    : `<h2>Beside others</h2>
<p class="facts">A figure divided by skewer's in the same round. Above 1 of cpuUsPerMessage, skewer was the cheaper.</p>
${table(
  ['ratio', 'of', 'median', 'least', 'most'],
  ratios.map((r) => [`${r.name} / skewer`, r.of, r.median, r.min, r.max]),
)}`
}
<h2>Figures</h2>
${table(
  figureNames(subjects),
  subjects.map((subject) => figureRow(subject, figureNames(subjects))),
)}
${charts.map(({ title, says }, i) => `<h2>${title}</h2><p class="facts">${says}</p><div id="chart${i}"></div>`).join('\n')}
<script>${script}</script>
<script>
const charts = ${JSON.stringify(charts).replaceAll('<', '\\u003c')}
const width = Math.min(1000, document.body.clientWidth)
const spell = { us: (v) => v >= 1000 ? (v / 1000) + ' ms' : v + ' us', count: (v) => v.toLocaleString('en') }
for (const [i, { x, y, data, series }] of charts.entries()) {
  const labels = x.labels
  new uPlot({
    width, height: 320,
    scales: { x: { time: false }, y: y.log ? { distr: 3 } : { range: (u, min, max) => [0, (max || 1) * 1.1] } },
    axes: [
      { values: (u, splits) => splits.map((v) => labels ? (labels[v] ?? '') : v), splits: labels ? () => labels.map((_, k) => k) : undefined },
      { size: 80, values: (u, splits) => splits.map((v) => v == null ? '' : spell[y.unit](v)) },
    ],
    series: [{ label: x.label, value: (u, v) => v == null ? '' : labels ? labels[v] : v }, ...series.map((s) => ({ ...s, width: 2, points: { show: y.points } }))],
  }, data, document.getElementById('chart' + i))
}
</script>
</body>
</html>
`
}

type ChartData = { x: { label: string; labels?: string[] }; y: Axis; data: (number | null)[][]; series: Line[] }
type Axis = { unit: 'us' | 'count'; log: boolean; points: boolean }
type Line = { label: string; stroke: string }

function chart(title: string, says: string, data: ChartData) {
  return { title, says, ...data }
}

function lines(subjects: readonly Subject[]): Line[] {
  return subjects.map(({ name }, i) => ({ label: name, stroke: COLOURS[i % COLOURS.length] }))
}

function latencyData(all: readonly Subject[]): ChartData {
  const subjects = all.filter(({ latency }) => latency.length > 0)
  const shares = subjects[0]?.latency.map(([share]) => share) ?? []
  const labels = shares.map((share) => `${Number((share * 100).toFixed(2))}%`)
  const data = [shares.map((_, i) => i), ...subjects.map(({ latency }) => latency.map(([, us]) => Math.max(1, us)))]
  return { x: { label: 'share', labels }, y: { unit: 'us', log: true, points: true }, data, series: lines(subjects) }
}

function throughputData(all: readonly Subject[]): ChartData {
  const subjects = all.filter(({ throughput }) => throughput.length > 0)
  const columns = subjects.map(({ throughput }) => throughput.flat())
  const length = Math.max(0, ...columns.map((column) => column.length))
  const seconds = Array.from({ length }, (_, i) => ((i + 1) * SAMPLE_MS) / 1000)
  const data = [seconds, ...columns.map((column) => seconds.map((_, i) => column[i] ?? null))]
  return { x: { label: 'seconds' }, y: { unit: 'count', log: false, points: false }, data, series: lines(subjects) }
}

function cpuData(all: readonly Subject[]): ChartData {
  const subjects = all.filter(({ cpuUsPerMessageByRound }) => cpuUsPerMessageByRound.length > 0)
  const length = Math.max(0, ...subjects.map(({ cpuUsPerMessageByRound }) => cpuUsPerMessageByRound.length))
  const labels = Array.from({ length }, (_, i) => `round ${i + 1}`)
  const data = [
    labels.map((_, i) => i),
    ...subjects.map(({ cpuUsPerMessageByRound }) => labels.map((_, i) => cpuUsPerMessageByRound[i] ?? null)),
  ]
  return { x: { label: 'round', labels }, y: { unit: 'us', log: false, points: true }, data, series: lines(subjects) }
}

const plainFigures = [
  'messages',
  'messagesPerSecond',
  'cpuUsPerMessage',
  'p50Us',
  'p99Us',
  'rssBytes',
  'limitedBy',
] as const

function figureNames(subjects: readonly Subject[]): string[] {
  return ['name', ...plainFigures, ...new Set(subjects.flatMap(({ figures }) => Object.keys(figures)))]
}

function figureRow(subject: Subject, names: readonly string[]): unknown[] {
  return names.map((name) => (name in subject ? subject[name as keyof Subject] : subject.figures[name]))
}

function table(head: readonly string[], rows: readonly unknown[][]): string {
  const row = (cells: readonly unknown[], tag: string) =>
    `<tr>${cells.map((cell) => `<${tag}>${text(spelled(cell))}</${tag}>`).join('')}</tr>`
  return `<div class="scroll"><table>${row(head, 'th')}${rows.map((cells) => row(cells, 'td')).join('')}</table></div>`
}

function spelled(cell: unknown): string {
  if (cell === null || cell === undefined) return '-'
  return typeof cell === 'number' ? cell.toLocaleString('en', { maximumFractionDigits: 3 }) : String(cell)
}

const text = (raw: string): string =>
  raw.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')

function chartLibrary(): { script: string; style: string } {
  const folder = path.dirname(createRequire(import.meta.url).resolve('uplot'))
  const read = (name: string) => readFileSync(path.join(folder, name), 'utf8')
  return { script: read('uPlot.iife.min.js'), style: read('uPlot.min.css') }
}
