// The tree: names, lengths, nothing left open, nothing of a machine or a registry in it.
import { homedir } from 'node:os'
import { dirname } from 'node:path'
import t from 'tap'
import { isCode, linesMatching, readText, root, tracked } from './sources.ts'

const LINES_MAX = 500
const isText = (path: string): boolean =>
  /\.(ts|js|cjs|mjs|json|md|ya?ml|html|sh|toml)$|^bin\/|^\.|\/Dockerfile$/.test(path)

t.test('no folder or file is named after nothing in particular', async (t) => {
  for (const path of tracked) {
    for (const part of path.split('/')) {
      t.notMatch(part, /^(utils?|common|types|helpers?|misc|shared|lib|stuff)(\.[a-z]+)*$/, path)
    }
  }
})

t.test(`no source file has more than ${LINES_MAX} lines`, async (t) => {
  for (const path of tracked.filter((path) => isCode(path) && !path.startsWith('test/'))) {
    const lines = readText(path).split('\n').length - 1
    if (lines > LINES_MAX) t.fail(`${path} has ${lines}: two ideas in one room?`)
  }
})

t.test('file names are kebab-case', async (t) => {
  for (const path of tracked.filter((path) => path.endsWith('.ts'))) {
    t.match(path.split('/').at(-1), /^[a-z0-9]+(-[a-z0-9]+)*(\.test)?\.ts$/, path)
  }
})

t.test('nothing is left open or skipped', async (t) => {
  // In two halves, so that this file is not found by its own search.
  const marks = new RegExp(`\\b(${['TO', 'FIX'].map((half) => half + (half === 'TO' ? 'DO' : 'ME')).join('|')})\\b`)
  const skips = /\bt\.(only|skip|todo)\(|\{ *(skip|todo|only): *true/
  const found = tracked
    .filter((path) => isCode(path) && path !== 'test/house/tree.test.ts')
    .flatMap((path) => [...linesMatching(path, marks), ...linesMatching(path, skips)])
  t.strictSame(found, [])
})

t.test('no path of a machine and no address of a registry is in the tree', async (t) => {
  const here = [root, `${dirname(root.slice(0, -1))}/`, `${homedir()}/.`].filter((path) => path.length > 3)
  const escaped = here.map((path) => path.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  const paths = new RegExp(`${escaped.join('|')}|/(home|Users)/[a-z]`)
  const registries = /https?:\/\/(registry|npm|mirror|proxy|index|files|deb)[.-]/
  const found = tracked
    .filter((path) => isText(path) && path !== 'test/house/tree.test.ts')
    .flatMap((path) => [...linesMatching(path, paths), ...linesMatching(path, registries)])
  t.strictSame(found, [])
})

t.test('the lock file says what, not where from', async (t) => {
  t.notMatch(readText('package-lock.json'), /"resolved"/)
})
