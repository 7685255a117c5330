// The way from a file to Settings, in this order: read (bounded), parse YAML, resolve references, check against the
// schema, fill in defaults, check what holds between keys. Nothing is thrown for what an operator wrote: every complaint
// of every step that could be taken comes back together, placed by line and column.
import fs from 'node:fs'
import path from 'node:path'
import { checkConfig } from './checks.ts'
import { isSecret } from './json-schema.ts'
import { type Complaint, type PathStep, type Problem, pathText, sortedProblems } from './problems.ts'
import { resolveSettings } from './resolve.ts'
import { defaultConfigYaml } from './default-config.ts'
import { type Config, configSchema } from './schema.ts'
import { schemaProblems } from './schema-problems.ts'
import type { Settings } from './settings.ts'
import { YAML_BYTES_MAX, YamlSource } from './yaml-source.ts'

/** Either settings, perhaps with warnings, or at least one error (then `problems` holds the warnings too). */
export type Loaded =
  | { settings: Settings; warnings: Problem[]; problems?: undefined; source?: SourceText }
  | { settings?: undefined; warnings?: undefined; problems: Problem[]; source?: undefined }

/** What was read from a file, and where its relative file names start. */
export type SourceText = { text: string; directory: string }

export type TextPlace = {
  /** How the text is called in complaints. */
  file: string
  /** Where relative file names start. */
  directory: string
  /** Others than the owner may read the text (permissions of its file). */
  isReadableByOthers?: boolean
}

/**
 * Reads a configuration file; without one, the built-in configuration.
 * @example
 *   const loaded = loadSettings('skewer.yaml', process.env)
 *   if (loaded.problems) console.error(loaded.problems.map(problemText).join('\n'))
 */
export function loadSettings(file: string | undefined, env: NodeJS.ProcessEnv): Loaded {
  if (file === undefined) return loadSettingsText(defaultConfigYaml(), { file: 'built-in', directory: '.' }, env)
  const nowhere = { severity: 'error', file, line: 0, column: 0, path: '' } as const
  try {
    const { size, mode } = fs.statSync(file)
    if (size > YAML_BYTES_MAX) return { problems: [{ ...nowhere, what: 'is too large', expected: 'at most 1MiB' }] }
    const isReadableByOthers = process.platform !== 'win32' && (mode & 0o044) !== 0
    const directory = path.resolve(path.dirname(file))
    const text = fs.readFileSync(file, 'utf8')
    const loaded = loadSettingsText(text, { file, directory, isReadableByOthers }, env)
    return loaded.settings === undefined ? loaded : { ...loaded, source: { text, directory } }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === undefined) throw error
    const what = code === 'ENOENT' ? 'there is no such file' : `the file cannot be read (${code})`
    return { problems: [{ ...nowhere, what }] }
  }
}

/** Reads a configuration from text, as `loadSettings` does from a file. */
export function loadSettingsText(text: string, place: TextPlace, env: NodeJS.ProcessEnv): Loaded {
  const directory = path.resolve(place.directory)
  const source = new YamlSource(place.file, text, env, directory)
  const problems = source.problems
  if (problems.some((problem) => problem.line === 0) || source.tree === undefined)
    return { problems: sortedProblems(problems) }
  const config = checkedTree(source)
  if (config === undefined) return { problems: sortedProblems(problems) }
  const settings = resolveSettings(config, directory)
  const complain = (path: PathStep[] | PathStep[][], complaint: Complaint, at?: 'key' | 'value') => {
    const paths = (Array.isArray(path[0]) ? path : [path]) as PathStep[][]
    const written = paths.find((path) => source.has(path)) ?? paths[0]
    if (!source.unresolved.has(pathText(written)))
      problems.push(source.problem(written, complaint, at, isSecret(written)))
  }
  checkConfig({ config, settings, complain, now: Date.now() })
  if (place.isReadableByOthers) warnOfReadableSecrets(source, problems)
  const sorted = sortedProblems(problems)
  if (sorted.some((problem) => problem.severity === 'error')) return { problems: sorted }
  return { settings: frozen(settings), warnings: sorted }
}

/** The tree against the schema; undefined where cross checks would be about a different configuration. */
function checkedTree(source: YamlSource): Config | undefined {
  let tree = source.tree ?? {}
  let result = configSchema.safeParse(tree)
  const retyped = result.success ? 0 : retypeReferences(tree, result.error.issues, source)
  if (retyped > 0) result = configSchema.safeParse(tree)
  if (result.success) return result.data
  source.problems.push(...schemaProblems(result.error.issues, source))
  if (!result.error.issues.every((issue) => issue.code === 'unrecognized_keys')) return undefined
  tree = structuredClone(tree)
  for (const issue of result.error.issues) {
    const parent = valueAt(tree, issue.path as PathStep[])
    if (issue.code === 'unrecognized_keys') for (const key of issue.keys) delete parent[key]
  }
  return configSchema.safeParse(tree).data
}

/** What came out of a reference is text: where a number or a flag is due, it is read as one. */
function retypeReferences(
  tree: unknown,
  issues: readonly { code: string; path: PropertyKey[]; expected?: unknown }[],
  source: YamlSource,
): number {
  let count = 0
  for (const issue of issues) {
    const path = issue.path as PathStep[]
    if (issue.code !== 'invalid_type' || !source.referring.has(pathText(path))) continue
    const parent = valueAt(tree, path.slice(0, -1))
    const text = String(parent[path.at(-1)!]).trim()
    const isNumber = (issue.expected === 'int' || issue.expected === 'number') && /^-?\d+$/.test(text)
    const isFlag = issue.expected === 'boolean' && /^(true|false)$/.test(text)
    if (!isNumber && !isFlag) continue
    parent[path.at(-1)!] = isNumber ? Number(text) : text === 'true'
    count++
  }
  return count
}

function warnOfReadableSecrets(source: YamlSource, problems: Problem[]): void {
  const path = literalSecret(source.tree, [], source)
  if (!path) return
  const what = 'a secret stands in a file that others on this machine can read'
  const expected = `\${env:NAME} or \${file:path}, or chmod 600`
  problems.push(source.problem(path, { severity: 'warning', what, expected }, 'value', true))
}

function literalSecret(value: unknown, path: PathStep[], source: YamlSource): PathStep[] | undefined {
  if (typeof value === 'string') return isSecret(path) && !source.referring.has(pathText(path)) ? path : undefined
  if (value === null || typeof value !== 'object') return undefined
  const steps: [PathStep, unknown][] = Array.isArray(value) ? [...value.entries()] : Object.entries(value)
  for (const [step, item] of steps) {
    const found = literalSecret(item, [...path, step], source)
    if (found) return found
  }
  return undefined
}

type Parent = Record<PathStep, unknown>

function valueAt(tree: unknown, path: readonly PathStep[]): Parent {
  let value = tree
  for (const step of path) value = (value as Parent)[step]
  return value as Parent
}

/** Settings are shared by everything that runs: nobody changes them. Bytes of keys cannot be frozen. */
function frozen<T>(value: T): T {
  if (value === null || typeof value !== 'object' || ArrayBuffer.isView(value)) return value
  for (const item of Object.values(value)) frozen(item)
  return Object.freeze(value)
}
