// The time in which a configuration that was just put in use has to prove itself. A gateway that was ready before and is
// not for a second on end, or at the end of the time, has failed; one that is ready at the end of it has passed. Where it
// was not ready before, nothing is held against the new configuration, and it has passed as soon as the gateway is ready.
const LOOK_MS = 100
const LOOK_LATER_MS = 1000
const UNREADY_MS = 1000

export type ProbationOptions = {
  withinMs: number
  /** Whether being ready is expected of it. */
  wasReady: boolean
  readiness(): { ready: boolean; reasons: string[] }
  passed(): void
  failed(reason: string): void
  now(): number
}

export class Probation {
  readonly #options: ProbationOptions
  readonly #endAt: number
  #timer: NodeJS.Timeout
  #unreadySince = Infinity

  constructor(options: ProbationOptions) {
    this.#options = options
    this.#endAt = options.now() + options.withinMs
    this.#timer = setTimeout(this.#look, Math.min(LOOK_MS, options.withinMs))
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  readonly #look = (): void => {
    const { wasReady, readiness, passed, failed, now } = this.#options
    const at = now()
    const { ready, reasons } = readiness()
    if (ready) this.#unreadySince = Infinity
    else this.#unreadySince = Math.min(this.#unreadySince, at)
    const isOver = at >= this.#endAt
    if (wasReady && !ready && (isOver || at - this.#unreadySince >= UNREADY_MS)) failed(reasons.join('; '))
    else if (isOver && ready) passed()
    else this.#timer = setTimeout(this.#look, isOver ? LOOK_LATER_MS : Math.min(LOOK_MS, this.#endAt - at))
  }
}
