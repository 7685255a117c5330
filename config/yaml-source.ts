// One YAML text and the places in it: parsed once with every limit on (size, aliases, depth), turned into plain data with
// its references resolved, and asked afterwards where a path was written, so that every complaint carries line and
// column. Knows nothing of what the keys mean.
import { LineCounter, type Node, type Pair, type ParsedNode, isAlias, isMap, isSeq, parseDocument, visit } from 'yaml'
import { type Complaint, type PathStep, type Problem, pathText } from './problems.ts'
import { holdsReference, resolveReferences, shield, unshield } from './references.ts'

export const YAML_BYTES_MAX = 1024 * 1024
const ALIASES_MAX = 100
const DEPTH_MAX = 32
const TOO_DEEP = `is nested deeper than ${DEPTH_MAX} levels`

export class YamlSource {
  readonly file: string
  readonly problems: Problem[] = []
  /** The plain data; undefined where the text could not be read as YAML at all. */
  readonly tree: unknown
  /** Texts as written, by path, of values that hold references. */
  readonly referring = new Map<string, string>()
  /** Paths whose references could not be resolved: no other complaint about them is worth making. */
  readonly unresolved = new Set<string>()
  readonly #lines: string[]
  readonly #counter = new LineCounter()
  readonly #document: ReturnType<typeof parseDocument> | undefined

  constructor(file: string, text: string, env: NodeJS.ProcessEnv, directory: string) {
    this.file = file
    this.#lines = text.split(/\r?\n/)
    if (text.length > YAML_BYTES_MAX) {
      this.problems.push({ ...this.#nowhere(), what: 'is too large', expected: 'at most 1MiB' })
      return
    }
    try {
      const options = { lineCounter: this.#counter, prettyErrors: false, logLevel: 'error' } as const
      this.#document = parseDocument(shield(text), options)
      for (const error of [...this.#document.errors, ...this.#document.warnings]) this.#yamlProblem(error)
      const fatal = this.#document.errors.some((error) => error.code !== 'DUPLICATE_KEY')
      if (!fatal) this.tree = this.#resolved(this.#plain(), [], env, directory)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      this.problems.push({ ...this.#nowhere(), what: TOO_DEEP })
    }
  }

  /** Whether the path itself is written in the file. */
  has(path: readonly PathStep[]): boolean {
    return this.#find(path).found
  }

  /** A complaint with its place: that of the path, or of its nearest ancestor that is written. */
  problem(path: readonly PathStep[], complaint: Complaint, at: 'key' | 'value' = 'value', secret = false): Problem {
    const { node } = this.#find(path, at)
    const place = node?.range ? this.#place(node.range[0]) : this.#nowhere()
    if (secret) place.sourceLine = undefined
    return { ...place, ...complaint, severity: complaint.severity ?? 'error', path: pathText(path) }
  }

  #plain(): unknown {
    try {
      return this.#document!.toJS({ maxAliasCount: ALIASES_MAX })
    } catch (error) {
      if (!(error instanceof ReferenceError)) throw error
      const bomb = error.message.startsWith('Excessive')
      const offset = this.#aliasOffset(bomb)
      const what = bomb ? `aliases stand for more than ${ALIASES_MAX} nodes` : 'an alias names no anchor before it'
      this.problems.push({ ...this.#place(offset), path: '', severity: 'error', what })
      return undefined
    }
  }

  /** The first alias, or the first one that has no anchor. */
  #aliasOffset(any: boolean): number {
    let offset = 0
    visit(this.#document!, {
      Alias: (_, alias) => {
        if (!any && alias.resolve(this.#document!)) return undefined
        offset = alias.range?.[0] ?? 0
        return visit.BREAK
      },
    })
    return offset
  }

  /** Copies the tree with its references replaced; bounded in depth, since an alias may name its own ancestor. */
  #resolved(value: unknown, path: PathStep[], env: NodeJS.ProcessEnv, directory: string): unknown {
    if (path.length > DEPTH_MAX) throw new RangeError('depth')
    if (typeof value === 'string') return this.#resolvedText(value, path, env, directory)
    if (Array.isArray(value)) return value.map((item, i) => this.#resolved(item, [...path, i], env, directory))
    if (value === null || typeof value !== 'object') return value
    const entries = Object.entries(value)
    return Object.fromEntries(
      entries.map(([key, item]) => [unshield(key), this.#resolved(item, [...path, key], env, directory)]),
    )
  }

  #resolvedText(text: string, path: PathStep[], env: NodeJS.ProcessEnv, directory: string): string {
    if (!holdsReference(text)) return unshield(text)
    this.referring.set(pathText(path), unshield(text))
    const resolved = resolveReferences(text, env, directory)
    if (resolved.complaint === undefined) return resolved.text
    this.unresolved.add(pathText(path))
    this.problems.push(this.problem(path, resolved.complaint))
    return ''
  }

  #yamlProblem(error: { code: string; message: string; pos: [number, number] }): void {
    const place = this.#place(error.pos[0])
    const duplicate = error.code === 'DUPLICATE_KEY'
    const tab = error.code === 'TAB_AS_INDENT'
    const deep = error.message.includes('call stack')
    const what = duplicate ? 'the key is written twice' : deep ? TOO_DEEP : unshield(error.message)
    const expected = tab ? 'spaces' : undefined
    this.problems.push({
      ...place,
      path: duplicate ? this.#pathAt(error.pos[0]) : '',
      severity: 'error',
      what,
      expected,
    })
  }

  /** The path of the key that starts at an offset. */
  #pathAt(offset: number): string {
    let found = ''
    visit(this.#document!, {
      Pair: (_, pair, ancestors) => {
        if ((pair.key as Node | null)?.range?.[0] !== offset) return undefined
        found = pathText(stepsTo([...ancestors, pair] as Ancestor[]))
        return visit.BREAK
      },
    })
    return found
  }

  #find(path: readonly PathStep[], at: 'key' | 'value' = 'value'): { node?: Node | null; found: boolean } {
    let node = this.#document?.contents as Node | null | undefined
    let place = node
    for (const [depth, step] of path.entries()) {
      const target = isAlias(node) ? node.resolve(this.#document!) : node
      const last = depth === path.length - 1
      if (isMap(target)) {
        const pair = target.items.find((pair) => keyText(pair) === step)
        if (!pair) return { node: place, found: false }
        node = pair.value as Node | null
        place = (last && at === 'key') || !node || isEmpty(node) ? (pair.key as Node) : node
      } else if (isSeq(target) && typeof step === 'number' && target.items[step]) {
        place = node = target.items[step] as Node
      } else {
        return { node: place, found: false }
      }
    }
    return { node: place, found: node !== undefined }
  }

  #place(offset: number): Problem {
    const { line, col } = this.#counter.linePos(offset)
    const sourceLine = this.#lines[line - 1]
    return { severity: 'error', file: this.file, line, column: col, path: '', what: '', sourceLine }
  }

  #nowhere(): Problem {
    return { severity: 'error', file: this.file, line: 0, column: 0, path: '', what: '' }
  }
}

type Ancestor = ParsedNode | Pair<ParsedNode, ParsedNode | null>

function stepsTo(ancestors: Ancestor[]): PathStep[] {
  const steps: PathStep[] = []
  for (const [i, ancestor] of ancestors.entries()) {
    if (isSeq(ancestor)) steps.push(ancestor.items.indexOf(ancestors[i + 1] as ParsedNode))
    else if ('key' in ancestor) steps.push(keyText(ancestor))
  }
  return steps
}

function keyText(pair: Pair): string {
  const key = pair.key as { value?: unknown } | null
  return unshield(String(key?.value ?? ''))
}

/** A value left out (`key:`) has a place just behind the colon, or on the next line; the key is where to look. */
function isEmpty(node: Node): boolean {
  return !!node.range && node.range[0] === node.range[1]
}
