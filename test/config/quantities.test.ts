import t from 'tap'
import fc from 'fast-check'
import * as q from '../../config/quantities.ts'

t.test('durations are read with their unit, to milliseconds', async (t) => {
  const cases = {
    '0s': 0,
    '500ms': 500,
    '30s': 30_000,
    '1.5s': 1500,
    '2m': 120_000,
    '1h30m': 5_400_000,
    '12h': 43_200_000,
  }
  for (const [written, ms] of Object.entries(cases)) t.equal(q.readDuration(written).value, ms, written)
  t.equal(q.readDuration('7d').value, 604_800_000)
})

t.test('a duration without a unit, or with another, is refused and the likely one is offered', async (t) => {
  const meant = { '30': '30s', '30 s': '30s', '30sec': '30s', '5min': '5m', '2 hours': '2h', '10millis': '10ms' }
  for (const [written, suggestion] of Object.entries(meant))
    t.equal(q.readDuration(written).misread?.suggestion, suggestion)
  t.equal(q.readDuration(30).misread?.suggestion, '30s')
  for (const bad of ['', 'soon', '-5s', '5s 3', '0.5ms', '1e3s', '9'.repeat(30) + 'd', null, [], {}, true]) {
    t.ok(q.readDuration(bad).misread, JSON.stringify(bad))
  }
})

t.test('sizes are read with their unit, to bytes', async (t) => {
  const cases = { '512B': 512, '64KiB': 65_536, '1.5MiB': 1_572_864, '2GiB': 2_147_483_648 }
  for (const [written, bytes] of Object.entries(cases)) t.equal(q.readSize(written).value, bytes, written)
})

t.test('a size in another unit is refused and the likely one is offered', async (t) => {
  const meant = { '64K': '64KiB', '64kb': '64KiB', '64 KiB': '64KiB', '1M': '1MiB', '4096': '4096B', '10bytes': '10B' }
  for (const [written, suggestion] of Object.entries(meant))
    t.equal(q.readSize(written).misread?.suggestion, suggestion)
  t.equal(q.readSize(65_536).misread?.suggestion, '64KiB')
  for (const bad of ['', 'big', '-1B', '0.5B', '1TiB', null, {}]) t.ok(q.readSize(bad).misread, JSON.stringify(bad))
})

t.test('rates are read by the second, with a burst of one second unless written', async (t) => {
  t.same(q.readRate('50/s').value, { perSecond: 50, burst: 50 })
  t.same(q.readRate('50/s burst 100').value, { perSecond: 50, burst: 100 })
  t.same(q.readRate('600/min').value, { perSecond: 10, burst: 10 })
  t.same(q.readRate('5/min').value, { perSecond: 5 / 60, burst: 1 })
  t.same(q.readRate('36/h burst 3').value, { perSecond: 0.01, burst: 3 })
})

t.test('a rate that is written otherwise is refused and the likely one is offered', async (t) => {
  const meant = { '50': '50/s', '50 per second': '50/s', '600/m': '600/min', '50/sec, burst 100': '50/s burst 100' }
  for (const [written, suggestion] of Object.entries(meant))
    t.equal(q.readRate(written).misread?.suggestion, suggestion, written)
  t.equal(q.readRate(50).misread?.suggestion, '50/s')
  for (const bad of ['', 'often', '0/s', '5/s burst 0', '-5/s', '5/d', null, {}])
    t.ok(q.readRate(bad).misread, JSON.stringify(bad))
})

t.test('what is formatted reads back as the same number', async (t) => {
  const amount = fc.integer({ min: 0, max: 2 ** 40 })
  fc.assert(fc.property(amount, (ms) => q.readDuration(q.formatDuration(ms)).value === ms))
  fc.assert(fc.property(amount, (bytes) => q.readSize(q.formatSize(bytes)).value === bytes))
  const rate = fc.tuple(
    fc.integer({ min: 1, max: 100_000 }),
    fc.constantFrom('s', 'min', 'h'),
    fc.integer({ min: 1, max: 1000 }),
  )
  const same = (written: string) => {
    const { value } = q.readRate(written)
    t.same(q.readRate(q.formatRate(value!)).value, value, written)
  }
  fc.assert(
    fc.property(rate, ([count, period, burst]) => same(`${count}/${period} burst ${burst}`)),
    { numRuns: 50 },
  )
  t.equal(q.formatDuration(90_000), '90s')
  t.equal(q.formatSize(65_536), '64KiB')
  t.equal(q.formatRate({ perSecond: 5 / 60, burst: 1 }), '5/min burst 1')
})

t.test('the patterns that editors check by accept what the readers accept', async (t) => {
  for (const written of ['0s', '500ms', '1h30m', '1.5s', '30', '5 s', 's']) {
    t.equal(new RegExp(q.DURATION_PATTERN).test(written), q.readDuration(written).value !== undefined, written)
  }
  for (const written of ['1B', '64KiB', '1.5MiB', '64K', '64']) {
    t.equal(new RegExp(q.SIZE_PATTERN).test(written), q.readSize(written).value !== undefined, written)
  }
  for (const written of ['50/s', '600/min burst 3', '50', '5/d', '5/s burst']) {
    t.equal(new RegExp(q.RATE_PATTERN).test(written), q.readRate(written).value !== undefined, written)
  }
})
