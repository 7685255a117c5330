// From what stands under a `policies:` key to the settings of policies: units resolved, those that are off left out, the
// gateway's defaults filled in. And back, for dumps.
import type { PolicySet } from '../policies/compile.ts'
import type { AuthenticationSettings } from '../policies/authentication.ts'
import type { MessageSizeSettings } from '../policies/message-size.ts'
import type { PayloadSchemaSettings } from '../policies/payload-schema.ts'
import type { RateLimitSettings } from '../policies/rate-limit.ts'
import { formatByteRate } from './byte-rates.ts'
import { formatDuration, formatPercent, formatRate, formatSize } from './quantities.ts'
import type { PlainConfig } from './redacted.ts'
import type { SheddingSettings } from '../policies/shedding.ts'
import type { SlowConsumerSettings } from '../policies/slow-consumers.ts'
import { readSchemaFile } from './schema-files.ts'
import type { PoliciesConfig, RateLimitConfig } from './schema-policies.ts'

/**
 * On without being written: what no honest game needs more of. One of the same name takes the place of each, also `off`.
 */
const defaultRateLimits: Record<string, RateLimitSettings> = {
  messages: limitPerSession('messages', 'messages', 1000, 2000),
  bytes: limitPerSession('bytes', 'bytes', 2 ** 20, 4 * 2 ** 20),
}

function limitPerSession(
  name: string,
  unit: RateLimitSettings['unit'],
  perSecond: number,
  burst: number,
): RateLimitSettings {
  const per = ['session'] as const
  return {
    name,
    mode: 'enforce',
    unit,
    perSecond,
    burst,
    per,
    action: 'reject',
    delayMsMax: 2000,
    banMs: 600_000,
    banOf: 'address',
  }
}

type FileOf = (name: string) => string

export function gatewayPolicySet(written: PoliciesConfig, file: FileOf): PolicySet {
  const defaults = Object.entries(defaultRateLimits).filter(([name]) => !(name in written.rateLimits))
  const set = policySet(written, file) ?? {}
  return { ...set, rateLimits: [...defaults.map(([, limit]) => limit), ...(set.rateLimits ?? [])] }
}

/** Undefined where nothing is left. */
export function policySet(written: PoliciesConfig | undefined, file: FileOf): PolicySet | undefined {
  if (written === undefined) return undefined
  const rateLimits = Object.entries(written.rateLimits).flatMap(([name, limit]) => rateLimitSettings(name, limit))
  const messageSize = messageSizeSettings(written)
  const authentication = authenticationSettings(written)
  const payloadSchema = payloadSchemaSettings(written, file)
  const set: PolicySet = {
    ...(rateLimits.length > 0 ? { rateLimits } : {}),
    ...(messageSize && { messageSize }),
    ...(authentication && { authentication }),
    ...(payloadSchema && { payloadSchema }),
    ...(written.priority && { priority: written.priority }),
    ...sheddingSettings(written),
    ...slowConsumerSettings(written),
  }
  return Object.keys(set).length > 0 ? set : undefined
}

function rateLimitSettings(name: string, limit: RateLimitConfig): RateLimitSettings[] {
  const { mode, per, action, delayMax, banFor, banOf } = limit
  if (mode === 'off') return []
  const unit = limit.rate === undefined ? 'bytes' : 'messages'
  const { perSecond, burst } = (limit.rate ?? limit.bytes)!
  return [{ name, mode, unit, perSecond, burst, per, action, delayMsMax: delayMax, banMs: banFor, banOf }]
}

function messageSizeSettings({ messageSize }: PoliciesConfig): MessageSizeSettings | undefined {
  if (messageSize === undefined || messageSize.mode === 'off') return undefined
  const { mode, payloadBytesMax, action } = messageSize
  return { mode, payloadBytesMax, action }
}

function authenticationSettings({ authentication }: PoliciesConfig): AuthenticationSettings | undefined {
  if (authentication === undefined || authentication.mode === 'off') return undefined
  const { mode, labels, action } = authentication
  return { mode, labels, action }
}

/** A file that cannot be read leaves an empty schema, and the checker says so. */
function payloadSchemaSettings({ payloadSchema }: PoliciesConfig, file: FileOf): PayloadSchemaSettings | undefined {
  if (payloadSchema === undefined || payloadSchema.mode === 'off') return undefined
  const { mode, contentType, schema, schemaFile, action } = payloadSchema
  if (schemaFile === undefined) return { mode, contentType, schema: schema ?? {}, action }
  const read = readSchemaFile(file(schemaFile))
  return { mode, contentType, schema: 'schema' in read ? read.schema : {}, schemaFile: file(schemaFile), action }
}

function sheddingSettings({ shedding }: PoliciesConfig): Pick<PolicySet, 'shedding'> {
  if (shedding === undefined || shedding.mode === 'off') return {}
  const { mode, eventLoopDelay, memory, queueAge } = shedding
  return { shedding: { mode, eventLoopDelayMs: eventLoopDelay, memoryShare: memory, queueAgeMs: queueAge } }
}

function slowConsumerSettings({ slowConsumers }: PoliciesConfig): Pick<PolicySet, 'slowConsumers'> {
  if (slowConsumers === undefined) return {}
  const { mode, latestAbove, latestKeysMax, dropAbove, behindMax } = slowConsumers
  const behindMaxMs = behindMax ?? Infinity
  return {
    slowConsumers: { mode, latestAboveBytes: latestAbove, latestKeysMax, dropAboveShare: dropAbove, behindMaxMs },
  }
}

// ---- back ----

/** Every key explicit, and defaults that are off as such. */
export function plainGatewayPolicies(set: PolicySet): PlainConfig {
  const plain = plainPolicies(set)!
  const names = (set.rateLimits ?? []).map(({ name }) => name)
  const off = Object.keys(defaultRateLimits).filter((name) => !names.includes(name))
  const rateLimits = {
    ...Object.fromEntries(off.map((name) => [name, 'off'])),
    ...(plain['rateLimits'] as PlainConfig),
  }
  return { ...plain, rateLimits, shedding: plainShedding(set.shedding) }
}

export function plainPolicies(set: PolicySet | undefined): PlainConfig | undefined {
  if (set === undefined) return undefined
  const { rateLimits, messageSize, authentication, payloadSchema, priority, slowConsumers } = set
  return {
    ...(rateLimits && { rateLimits: Object.fromEntries(rateLimits.map((limit) => [limit.name, plainLimit(limit)])) }),
    ...(messageSize && {
      messageSize: { ...messageSize, payloadBytesMax: formatSize(messageSize.payloadBytesMax) },
    }),
    ...(authentication && { authentication: plainAuthentication(authentication) }),
    ...(payloadSchema && { payloadSchema: plainSchema(payloadSchema) }),
    ...(priority && { priority }),
    ...(slowConsumers && { slowConsumers: plainSlowConsumers(slowConsumers) }),
  }
}

function plainShedding(shedding: SheddingSettings | undefined): PlainConfig {
  if (shedding === undefined) return { mode: 'off' }
  const { mode, eventLoopDelayMs, memoryShare, queueAgeMs } = shedding
  const times = { eventLoopDelay: formatDuration(eventLoopDelayMs), queueAge: formatDuration(queueAgeMs) }
  return { ...times, memory: formatPercent(memoryShare), mode }
}

function plainSlowConsumers(slow: SlowConsumerSettings): PlainConfig {
  const { mode, latestAboveBytes, latestKeysMax, dropAboveShare, behindMaxMs } = slow
  const behind: PlainConfig = behindMaxMs === Infinity ? {} : { behindMax: formatDuration(behindMaxMs) }
  const sizes = { latestAbove: formatSize(latestAboveBytes), dropAbove: formatPercent(dropAboveShare) }
  return { ...sizes, latestKeysMax, ...behind, mode }
}

function plainAuthentication({ labels, action, mode }: AuthenticationSettings): PlainConfig {
  const lists = Object.fromEntries(Object.entries(labels).map(([name, values]) => [name, [...values]]))
  return { labels: lists, action, mode }
}

function plainSchema({ contentType, schema, schemaFile, action, mode }: PayloadSchemaSettings): PlainConfig {
  const read: PlainConfig = schemaFile === undefined ? { schema: schema as PlainConfig } : { schemaFile }
  return { contentType, ...read, action, mode }
}

function plainLimit(limit: RateLimitSettings): PlainConfig {
  const { unit, per, action, delayMsMax, banMs, banOf, mode, ...rate } = limit
  const amount: PlainConfig = unit === 'bytes' ? { bytes: formatByteRate(rate) } : { rate: formatRate(rate) }
  return {
    ...amount,
    per: [...per],
    action,
    delayMax: formatDuration(delayMsMax),
    banFor: formatDuration(banMs),
    banOf,
    mode,
  }
}
