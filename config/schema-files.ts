// JSON schemas in files of their own, named by `payloadSchema.schemaFile`: read with the configuration, so that what is
// wrong with one is told by line and column, and a reload sees that one has changed.
import fs from 'node:fs'
import { parse } from 'yaml'
import type { JsonSchemaText } from '../policies/payload-schema.ts'
import type { Complaint } from './problems.ts'

const SCHEMA_BYTES_MAX = 256 * 1024

/** The schema in a file, JSON or YAML, or what is wrong with the file. */
export function readSchemaFile(file: string): { schema: JsonSchemaText } | { complaint: Complaint } {
  const complaint = (what: string): { complaint: Complaint } => ({
    complaint: { what, got: file, expected: 'a JSON Schema, as JSON or YAML' },
  })
  try {
    if (fs.statSync(file).size > SCHEMA_BYTES_MAX) return complaint('is larger than 256KiB')
    const schema: unknown = parse(fs.readFileSync(file, 'utf8'))
    const isMapping = typeof schema === 'object' && schema !== null && !Array.isArray(schema)
    return isMapping ? { schema: schema as JsonSchemaText } : complaint('does not hold a mapping')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    return complaint(
      code === undefined || code.startsWith('YAML') ? message.split('\n')[0] : `cannot be read (${code})`,
    )
  }
}
