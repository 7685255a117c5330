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

/** Columns are the keys of all rows in the order met; numbers stand to the right. Piped, columns are parted by tabs. */
export function printTable(rows: readonly Row[], isTerminal = process.stdout.isTTY === true): void {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))]
  if (columns.length === 0) return
  const lines = rows.map((row) => columns.map((column) => cell(row[column])))
  if (!isTerminal) {
    for (const line of [columns, ...lines]) printLine(line.join('\t'))
    return
  }
  const widths = columns.map((column, i) => Math.max(column.length, ...lines.map((line) => line[i].length)))
  const isNumber = columns.map((column) =>
    rows.every((row) => row[column] === undefined || typeof row[column] === 'number'),
  )
  const laidOut = (line: string[]) =>
    line
      .map((text, i) => (isNumber[i] ? text.padStart(widths[i]) : text.padEnd(widths[i])))
      .join('  ')
      .trimEnd()
  printLine(styleText('bold', laidOut(columns), { stream: process.stdout }))
  for (const line of lines) printLine(laidOut(line))
}

/** Complaints about a configuration, each with its line and caret on a terminal. */
export function printProblems(problems: readonly Problem[], stream: NodeJS.WriteStream = process.stderr): void {
  for (const problem of problems) {
    const colour = problem.severity === 'warning' ? 'yellow' : 'red'
    stream.write(`${stream.isTTY ? styleText(colour, problemText(problem), { stream }) : problemText(problem)}\n`)
    const source = stream.isTTY ? problemSource(problem) : undefined
    if (source) stream.write(`  ${source.line}\n  ${styleText(colour, source.caret, { stream })}\n`)
  }
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
