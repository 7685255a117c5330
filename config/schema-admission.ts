// The keys of who may connect, and of what stands in front of a listener. docs/policies/admission.md.
import { z } from 'zod'
import { readNetwork } from './networks.ts'
import { shown } from './problems.ts'
import { count, fileName, type IssueParams, rate, secret, text } from './schema-values.ts'

function network() {
  return z.string().superRefine((written, ctx) => {
    if (readNetwork(written) !== undefined) return
    const complaint = {
      what: 'is not a network',
      got: shown(written),
      expected: 'an address or a network such as 10.0.0.0/8 or 2001:db8::/32',
    }
    ctx.addIssue({
      code: 'custom',
      message: complaint.what,
      params: { complaint } satisfies IssueParams,
      input: written,
    })
  })
}

const networks = (description: string) => z.array(network()).meta({ description })

export const admission = z
  .strictObject({
    mode: z.enum(['enforce', 'observe']).default('enforce').meta({
      description: 'observe: judges and counts, and lets everybody in. Bans are enforced all the same.',
    }),
    allow: networks('Only these may connect. Default: everybody.').default([]),
    allowFile: fileName('More of them, one a line.').optional(),
    deny: networks('These may not.').default([]),
    denyFile: fileName('More of them, one a line.').optional(),
    connectionsPerAddress: count(
      'Connections open at once of one IPv4 address, or one IPv6 /64. Default: any number.',
      1,
      1_000_000,
    ).optional(),
    connectionsPerNetwork: count(
      'The same of one IPv4 /24, or one IPv6 /48. Default: any number.',
      1,
      1_000_000,
    ).optional(),
    connectionRate: rate('New connections of one IPv4 address, or one IPv6 /64. Default: no limit.').optional(),
    requestRate: rate(
      'HTTP requests, calls and those of sessions, of one IPv4 address, or one IPv6 /64. Default: no limit.',
    ).optional(),
    logins: z
      .strictObject({
        perAddress: rate(
          'Tokens shown by one IPv4 address, or one IPv6 /64, good or bad, as in `10/min burst 10`. Default: no limit.',
        ).optional(),
        perUser: rate('Good tokens shown of one user. Default: no limit.').optional(),
      })
      .meta({ description: 'How often somebody may try to log in; counted by all gateways where there is a `store`.' })
      .optional(),
  })
  .meta({ description: 'Who may connect, judged by address before anything is read.' })

const STORE_URL = /^rediss?:\/\/\S+$/

export const store = z.strictObject({
  redis: z
    .strictObject({
      url: secret('`redis://user:password@host:6379/0`, or `rediss://` for TLS.').superRefine((written, ctx) => {
        if (STORE_URL.test(written)) return
        const complaint = { what: 'is not the URL of a store', expected: 'redis://host:port or rediss://host:port' }
        const params: IssueParams = { complaint }
        ctx.addIssue({ code: 'custom', message: complaint.what, params, input: written })
      }),
      keyPrefix: text('What its keys begin with.', /^\S{1,64}$/, 'at most 64 letters without a space').default(
        'skewer:',
      ),
    })
    .meta({ description: 'Where it is.' }),
})

const inFront = (says: string) =>
  z.strictObject({ from: networks('The networks of what stands in front.').min(1) }).meta({ description: says })

export const proxyProtocol = inFront(
  'Connections from there begin with a PROXY header (version 1 or 2), which names the client. One without is closed. On UDP: version 2, in each datagram or in the first of a flow.',
)
export const forwarded = inFront(
  'HTTP and WebSocket only: requests from there name the client in Forwarded or X-Forwarded-For.',
)
