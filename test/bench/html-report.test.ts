// needs: chromium
// The report as a page: whole in one file, drawn by a browser without a network, and safe to show.
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { chromium } from 'playwright-core'
import t from 'tap'
import { htmlReport } from '../../bench/html-report.ts'
import { Histogram } from '../../bench/histogram.ts'
import { findTool, tools } from '../plan.ts'
import { type Report, type Round, ratiosOf, subjectOf } from '../../bench/report.ts'

function round(us: number): Round {
  const histogram = new Histogram()
  for (let i = 1; i <= 1000; i++) histogram.record((us * i) / 500)
  return {
    messages: 1000,
    elapsedUs: 1e6,
    cpuUs: us * 10,
    rssBytes: 1e6,
    p50Us: us,
    p99Us: 2 * us,
    limitedBy: 'none',
    generatorShare: 0.2,
    latencies: histogram.counts(),
    samples: [250, 240, 260, 250],
  }
}

const own = [round(500), round(600)]
const rival = [round(700), round(900)]
const report: Report = {
  scenario: 'tcp-echo',
  options: { clients: 100, against: ['nginx'] },
  machine: { cpus: 2, loadAverage: 0.1, node: '26.10.0' },
  subjects: [subjectOf('skewer', own), subjectOf('nginx', rival)],
  ratios: ratiosOf('nginx', rival, own),
  missing: ['<b>haproxy</b> is missing'],
  violations: [],
}

t.test('a browser draws three charts and asks for nothing else', async (t) => {
  const file = path.join(t.testdir({}), 'report.html')
  fs.writeFileSync(file, htmlReport(report, 'skewer bench tcp-echo </script>'))
  const program = tools.chromium.programs.find((name) => findTool([name]))!
  const executablePath = execFileSync('which', [program], { encoding: 'utf8' }).trim()
  const args = ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update']
  const browser = await chromium.launch({ executablePath, args })
  t.teardown(() => browser.close())
  const page = await browser.newPage()
  const asked: string[] = []
  const errors: string[] = []
  page.on('request', (request) => asked.push(request.url()))
  page.on('pageerror', (error) => errors.push(error.message))
  await page.goto(pathToFileURL(file).href)
  await page.waitForSelector('#chart2 canvas', { timeout: 20_000 })
  t.equal(await page.locator('canvas').count(), 3)
  t.same(asked, [pathToFileURL(file).href])
  t.same(errors, [])
  const shown = await page.textContent('body')
  for (const words of ['nginx / skewer', '1.45', 'skewer bench tcp-echo </script>', '<b>haproxy</b> is missing']) {
    t.ok(shown!.includes(words), words)
  }
})

t.test('phases have a table, with what only some of them have', async (t) => {
  const row = { clients: 5, messagesPerSecond: 7, logins: 3, limitedBy: 'rate' as const }
  const phases = [
    { ...row, phase: 'day' },
    { ...row, phase: 'night', chatP99Ms: 1.5 },
  ]
  const page = htmlReport({ ...report, phases }, 'skewer bench mixed')
  t.match(page, /<th><\/th><th>day<\/th><th>night<\/th>/)
  t.match(page, /<td>chatP99Ms<\/td><td>-<\/td><td>1.5<\/td>/)
  t.notMatch(htmlReport(report, 'skewer bench tcp-echo'), /Phases/)
})

t.test('what has no data has no chart', async (t) => {
  const bare = subjectOf('skewer', [{ ...round(1), latencies: undefined, samples: undefined, cpuUs: undefined }])
  const page = htmlReport({ ...report, subjects: [bare], ratios: [], missing: [] }, 'skewer bench idle')
  t.notMatch(page, /id="chart0"/)
  t.match(page, /skewer bench idle/)
})
