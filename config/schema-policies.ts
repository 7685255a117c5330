// The `policies:` keys: what is allowed to messages, for the gateway as a whole, a listener, a service or a route. One
// mapping, the same at all four places but for what makes sense at some of them only. docs/policies has a page for each
// kind; policies/compile.ts makes checks of what is written here.
import { z } from 'zod'
import { payloadContentTypes } from '../policies/payload-schema.ts'
import { priorities } from '../policies/shedding.ts'
import { placeKeys, subjectKeys } from '../policies/subject.ts'
import { BYTE_RATE_PATTERN, readByteRate } from './byte-rates.ts'
import { type IssueParams, count, duration, fileName, name, percent, rate, size, text } from './schema-values.ts'
import { shown } from './problems.ts'
import type { RateSettings } from './settings.ts'

/** By this title the reference finds the mapping, which it describes once. */
export const POLICIES = 'policies'

const mode = z.enum(['enforce', 'observe', 'off']).default('enforce').meta({
  description: 'observe: judges and counts, and lets pass. off: is not there.',
})

/** Bytes a second and a burst. */
function byteRate(description: string) {
  const read = (written: unknown, ctx: z.RefinementCtx): RateSettings => {
    const { value, misread } = readByteRate(written)
    if (value) return value
    const params: IssueParams = { complaint: { what: 'is not a rate of bytes', got: shown(written), ...misread } }
    ctx.addIssue({ code: 'custom', message: params.complaint.what, params, input: written })
    return z.NEVER
  }
  return z
    .unknown()
    .transform(read)
    .meta({ type: 'string', pattern: BYTE_RATE_PATTERN, title: 'rate of bytes', description })
}

/** By these titles the JSON schema for editors finds what may be written shorter. */
export const OR_OFF = 'a policy, or off'
export const ONE_OR_LIST = 'one, or a list'

/** `off` stands for a policy that is not there. */
const orOff = <T extends z.ZodType>(policy: T) =>
  z.preprocess((written) => (written === 'off' ? { mode: 'off' } : written), policy).meta({ title: OR_OFF })

const limitKeys = [...subjectKeys, ...placeKeys] as const

const rateLimit = z
  .strictObject({
    rate: rate('How many messages; or `bytes`.').optional(),
    bytes: byteRate('How many bytes, of messages without their headers; or `rate`.').optional(),
    per: z
      .preprocess((written) => (typeof written === 'string' ? [written] : written), z.array(z.enum(limitKeys)).min(1))
      .default(['session'])
      .meta({
        title: ONE_OR_LIST,
        description:
          'What has a bucket of its own, one key or a list, of which each combination then has one. address: /32 and /64, network: /24 and /48; global: all together.',
      }),
    action: z.enum(['reject', 'drop', 'delay', 'close', 'ban']).default('reject').meta({
      description:
        'reject: the client is told, with a hint when to try again. drop: told without a hint. delay: it waits, and what is behind it on its channel, at most `delayMax`. close: told, and the connection ends. ban: the same, and whoever it was is kept away for `banFor`.',
    }),
    delayMax: duration('The longest that a delayed message waits; one that would wait longer is rejected.', {
      min: '10ms',
      max: '10s',
    }).prefault('2s'),
    banFor: duration('How long a ban holds.', { min: '1s', max: '30d' }).prefault('10m'),
    banOf: z.enum(['address', 'user']).default('address').meta({
      description: 'Who is banned: the address (IPv6: its /64), or the user.',
    }),
    mode,
  })
  .superRefine((limit, ctx) => {
    const count = Number(limit.rate !== undefined) + Number(limit.bytes !== undefined)
    if (count === 1 || (limit.mode === 'off' && count === 0)) return
    const params: IssueParams = { complaint: { what: 'a limit is of `rate` or of `bytes`', expected: 'one of them' } }
    ctx.addIssue({ code: 'custom', message: params.complaint.what, params, input: limit })
  })

const action = z.enum(['reject', 'drop', 'close']).default('reject').meta({ description: 'As of a rate limit.' })

const messageSize = z.strictObject({
  payloadBytesMax: size('The largest payload.', { min: '1B', max: '16MiB' }),
  action,
  mode,
})

const authentication = z.strictObject({
  labels: z
    .record(
      text('', /^[\w./-]{1,64}$/, 'at most 64 letters, digits and _ . / -'),
      z
        .preprocess((written) => (typeof written === 'string' ? [written] : written), z.array(z.string()).min(1))
        .meta({ title: ONE_OR_LIST }),
    )
    .default({})
    .meta({ description: 'Labels that the login must have given, each with one of these values.' }),
  action: z.enum(['reject', 'close']).default('reject').meta({ description: 'As of a rate limit.' }),
  mode,
})

const payloadSchema = z.strictObject({
  contentType: z
    .enum(Object.keys(payloadContentTypes) as (keyof typeof payloadContentTypes)[])
    .default('json')
    .transform((written) => payloadContentTypes[written])
    .meta({
      description:
        'What payloads are: JSON, MessagePack, or UTF-8 text, whose schema is that of a string. By a short name or its media type.',
    }),
  schema: z
    .record(z.string(), z.unknown())
    .meta({ description: 'A JSON Schema, draft 7, or 2020-12 where its `$schema` says so.' })
    .optional(),
  schemaFile: fileName('The same in a file of its own, JSON or YAML.').optional(),
  action,
  mode,
})

const everywhere = {
  rateLimits: z
    .record(name('The name of a limit, for metrics and logs.'), orOff(rateLimit))
    .default({})
    .meta({ description: 'Rate limits, by name; all of them hold.' }),
  messageSize: messageSize.optional().meta({ description: 'How large the payload of a message may be.' }),
  authentication: authentication.optional().meta({
    description: 'What it needs of a login: authority that has not run out (T2), and labels. `{}`: authority alone.',
  }),
}

const shedding = z.strictObject({
  eventLoopDelay: duration('How late the event loop may be, smoothed over half a second.', {
    min: '10ms',
    max: '1m',
  }).prefault('500ms'),
  memory: percent('How much of the memory it may have: of the machine, of its container, of the heap.', {
    min: '10%',
    max: '100%',
  }).prefault('90%'),
  queueAge: duration('How old the oldest byte that waits for a host may be.', { min: '100ms', max: '10m' }).prefault(
    '2s',
  ),
  mode,
})

const slowConsumers = z.strictObject({
  latestAbove: size('Above so much that waits only the newest `latest` value of each key waits (C2).', {
    min: '1KiB',
    max: '1GiB',
  }).prefault('64KiB'),
  latestKeysMax: count('Keys of `latest` that wait for one connection.', 1, 65_536).default(256),
  dropAbove: percent(
    'Above this share of `limits.connectionBytesMax` publications and `unreliable` messages are dropped.',
    {
      min: '1%',
      max: '100%',
    },
  ).prefault('50%'),
  behindMax: duration('A connection that is owed something for so long is closed. Default: never for that.', {
    min: '100ms',
    max: '1h',
  }).optional(),
  mode: z.enum(['enforce', 'observe']).default('enforce').meta({
    description: 'observe: counts what would be conflated, dropped and closed. `limits` hold all the same (W5).',
  }),
})

const priority = z.enum(priorities).meta({
  description: 'What is shed first where the gateway is overloaded; the innermost one counts. Default: normal.',
})

/** Where a game's own messages are known. */
const inside = {
  ...everywhere,
  priority: priority.optional(),
  payloadSchema: payloadSchema.optional().meta({ description: 'What payloads must look like.' }),
}

const set = <T extends z.ZodRawShape>(shape: T, description: string) =>
  z.strictObject(shape).meta({ title: POLICIES, description })

const slow = {
  slowConsumers: slowConsumers.optional().meta({ description: 'When clients that do not read get less.' }),
}

export const gatewayPolicies = set(
  {
    ...everywhere,
    ...slow,
    priority: priority.optional(),
    shedding: shedding.prefault({}).meta({ description: 'What is refused where the gateway is overloaded.' }),
  },
  'What is allowed to every message. docs/policies has a page for each kind.',
)
export const listenerPolicies = set(
  { ...everywhere, ...slow },
  'Policies of messages that come in here, as under `policies`.',
)
export const servicePolicies = set(inside, 'Policies of its messages, as under `policies`.')
export const routePolicies = set(inside, 'Policies of its messages, as under `policies`.')

/** As written at any place; what a place does not have is absent. */
export type PoliciesConfig = z.output<typeof routePolicies> &
  Partial<Pick<z.output<typeof gatewayPolicies>, 'shedding' | 'slowConsumers'>>
export type RateLimitConfig = z.output<typeof rateLimit>
