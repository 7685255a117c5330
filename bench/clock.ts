// Microseconds of the machine's monotonic clock, the same in every process, so that a time stamped in one can be
// compared in another. `performance.now` alone begins at zero in each; `process.hrtime.bigint` makes garbage.

const TRIES = 20

/** When `performance.now` was zero: of some tries the one in which the two clocks were read closest together. */
function originOf(): number {
  let originUs = 0
  let closestMs = Infinity
  for (let i = 0; i < TRIES; i++) {
    const before = performance.now()
    const monotonic = Number(process.hrtime.bigint()) / 1000
    const after = performance.now()
    if (after - before >= closestMs) continue
    closestMs = after - before
    originUs = monotonic - ((before + after) / 2) * 1000
  }
  return originUs
}

const originUs = originOf()

export const monotonicUs = (): number => originUs + performance.now() * 1000
