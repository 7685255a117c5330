// Slow consumers: from when on a client that does not read what is sent to it gets less. What it must get waits within
// `limits.connectionBytesMax`, past which its connection closes (W5); this says what goes before that: `latest` values are
// conflated, `unreliable` messages and publications dropped, and whoever stays behind is closed (its session lives). What
// is done with it is in gateway/flow.ts. docs/policies/slow-consumers.md.
import type { Mode, PolicyCount } from './pipeline.ts'
import type { verdict } from './pipeline.ts'

export type SlowConsumerSettings = {
  readonly mode: Mode
  /** Above so many waiting bytes only the newest `latest` value of each key waits. */
  readonly latestAboveBytes: number
  /** Keys of `latest` that wait for one connection. */
  readonly latestKeysMax: number
  /** Above this share of `connectionBytesMax`, 0 to 1, publications and `unreliable` messages are dropped. */
  readonly dropAboveShare: number
  /** A connection that was owed something for so long is closed; Infinity: never for that. */
  readonly behindMaxMs: number
}

export const SLOW_CONSUMER_DEFAULTS: SlowConsumerSettings = {
  mode: 'enforce',
  latestAboveBytes: 64 * 1024,
  latestKeysMax: 256,
  dropAboveShare: 0.5,
  behindMaxMs: Infinity,
}

export class SlowConsumers {
  readonly settings: SlowConsumerSettings
  readonly #count: PolicyCount

  constructor(settings: SlowConsumerSettings, count: PolicyCount) {
    this.settings = settings
    this.#count = count
  }

  /** Counts what is due; whether it is to be done. */
  says(said: typeof verdict.drop | typeof verdict.delay | typeof verdict.close): boolean {
    const isEnforced = this.settings.mode === 'enforce'
    if (isEnforced) this.#count.enforced[said]++
    else this.#count.observed[said]++
    return isEnforced
  }
}
