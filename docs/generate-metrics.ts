// Writes docs/metrics.md from the registry of metrics; a test fails when the page is not current.
import { writeFileSync } from 'node:fs'
import { Counters } from '../gateway/counters.ts'
import { BucketTable } from '../policies/bucket-table.ts'
import { Pressure } from '../policies/shedding.ts'
import { PolicyCounts } from '../policies/compile.ts'
import { IoCounters } from '../gateway/io/io-counters.ts'
import { Metrics } from '../gateway/observe/metrics.ts'

const HEAD = `# Metrics

<!-- Written by docs/generate-metrics.ts from gateway/observe/metrics.ts: edit there. -->

What a gateway answers at \`/metrics\` on its admin port, in Prometheus' text format. Counters end in \`_total\` and begin
at zero with the process. Codes are those of [codes.md](codes.md).

| metric | type | labels | meaning |
|---|---|---|---|
`

/** The page as it must stand in docs/metrics.md. */
export async function metricsPage(): Promise<string> {
  const sample = {
    uptimeSeconds: 0,
    cpuSeconds: 0,
    rssBytes: 0,
    heapUsedBytes: 0,
    externalBytes: 0,
    delayMs: { p50: 0, p99: 0, max: 0 },
    utilization: 0,
  }
  const metrics = new Metrics({
    counters: new Counters(),
    io: new IoCounters(),
    policing: { counts: new PolicyCounts(), table: new BucketTable(1), pressure: new Pressure(undefined) },
    hosts: () => [],
    guards: () => [],
    isReady: () => true,
    sample: () => sample,
    version: '',
  })
  const described = await metrics.registry.getMetricsAsJSON()
  const rows = described.map(({ name, help, type }) => {
    const { labelNames } = metrics.registry.getSingleMetric(name) as unknown as { labelNames: string[] }
    return `| \`${name}\` | ${type} | ${labelNames.map((label) => `\`${label}\``).join(', ')} | ${help} |`
  })
  return `${HEAD}${rows.join('\n')}\n`
}

if (import.meta.main) writeFileSync(new URL('metrics.md', import.meta.url), await metricsPage())
