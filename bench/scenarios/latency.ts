// What the process in the middle adds to a message's way there and back when it is half busy: the echo over TCP, first as
// fast as it goes for a moment, then at half the rate that the slowest of all could do, with times of their own for the
// messages. What the way takes without anything between (raw, in the round in which it took least) is subtracted.
import type { BenchOptions } from '../options.ts'
import { perSecond, type Round } from '../report.ts'
import type { Scenario } from '../stage.ts'
import { measure, roundsOf, targetsOf, ways } from './echo.ts'

const SATURATING_SECONDS = 2
/** Open loop: whatever is under way. */
const DEPTH = 128
/** Two runs may come out in the other order: what is added is never less than this. */
const LEAST_US = 10

export const latency: Scenario = async (stage, given) => {
  const options: BenchOptions = { ...given, against: [...new Set([...given.against, 'raw' as const])] }
  const targets = await targetsOf(stage, options, ways.tcp, 'echo')
  const saturating = { ...options, rate: 0, seconds: SATURATING_SECONDS }
  let lowest = Infinity
  for (const target of targets.filter(({ name }) => name !== 'raw')) {
    const rate = perSecond(await measure(stage, saturating, target, 'echo'))
    stage.say(`${target.name}: ${Math.round(rate)} messages/s at most`)
    lowest = Math.min(lowest, rate)
  }
  const paced = { ...options, depth: DEPTH, rate: Math.max(1, Math.floor(lowest / 2)) }
  const rounds = await roundsOf(targets, options.rounds, async (target, i) => {
    const round = await measure(stage, paced, target, 'echo')
    stage.say(`round ${i + 1}: ${target.name} at ${paced.rate}/s: p50 ${round.p50Us} us, p99 ${round.p99Us} us`)
    return round
  })
  const least = (figure: (round: Round) => number): number => Math.min(...rounds.raw.map(figure))
  const bare = { p50Us: least(({ p50Us }) => p50Us), p99Us: least(({ p99Us }) => p99Us) }
  for (const [name, own] of Object.entries(rounds)) {
    if (name === 'raw') continue
    for (const round of own) {
      const addedP50Us = Math.max(LEAST_US, round.p50Us - bare.p50Us)
      const addedP99Us = Math.max(LEAST_US, round.p99Us - bare.p99Us)
      round.figures = { ...round.figures, addedP50Us, addedP99Us }
    }
  }
  return { rounds, violations: [], options: { ...options, rate: paced.rate } }
}
