// The gateway settings of a simulated system: real defaults with time-outs that fit into a minute of virtual time. The
// order of rule O1 holds here too: two heartbeats, the longest back-off and parkMax stay below keep.
import type { BreakerSettings, Settings } from '../../config/settings.ts'
import type { RateLimitSettings } from '../../policies/rate-limit.ts'
import type { Profile } from './profile.ts'

/** Opens after a little trouble, and tries again soon. */
const breaker: BreakerSettings = {
  isObserved: false,
  errorRate: 0.25,
  slowRate: 1,
  slowAfterMs: Infinity,
  consecutiveFailures: 3,
  volume: 4,
  windowMs: 1000,
  openMs: 400,
  openMsMax: 1500,
  probes: 1,
}

const concurrency = { isObserved: false, max: 4, isAdaptive: true, min: 2 }

export function defaultSettings(profile: Profile, name: string): Settings {
  return {
    name,
    listeners: [],
    hosts: Array.from({ length: profile.hosts }, (_, i) => ({
      name: `h${i + 1}`,
      address: `h${i + 1}`,
      security: 'none' as const,
      weight: 100,
      labels: {},
      breaker: profile.guarded ? breaker : undefined,
    })),
    services: [
      { name: 'arena', keys: 'any', whenAway: 'park', breaker: profile.guarded ? breaker : undefined },
      { name: 'self', keys: 'user', whenAway: 'reject' },
    ],
    routes: [
      { match: 'arena.limited', service: 'arena', policies: { rateLimits: [limited(profile)] } },
      profile.guarded
        ? {
            match: 'arena.*',
            service: 'arena',
            breaker: { ...breaker, slowRate: 0.25, slowAfterMs: profile.latencyMs },
            concurrency,
          }
        : { match: 'arena.*', service: 'arena' },
      { match: 'self.*', service: 'self' },
    ],
    auth: { kind: 'development' },
    stateDir: '',
    linkKey: 'sim link key',
    limits: {
      windowCount: profile.windowCount,
      windowBytes: profile.windowBytes,
      channelsPerSession: 8,
      connectionBytesMax: 128 * 1024,
      queueBytesMax: 8 * 1024 * 1024,
      linkBytesMax: 256 * 1024,
      connectionsMax: 1000,
      frameBytesMax: 64 * 1024,
      handshakeFrameBytesMax: 16 * 1024,
      parkedMax: 100,
      looseReplyBytesMax: 64 * 1024,
      // So little that further channels of a connection get less than their hosts would send (W5).
      grantedBytesMax: 12 * 1024,
      replyBytesMax: 4 * 1024,
    },
    times: {
      handshakeMs: 3000,
      heartbeatMs: 3000,
      keepMs: profile.keepMs,
      parkMaxMs: 8000,
      backoffMaxMs: 2000,
      drainMs: 3000,
      authUntilMs: 3_600_000,
      linkHeartbeatMs: 2000,
      linkFlushDelayMs: 0,
      goneAfterMs: 30_000,
    },
    admin: { enabled: false, host: '', port: 0 },
    log: { level: 'silent', format: 'json' },
    reload: { watch: false, rollbackWithinMs: 0 },
  }
}

/** In half of the worlds what exceeds the limit is refused, in the others its lane waits for up to two seconds (R4). */
function limited({ hosts }: Profile): RateLimitSettings {
  const action = hosts % 2 === 0 ? 'reject' : 'delay'
  const limit = {
    name: 'limited',
    mode: 'enforce',
    unit: 'messages',
    perSecond: 4,
    burst: 3,
    per: ['session'],
  } as const
  return { ...limit, action, delayMsMax: 2000, banMs: 0, banOf: 'address' }
}
