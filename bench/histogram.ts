// Counts of latencies in microseconds, after Gil Tene's HdrHistogram: each power of two is cut into 128 steps, so that a
// percentile is told at most 1/128 too high, from one microsecond to half an hour, in a fixed 26 KiB. Recording is one
// addition; histograms of several processes add up.

const STEP_BITS = 7
const STEPS = 1 << STEP_BITS
const VALUE_MAX = 2 ** 31 - 1
const BUCKETS = (31 - STEP_BITS + 1) * STEPS

/** Buckets that are not empty, as [index, count]: how a histogram travels between processes. */
export type HistogramCounts = [number, number][]

export class Histogram {
  readonly #counts = new Float64Array(BUCKETS)
  total = 0
  max = 0

  /** Times below zero (two clocks) count as zero, those above half an hour as half an hour. */
  record(us: number): void {
    const value = us > 0 ? Math.min(Math.round(us), VALUE_MAX) : 0
    this.#counts[bucketOf(value)]++
    this.total++
    if (value > this.max) this.max = value
  }

  /** Highest value of the bucket in which the share (0 to 1) is reached; 0 where nothing was recorded. */
  percentile(share: number): number {
    const wanted = Math.max(1, Math.ceil(this.total * share))
    let seen = 0
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += this.#counts[bucket]
      if (seen >= wanted) return Math.min(highestOf(bucket), this.max)
    }
    return 0
  }

  clear(): void {
    this.#counts.fill(0)
    this.total = 0
    this.max = 0
  }

  counts(): HistogramCounts {
    const counts: HistogramCounts = []
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      if (this.#counts[bucket] > 0) counts.push([bucket, this.#counts[bucket]])
    }
    return counts
  }

  add(counts: HistogramCounts): void {
    for (const [bucket, count] of counts) {
      this.#counts[bucket] += count
      this.total += count
      if (count > 0) this.max = Math.max(this.max, highestOf(bucket))
    }
  }
}

/** Values below 256 have a bucket of their own. */
function bucketOf(value: number): number {
  const shift = Math.max(0, 31 - Math.clz32(value) - STEP_BITS)
  return shift * STEPS + (value >>> shift)
}

function highestOf(bucket: number): number {
  const shift = Math.max(0, (bucket >>> STEP_BITS) - 1)
  return (bucket - shift * STEPS + 1) * 2 ** shift - 1
}
