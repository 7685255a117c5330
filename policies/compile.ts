// From what stands under the `policies:` keys of a configuration to pipelines: for each listener and each route rule the
// checks of the four levels that hold there (gateway, listener, service, route) as one flat list. Done at the start and at
// a reload, never for a message.
//
// A new kind of policy is one file with its settings, its Check and a maker of checks; here it gets a key in PolicySet and
// a line in `makers`.
import { type AuthenticationSettings, authenticationChecks } from './authentication.ts'
import type { BucketTable } from './bucket-table.ts'
import type { HashKey } from './key-hash.ts'
import { type MessageSizeSettings, messageSizeChecks } from './message-size.ts'
import { type PayloadSchemaSettings, payloadSchemaChecks } from './payload-schema.ts'
import { type Check, Pipeline, PolicyCount } from './pipeline.ts'
import { type RateLimitSettings, rateLimitChecks } from './rate-limit.ts'
import { type Pressure, type Priority, sheddingChecks, type SheddingSettings } from './shedding.ts'
import { SLOW_CONSUMER_DEFAULTS, SlowConsumers, type SlowConsumerSettings } from './slow-consumers.ts'

/** What stands under one `policies:` key, units resolved. */
export type PolicySet = {
  readonly rateLimits?: readonly RateLimitSettings[]
  readonly messageSize?: MessageSizeSettings
  readonly authentication?: AuthenticationSettings
  readonly payloadSchema?: PayloadSchemaSettings
  /** Not of a listener. */
  readonly priority?: Priority
  /** Of the gateway alone. */
  readonly shedding?: SheddingSettings
  /** Of the gateway and of listeners. */
  readonly slowConsumers?: SlowConsumerSettings
}

export type Level = { readonly scope: string; readonly policies: PolicySet }

/** Where a pipeline judges: messages that came in by a listener, for one rule of the routes. */
export type Place = {
  /** Empty: none, as for calls of a test. */
  readonly listener: string
  readonly service: string
  readonly match: string
  /** From the gateway inwards; those without policies are left out. */
  readonly levels: readonly Level[]
}

type CheckMaker = (place: Place, tools: CompileTools) => Check[]

const makers: readonly CheckMaker[] = [
  sheddingChecks,
  authenticationChecks,
  messageSizeChecks,
  rateLimitChecks,
  payloadSchemaChecks,
]

/** For names of the SDK ends themselves (`$recover`): they belong to every service, and no size or schema is theirs. */
const reservedMakers: readonly CheckMaker[] = [rateLimitChecks]

type Written = { readonly policies?: PolicySet }
export type WrittenRoute = Written & {
  readonly match: string
  readonly service: string
  /** Short forms of a rate limit per session and of a message size. */
  readonly rate?: { readonly perSecond: number; readonly burst: number }
  readonly payloadBytesMax?: number
}

export type WrittenPolicies = Written & {
  readonly listeners: readonly (Written & { readonly name: string })[]
  readonly services: readonly (Written & { readonly name: string })[]
  readonly routes: readonly WrittenRoute[]
}

/** Counts by policy, place and name; they go on over reloads. */
export class PolicyCounts {
  readonly #counts = new Map<string, PolicyCount>()

  of(policy: string, scope: string, name: string): PolicyCount {
    const key = `${policy}\n${scope}\n${name}`
    let count = this.#counts.get(key)
    if (count === undefined) this.#counts.set(key, (count = new PolicyCount(policy, scope, name)))
    return count
  }

  all(): Iterable<PolicyCount> {
    return this.#counts.values()
  }
}

/** What outlives a reload. */
export type PolicyState = {
  readonly table: BucketTable
  readonly hashKey: HashKey
  readonly counts: PolicyCounts
  readonly pressure: Pressure
}

/** What checks are made with: state that outlives a reload, and the numbers of this compilation. */
export class CompileTools {
  readonly table: BucketTable
  readonly hashKey: HashKey
  readonly counts: PolicyCounts
  readonly pressure: Pressure
  readonly generation: number
  /** When this compilation took the place of the former one. */
  readonly since: number
  readonly #limits = new Map<string, { number: number; settings: RateLimitSettings }>()
  #former: CompileTools | undefined

  constructor(former: CompileTools | undefined, state: PolicyState, now: number) {
    this.table = state.table
    this.hashKey = state.hashKey
    this.counts = state.counts
    this.pressure = state.pressure
    this.generation = former === undefined ? 0 : former.generation + 1
    this.since = now
    this.#former = former
  }

  /** The former compilations are needed no longer: this one has made all its checks. */
  settle(): void {
    if (this.#former !== undefined) this.#former.#former = undefined
  }

  get limitCount(): number {
    return this.#limits.size
  }

  /** A small number for a limit by its place and name, and how it was written before. */
  limit(scope: string, settings: RateLimitSettings): { number: number; former: RateLimitSettings | undefined } {
    const key = `${scope}\n${settings.name}`
    let known = this.#limits.get(key)
    if (known === undefined) this.#limits.set(key, (known = { number: this.#limits.size, settings }))
    const former = this.#former
    return { number: known.number, former: former === undefined ? undefined : former.#limits.get(key)?.settings }
  }
}

export class CompiledPolicies {
  readonly #written: WrittenPolicies
  readonly #tools: CompileTools
  readonly #byListener = new Map<string, readonly Pipeline[]>()
  readonly #slow = new Map<string, SlowConsumers>()

  /** Throws nothing: what is wrong with policies the configuration's checker has told. */
  constructor(written: WrittenPolicies, tools: CompileTools) {
    this.#written = written
    this.#tools = tools
    for (const { name } of [{ name: '' }, ...written.listeners]) {
      this.#byListener.set(name, this.#compile(name))
      this.#slow.set(name, this.#slowConsumers(name))
    }
    tools.settle()
  }

  /** By the rule's index + 1; at 0 the one for reserved names. A listener that is there no longer has the gateway's own. */
  pipelines(listener: string): readonly Pipeline[] {
    return this.#byListener.get(listener) ?? this.#byListener.get('')!
  }

  /** What becomes of those who came in by a listener and do not read. */
  slowConsumers(listener: string): SlowConsumers {
    return this.#slow.get(listener) ?? this.#slow.get('')!
  }

  #slowConsumers(listener: string): SlowConsumers {
    const own = this.#written.listeners.find(({ name }) => name === listener)?.policies?.slowConsumers
    const settings = own ?? this.#written.policies?.slowConsumers ?? SLOW_CONSUMER_DEFAULTS
    const scope = own === undefined ? 'gateway' : `listener ${listener}`
    return new SlowConsumers(settings, this.#tools.counts.of('slow_consumers', scope, ''))
  }

  #compile(listener: string): Pipeline[] {
    const outer = [
      ...level('gateway', this.#written.policies),
      ...level(`listener ${listener}`, this.#written.listeners.find(({ name }) => name === listener)?.policies),
    ]
    const reserved: Place = { listener, service: '', match: '$*', levels: outer }
    return [
      this.#pipeline(reservedMakers, reserved),
      ...this.#written.routes.map((route) => {
        const { service, match } = route
        const levels = [
          ...outer,
          ...level(`service ${service}`, this.#written.services.find(({ name }) => name === service)?.policies),
          ...level(`route ${service}/${match}`, longForm(route)),
        ]
        return this.#pipeline(makers, { listener, service, match, levels })
      }),
    ]
  }

  #pipeline(makers: readonly CheckMaker[], place: Place): Pipeline {
    return new Pipeline(makers.flatMap((make) => make(place, this.#tools)))
  }
}

const level = (scope: string, policies: PolicySet | undefined): Level[] =>
  policies === undefined ? [] : [{ scope, policies }]

/** `rate` and `payloadBytesMax` of a route as the policies they stand for. */
function longForm({ rate, payloadBytesMax, policies }: WrittenRoute): PolicySet | undefined {
  if (rate === undefined && payloadBytesMax === undefined) return policies
  const limit: RateLimitSettings | undefined = rate && {
    ...{
      name: 'rate',
      mode: 'enforce',
      unit: 'messages',
      per: ['session'],
      action: 'reject',
      delayMsMax: 0,
      banMs: 0,
      banOf: 'address',
    },
    ...rate,
  }
  const size: MessageSizeSettings | undefined =
    payloadBytesMax === undefined ? undefined : { mode: 'enforce', payloadBytesMax, action: 'reject' }
  return {
    ...policies,
    rateLimits: [...(limit === undefined ? [] : [limit]), ...(policies?.rateLimits ?? [])],
    messageSize: policies?.messageSize ?? size,
  }
}
