// A circuit breaker: closed while requests go well, open when too many fail or are slow, then half open: a few real
// requests are let through and decide. The operator can force it either way. A machine of bytes-free outcomes and time:
// the caller asks before it sends, and says what became of every request that it was allowed.
//
//   closed --too many failures or slow ones, or so many failures in a row--> open
//   open   --openMs--> half_open --all probes well------> closed
//                                --those of two clients--> open, for twice as long as before, at most openMsMax
//                                  fail
//
// One client cannot open it for others, nor keep it open: in any stretch as long as the window its failures count up to a
// third of what would open it, and half open they count once (clients have numbers, which the gateway gives).
import { OutcomeWindow } from './outcome-window.ts'

export type CircuitBreakerSettings = {
  /** Opens above this share of failures, 0 to 1; 1 never does. */
  readonly errorRate: number
  /** Opens above this share of requests that took `slowAfterMs` or longer, 0 to 1; 1 never does. */
  readonly slowRate: number
  /** Milliseconds; Infinity: none is slow. */
  readonly slowAfterMs: number
  /** Opens after so many failures in a row; Infinity: never for that. */
  readonly consecutiveFailures: number
  /** Rates are looked at from so many requests in the window on. */
  readonly volume: number
  readonly windowMs: number
  /** How long it refuses before it tries again; twice as long after each try that failed. */
  readonly openMs: number
  readonly openMsMax: number
  /** Requests that are let through while half open; so many must go well. With 1, one failure decides. */
  readonly probes: number
}

export type BreakerState = 'closed' | 'open' | 'half_open' | 'forced_open' | 'forced_closed'
export type BreakerChange = { readonly from: BreakerState; readonly to: BreakerState; readonly reason: string }

/** What a request was let through as: its outcome is given back with it. */
export const pass = { refused: 0, ordinary: 1, probe: 2 } as const
export type Pass = (typeof pass)[keyof typeof pass]

const SHARE = 1 / 3

export class CircuitBreaker {
  settings: CircuitBreakerSettings
  state: BreakerState = 'closed'
  /** The one thing to look at for each frame: nothing to ask and nothing to count against it while this is true. */
  isClosed = true
  /** Since it was made: how often it opened. */
  openings = 0
  refusals = 0
  readonly #changed: (change: BreakerChange) => void
  #window: OutcomeWindow
  #inRow = 0
  #openUntil = 0
  #openForMs: number
  #probesOut = 0
  #probesWell = 0
  /** Whose probes failed in this round; two are enough. */
  readonly #failedBy: number[] = []
  /** When the half-open round ends whose probes never came back. */
  #probesUntil = 0

  /** `changed` is told of every change of state, within the call that brought it. */
  constructor(settings: CircuitBreakerSettings, changed: (change: BreakerChange) => void, now: number) {
    this.settings = settings
    this.#changed = changed
    this.#window = new OutcomeWindow(settings.windowMs, now)
    this.#openForMs = settings.openMs
  }

  /** Takes other thresholds; the state stays, and what was counted where the window is as long as it was. */
  configure(settings: CircuitBreakerSettings, now: number): void {
    if (settings.windowMs !== this.settings.windowMs) this.#window = new OutcomeWindow(settings.windowMs, now)
    this.settings = settings
    this.#openForMs = settings.openMs
  }

  /** Failures, slow ones and all, in the window. */
  counts(now: number): { total: number; failed: number; slow: number } {
    const window = this.#window
    window.turn(now)
    return { total: window.total, failed: window.failed, slow: window.slow }
  }

  /** Whether a request may go now. What is let through as a probe must be recorded or given back. */
  ask(now: number): Pass {
    if (this.isClosed) return pass.ordinary
    if (this.state === 'open' && now >= this.#openUntil) this.#halfOpen(now)
    if (this.state === 'half_open') {
      // Probes that nobody ever answered do not keep it half open for ever.
      if (this.#probesOut >= this.settings.probes && now >= this.#probesUntil) this.#halfOpen(now)
      if (this.#probesOut < this.settings.probes) {
        this.#probesOut++
        return pass.probe
      }
    }
    this.refusals++
    return pass.refused
  }

  /** Whether it would refuse, without taking a probe: for what has no outcome of its own. */
  refuses(now: number): boolean {
    if (this.isClosed || this.state === 'half_open') return false
    return this.state === 'forced_open' || now < this.#openUntil
  }

  /** Milliseconds after which asking again makes sense. */
  retryMs(now: number): number {
    const { openMs } = this.settings
    if (this.state === 'open') return Math.max(1, Math.ceil(this.#openUntil - now))
    return this.state === 'half_open' ? Math.min(1000, openMs) : openMs
  }

  /**
   * What became of a request. `client` is a number of the gateway's for who sent it. Outcomes of requests that are none
   * of the server's business (refused by another policy, bad arguments) are not recorded.
   */
  record(as: Pass, isFailed: boolean, latencyMs: number, client: number, now: number): void {
    const isSlow = latencyMs >= this.settings.slowAfterMs
    if (as === pass.probe) {
      this.#probed(isFailed || isSlow, client, now)
      return
    }
    if (this.state !== 'closed') return
    const window = this.#window
    if (!isFailed && !isSlow) {
      window.record(false, false, now)
      this.#inRow = 0
      return
    }
    const { settings } = this
    if (!window.takeShare(client, shareMax(settings), now)) return
    window.record(isFailed, isSlow, now)
    this.#inRow = isFailed ? this.#inRow + 1 : 0
    if (this.#inRow >= settings.consecutiveFailures) {
      this.#open(`${this.#inRow} failures in a row`, now)
    } else if (window.total >= settings.volume) {
      if (window.failed > settings.errorRate * window.total) {
        this.#open(`${window.failed} of ${window.total} requests failed`, now)
      } else if (window.slow > settings.slowRate * window.total) {
        this.#open(`${window.slow} of ${window.total} requests took ${settings.slowAfterMs} ms or longer`, now)
      }
    }
  }

  /**
   * The same for a request that nobody asked it about: what is attached goes on while it is open. Once its time is over,
   * such outcomes decide as those of probes do.
   */
  recordUnasked(isFailed: boolean, latencyMs: number, client: number, now: number): void {
    if (this.state === 'open' && now >= this.#openUntil) this.#halfOpen(now)
    this.record(this.state === 'half_open' ? pass.probe : pass.ordinary, isFailed, latencyMs, client, now)
  }

  /** A probe that went nowhere: refused further on, or withdrawn. */
  giveBack(as: Pass): void {
    if (as === pass.probe && this.#probesOut > 0) this.#probesOut--
  }

  /** The operator's word: `open`, `closed`, or `auto` for going by outcomes again. */
  force(to: 'open' | 'closed' | 'auto', now: number): void {
    this.#window.clear(now)
    this.#inRow = 0
    this.#openForMs = this.settings.openMs
    this.#become(to === 'auto' ? 'closed' : `forced_${to}`, 'the operator said so')
  }

  #open(reason: string, now: number): void {
    this.openings++
    this.#openUntil = now + this.#openForMs
    this.#openForMs = Math.min(this.#openForMs * 2, this.settings.openMsMax)
    this.#become('open', reason)
  }

  #halfOpen(now: number): void {
    this.#probesOut = this.#probesWell = 0
    this.#failedBy.length = 0
    this.#probesUntil = now + Math.max(this.settings.openMs, 1000)
    this.#become('half_open', 'it is tried again')
  }

  #probed(isBad: boolean, client: number, now: number): void {
    if (this.state !== 'half_open') return
    if (isBad) {
      this.giveBack(pass.probe)
      if (!this.#failedBy.includes(client)) this.#failedBy.push(client)
      if (this.#failedBy.length >= Math.min(2, this.settings.probes)) this.#open('probes failed', now)
    } else if (++this.#probesWell >= this.settings.probes) {
      this.#window.clear(now)
      this.#inRow = 0
      this.#openForMs = this.settings.openMs
      this.#become('closed', 'the probes went well')
    }
  }

  #become(to: BreakerState, reason: string): void {
    const from = this.state
    if (from === to) return
    this.state = to
    this.isClosed = to === 'closed' || to === 'forced_closed'
    this.#changed({ from, to, reason })
  }
}

/** So many failures of one client count in a window: a third of the fewest that could open it. */
function shareMax(settings: CircuitBreakerSettings): number {
  const byRate = settings.errorRate < 1 ? settings.errorRate * settings.volume : Infinity
  const bySlowness = settings.slowRate < 1 ? settings.slowRate * settings.volume : Infinity
  const fewest = Math.min(byRate, bySlowness, settings.consecutiveFailures)
  return fewest === Infinity ? 1 : Math.max(1, Math.ceil(fewest * SHARE))
}
