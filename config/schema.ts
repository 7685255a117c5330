// The configuration file's schema: every key, its meaning, unit, range and default, once. The loader checks against it,
// `skewer config schema` gives it to editors, `skewer config docs` turns it into docs/configuration.md. What holds
// between keys (O1, W5, routes that name services ...) is in checks.ts. Every default is chosen to be safe to run.
import { z } from 'zod'
import { auth, LABEL_NAME } from './schema-auth.ts'
import { kcp } from './schema-kcp.ts'
import { hostPublicKey, noise } from './schema-noise.ts'
import { http } from './schema-http.ts'
import {
  count,
  duration,
  fileName,
  flag,
  listenAddress,
  name,
  rate,
  sealingKey,
  secret,
  size,
  text,
} from './schema-values.ts'
import { admission, forwarded, proxyProtocol, store } from './schema-admission.ts'
import { calls, canary, concurrency, hostBreaker, routeBreaker, serviceBreaker } from './schema-guards.ts'
import { gatewayPolicies, listenerPolicies, routePolicies, servicePolicies } from './schema-policies.ts'

/** Every transport that a listener can have, with its usual port. */
export const TRANSPORT_PORTS = { tcp: 7777, websocket: 8080, udp: 7777, http: 8081 } as const
export type Transport = keyof typeof TRANSPORT_PORTS

const LISTENER_SECURITIES = ['none', 'tls', 'noise'] as const
const ROUTE_MATCH = /^(\*|[\w-]+([.:/][\w-]+)*(\.\*)?)$/
const HOST_ADDRESS = /^(unix:\/.+|\[[0-9a-fA-F:.]+\]:\d{1,5}|[\w.-]+:\d{1,5})$/
/** Lane frames carry the low 16 bits of a number (N2). */
const WINDOW_COUNT_MAX = 2 ** 14
const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const

const listener = z.strictObject({
  name: name('Shown in metrics and logs. Default: transport and port, as in `tcp-7777`.').optional(),
  transport: z.enum(Object.keys(TRANSPORT_PORTS) as Transport[]).meta({ description: 'What clients connect with.' }),
  host: listenAddress('The address to listen on; 0.0.0.0 or :: for every address of the machine.').default('127.0.0.1'),
  port: count(
    '0 takes any free port. Default: 7777 for tcp and udp, 8080 for websocket, 8081 for http.',
    0,
    65535,
  ).optional(),
  security: z
    .enum(LISTENER_SECURITIES)
    .meta({ description: 'Default: noise for udp, tls where there is a `tls` block, else none.' })
    .optional(),
  tls: z
    .strictObject({
      certFile: fileName('The certificate and its chain, PEM.'),
      keyFile: fileName('The private key, PEM.'),
      clientCaFile: fileName('Clients must show a certificate signed by one of these, PEM.').optional(),
    })
    .meta({ description: 'Certificates of this listener.' })
    .optional(),
  path: text(
    'WebSocket only: the path that upgrades. Default: `/`.',
    /^\/\S*$/,
    'a path that starts with /',
  ).optional(),
  origins: z
    .array(z.string().min(1))
    .meta({ description: 'WebSocket only: the origins that browsers may come from. Default: any.' })
    .optional(),
  kcp: kcp.optional().meta({ description: 'UDP only: how its reliable lane behaves.' }),
  http: http
    .meta({
      description:
        'HTTP and WebSocket only: how calls and sessions by HTTP are answered; `{}` as it is below. Without it a WebSocket listener answers none.',
    })
    .optional(),
  policies: listenerPolicies.optional(),
  proxyProtocol: proxyProtocol.optional(),
  forwarded: forwarded.optional(),
})

const route = z.strictObject({
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
  calls: calls.optional(),
  policies: routePolicies.optional(),
})

/** Under a service, a route may be its bare name; the JSON schema finds it by this title. */
export const SERVICE_ROUTE = 'a route of the service'

const serviceRoute = z
  .preprocess((written) => (typeof written === 'string' ? { match: written } : written), route.omit({ service: true }))
  .meta({ title: SERVICE_ROUTE })

const service = z.strictObject({
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

const host = z.strictObject({
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

const ticketKeys = z.strictObject({
  next: sealingKey(
    'Opens tickets, does not seal them yet. A new key is `next` everywhere before it is `current` (T3).',
  ).optional(),
  current: sealingKey('Seals tickets.'),
  previous: sealingKey('Opens tickets sealed before the last change.').optional(),
})

const limits = z.strictObject({
  windowCount: count('Messages of one channel and direction not yet acknowledged (W1).', 1, WINDOW_COUNT_MAX).default(
    256,
  ),
  windowBytes: size('Bytes of them; one message is at most a quarter (W1).', { min: '1KiB', max: '16MiB' }).prefault(
    '64KiB',
  ),
  channelsPerSession: count('Channels of one session (W6).', 1, 16).default(16),
  connectionBytesMax: size(
    'What the gateway holds for one connection; past it the connection closes and its session lives (W5).',
    { min: '16KiB', max: '1GiB' },
  ).prefault('512KiB'),
  grantedBytesMax: size(
    'What the windows and reserved replies of the channels of one connection add up to; below `connectionBytesMax` (W5).',
    { min: '2KiB', max: '1GiB' },
  ).prefault('256KiB'),
  replyBytesMax: size('What the open requests of one channel reserve for their replies (W5).', {
    min: '1KiB',
    max: '16MiB',
  }).prefault('64KiB'),
  queueBytesMax: size('What the gateway holds for all connections together (W5).', {
    min: '1MiB',
    max: '1024GiB',
  }).prefault('256MiB'),
  linkBytesMax: size('What waits on one link before its clients are no longer read (W6).', {
    min: '64KiB',
    max: '4GiB',
  }).prefault('8MiB'),
  connectionsMax: count('Connections at the same time.', 1, 10_000_000).default(50_000),
  frameBytesMax: size('The largest frame of a client.', { min: '1KiB', max: '16MiB' }).prefault('64KiB'),
  handshakeFrameBytesMax: size('The largest frame before login.', { min: '512B', max: '64KiB' }).prefault('10KiB'),
  parkedMax: count('Channels that wait for hosts that are away (A4).', 0, 10_000_000).default(10_000),
  looseReplyBytesMax: size('The largest reply to a request without a channel (W1).', {
    min: '1KiB',
    max: '64MiB',
  }).prefault('1MiB'),
  rateKeysMax: count(
    'Token buckets kept at once, one for each key of each rate limit; 64 bytes each at most.',
    1000,
    10_000_000,
  ).default(1_000_000),
})

const times = z.strictObject({
  handshake: duration('From the first byte to the login.', { min: '100ms', max: '5m' }).prefault('10s'),
  heartbeat: duration('A connection that was silent for two of them is closed.', { min: '100ms', max: '10m' }).prefault(
    '10s',
  ),
  keep: duration('How long both ends keep a channel while they are apart (S2).', { min: '1s', max: '1d' }).prefault(
    '2m',
  ),
  parkMax: duration('How long an attach waits for its host (A4).', { min: '0s', max: '1h' }).prefault('30s'),
  backoffMax: duration('The longest pause of a client between two tries.', { min: '100ms', max: '10m' }).prefault('5s'),
  drain: duration('Within which clients are told to go elsewhere when the gateway stops.', {
    min: '0s',
    max: '1h',
  }).prefault('30s'),
  authUntil: duration('How long a login holds before a new token is asked for (T2).', {
    min: '1m',
    max: '30d',
  }).prefault('12h'),
  linkHeartbeat: duration('A link that was silent for two of them is closed.', { min: '100ms', max: '10m' }).prefault(
    '5s',
  ),
  linkFlushDelay: duration('How long a link may wait to write more at once; 0s: until the end of the turn.', {
    min: '0s',
    max: '20ms',
  }).prefault('0s'),
  goneAfter: duration('A known host without a link is given up after this (P3). Default: `keep`.', {
    min: '1s',
    max: '1d',
  }).optional(),
})

const admin = z.strictObject({
  enabled: flag('Whether there is an admin port.').default(true),
  host: listenAddress('The address to listen on; beyond this machine only with a token.').default('127.0.0.1'),
  port: count('0 takes any free port.', 0, 65535).default(9902),
  token: secret('What callers must show as a bearer token, at least 16 characters.').optional(),
})

const log = z.strictObject({
  level: z.enum(LOG_LEVELS).default('info').meta({ description: 'What is logged, and everything above it.' }),
  format: z
    .enum(['json', 'pretty', 'auto'])
    .default('auto')
    .meta({ description: 'auto: pretty on a terminal, else json.' }),
})

const reload = z.strictObject({
  watch: flag(
    'Whether the file is read again as soon as it changes. Else by SIGHUP, `skewer reload` and `POST /reload` only.',
  ).default(false),
  rollbackWithin: duration(
    'Where the gateway stops being ready within this time after a reload, the configuration before it is put back. 0s: never.',
    { min: '0s', max: '10m' },
  ).prefault('10s'),
})

export const configSchema = z.strictObject({
  version: z.literal(1).default(1).meta({ description: 'The version of this format.' }),
  name: name("The gateway's name in a cluster. Default: the machine's host name.").optional(),
  stateDir: fileName('The folder where the gateway keeps what must outlive it.').default('.skewer'),
  listeners: z
    .array(listener)
    .min(1)
    .default([
      { transport: 'tcp', host: '127.0.0.1' },
      { transport: 'websocket', host: '127.0.0.1' },
    ])
    .meta({ description: 'Where clients connect.' }),
  services: z
    .record(
      name('The name of a service.'),
      service.nullable().transform((written) => written ?? service.parse({})),
    )
    .meta({ description: 'What hosts run, by name.' }),
  hosts: z
    .array(host)
    .prefault([{ name: 'local', address: '127.0.0.1:7800' }])
    .meta({ description: 'The processes that run the actors; the gateway dials them.' }),
  routes: z
    .array(route)
    .default([])
    .meta({ description: 'Which messages go to which service, and within what limits.' }),
  policies: gatewayPolicies.prefault({}),
  admission: admission.optional(),
  store: store.optional().meta({
    description:
      'Redis or Valkey, in which gateways count together. Nobody waits for it. Default: each counts by itself.',
  }),
  auth: auth.optional().meta({ description: 'Who may log in; one of the kinds below. Default: development.' }),
  ticketKeys: ticketKeys.optional().meta({
    description: 'What seals tickets: the same keys on all gateways. Default: keys of its own in `stateDir` (T3).',
  }),
  noise: noise.optional().meta({
    description: 'The key of `security: noise`. Default: a key of its own in `stateDir`; its public key is logged.',
  }),
  linkKey: secret('Proves gateway and hosts to each other, at least 32 characters; the same on both (L4).')
    .min(32)
    .optional(),
  limits: limits.prefault({}).meta({ description: 'What bounds memory.' }),
  times: times.prefault({}).meta({
    description: 'What bounds waiting. Two `heartbeat`, `backoffMax` and `parkMax` add up to less than `keep` (O1).',
  }),
  admin: admin.prefault({}).meta({ description: 'The port for operators: health, metrics, dashboard, commands.' }),
  log: log.prefault({}).meta({ description: 'What is logged.' }),
  reload: reload.prefault({}).meta({ description: 'How a changed file takes effect while the gateway runs.' }),
})

/** The file as checked, defaults filled in, units resolved; names and nesting as written. */
export type Config = z.output<typeof configSchema>
