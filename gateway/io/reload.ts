// Another configuration for a gateway that runs, in this order: read and checked as a whole, compared with the one in use,
// refused where something of it cannot change now, everything made that can fail, then swapped in one turn. Whatever goes
// wrong before the swap changes nothing. After it the new one is on probation: it is taken back where the gateway stops
// being ready, and kept as the last good one where it does not. One reload at a time, in the order asked for.
import { type Change, compareSettings } from '../../config/compare.ts'
import { keepLastGood } from '../../config/last-good.ts'
import { type Problem, problemText } from '../../config/problems.ts'
import { type SourceText, loadSettings } from '../../config/settings-from-yaml.ts'
import type { Settings } from '../../config/settings.ts'
import type { ReloadTrigger } from '../events.ts'
import type { GatewayEvent } from '../seams.ts'
import { ConfigWatch } from './config-watch.ts'
import type { IoCounters } from './io-counters.ts'
import { Probation } from './probation.ts'

/** Named in events; the answer has all of them. */
const CHANGED_MAX = 50

export type ReloadOutcome =
  | { outcome: 'reloaded' | 'would_reload'; changes: Change[]; warnings: Problem[] }
  | { outcome: 'refused'; reason: string; changes: Change[]; problems: Problem[] }

/** What a reload needs of the process. */
export type ReloadHome = {
  /** The configuration in use. */
  settings(): Settings
  /** Makes what another one needs; rejects, and changes nothing, where that fails. What it resolves with swaps. */
  prepare(settings: Settings): Promise<() => void>
  readiness(): { ready: boolean; reasons: string[] }
  /** Why nothing is to be changed any more: it drains, or ends. */
  isEnding(): boolean
  observe(event: GatewayEvent): void
  warn(what: string, error: unknown): void
  now(): number
  counters: IoCounters
}

export class Reload {
  readonly #home: ReloadHome
  readonly #file: string | undefined
  readonly #env: NodeJS.ProcessEnv
  #probation: Probation | undefined
  #watch: ConfigWatch | undefined
  /** The end of the last reload that was asked for. */
  #last: Promise<unknown> = Promise.resolve()
  #isStopped = false

  constructor(home: ReloadHome, file: string | undefined, env: NodeJS.ProcessEnv) {
    this.#home = home
    this.#file = file
    this.#env = env
  }

  /** The gateway runs: its first configuration is watched, and kept once it is ready. */
  begin(source: SourceText | undefined): void {
    this.#prove(source, undefined)
    this.#watchIfWanted()
  }

  stop(): void {
    this.#isStopped = true
    this.#probation?.stop()
    this.#watch?.stop()
  }

  /** Reads the file again. `isDryRun`: says what would change, and changes nothing. */
  reload(trigger: ReloadTrigger, isDryRun = false): Promise<ReloadOutcome> {
    return this.#inTurn(async () => {
      const file = this.#file
      if (file === undefined) return this.#refused(trigger, isDryRun, 'it runs without a configuration file', [], [])
      const loaded = loadSettings(file, this.#env)
      if (loaded.problems) {
        return this.#refused(trigger, isDryRun, `${file} cannot be used`, [], loaded.problems)
      }
      return this.#change(loaded.settings, loaded.source, loaded.warnings, trigger, isDryRun)
    })
  }

  /** Puts settings in use that a program has made, as a reload of a file with them would. */
  configure(settings: Settings): Promise<ReloadOutcome> {
    return this.#inTurn(() => this.#change(settings, undefined, [], 'program', false))
  }

  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const done = this.#last.then(task)
    this.#last = done.catch(() => {})
    return done
  }

  async #change(
    settings: Settings,
    source: SourceText | undefined,
    warnings: Problem[],
    trigger: ReloadTrigger,
    isDryRun: boolean,
  ): Promise<ReloadOutcome> {
    const home = this.#home
    if (home.isEnding()) return this.#refused(trigger, isDryRun, 'the gateway ends', [], [])
    const before = home.settings()
    const changes = compareSettings(before, settings)
    const fixed = changes.filter(({ touches }) => touches === 'restart')
    if (fixed.length > 0) return this.#refused(trigger, isDryRun, fixed.map(fixedSentence).join('; '), changes, [])
    if (isDryRun) return { outcome: 'would_reload', changes, warnings }
    let swap: () => void
    try {
      swap = await home.prepare(settings)
    } catch (error) {
      return this.#refused(trigger, isDryRun, (error as Error).message, changes, [])
    }
    const wasReady = home.readiness().ready
    swap()
    home.counters.reloads++
    home.observe({ event: 'reloaded', trigger, changes: changes.length, changed: pathsOf(changes) })
    this.#prove(source, wasReady ? before : undefined)
    this.#watchIfWanted()
    return { outcome: 'reloaded', changes, warnings }
  }

  #refused(
    trigger: ReloadTrigger,
    isDryRun: boolean,
    reason: string,
    changes: Change[],
    problems: Problem[],
  ): ReloadOutcome {
    if (!isDryRun) {
      this.#home.counters.reloadsRefused++
      const texts = problems.slice(0, CHANGED_MAX).map(problemText)
      this.#home.observe({ event: 'reload_refused', trigger, reason, problems: texts })
    }
    return { outcome: 'refused', reason, changes, problems }
  }

  // ---- afterwards ----

  /** `before`: what to go back to, where there is something. */
  #prove(source: SourceText | undefined, before: Settings | undefined): void {
    const home = this.#home
    const tried = home.settings()
    const withinMs = tried.reload.rollbackWithinMs
    this.#probation?.stop()
    this.#probation = new Probation({
      withinMs,
      wasReady: before !== undefined && withinMs > 0,
      readiness: home.readiness,
      passed: () => this.#keep(source),
      failed: (reason) => {
        this.#inTurn(() => this.#goBack(before!, tried, reason)).catch((error: unknown) =>
          home.warn('no way back', error),
        )
      },
      now: home.now,
    })
  }

  #keep(source: SourceText | undefined): void {
    if (source === undefined) return
    try {
      keepLastGood(this.#home.settings().stateDir, source)
    } catch (error) {
      this.#home.warn('the last good configuration cannot be kept', error)
    }
  }

  async #goBack(before: Settings, tried: Settings, reason: string): Promise<void> {
    const home = this.#home
    // It may have been mended, or replaced, before this got its turn.
    if (home.isEnding() || home.settings() !== tried || home.readiness().ready) return
    const changes = compareSettings(home.settings(), before)
    const swap = await home.prepare(before)
    swap()
    home.counters.reloadsRolledBack++
    home.observe({ event: 'reload_rolled_back', reason, changed: pathsOf(changes) })
    this.#watchIfWanted()
  }

  #watchIfWanted(): void {
    const isWanted = this.#file !== undefined && !this.#isStopped && this.#home.settings().reload.watch
    if (isWanted === (this.#watch !== undefined)) return
    this.#watch?.stop()
    this.#watch = isWanted ? new ConfigWatch(this.#file!, () => this.#seen()) : undefined
  }

  #seen(): void {
    this.reload('watch').catch((error: unknown) => this.#home.warn('the changed file could not be read', error))
  }
}

const pathsOf = (changes: readonly Change[]): string[] => changes.slice(0, CHANGED_MAX).map(({ path }) => path)

const shown = (value: unknown): string => (value === undefined ? 'nothing' : JSON.stringify(value))

function fixedSentence({ path, before, after, effect }: Change): string {
  return `${path} cannot change from ${shown(before)} to ${shown(after)} while the gateway runs (${effect}): restart it`
}
