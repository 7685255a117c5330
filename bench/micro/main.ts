// `npm run bench:micro [word]`: every micro benchmark, each in a process of its own, or those with the word in their name.
import { spawnSync } from 'node:child_process'
import path from 'node:path'
import process from 'node:process'

const all = ['codec', 'session', 'router', 'timers', 'histogram', 'kcp', 'secure', 'udp', 'breaker', 'policies']
const word = process.argv[2] ?? ''
const names = all.filter((name) => name.includes(word))
if (names.length === 0) {
  console.error(`no micro benchmark has ${word} in its name: ${all.join(', ')}`)
  process.exit(2)
}
for (const name of names) {
  const { status } = spawnSync(process.execPath, [path.join(import.meta.dirname, `${name}.ts`)], { stdio: 'inherit' })
  if (status !== 0) process.exit(1)
}
