// The lock file names the packages of every platform. npm leaves those out which its registry could not show it, and then
// `npm ci` refuses to install anything at all; and on the machines they are for, a tool would be missing.
import t from 'tap'
import { readText } from './sources.ts'

type Locked = { version: string; optionalDependencies?: Record<string, string> }

t.test('each optional package that a locked package names is locked itself', async (t) => {
  const { packages } = JSON.parse(readText('package-lock.json')) as { packages: Record<string, Locked> }
  let optional = 0
  for (const [path, { optionalDependencies = {} }] of Object.entries(packages)) {
    for (const name of Object.keys(optionalDependencies)) {
      const found = packages[`${path}/node_modules/${name}`] ?? packages[`node_modules/${name}`]
      t.ok(found, `${name}, wanted by ${path || 'skewer'}`)
      optional++
    }
  }
  t.ok(optional > 20, `${optional} optional packages`)
})
