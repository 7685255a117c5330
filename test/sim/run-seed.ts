// One seed from start to verdict: trouble, then everything heals, then all must settle and nothing may be left over. First the
// whole system, then lines over datagrams by themselves.
import { Violation } from './ledger.ts'
import { LineWorld } from './line-world.ts'
import { drawLine, drawProfile, drawSealedStreams, drawUdp } from './profile.ts'
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
  profile.sealedStreams = drawSealedStreams(seed)
  trace?.(`profile ${JSON.stringify(profile)}`)
  const world = new World(profile, random, trace)
  let failure = ''
  Violation.first = undefined
  const line = new LineWorld(seed, drawLine(seed))
  try {
    world.run()
    line.run()
  } catch (error) {
    failure = trace === undefined ? (error as Error).message : ((error as Error).stack ?? String(error))
  }
  const virtualSeconds = world.clock.now / 1000
  const datagrams = world.datagrams.sent + line.datagrams.sent
  return { seed, failure, virtualSeconds, messages: world.ledger.sent, datagrams, faults: world.faults }
}
