// Configurations in the documents are configurations: each YAML block with a version loads, beside the files that it names.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { loadSettings } from '../../config/settings-from-yaml.ts'
import { layOutSamples, sampleEnv } from '../config/samples.ts'
import { readText, tracked } from '../house/sources.ts'

const folder = mkdtempSync(join(tmpdir(), 'skewer-docs-'))
t.teardown(() => rmSync(folder, { recursive: true }))
layOutSamples(folder)

t.test('every configuration in a document loads, without an error or a warning', async (t) => {
  let blocks = 0
  for (const page of tracked.filter((path) => path.endsWith('.md'))) {
    for (const [, text] of readText(page).matchAll(/^```ya?ml\n(.*?)^```$/gms)) {
      if (!/^version:/m.test(text)) continue
      const file = join(folder, 'skewer.yaml')
      writeFileSync(file, text, { mode: 0o600 })
      const loaded = loadSettings(file, sampleEnv)
      const said = (loaded.problems ?? loaded.warnings).map((problem) => JSON.stringify(problem))
      t.strictSame(said, [], `${page}: ${text.split('\n', 2).join(' ')}`)
      t.ok(loaded.settings, page)
      blocks++
    }
  }
  t.ok(blocks >= 3, `${blocks} blocks`)
})
