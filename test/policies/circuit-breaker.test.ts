// Circuit breakers: when they open, what they let through while half open, what one client can do to others, and that
// opossum, which knows error rates only, opens and closes at the same requests.
import { mock } from 'node:test'
import Opossum from 'opossum'
import t from 'tap'
import type { BreakerChange, CircuitBreakerSettings } from '../../policies/circuit-breaker.ts'
import { CircuitBreaker, pass } from '../../policies/circuit-breaker.ts'

const settings: CircuitBreakerSettings = {
  errorRate: 0.5,
  slowRate: 1,
  slowAfterMs: Infinity,
  consecutiveFailures: Infinity,
  volume: 10,
  windowMs: 1000,
  openMs: 500,
  openMsMax: 4000,
  probes: 2,
}

function breakerOf(changes: Partial<CircuitBreakerSettings> = {}) {
  const told: BreakerChange[] = []
  const breaker = new CircuitBreaker({ ...settings, ...changes }, (change) => told.push(change), 0)
  return { breaker, told }
}

/** So many requests at one time, each of another client. */
function requests(breaker: CircuitBreaker, outcome: 'well' | 'failed' | number, count: number, now: number): void {
  for (let i = 0; i < count; i++) {
    const as = breaker.ask(now)
    if (as === pass.refused) continue
    breaker.record(as, outcome === 'failed', typeof outcome === 'number' ? outcome : 1, nextClient++, now)
  }
}
let nextClient = 0

t.test('it opens above the error rate, not at it, and not before the volume', async (t) => {
  const { breaker, told } = breakerOf()
  requests(breaker, 'failed', 9, 0)
  t.equal(breaker.state, 'closed', 'nine are below the volume')
  requests(breaker, 'well', 9, 0)
  t.equal(breaker.state, 'closed')
  requests(breaker, 'well', 1, 0)
  requests(breaker, 'failed', 1, 0)
  t.equal(breaker.state, 'closed', '10 of 20 is the rate, not above it')
  requests(breaker, 'failed', 1, 0)
  t.equal(breaker.state, 'open')
  t.same(told, [{ from: 'closed', to: 'open', reason: '11 of 21 requests failed' }])
  t.equal(breaker.ask(0), pass.refused)
  t.equal(breaker.refusals, 1)
  t.equal(breaker.retryMs(100), 400)
})

t.test('what is older than the window does not count', async (t) => {
  const { breaker } = breakerOf()
  requests(breaker, 'failed', 9, 0)
  t.same(breaker.counts(999), { total: 9, failed: 9, slow: 0 })
  t.same(breaker.counts(1000), { total: 0, failed: 0, slow: 0 })
  requests(breaker, 'failed', 9, 1000)
  t.equal(breaker.state, 'closed')
  requests(breaker, 'failed', 1, 500)
  t.equal(breaker.state, 'open', 'a clock that went backwards forgets nothing')
  t.same(breaker.counts(1e9), { total: 0, failed: 0, slow: 0 })
})

t.test('slow requests open it by their own rate', async (t) => {
  const { breaker, told } = breakerOf({ slowAfterMs: 200, slowRate: 0.3 })
  requests(breaker, 199, 14, 0)
  requests(breaker, 200, 6, 0)
  t.equal(breaker.state, 'closed', '6 of 20 is the rate')
  requests(breaker, 200, 1, 0)
  t.equal(breaker.state, 'open')
  t.equal(told[0].reason, '7 of 21 requests took 200 ms or longer')
})

t.test('failures in a row open it below any volume, and one that goes well begins anew', async (t) => {
  const { breaker } = breakerOf({ consecutiveFailures: 4, volume: 1000 })
  requests(breaker, 'failed', 3, 0)
  requests(breaker, 'well', 1, 0)
  requests(breaker, 'failed', 3, 0)
  t.equal(breaker.state, 'closed')
  requests(breaker, 'failed', 1, 0)
  t.equal(breaker.state, 'open')
})

t.test('half open lets so many probes through as are wanted, and closes when all went well', async (t) => {
  const { breaker, told } = breakerOf()
  requests(breaker, 'failed', 10, 0)
  t.equal(breaker.ask(499), pass.refused)
  t.equal(breaker.refuses(499), true)
  t.equal(breaker.refuses(500), false)
  t.equal(breaker.retryMs(499.5), 1)
  t.same([breaker.ask(500), breaker.ask(500), breaker.ask(500)], [pass.probe, pass.probe, pass.refused])
  breaker.record(pass.ordinary, true, 1, 1, 500)
  t.equal(breaker.state, 'half_open', 'an outcome from before it opened decides nothing')
  t.equal(breaker.retryMs(500), 500, 'as long as it was open, at most a second')
  t.equal(breaker.refuses(500), false, 'what has no outcome goes through, however many probes are out')
  breaker.record(pass.probe, false, 1, 1, 510)
  t.equal(breaker.state, 'half_open')
  breaker.record(pass.probe, false, 1, 2, 510)
  t.equal(breaker.state, 'closed')
  t.same(
    told.map(({ to }) => to),
    ['open', 'half_open', 'closed'],
  )
  requests(breaker, 'failed', 9, 511)
  t.equal(breaker.state, 'closed', 'what had opened it is forgotten')
})

t.test('a probe that fails opens it for twice as long, up to a bound; a slow probe is a failed one', async (t) => {
  const { breaker } = breakerOf({ openMsMax: 1500, slowAfterMs: 100 })
  requests(breaker, 'failed', 10, 0)
  requests(breaker, 'failed', 2, 500)
  t.equal(breaker.retryMs(500), 1000)
  requests(breaker, 100, 2, 1500)
  t.equal(breaker.retryMs(1500), 1500)
  requests(breaker, 'failed', 2, 3000)
  t.equal(breaker.retryMs(3000), 1500)
  requests(breaker, 'well', 2, 4500)
  t.equal(breaker.state, 'closed')
  requests(breaker, 'failed', 10, 4500)
  t.equal(breaker.retryMs(4500), 500)
})

t.test('one client cannot keep it open', async (t) => {
  const { breaker } = breakerOf()
  requests(breaker, 'failed', 10, 0)
  for (let i = 0; i < 50; i++) breaker.record(breaker.ask(600), true, 1, 7, 600)
  t.equal(breaker.state, 'half_open')
  requests(breaker, 'well', 2, 600)
  t.equal(breaker.state, 'closed')
})

t.test('outcomes that it was not asked about decide once its time is over', async (t) => {
  const { breaker } = breakerOf()
  for (let i = 0; i < 10; i++) breaker.recordUnasked(true, 1, i, 0)
  t.equal(breaker.state, 'open')
  breaker.recordUnasked(false, 1, 1, 499)
  t.equal(breaker.state, 'open')
  breaker.recordUnasked(false, 1, 1, 500)
  t.equal(breaker.state, 'half_open')
  breaker.recordUnasked(false, 1, 1, 500)
  t.equal(breaker.state, 'closed')
})

t.test('probes that nobody answers, or that are given back, do not keep it half open for ever', async (t) => {
  const { breaker } = breakerOf()
  requests(breaker, 'failed', 10, 0)
  t.same([breaker.ask(500), breaker.ask(500), breaker.ask(1499)], [pass.probe, pass.probe, pass.refused])
  t.equal(breaker.ask(1500), pass.probe, 'after a second, at least, others are tried')
  t.equal(breaker.ask(1500), pass.probe)
  t.equal(breaker.ask(1500), pass.refused)
  breaker.giveBack(pass.probe)
  t.equal(breaker.ask(1500), pass.probe)
})

t.test('what it advises is at most a second while it is tried, and never a time that is over', async (t) => {
  const { breaker } = breakerOf({ openMs: 4000 })
  requests(breaker, 'failed', 10, 0)
  breaker.force('auto', 100)
  t.equal(breaker.refuses(100), false, 'the operator closed it before its time was over')
  requests(breaker, 'failed', 10, 100)
  t.equal(breaker.ask(4100), pass.probe)
  t.equal(breaker.retryMs(4100), 1000)
  breaker.force('open', 4100)
  t.equal(breaker.retryMs(4100), 4000)
})

t.test('nobody gets more probes by giving back what was none', async (t) => {
  const { breaker } = breakerOf()
  requests(breaker, 'failed', 10, 0)
  t.equal(breaker.ask(500), pass.probe)
  for (let i = 0; i < 3; i++) breaker.giveBack(pass.ordinary)
  for (let i = 0; i < 3; i++) breaker.giveBack(pass.probe)
  t.same([breaker.ask(500), breaker.ask(500), breaker.ask(500)], [pass.probe, pass.probe, pass.refused])
})

t.test('two clients whose probes fail open it, in one round, however many probes there are', async (t) => {
  const { breaker } = breakerOf({ probes: 6 })
  requests(breaker, 'failed', 10, 0)
  const probe = (client: number, now: number) => breaker.record(breaker.ask(now), true, 1, client, now)
  for (const client of [1, 1, 1]) probe(client, 500)
  t.equal(breaker.state, 'half_open')
  for (let i = 0; i < 6; i++) breaker.ask(1500)
  t.equal(breaker.ask(2500), pass.probe, 'another round')
  breaker.record(pass.probe, true, 1, 2, 2500)
  t.equal(breaker.state, 'half_open', 'what failed in the round before is forgotten')
  probe(1, 2500)
  t.equal(breaker.state, 'open')
  breaker.record(pass.probe, true, 1, 3, 2600)
  breaker.record(pass.probe, true, 1, 4, 2600)
  t.same([breaker.openings, breaker.retryMs(2600)], [2, 900], 'probes that come late open it no second time')
})

t.test('a probe that goes well late changes nothing where it is closed', async (t) => {
  const { breaker } = breakerOf({ probes: 1 })
  requests(breaker, 'failed', 10, 0)
  const early = breaker.ask(500)
  requests(breaker, 'well', 1, 1500)
  t.equal(breaker.state, 'closed')
  requests(breaker, 'failed', 9, 1500)
  breaker.record(early, false, 1, 1, 1500)
  t.equal(breaker.counts(1500).failed, 9)
})

t.test('failures in a row begin anew where it has closed, by its probes or by the operator', async (t) => {
  const { breaker } = breakerOf({ consecutiveFailures: 3, volume: 1000, probes: 1 })
  requests(breaker, 'failed', 3, 0)
  requests(breaker, 'well', 1, 500)
  requests(breaker, 'failed', 2, 500)
  t.equal(breaker.state, 'closed')
  breaker.force('auto', 500)
  requests(breaker, 'failed', 2, 500)
  t.equal(breaker.state, 'closed')
  requests(breaker, 'failed', 1, 500)
  t.equal(breaker.state, 'open')
})

t.test(
  'what was counted before it was cleared never shows again, nor is it taken from what is counted then',
  async (t) => {
    const { breaker } = breakerOf({ slowAfterMs: 100 })
    requests(breaker, 'failed', 5, 0)
    requests(breaker, 100, 5, 0)
    requests(breaker, 'well', 1, 0)
    breaker.force('auto', 50)
    t.same(breaker.counts(50), { total: 0, failed: 0, slow: 0 })
    requests(breaker, 'failed', 1, 950)
    t.same(breaker.counts(1500), { total: 1, failed: 1, slow: 0 })
    requests(breaker, 100, 1, 1500)
    t.same(breaker.counts(1600), { total: 2, failed: 1, slow: 1 })
    t.same(breaker.counts(2449), { total: 1, failed: 0, slow: 1 })
    t.same(breaker.counts(2600), { total: 0, failed: 0, slow: 0 })
    breaker.record(pass.ordinary, true, 1, 9, 2600)
    breaker.counts(100)
    t.equal(breaker.counts(3500).failed, 1, 'a clock that went backwards forgets nothing later either')
  },
)

t.test('clearing gives everybody their share anew, also what the stretch before had', async (t) => {
  const { breaker } = breakerOf()
  const failures = (now: number) => {
    for (let i = 0; i < 9; i++) breaker.record(pass.ordinary, true, 1, 7, now)
    return breaker.counts(now).failed
  }
  t.equal(failures(0), 2, 'a third of five')
  t.equal(failures(1500), 0, 'of any stretch as long as the window')
  breaker.force('auto', 1500)
  t.equal(failures(1500), 2)
})

t.test('the share of one client is a third of the fewest failures that could open it', async (t) => {
  for (const [changes, share] of [
    [{ consecutiveFailures: 30, errorRate: 1 }, 10],
    [{ consecutiveFailures: 30, errorRate: 0.9, volume: 100 }, 10],
    [{ errorRate: 0.6, volume: 100 }, 20],
    [{ errorRate: 0.6, slowRate: 0.3, volume: 100 }, 10],
    [{ errorRate: 1, slowRate: 0.3, volume: 100 }, 10],
    [{ errorRate: 1, slowRate: 1, volume: 2 }, 1],
  ] as const) {
    const { breaker } = breakerOf(changes)
    for (let i = 0; i < 99; i++) breaker.record(pass.ordinary, true, 1, 7, 0)
    t.equal(breaker.counts(0).failed, share, JSON.stringify(changes))
  }
})

t.test('one client opens it neither by rate nor by failures in a row, however often it fails', async (t) => {
  for (const changes of [
    {},
    { errorRate: 0.1, volume: 40 },
    { consecutiveFailures: 2 },
    { consecutiveFailures: 3 },
    { volume: 4 },
  ]) {
    const { breaker } = breakerOf(changes)
    for (let now = 0; now < 20_000; now += 3) {
      const as = breaker.ask(now)
      if (as !== pass.refused) breaker.record(as, true, 1, 7, now)
      if (changes.consecutiveFailures === undefined || now % 9 === 0) breaker.record(pass.ordinary, false, 1, 8, now)
      if (breaker.state !== 'closed') break
    }
    t.equal(breaker.state, 'closed', JSON.stringify(changes))
  }
  const { breaker } = breakerOf()
  for (let i = 0; i < 100; i++) breaker.record(pass.ordinary, true, 1, i % 7, 0)
  t.equal(breaker.state, 'open', 'seven do')
})

t.test('the operator opens, closes and gives it back', async (t) => {
  const { breaker, told } = breakerOf()
  t.equal(breaker.refuses(0), false)
  breaker.force('open', 0)
  breaker.force('open', 0)
  t.equal(breaker.ask(1e6), pass.refused)
  t.equal(breaker.refuses(1e6), true)
  t.equal(breaker.retryMs(1e6), 500)
  breaker.force('closed', 0)
  requests(breaker, 'failed', 100, 0)
  t.equal(breaker.state, 'forced_closed')
  t.equal(breaker.ask(0), pass.ordinary)
  breaker.force('auto', 0)
  t.equal(breaker.state, 'closed')
  requests(breaker, 'failed', 10, 0)
  t.equal(breaker.state, 'open')
  t.same(
    told.map(({ to }) => to),
    ['forced_open', 'forced_closed', 'closed', 'open'],
  )
})

t.test('other thresholds take effect at once, and its state stays', async (t) => {
  const { breaker } = breakerOf()
  requests(breaker, 'failed', 8, 0)
  breaker.configure({ ...settings, volume: 9 }, 0)
  requests(breaker, 'failed', 1, 0)
  t.equal(breaker.state, 'open')
  breaker.configure({ ...settings, windowMs: 50, openMs: 300, openMsMax: 300 }, 0)
  t.equal(breaker.state, 'open')
  t.equal(breaker.counts(0).total, 0)
  requests(breaker, 'failed', 2, 500)
  t.equal(breaker.retryMs(500), 300, 'the next time it is open as long as they say')
  breaker.force('auto', 500)
  requests(breaker, 'failed', 10, 500)
  requests(breaker, 'failed', 2, 800)
  breaker.force('auto', 800)
  breaker.configure({ ...settings, openMs: 300 }, 800)
  requests(breaker, 'failed', 10, 800)
  requests(breaker, 'failed', 2, 1100)
  t.equal(breaker.retryMs(1100), 600)
  breaker.force('auto', 1100)
  requests(breaker, 'failed', 10, 1100)
  t.equal(breaker.retryMs(1100), 300, 'what the operator closes begins anew with the shortest')
})

t.test('it refuses, opens and tries again at the same requests as opossum', async (t) => {
  let openings = 0
  for (let seed = 1; seed <= 40; seed++) {
    const { ours, theirs, hasOpened } = await runBoth(seed)
    t.same(ours, theirs, `seed ${seed}`)
    if (hasOpened) openings++
  }
  t.ok(openings > 20, `${openings} of 40 traces opened`)
})

/** One random trace through both, until the first close: opossum goes on counting what ours forgets then. */
async function runBoth(seed: number): Promise<{ ours: string[]; theirs: string[]; hasOpened: boolean }> {
  let state = seed
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
  mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'], now: 0 })
  const opossum = new Opossum(async (isFailed: boolean) => (isFailed ? Promise.reject(new Error('failed')) : 1), {
    timeout: false,
    errorThresholdPercentage: 50,
    volumeThreshold: 10,
    rollingCountTimeout: 1000,
    rollingCountBuckets: 10,
    resetTimeout: 500,
    rollingPercentilesEnabled: false,
    enableSnapshots: false,
  })
  const { breaker } = breakerOf({ probes: 1, openMsMax: 500 })
  const badness = 0.3 + random() * 0.4
  const ours: string[] = []
  const theirs: string[] = []
  let now = 0
  try {
    for (let i = 0; i < 400; i++) {
      // Never on the edge of a bucket: opossum's timer and the request would be due together.
      const step = Math.floor(random() * 40)
      now += step
      mock.timers.tick(step)
      if (now % 100 === 0) {
        now++
        mock.timers.tick(1)
      }
      const isFailed = random() < badness
      const as = breaker.ask(now)
      ours.push(`${now} ${as === pass.refused ? 'refused' : 'passed'}`)
      theirs.push(`${now} ${opossum.opened && !opossum.halfOpen ? 'refused' : 'passed'}`)
      if (as === pass.refused) continue
      breaker.record(as, isFailed, 0, i, now)
      await opossum.fire(isFailed).catch(() => {})
      if (as === pass.probe && !isFailed) {
        ours.push(breaker.state)
        theirs.push(opossum.closed ? 'closed' : 'not closed')
        break
      }
    }
    return { ours, theirs, hasOpened: breaker.openings > 0 }
  } finally {
    opossum.shutdown()
    mock.timers.reset()
  }
}

t.test('slow answers are no failures in a row', async (t) => {
  const { breaker } = breakerOf({ errorRate: 1, slowAfterMs: 100, consecutiveFailures: 3 })
  requests(breaker, 'failed', 2, 0)
  requests(breaker, 200, 1, 0)
  requests(breaker, 'failed', 2, 0)
  t.equal(breaker.state, 'closed', 'an answer that came late did come')
  requests(breaker, 'failed', 1, 0)
  t.equal(breaker.state, 'open')
})

t.test('what one client may count is no more where one stretch of the window meets the next', async (t) => {
  const { breaker } = breakerOf()
  const failed = (now: number) => {
    for (let i = 0; i < 10; i++) breaker.record(breaker.ask(now), true, 1, 7, now)
    return breaker.counts(now).failed
  }
  t.equal(failed(950), 2, 'a third of five')
  t.equal(failed(1050), 2, 'the next stretch has begun, and those before are in the window yet')
  t.equal(failed(2100), 2, 'now they are not')
})

t.test('what the operator says, and a pause of a year, make everybody count anew', async (t) => {
  const { breaker } = breakerOf()
  const failed = (now: number) => {
    for (let i = 0; i < 10; i++) breaker.record(breaker.ask(now), true, 1, 7, now)
    return breaker.counts(now).failed
  }
  t.equal(failed(0), 2)
  breaker.force('auto', 10)
  t.equal(failed(10), 2)
  const year = 365 * 86_400_000
  const startedAt = performance.now()
  t.equal(failed(year), 2)
  t.ok(performance.now() - startedAt < 500, 'at no cost')
})
