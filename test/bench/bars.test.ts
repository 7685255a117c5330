import t from 'tap'
import { cells, type Cell, rivalsOfCell, rowsOf, tableOf } from '../../bench/bars.ts'
import { optionsOf, rivalsOf } from '../../bench/options.ts'
import type { Report } from '../../bench/report.ts'

const subject = (name: string, hostCpuUsPerMessage: number) => ({
  name,
  messages: 1,
  messagesPerSecond: 1,
  cpuUsPerMessage: 1,
  p50Us: 1,
  p99Us: 1,
  rssBytes: 1,
  limitedBy: 'none',
  generatorShare: 0,
  figures: { hostCpuUsPerMessage },
})

t.test('every bar is beside a rival that its scenario has', async (t) => {
  for (const cell of cells) {
    const rivals = rivalsOfCell(cell)
    const known = rivalsOf[cell.scenario] ?? []
    t.ok(
      rivals.every((name) => known.includes(name)),
      `${cell.scenario}: ${rivals}`,
    )
    t.ok(optionsOf(cell.scenario, cell.given).clients > 0)
  }
})

t.test('ours divided by the rival is held against the bar, and what was not measured is said', async (t) => {
  const bars = [
    { of: 'cpuUsPerMessage', against: 'nginx', bar: 0.65 },
    { of: 'hostCpuUsPerMessage', against: 'nginx', bar: 0.6 },
    { of: 'cpuUsPerMessage', against: 'haproxy', bar: 0.65 },
  ]
  const cell: Cell = { scenario: 'tcp-echo', given: { clients: 10, depth: 1 }, bars }
  const ratios = [{ name: 'nginx', of: 'cpuUsPerMessage', median: 2, min: 1.6, max: 2.5 }]
  const report = { subjects: [subject('skewer', 7), subject('nginx', 10)], ratios, violations: [] }
  const rows = rowsOf(cell, report as unknown as Report)
  t.match(rows, [
    { ours: '0.50', spread: '0.40-0.63', isMet: true },
    { ours: '0.70', isMet: false },
    { ours: '-', isMet: undefined },
  ])
  t.match(tableOf(rows), /\| tcp-echo 10 x 1: backend \| nginx \| 0\.70 \| {2}\| 0\.6 \| no \|/)
})

t.test('a run with the accelerator is named so, and has bars of its own where there are some', async (t) => {
  const cell = cells.find(({ scenario }) => scenario === 'kcp-echo')!
  const ratios = [{ name: 'nginx', of: 'cpuUsPerMessage', median: 1, min: 1, max: 1 }]
  const report = { subjects: [subject('skewer', 1)], ratios, violations: [] }
  const rows = (accelerator?: boolean) => rowsOf(cell, { ...report, accelerator } as unknown as Report)
  t.match(rows(true)[0], { what: 'kcp-echo 100 x 1, accelerator', bar: 0.85, isMet: false })
  for (const accelerator of [false, undefined]) {
    t.match(rows(accelerator)[0], { what: 'kcp-echo 100 x 1', bar: 1.3, isMet: true })
  }
})
