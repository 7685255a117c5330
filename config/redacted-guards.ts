// Breakers, concurrency limits, calls and canaries written back in the words of the configuration file.
import { formatDuration, formatPercent } from './quantities.ts'
import type { PlainConfig, PlainValue } from './redacted.ts'
import type { BreakerSettings, CallSettings, CanarySettings, ConcurrencyLimitSettings } from './settings.ts'

const modeOf = (isObserved: boolean): string => (isObserved ? 'observe' : 'enforce')

export function breakerConfig(breaker: BreakerSettings | undefined, fallback?: string): PlainValue {
  if (breaker === undefined) return 'off'
  const written: PlainConfig = {
    mode: modeOf(breaker.isObserved),
    errorRate: formatPercent(breaker.errorRate),
    slowRate: formatPercent(breaker.slowRate),
    slowAfter: formatDuration(breaker.slowAfterMs),
    volume: breaker.volume,
    window: formatDuration(breaker.windowMs),
    open: formatDuration(breaker.openMs),
    openMax: formatDuration(breaker.openMsMax),
    probes: breaker.probes,
  }
  if (breaker.consecutiveFailures !== Infinity) written.consecutiveFailures = breaker.consecutiveFailures
  if (fallback !== undefined) written.fallback = fallback
  return written
}

export function concurrencyConfig(limit: ConcurrencyLimitSettings | undefined): PlainConfig | undefined {
  return limit && { mode: modeOf(limit.isObserved), max: limit.max, adaptive: limit.isAdaptive, min: limit.min }
}

export function callConfig(calls: CallSettings | undefined): PlainConfig | undefined {
  return (
    calls && {
      deadline: formatDuration(calls.deadlineMs),
      deadlineMax: formatDuration(calls.deadlineMsMax),
      isIdempotent: calls.isIdempotent,
      retryBudget: formatPercent(calls.retryBudget),
    }
  )
}

export function canaryConfig(canary: CanarySettings | undefined): PlainConfig | undefined {
  return canary && { labels: { ...canary.labels }, percent: formatPercent(canary.share), rollback: canary.rollsBack }
}
