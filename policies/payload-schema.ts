// Schemas of payloads: where an operator gave one, and nowhere else, the gateway reads a message, and refuses what does not
// fit before the host sees it. JSON Schema, draft 7 or 2020-12 by its `$schema`, compiled by ajv when the configuration is
// loaded. docs/policies/payload-schema.md.
import { createRequire } from 'node:module'
import { code } from '../protocols/codes.ts'
import type { CompileTools, Place } from './compile.ts'
import { MsgpackReader } from './msgpack-payload.ts'
import { type Check, type Judgement, type Mode, type PolicyCount, type Verdict, verdict } from './pipeline.ts'

export type JsonSchemaText = Readonly<Record<string, unknown>>

/** json, msgpack: the payload is JSON, MessagePack. text: it is UTF-8, and the schema is that of a string. */
export type PayloadContentType = 'json' | 'text' | 'msgpack'

/** As content types are written; a short name and its media types mean the same. */
export const payloadContentTypes = {
  json: 'json',
  'application/json': 'json',
  text: 'text',
  'text/plain': 'text',
  msgpack: 'msgpack',
  'application/msgpack': 'msgpack',
  'application/x-msgpack': 'msgpack',
  'application/vnd.msgpack': 'msgpack',
} as const satisfies Readonly<Record<string, PayloadContentType>>

export type PayloadSchemaSettings = {
  readonly mode: Mode
  readonly contentType: PayloadContentType
  readonly schema: JsonSchemaText
  /** Where the schema was read from; absent where it stood in the configuration. */
  readonly schemaFile?: string
  readonly action: 'reject' | 'drop' | 'close'
}

type Validate = (value: unknown) => boolean

const COST = 1000
/** ajv is loaded for configurations that have a schema. */
const require = createRequire(import.meta.url)
const compiled = new WeakMap<JsonSchemaText, Validate | string>()

/** The function that judges values, or what is wrong with the schema. */
export function compileSchema(schema: JsonSchemaText): Validate | string {
  let result = compiled.get(schema)
  if (result === undefined) compiled.set(schema, (result = compile(schema)))
  return result
}

function compile(schema: JsonSchemaText): Validate | string {
  const isNew = String(schema['$schema'] ?? '').includes('2020-12')
  const { Ajv2020 } = require('ajv/dist/2020.js') as typeof import('ajv/dist/2020.js')
  const { Ajv } = require('ajv') as typeof import('ajv')
  try {
    const validate = new (isNew ? Ajv2020 : Ajv)({ strict: true, allErrors: false, logger: false }).compile(schema)
    return '$async' in validate
      ? 'a schema that is checked later ($async) cannot hold a message back'
      : (value) => validate(value)
  } catch (error) {
    return (error as Error).message
  }
}

export class PayloadSchemaCheck implements Check {
  readonly count: PolicyCount
  readonly mode: Mode
  readonly cost = COST
  readonly readsPayload = true
  readonly #isJson: boolean
  readonly #msgpack: MsgpackReader | undefined
  readonly #validate: Validate
  readonly #action: Verdict
  readonly #decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

  /** Throws where the schema does not compile: the configuration's checker has said so before. */
  constructor(settings: PayloadSchemaSettings, count: PolicyCount) {
    const validate = compileSchema(settings.schema)
    if (typeof validate === 'string') throw new Error(validate)
    this.count = count
    this.mode = settings.mode
    this.#isJson = settings.contentType === 'json'
    this.#msgpack = settings.contentType === 'msgpack' ? new MsgpackReader() : undefined
    this.#validate = validate
    this.#action = verdict[settings.action]
  }

  judge(judgement: Judgement): Verdict {
    const fault = this.#faultOf(judgement.bytes.subarray(judgement.payloadStart, judgement.payloadEnd))
    if (fault === undefined) return verdict.pass
    this.count.because(fault)
    judgement.code = code.invalid_payload
    judgement.retryMs = 0
    return this.#action
  }

  /** Never throws: what cannot be read, or is nested deeper than the schema can follow, is `unreadable`. */
  #faultOf(payload: Uint8Array): string | undefined {
    try {
      const fault = this.#msgpack?.faultOf(payload)
      if (fault !== undefined) return fault
      return this.#validate(this.#read(payload)) ? undefined : 'schema'
    } catch {
      return 'unreadable'
    }
  }

  #read(payload: Uint8Array): unknown {
    if (this.#msgpack !== undefined) return this.#msgpack.read(payload)
    const text = this.#decoder.decode(payload)
    return this.#isJson ? JSON.parse(text) : text
  }
}

export function payloadSchemaChecks(place: Place, tools: CompileTools): Check[] {
  return place.levels.flatMap(({ scope, policies: { payloadSchema } }) =>
    payloadSchema === undefined
      ? []
      : [new PayloadSchemaCheck(payloadSchema, tools.counts.of('payload_schema', scope, ''))],
  )
}
