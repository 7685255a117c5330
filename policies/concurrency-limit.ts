// A limit of what is under way at once: fixed, or one that follows latency. The adaptive one compares the latency of now
// with that of the long run; while requests take longer than they used to, the server queues, and the limit shrinks by the
// ratio; else it grows by the square root of itself, up to its bound. (The gradient method of TCP Vegas' descendants.)
//
//   limit' = limit * clamp(long / short, 0.5, 1) + sqrt(limit), smoothed; looked at once for all that were under way together

export type ConcurrencySettings = {
  readonly max: number
  readonly isAdaptive: boolean
  /** The least that an adaptive limit shrinks to. */
  readonly min: number
}

const LOOK_COUNT_MIN = 20
const LONG_WEIGHT = 0.001
const SMOOTHING = 0.2
/** Latency may rise by so much over the long run before it counts as queueing. */
const TOLERANCE = 1.5

export class ConcurrencyLimit {
  settings: ConcurrencySettings
  inFlight = 0
  refusals = 0
  #limit: number
  #longMs = 0
  #sumMs = 0
  #count = 0
  /** The most that was under way since the last look: a limit that nobody reaches does not grow. */
  #peak = 0

  constructor(settings: ConcurrencySettings) {
    this.settings = settings
    this.#limit = settings.max
  }

  configure(settings: ConcurrencySettings): void {
    this.settings = settings
    this.#limit = settings.isAdaptive ? bounded(this.#limit, settings) : settings.max
  }

  /** What may be under way now. */
  get limit(): number {
    return Math.floor(this.#limit)
  }

  /** Takes a place, or none is free. */
  take(): boolean {
    if (this.inFlight >= this.limit) {
      this.refusals++
      return false
    }
    this.inFlight++
    if (this.inFlight > this.#peak) this.#peak = this.inFlight
    return true
  }

  /** Takes a place whether or not one is free: for what is let pass all the same. */
  takeAnyway(): void {
    this.inFlight++
  }

  /** Gives the place back without an answer: withdrawn, or its connection ended. */
  release(): void {
    if (this.inFlight > 0) this.inFlight--
  }

  /** Gives the place back with an answer that took so long. */
  answered(latencyMs: number): void {
    this.release()
    if (!this.settings.isAdaptive) return
    this.#sumMs += latencyMs
    if (++this.#count >= Math.max(LOOK_COUNT_MIN, this.#peak)) this.#look()
  }

  #look(): void {
    const shortMs = Math.max(this.#sumMs / this.#count, 0.01)
    this.#sumMs = this.#count = 0
    // Better latencies are believed at once, worse ones slowly.
    this.#longMs =
      this.#longMs === 0 || shortMs < this.#longMs ? shortMs : this.#longMs + LONG_WEIGHT * (shortMs - this.#longMs)
    const gradient = Math.max(0.5, Math.min(1, (TOLERANCE * this.#longMs) / shortMs))
    const isUsed = this.#peak * 2 >= this.#limit
    this.#peak = this.inFlight
    if (gradient === 1 && !isUsed) return
    const aim = this.#limit * gradient + (gradient === 1 ? Math.sqrt(this.#limit) : 0)
    const next = this.#limit * (1 - SMOOTHING) + aim * SMOOTHING
    this.#limit = bounded(next, this.settings)
  }
}

const bounded = (limit: number, { min, max }: ConcurrencySettings): number =>
  Math.max(Math.min(min, max), Math.min(max, limit))
