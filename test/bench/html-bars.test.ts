// needs: chromium
// The page of all bars: whole in one file, with every run behind its bars, readable on a wide screen and a narrow one, and
// carrying its runs so that some can be run anew.
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Browser, chromium } from 'playwright-core'
import t from 'tap'
import type { Row } from '../../bench/bars.ts'
import { type BarRun, htmlBars, merged, runsIn } from '../../bench/html-bars.ts'
import { Histogram } from '../../bench/histogram.ts'
import { type Report, type Round, ratiosOf, subjectOf } from '../../bench/report.ts'
import { readText, tracked } from '../house/sources.ts'
import { findTool, tools } from '../plan.ts'

const DOCUMENT_BYTES_MAX = 500 * 1024

function round(us: number): Round {
  const histogram = new Histogram()
  for (let i = 1; i <= 100; i++) histogram.record(us * i)
  const [messages, elapsedUs, p50Us, p99Us] = [100, 1e6, us * 50, us * 99]
  const measured = { messages, elapsedUs, cpuUs: us * 10, rssBytes: 1e6, p50Us, p99Us }
  const figures = { userUsPerMessage: us / 20, systemUsPerMessage: us / 20, hostCpuUsPerMessage: us }
  const rest = { limitedBy: 'none' as const, generatorShare: 0.2, samples: [25, 24, 26, 25], figures }
  return { ...measured, ...rest, latencies: histogram.counts() }
}

function run(id: string, what: string, ours: string, isMet: boolean | undefined): BarRun {
  const [own, rival] = [[round(5)], [round(9)]]
  const names = ['nginx', 'haproxy', 'socket.io', 'colyseus', 'pinus']
  const report: Report = {
    scenario: 'tcp-echo',
    options: { clients: 100, against: names },
    machine: { cpus: 2, loadAverage: 0.1, node: '26.10.0' },
    subjects: [subjectOf('skewer', own), ...names.map((name) => subjectOf(name, rival))],
    ratios: names.flatMap((name) => ratiosOf(name, rival, own)),
    missing: ['</script><b>kcptun</b> is missing'],
    violations: [],
  }
  const row: Row = { what, against: 'nginx', ours, spread: '0.5-0.9', bar: 0.8, isMet }
  return { id, rows: [row], report }
}

const runs = [
  run('a', 'tcp-echo 100 x 1: gateway and host', '0.40', true),
  run('b', 'tcp-echo 100 x 8', '5.00', false),
  run('c', '<i>c</i>', '-', undefined),
]

async function opened(): Promise<Browser> {
  const program = tools.chromium.programs.find((name) => findTool([name]))!
  const executablePath = execFileSync('which', [program], { encoding: 'utf8' }).trim()
  const args = ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update']
  return chromium.launch({ executablePath, args })
}

t.test(
  'bars are shown at once, charts when a run is opened, and nothing is asked for or wider than the page',
  async (t) => {
    const file = path.join(t.testdir({}), 'bars.html')
    fs.writeFileSync(file, htmlBars(runs, 'skewer bench all'))
    const browser = await opened()
    t.teardown(() => browser.close())
    for (const width of [1280, 420]) {
      const page = await browser.newPage({ viewport: { width, height: 800 } })
      const asked: string[] = []
      const errors: string[] = []
      page.on('request', (request) => asked.push(request.url()))
      page.on('pageerror', (error) => errors.push(error.message))
      await page.goto(pathToFileURL(file).href)
      const shown = await page.textContent('body')
      for (const words of ['1 of 2 bars met', 'not measured', '<i>c</i>', '</script><b>kcptun</b> is missing']) {
        t.ok(shown!.includes(words), words)
      }
      const gauges = await page.locator('.gauge i').evaluateAll((all) => all.map((one) => one.getAttribute('style')))
      t.same(gauges, ['width:25.0%', 'width:100.0%', 'width:0.0%'], 'half of the bar, over it, nothing')
      t.equal(await page.locator('canvas').count(), 0)
      await page.locator('summary').first().click()
      await page.waitForSelector('#chart2 canvas', { timeout: 20_000 })
      t.equal(await page.locator('canvas').count(), 3)
      const [wide, has] = await page.evaluate(() => [
        document.documentElement.scrollWidth,
        document.documentElement.clientWidth,
      ])
      t.ok(wide <= has, `${wide} of ${has} pixels`)
      t.same(asked, [pathToFileURL(file).href])
      t.same(errors, [])
      await page.close()
    }
  },
)

t.test('a page gives back the runs that it was made of', async (t) => {
  t.strictSame(runsIn(htmlBars(runs, '')), JSON.parse(JSON.stringify(runs)))
  t.strictSame(runsIn('<html>another page</html>'), [])
})

t.test('runs of a page stay in it until they are run anew, and those that are no bar any more go', async (t) => {
  const again = run('b', 'tcp-echo 100 x 8', '0.70', true)
  const all = merged(htmlBars(runs, ''), [again, run('d', 'd', '1.00', false)], ['d', 'a', 'b'])
  t.strictSame(
    all.map(({ id, rows }) => `${id} ${rows[0].ours}`),
    ['d 1.00', 'a 0.40', 'b 0.70'],
  )
})

t.test('the page among the documents has runs, and is small', async (t) => {
  for (const page of tracked.filter((name) => name === 'docs/performance-report.html')) {
    const html = readText(page)
    t.ok(html.length < DOCUMENT_BYTES_MAX, `${html.length} bytes`)
    t.ok(runsIn(html).length > 0)
  }
})
