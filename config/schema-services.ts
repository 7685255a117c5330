// The schema of `services`, `routes` and `hosts`: what there is to reach, by which names, and which processes run it.
import { z } from 'zod'
import { LABEL_NAME } from './schema-auth.ts'
import {
  calls,
  canary,
  concurrency,
  hostBreaker,
  requestDeadlineMax,
  routeBreaker,
  serviceBreaker,
} from './schema-guards.ts'
import { hostPublicKey } from './schema-noise.ts'
import { routePolicies, servicePolicies } from './schema-policies.ts'
import { count, fileName, name, rate, size, text } from './schema-values.ts'

const ROUTE_MATCH = /^(\*|[\w-]+([.:/][\w-]+)*(\.\*)?)$/
const HOST_ADDRESS = /^(unix:\/.+|\[[0-9a-fA-F:.]+\]:\d{1,5}|[\w.-]+:\d{1,5})$/

export const route = z.strictObject({
  match: text(
    'The name of a route, or a wildcard as in `arena.*`; `*` alone is every route. First match wins.',
    ROUTE_MATCH,
    'a name such as arena.move, or a wildcard such as arena.*',
  ),
  service: name('The service that its messages go to.'),
  rate: rate('How often a session may use it. Default: no limit.').optional(),
  payloadBytesMax: size('The largest message.', { min: '1B', max: '16MiB' }).optional(),
  breaker: routeBreaker,
  concurrency: concurrency.optional(),
  requestDeadlineMax: requestDeadlineMax.optional(),
  calls: calls.optional(),
  policies: routePolicies.optional(),
})

/** Under a service, a route may be its bare name; the JSON schema finds it by this title. */
export const SERVICE_ROUTE = 'a route of the service'

const serviceRoute = z
  .preprocess((written) => (typeof written === 'string' ? { match: written } : written), route.omit({ service: true }))
  .meta({ title: SERVICE_ROUTE })

export const service = z.strictObject({
  keys: z
    .enum(['user', 'any'])
    .default('user')
    .meta({ description: 'Which actors a session may attach to: the one whose key is its user, or any (A11).' }),
  whenAway: z.enum(['park', 'reject']).default('park').meta({
    description: 'While the host is away, attaches wait (at most `times.parkMax`), or are refused at once (A4).',
  }),
  breaker: serviceBreaker,
  concurrency: concurrency.optional(),
  canary: canary.optional(),
  policies: servicePolicies.optional(),
  routes: z.array(serviceRoute).default([]).meta({
    description:
      'Its routes, as under `routes`, tried after those. Without any route at all: `<service>.*`, but for the service of `auth.host`.',
  }),
})

export const host = z.strictObject({
  name: name('Unique, and the same over restarts: pins name it.'),
  address: text(
    '`address:port`, `[IPv6]:port` or `unix:/path`.',
    HOST_ADDRESS,
    'address:port, [IPv6]:port or unix:/path',
  ),
  security: z
    .enum(['none', 'tls', 'noise'])
    .meta({ description: 'Default: tls where there is a `tls` block, noise where there is a `publicKey`, else none.' })
    .optional(),
  publicKey: hostPublicKey.optional(),
  tls: z
    .strictObject({
      caFile: fileName("Who may have signed the host's certificate, PEM. Default: the public authorities.").optional(),
      certFile: fileName("The gateway's own certificate, PEM.").optional(),
      keyFile: fileName('Its private key, PEM.').optional(),
      serverName: text("The name in the host's certificate. Default: the address.").optional(),
    })
    .meta({ description: 'Certificates of the link to this host.' })
    .optional(),
  services: z
    .array(name('The name of a service.'))
    .meta({
      description:
        'What it runs, for as long as this gateway has not met it: its share of these services waits for it, that of others does not (P2). Default: it may run anything.',
    })
    .optional(),
  weight: count('Its share of new actors, against the weights of the others. 0: none.', 0, 1_000_000).default(100),
  labels: z
    .record(text('', LABEL_NAME, 'at most 64 letters, digits and _ . / -'), z.string())
    .default({})
    .meta({ description: 'Free words for choosing hosts, as in `{zone: a}`.' }),
  breaker: hostBreaker,
})
