// What is wrong with a configuration, one record a complaint: where, what, what was written, what was expected, what was
// probably meant. Everything that reads configuration collects these instead of throwing, so that an operator sees all
// complaints at once:
//
//   skewer.yaml:7:12: hosts[0].weight: is too small; got 0; expected at least 1
//   7 |     weight: 0
//     |             ^

export type PathStep = string | number

export type Problem = {
  /** Errors keep a configuration from being used; warnings are told and let pass. */
  severity: 'error' | 'warning'
  file: string
  /** Both count from 1; 0 where the complaint is about the file as a whole. */
  line: number
  column: number
  /** `listeners[0].port`; empty for the file as a whole. */
  path: string
  what: string
  got?: string
  expected?: string
  suggestion?: string
  /** The line as written, for the caret; absent where showing it would show a secret. */
  sourceLine?: string
}

/** One complaint without its place, as checks make them. */
export type Complaint = Pick<Problem, 'what' | 'got' | 'expected' | 'suggestion'> & { severity?: Problem['severity'] }

export const PROBLEMS_MAX = 50

/** `['listeners', 0, 'tls']` is `listeners[0].tls`; names that are not plain words are quoted. */
export function pathText(path: readonly PathStep[]): string {
  let text = ''
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`
    else if (/^[\w-]+$/.test(step)) text += text === '' ? step : `.${step}`
    else text += `[${JSON.stringify(step)}]`
  }
  return text
}

/** `file:line:col: path: what; got X; expected Y; did you mean Z?` */
export function problemText(problem: Problem): string {
  const place = problem.line === 0 ? problem.file : `${problem.file}:${problem.line}:${problem.column}`
  const severity = problem.severity === 'warning' ? 'warning: ' : ''
  const parts = [problem.what]
  if (problem.got !== undefined) parts.push(`got ${problem.got}`)
  if (problem.expected !== undefined) parts.push(`expected ${problem.expected}`)
  if (problem.suggestion !== undefined) parts.push(`did you mean ${problem.suggestion}?`)
  return `${place}: ${severity}${problem.path === '' ? '' : `${problem.path}: `}${parts.join('; ')}`
}

const SOURCE_LINE_MAX = 160

/** The line as written and a caret below its column; undefined where there is no line to show, or it is too long to. */
export function problemSource(problem: Problem): { line: string; caret: string } | undefined {
  if (problem.sourceLine === undefined || problem.sourceLine.length > SOURCE_LINE_MAX) return undefined
  const number = String(problem.line)
  const before = problem.sourceLine.slice(0, problem.column - 1).replace(/[^\t]/g, ' ')
  return { line: `${number} | ${problem.sourceLine}`, caret: `${' '.repeat(number.length)} | ${before}^` }
}

/** In the order of the file, errors and warnings together, without repetitions, cut at PROBLEMS_MAX. */
export function sortedProblems(problems: readonly Problem[]): Problem[] {
  const sorted = [...problems].sort((a, b) => a.line - b.line || a.column - b.column)
  const seen = new Set<string>()
  const distinct = sorted.filter((problem) => {
    const text = problemText(problem)
    return !seen.has(text) && seen.add(text)
  })
  if (distinct.length <= PROBLEMS_MAX) return distinct
  const more = { ...distinct[0], line: 0, column: 0, path: '', sourceLine: undefined, suggestion: undefined }
  const what = `${distinct.length - PROBLEMS_MAX} more complaints are not shown`
  return [...distinct.slice(0, PROBLEMS_MAX), { ...more, what, got: undefined, expected: undefined }]
}

/** A value as it is shown behind `got`: short, on one line. */
export function shown(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (value === null) return 'null'
  if (Array.isArray(value)) return `a list of ${value.length}`
  if (typeof value === 'object') return 'a mapping'
  const text = typeof value === 'string' && !/^[\w./:*-]+$/.test(value) ? JSON.stringify(value) : String(value)
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}
