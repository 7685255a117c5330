// Links between the documents lead somewhere: files exist, headings too.
import { existsSync, statSync } from 'node:fs'
import { posix } from 'node:path'
import t from 'tap'
import { readText, root, tracked } from '../house/sources.ts'

/** A heading's anchor, as the usual renderers make it. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[`*_]|\[|\]\([^)]*\)/g, '')
    .replace(/[^\p{L}\p{N} -]/gu, '')
    .trim()
    .replaceAll(' ', '-')

const withoutCode = (page: string): string => page.replace(/^```[\s\S]*?^```$/gm, '').replace(/`[^`\n]*`/g, '')

function anchorsOf(path: string): Set<string> {
  const page = readText(path).replace(/^```[\s\S]*?^```$/gm, '')
  const anchors = new Set([...page.matchAll(/^#{1,6} (.+)$/gm)].map((match) => anchorOf(match[1])))
  for (const [, id] of page.matchAll(/<a id="([^"]+)"/g)) anchors.add(id)
  return anchors
}

t.test('relative links lead to files and headings that exist', async (t) => {
  let links = 0
  for (const path of tracked.filter((path) => path.endsWith('.md'))) {
    for (const [, target] of withoutCode(readText(path)).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue
      links++
      const [file, anchor] = target.split('#')
      const to = file === '' ? path : posix.normalize(posix.join(posix.dirname(path), file))
      const exists = existsSync(root + to)
      t.ok(exists, `${path}: ${target}`)
      if (exists && anchor !== undefined && statSync(root + to).isFile()) {
        t.ok(anchorsOf(to).has(anchor), `${path}: ${target}: the heading`)
      }
    }
  }
  t.ok(links > 10, `${links} links`)
})
