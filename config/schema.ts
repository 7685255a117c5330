// The configuration file's schema: every key, its meaning, unit, range and default, once. The loader checks against it,
// `skewer config schema` gives it to editors, `skewer config docs` turns it into docs/configuration.md. This is its top and
// what belongs to nothing else; each area has a file of its own (schema-*.ts). What holds between keys (O1, W5, routes that
// name services ...) is in checks.ts. Every default is chosen to be safe to run.
import { z } from 'zod'
import { admission, store } from './schema-admission.ts'
import { auth } from './schema-auth.ts'
import { limits, times } from './schema-bounds.ts'
import { listener } from './schema-listeners.ts'
import { noise } from './schema-noise.ts'
import { gatewayPolicies } from './schema-policies.ts'
import { host, route, service } from './schema-services.ts'
import { count, duration, fileName, flag, listenAddress, name, sealingKey, secret } from './schema-values.ts'

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const

const ticketKeys = z.strictObject({
  next: sealingKey(
    'Opens tickets, does not seal them yet. A new key is `next` everywhere before it is `current` (T3).',
  ).optional(),
  current: sealingKey('Seals tickets.'),
  previous: sealingKey('Opens tickets sealed before the last change.').optional(),
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
