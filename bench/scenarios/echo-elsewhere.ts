// The echoes against a gateway that runs already, with a host behind it that says back what it hears. Its CPU time and memory
// are what its admin port tells: looked at when the warm-up is over and at the end, from here.
import { adminUsage } from '../admin-usage.ts'
import { busiestUs, Generators } from '../generators.ts'
import { Histogram } from '../histogram.ts'
import type { BenchOptions, Target } from '../options.ts'
import { cpuUsPerMessage, perSecond, type Round } from '../report.ts'
import type { Outcome, Stage } from '../stage.ts'

const BUSY_SHARE = 0.9
const KEPT_SHARE = 0.95

export async function echoElsewhere(stage: Stage, options: BenchOptions, target: Target): Promise<Outcome> {
  const rounds: Round[] = []
  for (let i = 0; i < options.rounds; i++) {
    const round = await measure(stage, options, target)
    rounds.push(round)
    const cpu = cpuUsPerMessage(round)
    const each = cpu === undefined ? '' : `, ${cpu.toFixed(2)} us of CPU each`
    stage.say(`round ${i + 1}: ${Math.round(perSecond(round))} messages/s${each}`)
  }
  // What clients show is nobody else's business.
  const { target: _, ...asked } = options
  const { addresses, service, prefix } = target
  return { rounds: { skewer: rounds }, violations: [], options: { ...asked, target: addresses, service, prefix } }
}

async function measure(stage: Stage, options: BenchOptions, target: Target): Promise<Round> {
  const { clients, payloadBytes, depth, rate, seconds, warmupSeconds, workers } = options
  const { addresses, token, service, prefix, admin } = target
  const elsewhere = { addresses, token, service, route: `${prefix}.say` }
  const load = { speaks: 'lanes', over: 'tcp', port: 0, elsewhere } as const
  const generators = new Generators(stage, { ...load, clients, payloadBytes, depth, rate, sends: true }, workers)
  await generators.connect()
  const usage = () => (admin === undefined ? Promise.resolve(undefined) : adminUsage(admin))
  const [before, measured] = await Promise.all([
    new Promise((resolve) => setTimeout(resolve, warmupSeconds * 1000)).then(usage),
    generators.measure(warmupSeconds * 1000, seconds * 1000, {}),
  ])
  const after = await usage()
  await generators.end()
  const { messages, elapsedUs, used, samples } = measured
  const latencies = new Histogram()
  latencies.add(measured.latencies)
  const isKept = rate > 0 && messages >= (rate * elapsedUs * KEPT_SHARE) / 1e6
  const cpuUs = before && after && after.cpuUs - before.cpuUs
  const isBusy = (us: number): boolean => us >= elapsedUs * BUSY_SHARE
  return {
    messages,
    elapsedUs,
    cpuUs,
    rssBytes: after?.rssBytes,
    p50Us: latencies.percentile(0.5),
    p99Us: latencies.percentile(0.99),
    limitedBy: isKept ? 'rate' : isBusy(cpuUs ?? 0) ? 'gateway' : isBusy(busiestUs(used)) ? 'generator' : 'none',
    generatorShare: busiestUs(used) / elapsedUs,
    latencies: measured.latencies,
    samples,
  }
}
