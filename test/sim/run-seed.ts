// One seed from start to verdict: trouble, then everything heals, then all must settle and nothing may be left over.
import { Violation } from './ledger.ts'
import { drawProfile } from './profile.ts'
import { Random } from './random.ts'
import { World } from './world.ts'

export type SeedResult = {
  seed: number
  /** Empty: passed. */
  failure: string
  virtualSeconds: number
  messages: number
  faults: Record<string, number>
}

export function runSeed(seed: number, trace: ((line: string) => void) | undefined): SeedResult {
  const random = new Random(seed)
  const profile = drawProfile(random)
  trace?.(`profile ${JSON.stringify(profile)}`)
  const world = new World(profile, random, trace)
  let failure = ''
  Violation.first = undefined
  try {
    world.run()
  } catch (error) {
    failure = trace === undefined ? (error as Error).message : ((error as Error).stack ?? String(error))
  }
  return { seed, failure, virtualSeconds: world.clock.now / 1000, messages: world.ledger.sent, faults: world.faults }
}
