import diagnostics from 'node:diagnostics_channel'
import fs from 'node:fs'
import { stripVTControlCharacters } from 'node:util'
import t from 'tap'
import { metricsPage } from '../../../docs/generate-metrics.ts'
import { Counters, cell, drop } from '../../../gateway/counters.ts'
import { BucketTable } from '../../../policies/bucket-table.ts'
import { Pressure } from '../../../policies/shedding.ts'
import { PolicyCounts } from '../../../policies/compile.ts'
import { IoCounters } from '../../../gateway/io/io-counters.ts'
import { ProcessSampler } from '../../../gateway/io/process-sample.ts'
import { LogFile, prettyLine } from '../../../gateway/observe/log.ts'
import { Metrics } from '../../../gateway/observe/metrics.ts'
import { Observer } from '../../../gateway/observe/observer.ts'
import { code } from '../../../protocols/codes.ts'

function logged(level = 'debug', format: 'json' | 'pretty' = 'json') {
  const lines: string[] = []
  const { log } = new LogFile({ level, format }, { write: (line) => lines.push(line) })
  return { log, lines, parsed: () => lines.map((line) => JSON.parse(line)) }
}

t.test('docs/metrics.md is what the registry says', async (t) => {
  const page = fs.readFileSync(new URL('../../../docs/metrics.md', import.meta.url), 'utf8')
  t.equal(page, await metricsPage(), 'run: node docs/generate-metrics.ts')
})

t.test('metrics read the cells when they are scraped', async (t) => {
  const counters = new Counters()
  const io = new IoCounters()
  const sampler = new ProcessSampler()
  t.teardown(() => sampler.stop())
  const metrics = new Metrics({
    counters,
    io,
    policing: { counts: new PolicyCounts(), table: new BucketTable(1), pressure: new Pressure(undefined) },
    hosts: () => [],
    guards: () => [],
    isReady: () => false,
    sample: () => sampler.sample(),
    version: '1.2.3',
  })
  counters.cells[cell.connectionsOpen] = 3
  counters.cells[cell.clientFramesIn] = 10
  counters.drops[drop.duplicate] = 2
  counters.refusedByCode[code.rate_limited] = 4
  io.tlsHandshakesFailed = 5
  const text = await metrics.text()
  for (const line of [
    'skewer_info{version="1.2.3"} 1',
    'skewer_ready 0',
    'skewer_connections_open 3',
    'skewer_frames_total{side="client",direction="in"} 10',
    'skewer_frames_dropped_total{reason="duplicate"} 2',
    'skewer_messages_refused_total{code="rate_limited"} 4',
    'skewer_handshakes_failed_total{reason="tls"} 5',
  ]) {
    t.ok(text.split('\n').includes(line), line)
  }
  counters.cells[cell.clientFramesIn] = 25
  t.match(await metrics.text(), 'skewer_frames_total{side="client",direction="in"} 25')
})

t.test('metrics have names of one form: unit last, _total for what counts', async (t) => {
  const rows = [...(await metricsPage()).matchAll(/^\| `(\w+)` \| (\w+) \|/gm)]
  t.ok(rows.length > 30)
  for (const [, name, type] of rows) {
    t.match(name, /^skewer_[a-z_]+$/)
    if (type === 'counter') t.match(name, /_total$/)
    t.notMatch(name, /_(ms|kb|mib|millis)(_|$)/)
  }
})

t.test('an event is a line of the log, with its code by name', async (t) => {
  const { log, parsed } = logged()
  const observer = new Observer(log, () => 0)
  observer.observe({ event: 'link_closed', host: 'h1', code: code.idle })
  observer.observe({ event: 'connection_opened', transport: 'tcp', address: '::1' })
  t.match(parsed(), [
    { level: 40, event: 'link_closed', host: 'h1', msg: 'link closed: idle' },
    { level: 20, event: 'connection_opened', msg: 'connection opened' },
  ])
})

t.test('what is below the level is not written', async (t) => {
  const { log, lines } = logged('warn')
  const observer = new Observer(log, () => 0)
  observer.observe({ event: 'connection_opened', transport: 'tcp', address: '::1' })
  observer.observe({ event: 'host_known', host: 'h1', services: [] })
  t.equal(lines.length, 0)
})

t.test('a flood of one event is some lines a second and a count of the others', async (t) => {
  const { log, parsed } = logged()
  let now = 0
  const observer = new Observer(log, () => now)
  const violate = () =>
    observer.observe({ event: 'peer_violation', side: 'client', address: '::1', code: code.protocol, what: 'x' })
  for (let i = 0; i < 1000; i++) violate()
  observer.observe({ event: 'link_closed', host: 'h1', code: code.idle })
  t.equal(parsed().length, 21, 'the other event is not kept back')
  now = 1000
  violate()
  t.match(parsed().slice(21), [{ leftOut: 980, event: 'peer_violation' }, { what: 'x' }])
})

t.test('every event is published on its channel, and told to watchers', async (t) => {
  const observer = new Observer(logged('silent').log, () => 0)
  const published: unknown[] = []
  const watched: unknown[] = []
  const take = (message: unknown) => void published.push(message)
  diagnostics.subscribe('skewer:stalled', take)
  t.teardown(() => diagnostics.unsubscribe('skewer:stalled', take))
  observer.watch((event) => watched.push(event))
  const event = { event: 'stalled', ms: 5 } as const
  observer.observe(event)
  observer.observe({ event: 'host_draining', host: 'h1' })
  t.same(published, [event])
  t.equal(watched.length, 2)
})

t.test('secrets in logged objects are not written', async (t) => {
  const { log, lines } = logged()
  log.info(
    { token: 'hush', login: { ticket: 'hush', deep: { secret: 'hush' } }, linkKey: 'hush', user: 'ada' },
    'login',
  )
  t.notMatch(lines[0], 'hush')
  t.match(lines[0], 'ada')
})

t.test('a person reads time, level, sentence and fields', async (t) => {
  const { log, lines } = logged('info', 'pretty')
  log.warn({ host: 'h1', text: 'two words', count: 3 }, 'link refused')
  log.error({ err: new Error('broken') }, 'it failed')
  const plain = lines.map((line) => stripVTControlCharacters(line))
  t.match(plain[0], /^\d\d:\d\d:\d\d\.\d{3} warn {2}link refused host=h1 text="two words" count=3\n$/)
  t.match(plain[1], /error it failed\nError: broken\n/)
  t.match(stripVTControlCharacters(prettyLine('{"level":35,"time":"x","event":"e"}')), '35')
})
