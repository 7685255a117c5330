// The parts of a page that needs nothing else to be read: its frame, tables, and charts drawn by a library that is written
// into the file, so that it opens without a network. A chart inside of a closed <details> is drawn when that is opened.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { type Ratio, type Report, SAMPLE_MS, type Subject } from './report.ts'

const COLOURS = ['#0a7ea4', '#d9822b', '#6b4fa0', '#3a8f4d', '#b8336a', '#7a7a7a']

export type Chart = { title: string; says: string; x: XAxis; y: YAxis; data: (number | null)[][]; series: Line[] }
type XAxis = { label: string; labels?: string[] }
type YAxis = { unit: 'us' | 'count'; log: boolean; points: boolean }
type Line = { label: string; stroke: string }

/** @param body html, in which `chartPlaces` has made room for the charts */
export function page(title: string, body: string, charts: readonly Chart[]): string {
  const { script, style } = chartLibrary()
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${text(title)}</title>
<style>${style}
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:64rem;padding:0 1rem;color:#1c2024;background:#fff}
h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .5rem}h3{font-size:1rem;margin:1.5rem 0 .25rem}
code{background:#f1f3f5;padding:.15rem .4rem;border-radius:4px;overflow-wrap:anywhere}
p.facts{color:#5a6169;font-size:.85rem;overflow-wrap:anywhere}p.alarm{color:#b3261e;font-weight:600}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.9rem}
th,td{padding:.3rem .8rem;text-align:right;border-bottom:1px solid #e3e6e9}th:first-child,td:first-child{text-align:left}
.scroll{overflow-x:auto}.u-legend{font-size:.85rem}
details{border-bottom:1px solid #e3e6e9;padding:.4rem 0}summary{cursor:pointer}
.met{color:#256d37}.missed{color:#b3261e}
.gauge{position:relative;width:9rem;height:.8rem;background:#f1f3f5}
.gauge i{position:absolute;left:0;top:0;bottom:0;background:#3a8f4d}.gauge i.over{background:#d9822b}
@media(max-width:40rem){.gauge{width:3rem}th,td{padding:.3rem .4rem}}
.gauge b{position:absolute;left:50%;top:-.15rem;bottom:-.15rem;width:2px;background:#1c2024}
</style>
</head>
<body>
${body}
<script>${script}</script>
<script>
const charts = ${forScript(charts)}
const spell = { us: (v) => v >= 1000 ? (v / 1000) + ' ms' : v + ' us', count: (v) => v.toLocaleString('en') }
function draw(place) {
  if (place.firstChild) return
  const { x, y, data, series } = charts[place.dataset.chart]
  const labels = x.labels
  const width = Math.min(1000, place.clientWidth)
  const every = labels ? Math.ceil(labels.length * 64 / width) : 1
  new uPlot({
    width, height: 320,
    scales: { x: { time: false }, y: y.log ? { distr: 3 } : { range: (u, min, max) => [0, (max || 1) * 1.1] } },
    axes: [
      { values: (u, splits) => splits.map((v) => labels ? (labels[v] ?? '') : v), splits: labels ? () => labels.map((_, k) => k).filter((k) => k % every === 0) : undefined },
      { size: 80, values: (u, splits) => splits.map((v) => v == null ? '' : spell[y.unit](v)) },
    ],
    series: [{ label: x.label, value: (u, v) => v == null ? '' : labels ? labels[v] : v }, ...series.map((s) => ({ ...s, width: 2, points: { show: y.points } }))],
  }, data, place)
}
for (const place of document.querySelectorAll('[data-chart]')) {
  const around = place.closest('details')
  if (around === null || around.open) draw(place)
  else around.addEventListener('toggle', () => draw(place))
}
</script>
</body>
</html>
`
}

/** Where the charts are drawn, of which the first is the page's chart number `first`. */
export function chartPlaces(charts: readonly Chart[], first: number, heading: 'h2' | 'h3'): string {
  const place = ({ title, says }: Chart, i: number): string =>
    `<${heading}>${title}</${heading}><p class="facts">${says}</p><div id="chart${first + i}" data-chart="${first + i}"></div>`
  return charts.map(place).join('\n')
}

/** What was asked for, and of which machine it is. */
export function factsOf({ machine, options, accelerator }: Report): string {
  const facts = [
    ...(accelerator === undefined ? [] : [`the gateway ${accelerator ? 'with' : 'without'} the accelerator`]),
    `Node ${machine.node}, ${machine.cpus} cores, load ${machine.loadAverage} at the beginning`,
    ...Object.entries(options)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => `${name} ${Array.isArray(value) ? value.join(' ') || '-' : value}`),
  ]
  return `<p class="facts">${facts.map(text).join(' \u00b7 ')}</p>`
}

/** What was violated, and who could not take part. */
export function alarmsOf({ violations, missing }: Report): string {
  const alarms = [...violations.map((what) => `violated: ${what}`), ...missing]
  return alarms.map((what) => `<p class="alarm">${text(what)}</p>`).join('')
}

export function ratioTable(ratios: readonly Ratio[]): string {
  return table(
    ['ratio', 'of', 'median', 'least', 'most'],
    ratios.map((r) => [`${r.name} / skewer`, r.of, r.median, r.min, r.max]),
  )
}

/** A column a subject. */
export function figureTable(subjects: readonly Subject[]): string {
  const own = new Set(subjects.flatMap(({ figures }) => Object.keys(figures)))
  const of = (subject: Subject, name: string): unknown =>
    name in subject ? subject[name as keyof Subject] : subject.figures[name]
  return table(
    ['', ...subjects.map(({ name }) => name)],
    [...plainFigures, ...own].map((name) => [name, ...subjects.map((subject) => of(subject, name))]),
  )
}

/** Latencies, throughput and CPU time; without those of which there is nothing to draw. */
export function chartsOf(subjects: readonly Subject[]): Chart[] {
  const charts = [
    { title: 'Latency', says: 'by share of messages', ...latencyData(subjects) },
    {
      title: 'Throughput',
      says: 'messages a second over time, all rounds one after the other',
      ...throughputData(subjects),
    },
    {
      title: 'CPU',
      says: 'microseconds of the process in the middle by message, round by round',
      ...cpuData(subjects),
    },
  ]
  return charts.filter(({ series }) => series.length > 0)
}

export function table(head: readonly string[], rows: readonly unknown[][]): string {
  const row = (cells: readonly unknown[], tag: string) =>
    `<tr>${cells.map((cell) => `<${tag}>${text(spelled(cell))}</${tag}>`).join('')}</tr>`
  return `<div class="scroll"><table>${row(head, 'th')}${rows.map((cells) => row(cells, 'td')).join('')}</table></div>`
}

/** Data inside of a script: nothing in it ends the script. */
export const forScript = (data: unknown): string => JSON.stringify(data).replaceAll('<', '\\u003c')

export const text = (raw: string): string =>
  raw.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')

type ChartData = Omit<Chart, 'title' | 'says'>

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

function spelled(cell: unknown): string {
  if (cell === null || cell === undefined) return '-'
  return typeof cell === 'number' ? cell.toLocaleString('en', { maximumFractionDigits: 3 }) : String(cell)
}

function chartLibrary(): { script: string; style: string } {
  const folder = path.dirname(createRequire(import.meta.url).resolve('uplot'))
  const read = (name: string) => readFileSync(path.join(folder, name), 'utf8')
  return { script: read('uPlot.iife.min.js'), style: read('uPlot.min.css') }
}
