// Turns what zod finds into complaints in our words and at their places: which key is unknown and which was probably
// meant, which value has the wrong type, what was expected instead. Values of secrets and of references are never shown.
import type { z } from 'zod'
import { isSecret, type JsonSchema, keysAt, schemaAt } from './json-schema.ts'
import { nearest } from './nearest.ts'
import { type Complaint, type PathStep, type Problem, pathText, shown } from './problems.ts'
import type { IssueParams } from './schema-values.ts'
import type { YamlSource } from './yaml-source.ts'

type Issue = z.core.$ZodIssue

/** A file with a schema of its own, and what it is called. Without one: a configuration. */
export type FileKind = { schema?: JsonSchema; noun: string }
const configuration: FileKind = { noun: 'a configuration' }

/** The complaints of a failed check; those about references that could not be resolved have been made already. */
export function schemaProblems(
  issues: readonly Issue[],
  source: YamlSource,
  kind: FileKind = configuration,
): Problem[] {
  const problems = issues.flatMap((issue) => problemsOf(issue, source, kind))
  const meant = new Set(problems.map((problem) => problem.suggestion))
  return problems.filter((problem) => problem.what !== MISSING || !meant.has(problem.path.split('.').at(-1)))
}

/** Not told where another key was probably meant to be the missing one. */
const MISSING = 'is missing'

function problemsOf(issue: Issue, source: YamlSource, kind: FileKind): Problem[] {
  const path = issue.path as PathStep[]
  if (source.unresolved.has(pathText(path))) return []
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey(path, key, source, kind))
  if (issue.code === 'invalid_key') {
    const [inner] = issue.issues
    const complaint = inner && complaintOf({ ...inner, path } as Issue, String(path.at(-1)))
    return [source.problem(path, complaint ?? { what: 'is not a key that may stand here' }, 'key')]
  }
  const written = valueAt(source.tree, path)
  if (issue.code === 'invalid_union') return ofUnion(issue, path, written, source, kind)
  const isMissing = written === undefined && issue.code !== 'custom'
  if (isMissing) return [source.problem(path, { what: MISSING, expected: expectedAt(path, kind) })]
  const secret = isSecret(path, kind.schema)
  const complaint = { ...complaintOf(issue, written) }
  if (secret) complaint.got = typeof written === 'string' ? undefined : `a ${typeof written}`
  const reference = source.referring.get(pathText(path))
  if (reference !== undefined) complaint.got = `the value of ${reference}`
  return [source.problem(path, complaint, 'value', secret)]
}

/** A word such as `off`, or a mapping: whoever wrote a mapping is told of its keys, whoever wrote a word of the words. */
function ofUnion(
  issue: Issue & { code: 'invalid_union' },
  path: PathStep[],
  written: unknown,
  source: YamlSource,
  kind: FileKind,
): Problem[] {
  const isMapping = written !== null && typeof written === 'object' && !Array.isArray(written)
  const [words, mapping] = [true, false].map((isWord) =>
    issue.errors.find((branch) => branch.some((inner) => (inner.code === 'invalid_value') === isWord)),
  )
  const branch = (isMapping ? mapping : words) ?? issue.errors[0] ?? []
  const inner = branch.map((inner) => ({ ...inner, path: [...path, ...inner.path] }) as Issue)
  const problems = inner.flatMap((issue) => problemsOf(issue, source, kind))
  if (isMapping || problems.length === 0) return problems
  return [{ ...problems[0], expected: `${problems[0].expected}, or a mapping` }]
}

function unknownKey(path: PathStep[], key: string, source: YamlSource, kind: FileKind): Problem {
  const keys = keysAt(path, kind.schema)
  const where = path.length === 0 ? kind.noun : 'this mapping'
  const suggestion = nearest(key, keys)
  const expected = suggestion || keys.length === 0 ? undefined : `one of ${keys.join(', ')}`
  return source.problem([...path, key], { what: `is not a key of ${where}`, expected, suggestion }, 'key')
}

function complaintOf(issue: Issue, written: unknown): Complaint {
  const got = shown(written)
  switch (issue.code) {
    case 'custom':
      return (issue.params as IssueParams).complaint
    case 'invalid_type':
      return {
        what: 'has the wrong type',
        got: typeShown(written),
        expected: typeExpected(issue),
        ...flagMeant(issue, written),
      }
    case 'invalid_value': {
      const values = issue.values.map(String)
      const expected = values.length === 1 ? values[0] : `one of ${values.join(', ')}`
      return { what: 'is not a value that may stand here', got, expected, suggestion: nearest(String(written), values) }
    }
    case 'too_small':
      return { what: issue.origin === 'number' ? 'is too small' : 'is too short', got, expected: bound('least', issue) }
    case 'too_big':
      return { what: issue.origin === 'number' ? 'is too large' : 'is too long', got, expected: bound('most', issue) }
    default:
      return { what: issue.message, got }
  }
}

function bound(word: 'least' | 'most', issue: { origin: string; minimum?: unknown; maximum?: unknown }): string {
  const number = String(word === 'least' ? issue.minimum : issue.maximum)
  const unit = issue.origin === 'string' ? ' characters' : issue.origin === 'array' ? ' entries' : ''
  return `at ${word} ${number}${number === '1' ? unit.replace(/ies$/, 'y').replace(/s$/, '') : unit}`
}

const typeNames: Record<string, string> = {
  object: 'a mapping',
  record: 'a mapping',
  array: 'a list',
  string: 'text',
  boolean: 'true or false',
  int: 'a whole number',
  number: 'a whole number',
}

function typeExpected(issue: { expected: string }): string {
  return typeNames[issue.expected] ?? issue.expected
}

function typeShown(written: unknown): string {
  if (typeof written === 'string') return `text ${shown(written)}`
  if (typeof written === 'number') return `the number ${written}`
  return shown(written)
}

/** YAML 1.2 reads yes, no, on and off as text. */
function flagMeant(issue: { expected: string }, written: unknown): { suggestion?: string } {
  if (issue.expected === 'string' && typeof written === 'number') return { suggestion: `"${written}"` }
  if (issue.expected !== 'boolean' || typeof written !== 'string') return {}
  if (/^(yes|on|y|1)$/i.test(written)) return { suggestion: 'true' }
  return /^(no|off|n|0)$/i.test(written) ? { suggestion: 'false' } : {}
}

function expectedAt(path: PathStep[], kind: FileKind): string | undefined {
  const schema = schemaAt(path, kind.schema)
  if (schema?.enum) return `one of ${schema.enum.join(', ')}`
  if (typeof schema?.type !== 'string') return undefined
  return schema.type === 'integer' ? 'a whole number' : (typeNames[schema.type] ?? schema.type)
}

/** A text in place of a list of one is what stands there. */
function valueAt(tree: unknown, path: readonly PathStep[]): unknown {
  let value = tree
  for (const step of path) {
    if (typeof value === 'string') return value
    value = (value as Record<PathStep, unknown> | null | undefined)?.[step]
  }
  return value
}
