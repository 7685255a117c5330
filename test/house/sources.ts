// The project's own files, as the tests about the house read them: what is tracked, and what is new beside it.
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../../', import.meta.url))

/** Paths from the root, with slashes. */
export const tracked: readonly string[] = execFileSync('git', ['ls-files', '-z'], { cwd: root, encoding: 'utf8' })
  .split('\0')
  .filter((path) => path !== '' && existsSync(root + path))
  .sort()

export const readText = (path: string): string => readFileSync(root + path, 'utf8')

export const isCode = (path: string): boolean => /\.(ts|js|cjs|mjs)$/.test(path) || path === 'bin/skewer'

/** Source without comments: good enough for finding imports and names; strings stay. */
export const withoutComments = (source: string): string =>
  source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|[^:'"`\\])\/\/.*$/gm, '$1')

/** Line numbers of matches, as `path:line: text`. */
export function linesMatching(path: string, pattern: RegExp): string[] {
  const found: string[] = []
  for (const [i, line] of readText(path).split('\n').entries()) {
    if (pattern.test(line)) found.push(`${path}:${i + 1}: ${line.trim().slice(0, 100)}`)
  }
  return found
}
