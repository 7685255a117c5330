// Writes docs/codes.md from the one table of codes (protocols/codes.ts); a test fails when the page is not current.
import { writeFileSync } from 'node:fs'
import { argv } from 'node:process'
import type { Retry } from '../protocols/codes.ts'
import { codeRows, webSocketCloseCode } from '../protocols/codes.ts'
import { httpStatusOf } from '../protocols/http-status.ts'

const retries: Record<Retry, string> = { now: 'at once', later: 'later', never: 'no' }

const table = (from: number, to: number): string =>
  codeRows
    .filter((row) => row.number >= from && row.number <= to)
    .map((r) => {
      const elsewhere = `${webSocketCloseCode(r.number)} | ${httpStatusOf(r.number)}`
      return `| ${r.number} | \`${r.name}\` | ${retries[r.retry]} | ${elsewhere} | ${r.says} |`
    })
    .join('\n')

/** The page as it must stand in docs/codes.md. */
export const codesPage = (): string => `# Codes

<!-- Written by docs/generate-codes.ts from protocols/codes.ts: edit there. -->

One table of reasons serves both protocols, the SDKs, logs and metrics: a code travels as a varint in frames, as
4000 + code in a WebSocket close, as a status with the name beside it in the answer to [a call over HTTP](http.md), and by
its name everywhere else.

*Again* says whether the same thing is worth trying again: at once, later (after the hint that travels with the code,
\`retryMs\`, or a back-off), or not at all. The range decides for codes that a version does not know: a code below 500
says that a client should come back, a code from 500 on that it should not.

## Come back

| number | name | again | WebSocket | HTTP | what it says |
|---|---|---|---|---|---|
${table(0, 499)}

Codes 15 to 18 are outcomes of one message or request: the connection lives on, and *no* means that this message is not
sent again by itself. Whether the game sends another is the game's business.

## Do not come back

| number | name | again | WebSocket | HTTP | what it says |
|---|---|---|---|---|---|
${table(500, 999)}
`

if (argv[1] === import.meta.filename) writeFileSync(new URL('codes.md', import.meta.url), codesPage())
