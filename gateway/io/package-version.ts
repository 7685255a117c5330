// The version of the package that this file belongs to, from sources and from dist alike.
import fs from 'node:fs'
import path from 'node:path'

export function packageVersion(): string {
  for (let folder = import.meta.dirname; ; folder = path.dirname(folder)) {
    const file = path.join(folder, 'package.json')
    if (fs.existsSync(file)) return (JSON.parse(fs.readFileSync(file, 'utf8')) as { version: string }).version
  }
}
