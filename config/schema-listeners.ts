// The schema of `listeners`: where clients connect, by what, and with what security.
import { z } from 'zod'
import { forwarded, proxyProtocol } from './schema-admission.ts'
import { http } from './schema-http.ts'
import { kcp } from './schema-kcp.ts'
import { listenerPolicies } from './schema-policies.ts'
import { count, fileName, listenAddress, name, text } from './schema-values.ts'

/** Every transport that a listener can have, with its usual port. */
export const TRANSPORT_PORTS = { tcp: 7777, websocket: 8080, udp: 7777, http: 8081 } as const
export type Transport = keyof typeof TRANSPORT_PORTS

const LISTENER_SECURITIES = ['none', 'tls', 'noise'] as const

export const listener = z.strictObject({
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
  limits: z
    .strictObject({
      connectionsMax: count('Connections open here at the same time.', 1, 10_000_000).optional(),
      handshakesMax: count(
        'Those of them that have not logged in. Not where requests over HTTP are answered: these have no handshake.',
        1,
        10_000_000,
      ).optional(),
    })
    .meta({
      description: 'How many may come by this listener, beside `limits.connectionsMax` for all. Default: any number.',
    })
    .optional(),
  proxyProtocol: proxyProtocol.optional(),
  forwarded: forwarded.optional(),
})
