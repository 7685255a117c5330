// The replay window against WireGuard's cases (DGM-6).
import { readFileSync } from 'node:fs'
import t from 'tap'
import { REPLAY_WINDOW, ReplayWindow } from '../../../protocols/secure/replay-window.ts'
import { Random } from '../../sim/random.ts'

type Case = { n: number; counter: string; accept: boolean }
const file = new URL('../../vectors/wireguard-replay-cases.json', import.meta.url)
const vectors = JSON.parse(readFileSync(file, 'utf8')) as { windowSize: number; limit: string; cases: Case[] }

const take = (window: ReplayWindow, counter: number): boolean => {
  if (!window.check(counter)) return false
  window.accept(counter)
  return true
}

// WireGuard refuses counters from 2^64 - 2^13 - 1 on. Ours are numbers and end at 2^53 - 1: that is the limit here, and a
// case is moved so that it keeps its distance from the limit.
const OUR_LIMIT = Number.MAX_SAFE_INTEGER
const counterOf = (text: string): number => {
  const value = BigInt(text)
  return value < 2n ** 53n ? Number(value) : Number(value - BigInt(vectors.limit) + BigInt(OUR_LIMIT))
}

t.test('the 34 ordered cases of wireguard-go, those near its limit moved to ours', async (t) => {
  t.equal(REPLAY_WINDOW, vectors.windowSize)
  t.equal(vectors.cases.length, 34)
  const window = new ReplayWindow()
  for (const { n, counter, accept } of vectors.cases) {
    t.equal(take(window, counterOf(counter)), accept, `case ${n}: ${counter}`)
  }
})

t.test('the bulk cases of wireguard-go', async (t) => {
  const W = REPLAY_WINDOW
  const run = (steps: [from: number, to: number, accept: boolean][]) => {
    const window = new ReplayWindow()
    let ok = true
    for (const [from, to, accept] of steps) {
      const step = from <= to ? 1 : -1
      for (let counter = from; counter !== to + step; counter += step) ok &&= take(window, counter) === accept
    }
    return ok
  }
  t.ok(
    run([
      [1, W, true],
      [0, 0, true],
      [0, 0, false],
    ]),
  )
  t.ok(
    run([
      [2, W + 1, true],
      [1, 1, true],
      [0, 0, false],
    ]),
  )
  t.ok(run([[W + 1, 1, true]]))
  t.ok(
    run([
      [W + 2, 2, true],
      [0, 0, false],
    ]),
  )
  t.ok(
    run([
      [W, 1, true],
      [W + 1, W + 1, true],
      [0, 0, false],
    ]),
  )
  t.ok(
    run([
      [W, 1, true],
      [0, 0, true],
      [W + 1, W + 1, true],
    ]),
  )
})

t.test('the window does as a plain set of counters does', async (t) => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = new Random(seed)
    const window = new ReplayWindow()
    const seen = new Set<number>()
    let highest = -1
    let around = 0
    for (let i = 0; i < 5000; i++) {
      if (random.chance(0.01)) around += random.between(1, 30_000)
      const counter = Math.max(0, around + random.between(-9000, 400))
      const expected = !seen.has(counter) && highest - counter <= REPLAY_WINDOW
      if (take(window, counter) !== expected) t.fail(`seed ${seed}, counter ${counter}, highest ${highest}`)
      if (expected) seen.add(counter)
      highest = Math.max(highest, expected ? counter : -1)
    }
    t.equal(window.highest, highest)
  }
})

t.test('a counter that is not one is refused, and checking changes nothing', async (t) => {
  const window = new ReplayWindow()
  for (const counter of [-1, Number.NaN, 2 ** 53, Infinity]) t.notOk(window.check(counter))
  t.ok(window.check(2 ** 40))
  t.equal(window.highest, -1)
  t.ok(take(window, 3))
})
