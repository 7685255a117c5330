// Counts that gateways share, in Redis or Valkey. Nobody waits for it: `count` returns at once, and what the store says later
// keeps somebody out. While it is slow, away or answers nonsense, what each gateway counts by itself goes on as it is. At
// most PENDING_MAX counts are under way (more are dropped, and counted as such), a store that is silent for SILENT_MS is
// dialled anew. Loaded only where a store is configured.
import type { Redis } from 'ioredis'
import type { RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible'
import type { StoreSettings } from '../../config/settings.ts'
import type { AttemptWindow } from '../../policies/attempts.ts'
import type { IoCounters } from './io-counters.ts'

const PENDING_MAX = 256
const SILENT_MS = 2000
const AGAIN_MAX_MS = 5000
/** Limits that were reloaded leave a limiter each. */
const LIMITERS_MAX = 16

/** Told once for each change. */
export type ToldStore = (isUp: boolean, error: Error | undefined) => void
type Loaded = { redis: Redis; Limiter: typeof RateLimiterRedis; Result: typeof RateLimiterRes }

export class SharedCounts {
  readonly #settings: StoreSettings
  readonly #counters: IoCounters
  readonly #told: ToldStore
  readonly #limiters = new Map<string, RateLimiterRedis>()
  #loaded: Loaded | undefined
  #pending = 0
  #isUp: boolean | undefined
  #isEnded = false

  constructor(settings: StoreSettings, counters: IoCounters, told: ToldStore) {
    this.#settings = settings
    this.#counters = counters
    this.#told = told
    counters.storeUp = 0
  }

  /** Begins to dial, and again for as long as the store is away. */
  begin(): void {
    this.#dial().catch((error: Error) => this.#tell(false, error))
  }

  async #dial(): Promise<void> {
    const [{ Redis }, limiters] = await Promise.all([import('ioredis'), import('rate-limiter-flexible')])
    if (this.#isEnded) return
    const redis = new Redis(this.#settings.redis.url, {
      lazyConnect: true,
      enableOfflineQueue: false,
      // What was sent may have been counted: it is not sent twice, and fails with its connection. With a retry left it would
      // wait for ever after a reconnection that worked, and keep its place among those under way.
      maxRetriesPerRequest: 0,
      autoResendUnfulfilledCommands: false,
      connectTimeout: SILENT_MS,
      socketTimeout: SILENT_MS,
      disconnectTimeout: SILENT_MS,
      retryStrategy: (tries) => Math.min(AGAIN_MAX_MS, 200 * 2 ** Math.min(tries, 10)),
    })
    redis.on('ready', () => this.#tell(true, undefined))
    redis.on('error', (error: Error) => this.#tell(false, error))
    redis.on('close', () => this.#tell(false, undefined))
    this.#loaded = { redis, Limiter: limiters.RateLimiterRedis, Result: limiters.RateLimiterRes }
    await redis.connect()
  }

  /** Counts one of what is counted; `full` is called later, where the window holds as many as it may, with how long it lasts. */
  count(what: string, key: string, window: AttemptWindow, full: (ms: number) => void): void {
    const loaded = this.#loaded
    if (loaded === undefined || loaded.redis.status !== 'ready' || this.#pending >= PENDING_MAX) {
      this.#counters.storeMissed++
      return
    }
    this.#pending++
    this.#limiter(loaded, what, window)
      .consume(key)
      .catch((thrown: unknown) => {
        // A count beyond the limit is thrown like an error of the store is.
        if (thrown instanceof loaded.Result) return thrown
        throw thrown
      })
      .then((result) => {
        this.#tell(true, undefined)
        const ms = Math.min(result.msBeforeNext, window.seconds * 1000)
        if (result.consumedPoints >= window.attempts && ms > 0) full(ms)
      })
      .catch((error: unknown) => {
        this.#counters.storeErrors++
        this.#tell(false, error instanceof Error ? error : new Error(String(error)))
      })
      .finally(() => {
        this.#pending--
      })
  }

  end(): void {
    this.#isEnded = true
    this.#loaded?.redis.disconnect()
  }

  #limiter({ redis, Limiter }: Loaded, what: string, { attempts, seconds }: AttemptWindow): RateLimiterRedis {
    // Another limit counts by itself, also on gateways that have not read it yet.
    const name = `${what}:${attempts}:${seconds}`
    let limiter = this.#limiters.get(name)
    if (limiter === undefined) {
      if (this.#limiters.size >= LIMITERS_MAX) this.#limiters.clear()
      const keyPrefix = `${this.#settings.redis.keyPrefix}${name}`
      limiter = new Limiter({ storeClient: redis, keyPrefix, points: attempts, duration: seconds })
      this.#limiters.set(name, limiter)
    }
    return limiter
  }

  #tell(isUp: boolean, error: Error | undefined): void {
    if (this.#isUp === isUp || this.#isEnded) return
    this.#isUp = isUp
    this.#counters.storeUp = isUp ? 1 : 0
    this.#told(isUp, error)
  }
}
