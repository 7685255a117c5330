// One table of codes: its two forms in the code agree, its ranges say what clients rely on, its page is current.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { codesPage } from '../../docs/generate-codes.ts'
import { code, codeName, codeOfWebSocketClose, codeRows, comesBack, webSocketCloseCode } from '../../protocols/codes.ts'

t.test('the names and the rows are the same table', async (t) => {
  t.strictSame(Object.fromEntries(codeRows.map((row) => [row.name, row.number])), code)
  t.equal(new Set(codeRows.map((row) => row.number)).size, codeRows.length, 'no number twice')
  const numbers = codeRows.map((row) => row.number)
  t.strictSame(
    numbers,
    numbers.toSorted((a, b) => a - b),
  )
  for (const row of codeRows) {
    t.match(row.name, /^[a-z]+(_[a-z]+)*$/)
    t.notMatch(row.says, /[.|]/, 'a part of a sentence that fits into a table')
  }
})

t.test('codes from 500 on tell a client not to come back', async (t) => {
  for (const row of codeRows) {
    if (row.number >= 500) t.equal(row.retry, 'never', row.name)
    t.equal(comesBack(row.number), row.number < 500, row.name)
  }
  const outcomes = codeRows.filter((row) => row.number < 500 && row.retry === 'never')
  t.strictSame(
    outcomes.map((row) => row.name),
    ['dropped', 'withdrawn', 'expired', 'unknown'],
    'below 500 only outcomes of one message are final',
  )
  t.ok(codeRows.every((row) => row.number >= 0 && row.number < 1000))
})

t.test('an unknown code is named after its range', async (t) => {
  t.equal(codeName(code.rate_limited), 'rate_limited')
  t.equal(codeName(499), 'other_retry')
  t.equal(codeName(999), 'other_final')
})

t.test('WebSocket close codes are the codes from 4000 on', async (t) => {
  for (const row of codeRows) t.equal(codeOfWebSocketClose(webSocketCloseCode(row.number)), row.number)
  for (const foreign of [1000, 1006, 3999, 5000]) t.equal(codeOfWebSocketClose(foreign), undefined)
})

t.test('docs/codes.md is what the table makes it', async (t) => {
  t.equal(readFileSync(new URL('../../docs/codes.md', import.meta.url), 'utf8'), codesPage(), 'run: npm run docs')
})
