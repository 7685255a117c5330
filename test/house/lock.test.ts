// The lock file names the packages of every platform. npm leaves those out which its registry could not show it, and then
// `npm ci` refuses to install anything at all; and on the machines they are for, a tool would be missing.
import t from 'tap'
import { readText } from './sources.ts'

type Locked = { version: string; optionalDependencies?: Record<string, string> }

/** That of skewer, and that of what the load tool compares with. */
const locks: [string, number][] = [
  ['package-lock.json', 20],
  ['bench/rivals/package-lock.json', 5],
]

for (const [lock, least] of locks) {
  t.test(`${lock}: each optional package that a locked package names is locked itself`, async (t) => {
    const { packages } = JSON.parse(readText(lock)) as { packages: Record<string, Locked> }
    t.notMatch(readText(lock), /"resolved"/, 'it says what, not where from')
    let optional = 0
    for (const [path, { optionalDependencies = {} }] of Object.entries(packages)) {
      for (const name of Object.keys(optionalDependencies)) {
        const found = packages[`${path}/node_modules/${name}`] ?? packages[`node_modules/${name}`]
        t.ok(found, `${name}, wanted by ${path || 'skewer'}`)
        optional++
      }
    }
    t.ok(optional > least, `${optional} optional packages`)
  })
}
