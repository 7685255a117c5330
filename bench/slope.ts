// A line through points by least squares: how much memory grows, and how sure that is. Memory of a process with a garbage
// collector is a saw: looks that follow each other closely are one look, so they are taken together before the line is
// laid, and the error counts what is left.

export type Slope = { perSecond: number /** Standard error of it. */; error: number }

/** Stretches that the time is cut into; fewer than three looks each say nothing. */
const STRETCHES = 20
const LOOKS_MIN = 3

/** @param points seconds and values, in the order of time; undefined where there are too few */
export function slopeOf(points: readonly (readonly [seconds: number, value: number])[]): Slope | undefined {
  const size = Math.floor(points.length / STRETCHES)
  if (size < LOOKS_MIN) return undefined
  const means: [number, number][] = []
  for (let i = 0; i < STRETCHES; i++) {
    const part = points.slice(i * size, (i + 1) * size)
    means.push([mean(part.map(([at]) => at)), mean(part.map(([, value]) => value))])
  }
  const [at, value] = [mean(means.map(([x]) => x)), mean(means.map(([, y]) => y))]
  const spread = sum(means.map(([x]) => (x - at) ** 2))
  const perSecond = sum(means.map(([x, y]) => (x - at) * (y - value))) / spread
  const left = sum(means.map(([x, y]) => (y - value - perSecond * (x - at)) ** 2))
  return { perSecond, error: Math.sqrt(left / (STRETCHES - 2) / spread) }
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)
const mean = (values: readonly number[]): number => sum(values) / values.length
