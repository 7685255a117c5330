// Ids that code and tests cite: requirements of the wire and rules of sessions must exist, and every rule must be cited by
// code that keeps it and by a test that proves it, except those that are specified and not built yet.
import t from 'tap'
import { isCode, readText, tracked } from './sources.ts'

/** Specified, not implemented: may stay without a citation. */
const notBuilt = ['D1', 'D2', 'D3', 'D4', 'D5', 'P4', 'T4']

const specs = tracked.filter((path) => /^docs\/spec\/[^/]+\.md$/.test(path))
const sources = tracked.filter((path) => isCode(path))
const isTest = (path: string): boolean => path.startsWith('test/')

/** Requirements, and the sections that they stand in. */
function requirements(): Set<string> {
  const ids = new Set<string>()
  for (const path of specs) {
    const page = readText(path)
    const stated = [...page.matchAll(/\*\*\[([A-Z]+)-(\d+\.\d+)\]\*\*/g)]
    for (const [, prefix, number] of stated) ids.add(`${prefix}-${number}`)
    for (const [, section] of page.matchAll(/^## (\d+)\. /gm)) {
      for (const prefix of new Set(stated.map((match) => match[1]))) ids.add(`${prefix}-${section}`)
    }
  }
  return ids
}

const rules: readonly string[] = [...readText('docs/spec/sessions.md').matchAll(/^### ([A-Z]\d+) /gm)].map((m) => m[1])

/** Rule ids in a text; a letter and a number that belong to other things are told apart by what stands around them. */
const rulesIn = (text: string): string[] =>
  [...text.matchAll(/(?<![\w.#$-])([SNWARXCQGPDTLHO]\d{1,2})(?![\w.-]*\w)/g)].map((match) => match[1])

t.test('the specification states each rule once, in the order of its letters', async (t) => {
  t.equal(new Set(rules).size, rules.length)
  const numbers = new Map<string, number>()
  for (const rule of rules) {
    const last = numbers.get(rule[0]) ?? 0
    t.equal(Number(rule.slice(1)), last + 1, `${rule} follows`)
    numbers.set(rule[0], last + 1)
  }
  t.equal(rules.length, 68, 'how many there are')
})

t.test('cited requirements exist', async (t) => {
  const known = requirements()
  const prefixes = [...new Set([...known].map((id) => id.split('-')[0]))]
  t.ok(['WIRE', 'CLI', 'LNK'].every((prefix) => prefixes.includes(prefix)))
  const cited = new RegExp(`\\b(?:${prefixes.join('|')})-\\d+(?:\\.\\d+)?`, 'g')
  for (const path of [...sources, ...specs]) {
    for (const [id] of readText(path).matchAll(cited)) t.ok(known.has(id), `${path} cites ${id}`)
  }
})

t.test('rules that the specification of the bytes cites exist', async (t) => {
  for (const path of specs) {
    for (const rule of rulesIn(readText(path).replace(/`[^`]*`/g, ''))) {
      t.ok(rules.includes(rule), `${path} cites ${rule}`)
    }
  }
})

t.test('rules that code and tests cite exist', async (t) => {
  for (const path of sources) {
    if (path === 'test/house/citations.test.ts') continue
    for (const rule of rulesIn(readText(path))) if (!rules.includes(rule)) t.fail(`${path} cites ${rule}`)
  }
})

t.test('every rule is cited by code that keeps it and by a test that proves it', async (t) => {
  const byCode = new Set<string>()
  const byTests = new Set<string>()
  for (const path of sources) {
    if (path === 'test/house/citations.test.ts') continue
    for (const rule of rulesIn(readText(path))) (isTest(path) ? byTests : byCode).add(rule)
  }
  const expected = rules.filter((rule) => !notBuilt.includes(rule))
  t.strictSame(
    expected.filter((rule) => !byTests.has(rule)),
    [],
    'cited by a test',
  )
  t.strictSame(
    expected.filter((rule) => !byCode.has(rule)),
    [],
    'cited by code',
  )
  t.ok(
    notBuilt.every((rule) => rules.includes(rule)),
    'what is not built is a rule',
  )
})

t.test('the index of frames and rules is complete', async (t) => {
  const index = readText('docs/spec/sessions.md').split('\n## Index\n')[1]
  const rows = [...index.matchAll(/^\| ([A-Z_, ]+) \| ([^|]+) \|$/gm)]
  const frames = rows.flatMap((row) => row[1].split(', '))
  const headed = specs.flatMap((path) => [...readText(path).matchAll(/^### ([A-Z_]+) \(0x/gm)]).map((match) => match[1])
  t.strictSame([...new Set(headed)].sort(), [...new Set(frames)].sort(), 'every frame, once')
  const inIndex = new Set(rulesIn(index))
  const rest = rules.filter((rule) => !inIndex.has(rule) && !/^(D\d|S5|S6|P4|T4|H2)$/.test(rule))
  t.strictSame(rest, [], 'every rule is carried by a frame or named behind the index')
})
