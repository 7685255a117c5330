// What commands print: results on stdout (a table for people, JSON with --json), everything else on stderr. Colours only
// where the stream is a terminal and NO_COLOR is not set, which styleText looks after.
import process from 'node:process'
import { styleText } from 'node:util'
import { type Problem, problemSource, problemText } from '../config/problems.ts'

export type Row = Record<string, unknown>

export function printLine(text: string): void {
  process.stdout.write(`${text}\n`)
}

export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, undefined, process.stdout.isTTY ? 2 : undefined)}\n`)
}

export function printTable(rows: readonly Row[]): void {
  const [head, ...lines] = tableLines(rows, process.stdout.isTTY === true)
  printLine(styleText('bold', head, { stream: process.stdout }))
  for (const line of lines) printLine(line)
}

/** Columns are the keys of all rows in the order met; numbers stand to the right. Piped, columns are parted by tabs. */
export function tableLines(rows: readonly Row[], isTerminal: boolean): string[] {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))]
  const lines = [columns, ...rows.map((row) => columns.map((column) => cell(row[column])))]
  if (!isTerminal) return lines.map((line) => line.join('\t'))
  const widths = columns.map((_, i) => Math.max(...lines.map((line) => line[i].length)))
  const isNumber = columns.map((column) =>
    rows.every(({ [column]: value }) => value === undefined || typeof value === 'number'),
  )
  const padded = (text: string, i: number) => (isNumber[i] ? text.padStart(widths[i]) : text.padEnd(widths[i]))
  return lines.map((line) => line.map(padded).join('  ').trimEnd())
}

export function printProblems(problems: readonly Problem[]): void {
  for (const line of problemLines(problems, process.stderr.isTTY === true)) process.stderr.write(`${line}\n`)
}

/** Complaints about a configuration; on a terminal each with its line and caret. */
export function problemLines(problems: readonly Problem[], isTerminal: boolean): string[] {
  return problems.flatMap((problem) => {
    const paint = (text: string) =>
      styleText(problem.severity === 'warning' ? 'yellow' : 'red', text, { stream: process.stderr })
    const source = isTerminal ? problemSource(problem) : undefined
    return source
      ? [paint(problemText(problem)), `  ${source.line}`, paint(`  ${source.caret}`)]
      : [paint(problemText(problem))]
  })
}

function cell(value: unknown): string {
  if (value === undefined || value === null) return '-'
  if (Array.isArray(value)) return value.map(cell).join(',')
  if (typeof value === 'object')
    return Object.entries(value)
      .map(([key, item]) => `${key}=${cell(item)}`)
      .join(',')
  // What players chose is among it (users, keys): nothing of it may move the terminal's cursor.
  return String(value).replace(/[\u0000-\u001f\u007f-\u009f]/g, '?')
}
