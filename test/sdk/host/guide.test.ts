// The examples of docs/host-sdk.md run as they stand, on free ports.
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import type { Host } from '../../../sdk/host/index.ts'

const started: Host[] = []
Object.assign(globalThis, { started })

t.test('every example of the guide starts its host', async (t) => {
  const guide = readFileSync(new URL('../../../docs/host-sdk.md', import.meta.url), 'utf8')
  const index = new URL('../../../sdk/host/index.ts', import.meta.url).href
  const dir = mkdtempSync(join(tmpdir(), 'skewer-'))
  writeFileSync(
    join(dir, 'host.mjs'),
    `import { startHost as start } from '${index}'
export * from '${index}'
export const startHost = async (options) => {
  const host = await start({ ...options, listen: '127.0.0.1:0' })
  started.push(host)
  return host
}`,
  )
  const examples = [...guide.matchAll(/^```ts\n(.*?)^```/gms)].map(([, code]) => code)
  t.ok(examples.length >= 3)
  for (const [i, code] of examples.entries()) {
    const path = join(dir, `example-${i}.mjs`)
    writeFileSync(
      path,
      stripTypeScriptTypes(code).replace("'skewer/host'", `'${pathToFileURL(join(dir, 'host.mjs'))}'`),
    )
    await import(pathToFileURL(path).href)
    t.equal(started.length, i + 1, code.slice(0, 60))
  }
  for (const host of started) await host.close()
})
