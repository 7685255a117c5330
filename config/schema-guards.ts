// The keys of what guards hosts against load and failure: circuit breakers, limits of requests under way, deadlines and
// retries of calls, canaries. docs/policies/circuit-breaker.md and its neighbours say how they act.
import { z } from 'zod'
import { count, duration, flag, name, percent, text } from './schema-values.ts'

const mode = z.enum(['enforce', 'observe']).default('enforce').meta({
  description: 'observe: judges and counts, and lets pass.',
})

const breakerKeys = {
  mode,
  errorRate: percent('Opens above this share of failed requests. 100%: never.', { min: '1%', max: '100%' }).prefault(
    '50%',
  ),
  slowRate: percent('Opens above this share of requests that took `slowAfter` or longer. 100%: never.', {
    min: '1%',
    max: '100%',
  }).prefault('100%'),
  slowAfter: duration('From when on a request is slow.', { min: '1ms', max: '2m' }).prefault('1s'),
  consecutiveFailures: count(
    'Opens after so many failures in a row. Default: never for that.',
    3,
    1_000_000,
  ).optional(),
  volume: count('Shares are looked at from so many requests in `window` on.', 4, 1_000_000).default(100),
  window: duration('Over which requests are counted.', { min: '100ms', max: '10m' }).prefault('10s'),
  open: duration('How long it refuses before a few requests may try; twice as long after each try in vain.', {
    min: '10ms',
    max: '10m',
  }).prefault('5s'),
  openMax: duration('The longest time it refuses at a stretch.', { min: '10ms', max: '1h' }).prefault('1m'),
  probes: count('So many requests try; all must go well.', 1, 1000).default(3),
}

/** `off`, or a breaker. */
const breakerOf = (says: string) => z.union([z.literal('off'), z.strictObject(breakerKeys)]).meta({ description: says })

export const hostBreaker = breakerOf(
  'Opens when this host does not answer: requests without an answer in time, attaches without one within 3 s. While it is open, attaches and loose calls to it are refused (R5). `off`: none.',
).prefault({})

export const serviceBreaker = z
  .union([
    z.literal('off'),
    z.strictObject({
      ...breakerKeys,
      fallback: name(
        'The service whose actors take new channels and loose calls meanwhile, and while the host of an actor is away (for longer than an attach may wait). Default: they are refused.',
      ).optional(),
    }),
  ])
  .default('off')
  .meta({
    description:
      'Opens when requests to this service fail (handlers that threw, no answer in time). While it is open, attaches and loose calls are refused (R5).',
  })

export const routeBreaker = breakerOf(
  'Opens when requests on this route fail (handlers that threw, no answer in time). While it is open, its messages are refused (R1).',
).default('off')

export const concurrency = z
  .strictObject({
    mode,
    max: count('Requests under way at once, over all sessions.', 1, 1_000_000),
    adaptive: flag(
      'Whether the limit follows latency: it shrinks below `max` when requests take longer than they did, and grows back.',
    ).default(false),
    min: count('The least that an adaptive limit shrinks to.', 1, 1_000_000).default(4),
  })
  .meta({ description: 'A limit of requests under way; what exceeds it is refused as `concurrency`.' })

export const calls = z
  .strictObject({
    deadline: duration('How long a loose call may take that names no deadline.', { min: '10ms', max: '2m' }).prefault(
      '10s',
    ),
    deadlineMax: duration('The longest deadline that a loose call may name; a longer one is shortened.', {
      min: '10ms',
      max: '2m',
    }).prefault('2m'),
    isIdempotent: flag(
      'Running one twice does no harm: a loose call whose host was lost is sent to another, once, within its deadline and the budget.',
    ).default(false),
    retryBudget: percent('Of how many loose calls of the route may be sent again.', {
      min: '0%',
      max: '100%',
    }).prefault('20%'),
  })
  .meta({ description: 'Deadlines and retries of loose calls.' })

export const requestDeadlineMax = duration(
  'The longest deadline that a request on a channel may have; a longer one is shortened, and one without any gets it. Default: as the client says.',
  { min: '10ms', max: '1d' },
)

export const canary = z
  .strictObject({
    labels: z.record(text('', /^[\w./-]{1,64}$/, 'at most 64 letters, digits and _ . / -'), z.string()).meta({
      description:
        'The hosts that are canaries: those with all these labels. New actors of a session that has these labels, too, always go there.',
    }),
    percent: percent('The share of new actors that go there, by their keys: always the same ones.', {
      min: '0%',
      max: '100%',
    }),
    rollback: flag(
      'Whether new actors stay away from a canary whose breaker opened, until `skewer breaker auto` names it.',
    ).default(true),
  })
  .meta({ description: 'Hosts that get a share of new actors, to try something new. The other hosts get the rest.' })

/** A breaker as written; undefined where there is none. */
export type BreakerConfig = z.output<typeof routeBreaker>
export type ConcurrencyConfig = z.output<typeof concurrency>
export type CallsConfig = z.output<typeof calls>
export type CanaryConfig = z.output<typeof canary>
