// slow-readers: one actor publishes to all, first to honest clients alone, then as long also to some who hardly read, or not
// at all once they are attached. What counts is what the gateway's memory grows by for each of those, which the limit of a
// connection bounds, and what the honest ones notice of it.
import { busiestUs, Generators } from '../generators.ts'
import { Histogram, type HistogramCounts } from '../histogram.ts'
import type { LoadPlan } from '../processes/load.ts'
import { usageOf } from '../process-usage.ts'
import type { Round } from '../report.ts'
import { type Outcome, type Scenario, startEchoHost, startGateway } from '../stage.ts'

const LOOK_MS = 100
/** `limits.connectionBytesMax` (512 KiB), and as much again for what the kernel has not taken and garbage. */
const SLOW_BYTES_MAX = 1024 * 1024
/** What a process of Node grows by, whatever it does. */
const SPARE_BYTES = 64 * 1024 * 1024

export const slowReaders: Scenario = async (stage, options): Promise<Outcome> => {
  const { clients, payloadBytes, rate, seconds, warmupSeconds, workers, slowPercent } = options
  const slow = Math.max(1, Math.round((clients * slowPercent) / 100))
  const honest = Math.max(1, clients - slow)
  const host = await startEchoHost(stage, options, { publishRate: rate })
  const rounds: Round[] = []
  const violations: string[] = []
  for (let i = 0; i < options.rounds; i++) {
    const gateway = await startGateway(stage, `gateway-${i + 1}`, host.address)
    const plan: LoadPlan = {
      ...{ speaks: 'lanes', over: 'tcp', port: gateway.tcpPort, clients: honest, payloadBytes, depth: 1, rate: 0 },
      ...{ sends: false, actor: 'everybody' },
    }
    const pids = { middle: gateway.pid, host: host.worker.pid }
    const readers = new Generators(stage, plan, workers)
    const idlers = new Generators(stage, { ...plan, clients: slow, over: 'tcp-slow' }, 1)
    await readers.connect()
    const calm = await readers.measure(warmupSeconds * 1000, seconds * 1000, pids)
    const rssBefore = usageOf(gateway.pid).rssBytes
    await idlers.connect()
    let rssMax = rssBefore
    const looking = setInterval(() => {
      rssMax = Math.max(rssMax, usageOf(gateway.pid).rssBytes)
    }, LOOK_MS)
    const [beside, behind] = await Promise.all([
      readers.measure(0, seconds * 1000, pids),
      idlers.measure(0, seconds * 1000, {}),
    ])
    clearInterval(looking)
    await Promise.all([readers.end(), idlers.end(), gateway.kill()])
    const { messages, elapsedUs, used } = beside
    const grown = rssMax - rssBefore
    if (grown > slow * SLOW_BYTES_MAX + SPARE_BYTES) {
      violations.push(`round ${i + 1}: the gateway grew by ${grown} bytes for ${slow} slow readers`)
    }
    if (beside.leftOut > 0) violations.push(`round ${i + 1}: publications were left out for honest clients`)
    const p99 = { calm: percentileOf(calm.latencies, 0.99), beside: percentileOf(beside.latencies, 0.99) }
    rounds.push({
      messages,
      elapsedUs,
      cpuUs: used.middle.cpuUs,
      rssBytes: rssMax,
      p50Us: percentileOf(beside.latencies, 0.5),
      p99Us: p99.beside,
      limitedBy: messages >= (honest * rate * elapsedUs * 0.95) / 1e6 ? 'rate' : 'none',
      generatorShare: busiestUs(used) / elapsedUs,
      latencies: beside.latencies,
      samples: beside.samples,
      figures: {
        slowReaders: slow,
        rssBytesPerSlowReader: grown / slow,
        calmP99Ms: p99.calm / 1000,
        besideP99Ms: p99.beside / 1000,
        heardBySlow: behind.messages,
        closedSlow: behind.closed,
      },
    })
    stage.say(
      `round ${i + 1}: ${Math.round(grown / slow)} bytes for each of ${slow} slow readers, ` +
        `the others' p99 ${(p99.calm / 1000).toFixed(1)} ms before and ${(p99.beside / 1000).toFixed(1)} ms beside them`,
    )
  }
  return { rounds: { skewer: rounds }, violations }
}

function percentileOf(counts: HistogramCounts, share: number): number {
  const all = new Histogram()
  all.add(counts)
  return all.percentile(share)
}
