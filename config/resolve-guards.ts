// From the checked keys of breakers, concurrency limits, calls and canaries to what the policies take.
import type { BreakerConfig, CallsConfig, CanaryConfig, ConcurrencyConfig } from './schema-guards.ts'
import type { BreakerSettings, CallSettings, CanarySettings, ConcurrencyLimitSettings } from './settings.ts'

export function breakerSettings(breaker: BreakerConfig): BreakerSettings | undefined {
  if (breaker === 'off') return undefined
  return {
    isObserved: breaker.mode === 'observe',
    errorRate: breaker.errorRate,
    slowRate: breaker.slowRate,
    slowAfterMs: breaker.slowAfter,
    consecutiveFailures: breaker.consecutiveFailures ?? Infinity,
    volume: breaker.volume,
    windowMs: breaker.window,
    openMs: breaker.open,
    openMsMax: Math.max(breaker.open, breaker.openMax),
    probes: breaker.probes,
  }
}

export function concurrencySettings(limit: ConcurrencyConfig | undefined): ConcurrencyLimitSettings | undefined {
  if (limit === undefined) return undefined
  const { mode, max, adaptive, min } = limit
  return { isObserved: mode === 'observe', max, isAdaptive: adaptive, min: Math.min(min, max) }
}

export function callSettings(calls: CallsConfig | undefined): CallSettings | undefined {
  if (calls === undefined) return undefined
  const { deadline, deadlineMax, isIdempotent, retryBudget } = calls
  return { deadlineMs: Math.min(deadline, deadlineMax), deadlineMsMax: deadlineMax, isIdempotent, retryBudget }
}

export function canarySettings(canary: CanaryConfig | undefined): CanarySettings | undefined {
  return canary && { labels: canary.labels, share: canary.percent, rollsBack: canary.rollback }
}
