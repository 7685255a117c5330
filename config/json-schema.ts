// The configuration's JSON schema (draft 7): completion and checks in editors, the source of the generated reference, and
// the answer to "which keys may stand here" and "is this a secret" for complaints and dumps. A value that is a number or
// a word in the file may also be a reference, so those types are widened here.
import { z } from 'zod'
import type { PathStep } from './problems.ts'
import { ONE_OR_LIST, OR_OFF } from './schema-policies.ts'
import { SERVICE_ROUTE } from './schema-services.ts'
import { configSchema } from './schema.ts'

export type JsonSchema = {
  $schema?: string
  title?: string
  type?: string | string[]
  description?: string
  default?: unknown
  const?: unknown
  enum?: string[]
  pattern?: string
  minimum?: number
  maximum?: number
  minLength?: number
  /** The value is a secret. */
  writeOnly?: boolean
  properties?: Record<string, JsonSchema>
  required?: string[]
  items?: JsonSchema
  anyOf?: JsonSchema[]
  additionalProperties?: boolean | JsonSchema
}

const REFERENCE = '\\$\\{(env|file):[^{}]+\\}'

let built: JsonSchema | undefined

/** The schema as one is built; what it returns is shared and not to be changed. */
export function configJsonSchema(): JsonSchema {
  built ??= z.toJSONSchema(configSchema, { target: 'draft-7', io: 'input' }) as JsonSchema
  return built
}

/** The text of skewer.schema.json. */
export function configSchemaJson(): string {
  const title = 'skewer.yaml: the configuration of the skewer gateway'
  return JSON.stringify({ ...widened(configJsonSchema()), title }, undefined, 2) + '\n'
}

/** What may stand at a path of a configuration, or of a file with another schema; undefined where nothing may. */
export function schemaAt(path: readonly PathStep[], root: JsonSchema = configJsonSchema()): JsonSchema | undefined {
  let schema: JsonSchema | undefined = root
  for (const step of path) {
    if (typeof step === 'number') schema = schema?.items
    else schema = schema?.properties?.[step] ?? schemaOfEntries(schema)
    schema = schema?.anyOf?.find((option) => option.properties) ?? schema
  }
  return schema
}

/** The mapping's keys that the schema names, for suggestions. */
export function keysAt(path: readonly PathStep[], root?: JsonSchema): string[] {
  return Object.keys(schemaAt(path, root)?.properties ?? {})
}

export function isSecret(path: readonly PathStep[], root?: JsonSchema): boolean {
  return schemaAt(path, root)?.writeOnly === true
}

function schemaOfEntries(schema: JsonSchema | undefined): JsonSchema | undefined {
  return typeof schema?.additionalProperties === 'object' ? schema.additionalProperties : undefined
}

/** A copy in which numbers, flags and patterned texts may be references too, and a route of a service its bare name. */
function widened(schema: JsonSchema): JsonSchema {
  const copy = { ...schema }
  const entries = schemaOfEntries(schema)
  if (schema.properties) {
    const properties = Object.entries(schema.properties)
    copy.properties = Object.fromEntries(properties.map(([key, value]) => [key, widened(value)]))
  }
  if (schema.items) copy.items = widened(schema.items)
  if (schema.items?.title === SERVICE_ROUTE) copy.items = { anyOf: [{ type: 'string' }, widened(schema.items)] }
  if (schema.anyOf) copy.anyOf = schema.anyOf.map(widened)
  if (entries) copy.additionalProperties = widened(entries)
  if (schema.type === 'integer' || (schema.type === 'boolean' && schema.const === undefined)) {
    copy.type = [schema.type, 'string']
    copy.pattern = REFERENCE
  } else if (schema.writeOnly) {
    copy.minLength = 1
  } else if (schema.type === 'string' && schema.pattern) {
    copy.pattern = `(${schema.pattern})|(${REFERENCE})`
  }
  if (schema.title === OR_OFF) return { anyOf: [{ const: 'off' }, copy] }
  if (schema.title === ONE_OR_LIST) return { description: schema.description, anyOf: [copy.items!, copy] }
  return copy
}
