// Limits of what is under way: the fixed one exactly, the adaptive one against a server that is simulated.
import t from 'tap'
import { ConcurrencyLimit } from '../../policies/concurrency-limit.ts'

t.test('a fixed limit lets exactly so many be under way', async (t) => {
  const limit = new ConcurrencyLimit({ max: 2, isAdaptive: false, min: 1 })
  t.same([limit.take(), limit.take(), limit.take()], [true, true, false])
  limit.release()
  t.same([limit.take(), limit.take()], [true, false])
  for (let i = 0; i < 100; i++) limit.answered(1000)
  t.equal(limit.inFlight, 0, 'never below 0')
  t.equal(limit.limit, 2, 'latency does not matter')
  t.equal(limit.refusals, 2)
  limit.configure({ max: 1, isAdaptive: false, min: 1 })
  t.same([limit.take(), limit.take()], [true, false])
})

/** A server that does `width` at once in `serviceMs` each: what is more waits. Returns the latency. */
const served = (inFlight: number, width: number, serviceMs: number) => serviceMs * Math.max(1, inFlight / width)

/** So many rounds in which as much as the limit allows is asked of the server. */
function load(limit: ConcurrencyLimit, width: number, serviceMs: number, rounds: number): void {
  for (let round = 0; round < rounds; round++) {
    while (limit.take());
    const latencyMs = served(limit.inFlight, width, serviceMs)
    for (let i = limit.inFlight; i > 0; i--) limit.answered(latencyMs)
  }
}

t.test('an adaptive limit stays near what the server does at once, and grows when it does more', async (t) => {
  const limit = new ConcurrencyLimit({ max: 1000, isAdaptive: true, min: 4 })
  // What it takes at rest is seen first.
  for (let i = 0; i < 40; i++) if (limit.take()) limit.answered(served(1, 20, 10))
  load(limit, 20, 10, 200)
  const narrow = limit.limit
  t.ok(narrow >= 20 && narrow <= 80, `${narrow} for a server that does 20 at once`)
  load(limit, 200, 10, 200)
  const wide = limit.limit
  t.ok(wide >= 150 && wide <= 800, `${wide} for one that does 200`)
  load(limit, 2, 10, 500)
  t.ok(limit.limit < narrow, `${limit.limit} for one that does 2`)
  t.ok(limit.limit >= 4)
})

t.test('a reload with another least or most holds at once', async (t) => {
  const limit = new ConcurrencyLimit({ max: 100, isAdaptive: true, min: 4 })
  for (let i = 0; i < 40; i++) if (limit.take()) limit.answered(served(1, 20, 10))
  load(limit, 2, 10, 500)
  t.ok(limit.limit < 20, `${limit.limit}`)
  limit.configure({ max: 100, isAdaptive: true, min: 20 })
  t.equal(limit.limit, 20)
  limit.configure({ max: 10, isAdaptive: true, min: 20 })
  t.equal(limit.limit, 10, 'the most goes before the least')
  limit.configure({ max: 50, isAdaptive: false, min: 1 })
  t.equal(limit.limit, 50)
  load(limit, 2, 10, 100)
  t.equal(limit.limit, 50, 'one that was fixed follows no latency any more')
  limit.configure({ max: 50, isAdaptive: true, min: 1 })
  load(limit, 2, 10, 100)
  t.ok(limit.limit < 50, `${limit.limit}: one that was made adaptive does`)
})

t.test('a limit that nobody reaches stays as it is', async (t) => {
  const limit = new ConcurrencyLimit({ max: 100, isAdaptive: true, min: 4 })
  for (let i = 0; i < 1000; i++) if (limit.take()) limit.answered(5)
  t.equal(limit.limit, 100)
  load(limit, 1, 5, 100)
  const shrunk = limit.limit
  t.ok(shrunk < 50, `${shrunk}`)
  for (let i = 0; i < 1000; i++) if (limit.take()) limit.answered(5)
  t.ok(limit.limit <= shrunk * 2 + 10, 'one at a time proves nothing about a hundred')
})

t.test(
  'a latency that is better than ever is believed at once: the limit falls when it is not reached again',
  async (t) => {
    const limit = new ConcurrencyLimit({ max: 100, isAdaptive: true, min: 4 })
    const rounds = (count: number, latencyMs: number) => {
      for (let round = 0; round < count; round++) {
        while (limit.take());
        for (let i = limit.inFlight; i > 0; i--) limit.answered(latencyMs)
      }
    }
    rounds(3, 100)
    t.equal(limit.limit, 100)
    rounds(1, 10)
    t.equal(limit.limit, 100)
    rounds(1, 100)
    t.ok(limit.limit < 100, `${limit.limit}: ten times the best of all is queueing`)
  },
)
