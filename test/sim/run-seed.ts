// One seed from start to verdict: trouble, then everything heals, then all must settle and nothing may be left over.
import { Violation } from './ledger.ts'
import { drawProfile, drawUdp } from './profile.ts'
import { Random } from './random.ts'
import { World } from './world.ts'

export type SeedResult = {
  seed: number
  /** Empty: passed. */
  failure: string
  virtualSeconds: number
  messages: number
  datagrams: number
  faults: Record<string, number>
}

export function runSeed(seed: number, trace: ((line: string) => void) | undefined): SeedResult {
  const random = new Random(seed)
  const profile = drawProfile(random)
  profile.udp = drawUdp(seed, profile.latencyMs)
  trace?.(`profile ${JSON.stringify(profile)}`)
  const world = new World(profile, random, trace)
  let failure = ''
  Violation.first = undefined
  try {
    world.run()
  } catch (error) {
    failure = trace === undefined ? (error as Error).message : ((error as Error).stack ?? String(error))
  }
  const virtualSeconds = world.clock.now / 1000
  const { sent: datagrams } = world.datagrams
  return { seed, failure, virtualSeconds, messages: world.ledger.sent, datagrams, faults: world.faults }
}
