// Every page of the policy cookbook is loaded by a test: what it shows is what runs.
import t from 'tap'
import { readText, tracked } from './sources.ts'

t.test('each page of docs/policies is taken out by a test through pageText', async (t) => {
  const tests = tracked.filter((path) => path.startsWith('test/') && path.endsWith('.test.ts')).map(readText)
  const loaded = new Set(
    tests.flatMap((text) => [...text.matchAll(/\bpageText\('([a-z-]+)'/g)].map((match) => match[1])),
  )
  const pages = tracked.flatMap((path) => /^docs\/policies\/([a-z-]+)\.md$/.exec(path)?.[1] ?? [])
  t.ok(pages.length >= 13)
  t.same(
    pages.filter((page) => !loaded.has(page)),
    [],
  )
})
