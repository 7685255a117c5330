// The micro benchmarks' common part: what it prints is what an operation costs.
import { execFileSync } from 'node:child_process'
import path from 'node:path'
import process from 'node:process'
import t from 'tap'
import { measure, repeat } from '../../bench/micro/measure.ts'

const root = path.join(import.meta.dirname, '../..')

t.test('time and bytes are those of one operation', async (t) => {
  const kept: object[] = []
  const figures = await measure('', [
    { what: 'nothing', run: repeat(() => {}) },
    { what: 'a thousand roots', run: repeat(() => void (kept.length = roots(1000) & 1)) },
    // Four numbers that V8 keeps in the object, in at least four words.
    { what: 'an object', run: repeat(() => void (kept[0] = { a: 1, b: 2, c: 3, d: kept.length })) },
  ])
  const [nothing, much, object] = figures
  const best = ({ roundsNs }: { roundsNs: number[] }) => Math.min(...roundsNs)
  t.ok(best(much) > 50 * best(nothing), `${best(much)} and ${best(nothing)} ns`)
  // Node 24 does not say what its heap has allocated.
  if (nothing.bytes === undefined) return
  t.ok(nothing.bytes! < 1 && much.bytes! < 100, `${nothing.bytes} and ${much.bytes} bytes`)
  t.ok(object.bytes! >= 32 && object.bytes! < 200, `${object.bytes} bytes`)
})

t.test('a group is a title and a line for each operation', async (t) => {
  const said = execFileSync(process.execPath, ['bench/micro/main.ts', 'timers'], { cwd: root, encoding: 'utf8' })
  const [title, ...lines] = said.trimEnd().split('\n')
  t.match(title, /^timers, 10000 waiting +best ns +median ns +bytes$/)
  t.equal(lines.length, 4)
  for (const line of lines) t.match(line, /^ {2}[a-z, ]+ +\d+(\.\d)? +\d+(\.\d)? +(\d+|-)$/)
})

function roots(count: number): number {
  let sum = 0
  for (let i = 0; i < count; i++) sum += Math.sqrt(i)
  return sum
}
