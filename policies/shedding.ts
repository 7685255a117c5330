// Shedding: a gateway that is overloaded refuses what matters least, so that the rest still goes. Pressure is measured
// outside (how late the event loop is, memory, how old what waits for a host is) and told here a few times a second; it
// becomes a level, and each message is judged by the priority of its place, one comparison.
//
//   level 0  nothing      1  `low`      2  `low`, `normal`      3  all but `critical`, and new connections
//
// The level rises by one for each sample past a threshold and falls by one after a second below four fifths of all. One
// late sample is no overload (the process was stopped, or the machine slept): the delay of the loop is smoothed. What has
// begun goes on: logins in progress, attaches, replies and acknowledgements are never shed. docs/policies/shedding.md.
import { code } from '../protocols/codes.ts'
import type { CompileTools, Place } from './compile.ts'
import { type Check, type Judgement, type Mode, type PolicyCount, type Verdict, verdict } from './pipeline.ts'

export type SheddingSettings = {
  readonly mode: Mode
  /** How late the event loop may be. */
  readonly eventLoopDelayMs: number
  /** Share of the memory that the process may have, 0 to 1. */
  readonly memoryShare: number
  /** How old the oldest byte that waits for a host may be. */
  readonly queueAgeMs: number
}

export const priorities = ['low', 'normal', 'high', 'critical'] as const
export type Priority = (typeof priorities)[number]

export const LEVEL_MAX = 3
const CALM_SHARE = 0.8
const CALM_MS = 1000
const RETRY_MS = 1000
const COST = 0
/** Weight of the newest sample of the loop's delay, which counts for at most twice the threshold. */
const NEWEST = 0.3

/** What was measured, of a moment. */
export type PressureSample = {
  readonly eventLoopDelayMs: number
  readonly memoryShare: number
  readonly queueAgeMs: number
}

export class Pressure {
  /** The one thing that a message looks at. */
  level = 0
  /** Undefined: never shed. */
  settings: SheddingSettings | undefined
  /** When it was last above four fifths of a threshold. */
  #strainedAt = -Infinity
  #delayMs = 0

  constructor(settings: SheddingSettings | undefined) {
    this.settings = settings
  }

  configure(settings: SheddingSettings | undefined): void {
    this.settings = settings
    if (settings === undefined) this.level = 0
  }

  /** Whether new connections are refused. */
  get refusesConnections(): boolean {
    return this.level >= LEVEL_MAX && this.settings?.mode === 'enforce'
  }

  /** Takes a measurement; returns whether the level has changed. */
  sample(a: PressureSample, now: number): boolean {
    const { settings, level } = this
    if (settings === undefined) return false
    const delayMs = Math.min(a.eventLoopDelayMs, 2 * settings.eventLoopDelayMs)
    this.#delayMs += NEWEST * (delayMs - this.#delayMs)
    const strain = Math.max(
      this.#delayMs / settings.eventLoopDelayMs,
      a.memoryShare / settings.memoryShare,
      a.queueAgeMs / settings.queueAgeMs,
    )
    if (strain > CALM_SHARE) this.#strainedAt = now
    if (strain > 1) {
      this.level = Math.min(LEVEL_MAX, level + 1)
    } else if (level > 0 && now >= this.#strainedAt + CALM_MS) {
      this.level--
      this.#strainedAt = now
    }
    return this.level !== level
  }
}

export class SheddingCheck implements Check {
  readonly count: PolicyCount
  readonly mode: Mode
  readonly cost = COST
  readonly readsPayload = false
  readonly #pressure: Pressure
  /** Shed above this level. */
  readonly #levelMax: number

  constructor(mode: Mode, priority: Priority, pressure: Pressure, count: PolicyCount) {
    this.count = count
    this.mode = mode
    this.#pressure = pressure
    this.#levelMax = priorities.indexOf(priority)
  }

  judge(judgement: Judgement): Verdict {
    if (this.#pressure.level <= this.#levelMax) return verdict.pass
    judgement.code = code.overloaded
    judgement.retryMs = RETRY_MS * this.#pressure.level
    return verdict.reject
  }
}

/** The innermost priority is the place's; without any it is `normal`. */
export function sheddingChecks(place: Place, tools: CompileTools): Check[] {
  const { settings } = tools.pressure
  const priority =
    place.levels.findLast(({ policies }) => policies.priority !== undefined)?.policies.priority ?? 'normal'
  if (settings === undefined || priority === 'critical') return []
  const count = tools.counts.of('shedding', 'gateway', priority)
  return [new SheddingCheck(settings.mode, priority, tools.pressure, count)]
}
