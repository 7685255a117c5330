// What holds between the keys of policies, at each of the places where they stand: limits that could never let a message
// through, schemas that do not compile, files that are not there.
import type { PolicySet } from '../policies/compile.ts'
import { compileSchema } from '../policies/payload-schema.ts'
import type { Checked } from './checks.ts'
import type { PathStep } from './problems.ts'
import { formatSize } from './quantities.ts'
import { readSchemaFile } from './schema-files.ts'
import type { PoliciesConfig } from './schema-policies.ts'
import type { RouteSettings } from './settings.ts'

export function checkPolicies(checked: Checked): void {
  const { config, settings } = checked
  checkSet(checked, ['policies'], config.policies, undefined, [])
  for (const [i, { policies }] of config.listeners.entries()) {
    checkSet(checked, ['listeners', i, 'policies'], policies, undefined, [])
  }
  const routes = settings.routes.values()
  for (const [i, route] of config.routes.entries()) checkRoute(checked, ['routes', i], route, routes.next().value)
  for (const [name, service] of Object.entries(config.services)) {
    const resolved = settings.services.find((one) => one.name === name)
    checkSet(checked, ['services', name, 'policies'], service.policies, resolved?.policies, [])
    for (const [i, route] of service.routes.entries()) {
      checkRoute(checked, ['services', name, 'routes', i], route, routes.next().value)
    }
  }
}

type Written = { rate?: unknown; payloadBytesMax?: unknown; policies?: PoliciesConfig }

function checkRoute(checked: Checked, path: PathStep[], route: Written, resolved: RouteSettings | undefined): void {
  const { rate, payloadBytesMax, policies } = route
  checkSet(checked, [...path, 'policies'], policies, resolved?.policies, rate === undefined ? [] : ['rate'])
  if (payloadBytesMax !== undefined && policies?.messageSize !== undefined) {
    const what = 'is said twice: `payloadBytesMax` of the route is short for it'
    checked.complain([...path, 'policies', 'messageSize'], { what }, 'key')
  }
}

/** `taken`: names of limits that the place has already. */
function checkSet(
  { settings, complain }: Checked,
  path: PathStep[],
  set: PoliciesConfig | undefined,
  resolved: PolicySet | undefined,
  taken: readonly string[],
): void {
  if (set === undefined) return
  const largest = Math.min(settings.limits.windowBytes >>> 2, set.messageSize?.payloadBytesMax ?? Infinity)
  for (const [name, limit] of Object.entries(set.rateLimits)) {
    const at = [...path, 'rateLimits', name]
    if (taken.includes(name)) complain(at, { what: 'is said twice: `rate` of the route is short for it' }, 'key')
    if (limit.bytes === undefined || limit.mode === 'off' || limit.bytes.burst >= largest) continue
    complain([...at, 'bytes'], {
      severity: 'warning',
      what: 'messages larger than the burst never pass',
      got: formatSize(limit.bytes.burst),
      expected: `a burst of at least ${formatSize(largest)}, or a smaller \`messageSize\``,
    })
  }
  checkSchema(complain, [...path, 'payloadSchema'], set, resolved)
}

function checkSchema(
  complain: Checked['complain'],
  path: PathStep[],
  { payloadSchema }: PoliciesConfig,
  resolved: PolicySet | undefined,
): void {
  if (payloadSchema === undefined || payloadSchema.mode === 'off') return
  const { schema, schemaFile } = payloadSchema
  if ((schema === undefined) === (schemaFile === undefined)) {
    complain(path, { what: 'a schema stands in `schema` or in `schemaFile`', expected: 'one of them' }, 'key')
    return
  }
  const at = [...path, schema === undefined ? 'schemaFile' : 'schema']
  const { schemaFile: file, schema: read } = resolved!.payloadSchema!
  const failed = file === undefined ? undefined : readSchemaFile(file)
  if (failed !== undefined && 'complaint' in failed) {
    complain(at, failed.complaint)
    return
  }
  const compiled = compileSchema(read)
  if (typeof compiled === 'string') complain(at, { what: `is not a schema that can be used: ${compiled}` }, 'key')
}
