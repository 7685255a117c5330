import t from 'tap'
import { Numbered } from '../../gateway/numbered.ts'

type Entry = { readonly id: number }

t.test('entries are found by numbers that are never used again, however many come and go', (t) => {
  const table = new Numbered<Entry>()
  const there = new Map<number, Entry>()
  const faults: string[] = []
  let lastId = 0
  let random = 1
  for (let i = 0; i < 100_000; i++) {
    random = (random * 48_271) % 2_147_483_647
    // Fuller and emptier by turns; every seventh stays.
    if (random % 1000 < (i % 20_000 < 10_000 ? 700 : 310) || there.size === 0) {
      const entry = { id: table.nextId() }
      if (entry.id <= lastId) faults.push(`${entry.id} behind ${lastId}`)
      lastId = entry.id
      table.add(entry)
      there.set(entry.id, entry)
    } else {
      const all = [...there.values()]
      const one = all.find(({ id }, at) => id % 7 !== 0 || at > 50) ?? all[0]
      table.delete(one)
      there.delete(one.id)
      if (table.get(one.id) !== undefined) faults.push(`${one.id} is still there`)
    }
    if (table.size !== there.size) faults.push(`size ${table.size}, not ${there.size}`)
  }
  for (const [id, entry] of there) if (table.get(id) !== entry) faults.push(`${id} is lost`)
  t.same(faults, [])
  const byId = (a: Entry, b: Entry) => a.id - b.id
  t.same(table.all().sort(byId), [...there.values()].sort(byId))
  t.equal(table.get(lastId + 1), undefined)
  t.equal(table.get(0), undefined)
  t.end()
})

t.test('one that stays long takes its place from later numbers only', (t) => {
  const table = new Numbered<Entry>()
  const first = { id: table.nextId() }
  table.add(first)
  const ids = new Set<number>()
  for (let i = 0; i < 1000; i++) {
    const entry = { id: table.nextId() }
    table.add(entry)
    ids.add(entry.id)
    table.delete(entry)
  }
  t.equal(ids.size, 1000)
  const again = { id: table.nextId() }
  table.add(again)
  // One of them had the place that this one has now.
  for (const id of ids) if (id !== again.id && table.get(id) !== undefined) t.fail(`${id} is another's`)
  table.delete(again)
  t.equal(table.get(first.id), first)
  t.equal(table.size, 1)
  t.end()
})
