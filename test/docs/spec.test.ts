// The specification against what it specifies: its tables have the fields of the codecs, its examples are the vectors, and
// each requirement has one place.
import { globSync, readFileSync } from 'node:fs'
import t from 'tap'
import { clientKind } from '../../protocols/client/frames.ts'
import { linkKind } from '../../protocols/link/frames.ts'
import { laneKind } from '../../protocols/wire/lane-frames.ts'
import type { FrameFamily } from '../protocols/independent-encoder.ts'
import { layouts } from '../protocols/independent-encoder.ts'
import { families, frameVectors } from '../protocols/vector-files.ts'

const root = new URL('../../', import.meta.url)
const read = (path: string): string => readFileSync(new URL(path, root), 'utf8')
const pages: Record<FrameFamily, string> = {
  lane: 'docs/spec/frames.md',
  client: 'docs/spec/client-protocol.md',
  link: 'docs/spec/link-protocol.md',
}

type Section = { name: string; kind: number; fields: [string, string][] }

/** The sections of a page that are headed by a frame's name and kind, with their field tables. */
function sectionsOf(page: string): Section[] {
  const sections: Section[] = []
  for (const part of page.split(/^#{2,3} /m).slice(1)) {
    const title = /^([A-Z_]+) \(0x([0-9a-f]{2})\)\n/.exec(part)
    if (title === null) continue
    const rows = [...part.matchAll(/^\| `([^`]+)` \| (\S+) \|/gm)]
    sections.push({
      name: title[1],
      kind: Number.parseInt(title[2], 16),
      fields: rows.map((row): [string, string] => [row[1], row[2]]),
    })
  }
  return sections
}

for (const family of families) {
  t.test(`${pages[family]} has every frame with its fields`, async (t) => {
    const sections = sectionsOf(read(pages[family]))
    t.strictSame(sections.map((section) => section.name).sort(), Object.keys(layouts[family]).sort())
    for (const { name, kind, fields } of sections) {
      t.equal(kind, layouts[family][name]?.kind, name)
      t.strictSame(fields, layouts[family][name]?.fields, `${name}: fields`)
    }
  })
}

t.test('every kind in the code is a frame of the specification', async (t) => {
  const camel = (name: string): string => name.toLowerCase().replace(/_(.)/g, (_, letter) => letter.toUpperCase())
  const kinds = (names: Record<string, { kind: number }>, prefix = ''): Record<string, number> =>
    Object.fromEntries(Object.entries(names).map(([name, { kind }]) => [camel(name.replace(prefix, '')), kind]))
  t.strictSame(kinds(layouts.lane), { ...laneKind })
  t.strictSame(kinds(layouts.client), { ...clientKind })
  const shared = Object.fromEntries(layouts.linkShares.map((name) => [name, layouts.client[name]]))
  t.strictSame({ ...kinds(layouts.link, 'LINK_'), ...kinds(shared) }, { ...linkKind })
})

t.test('worked examples are the vectors', async (t) => {
  let examples = 0
  for (const page of globSync('docs/spec/*.md', { cwd: root })) {
    for (const [, file, name, body] of read(page).matchAll(/^```vector (\w+)-frames: (.+)\n([\s\S]+?)^```$/gm)) {
      const vector = frameVectors(file as FrameFamily).find((vector) => vector.name === name)
      // Hex on the left, words on the right, two spaces or more between them.
      const hex = body
        .split('\n')
        .map((line) => line.trim().split('  ', 1)[0])
        .map((line) => (/^[0-9a-f ]*$/.test(line) ? line.replaceAll(' ', '') : ''))
        .join('')
      t.equal(hex, vector?.hex, `${page}: ${name}`)
      examples++
    }
  }
  t.ok(examples >= 10, `${examples} examples`)
})

t.test('each requirement is stated once, in order', async (t) => {
  const seen = new Map<string, string>()
  for (const page of globSync('docs/spec/*.md', { cwd: root })) {
    let last = [0, 0]
    for (const [, id, section, item] of read(page).matchAll(/^- \*\*\[([A-Z]+-(\d+)\.(\d+))\]\*\*/gm)) {
      t.notOk(seen.has(id), `${id} in ${page} and ${seen.get(id)}`)
      seen.set(id, page)
      const next = [Number(section), Number(item)]
      t.ok(next[0] > last[0] || (next[0] === last[0] && next[1] > last[1]), `${id} in order`)
      last = next
    }
  }
  t.ok(seen.size > 80, `${seen.size} requirements`)
})
