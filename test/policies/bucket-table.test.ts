// The table of token buckets: exact at the limit, harmless when clocks jump, bounded whatever the keys.
import t from 'tap'
import { BucketTable } from '../../policies/bucket-table.ts'
import { hashBytes, hashText } from '../../policies/key-hash.ts'

const key = { lo: 0x03020100, hi: 0x07060504 }
const INTERVAL_MS = 100
const BURST_MS = 300

/** Takes from a bucket of 10/s burst 3. */
const taker =
  (table: BucketTable, name = 'ann') =>
  (now: number): number => {
    const { lo, hi } = hashText(key, name)
    return table.take(lo, hi, INTERVAL_MS, BURST_MS, now)
  }

t.test('the hash is HalfSipHash-2-4 with 64 bits', async (t) => {
  // The first vectors of the reference implementation (vectors_hsip64): key 00 01 .. 07, inputs of 0 to 5 bytes.
  const expected = [
    ...['218d1f59b9b83cc8', 'be552412f8387315', '064f39ef7c50eb57'],
    ...['ce0f1a45f7060679', 'd5e78a175be52ea1', 'cb9d7c3f2f3db580'],
  ]
  const hashes = expected.map((_, length) => {
    const { lo, hi } = hashBytes(
      key,
      Uint8Array.from({ length }, (_, i) => i),
    )
    const bytes = Buffer.alloc(8)
    bytes.writeInt32LE(lo, 0)
    bytes.writeInt32LE(hi, 4)
    return bytes.toString('hex')
  })
  t.same(hashes, expected)
})

t.test('a bucket gives its burst, then its rate, and says how long to wait', async (t) => {
  const table = new BucketTable(1000)
  const take = taker(table)
  t.same([take(1000), take(1000), take(1000), take(1000)], [0, 0, 0, 100])
  t.same([take(1099), take(1100), take(1150)], [1, 0, 50])
  t.equal(taker(table, 'bob')(1150), 0, 'the other bucket is its own')
  t.same([take(60_000), take(60_000), take(60_000), take(60_000)], [0, 0, 0, 100])
})

t.test('a long run gets exactly burst and rate times time', async (t) => {
  const table = new BucketTable(1000)
  const intervalMs = 1000 / 34
  let passed = 0
  for (let now = 0; now < 10_000; now++) if (table.take(1, 2, intervalMs, 10 * intervalMs, now) === 0) passed++
  t.equal(passed, 349)
})

t.test('a clock that jumps forward fills a bucket, one that jumps back leaves it empty and filling', async (t) => {
  const take = taker(new BucketTable(1000))
  t.same([take(1e9), take(1e9), take(1e9), take(1e9)], [0, 0, 0, 100])
  t.equal(take(1000), 100, 'back: no more than empty')
  t.same([take(1100), take(1100)], [0, 100])
  t.same([take(1e12), take(1e12), take(1e12), take(1e12)], [0, 0, 0, 100])
})

t.test('buckets are what a table of objects says, through growth, expiry and a million operations', async (t) => {
  const table = new BucketTable(20_000)
  const model = new Map<number, number>()
  let state = 7
  const random = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  const names = Array.from({ length: 20_000 }, (_, i) => hashText(key, `k${i}`))
  let now = 0
  let wrong = 0
  for (let i = 0; i < 1_000_000; i++) {
    if (i % 10 === 0) now += 1
    const of = random(names.length)
    const fullAt = Math.max(model.get(of) ?? 0, now)
    const waitMs = Math.max(0, fullAt + 5000 - now - 20_000)
    if (waitMs === 0) model.set(of, fullAt + 5000)
    if (table.take(names[of].lo, names[of].hi, 5000, 20_000, now) !== waitMs) wrong++
  }
  t.equal(table.evictions, 0)
  t.equal(wrong, 0)
})

t.test('a million keys in use stay within 128 MiB, and one look-up never pays for the growth', async (t) => {
  const table = new BucketTable(1_000_000)
  const setBytes = 8 * 16
  let peak = 0
  /** Of the growth that is under way: bytes of the old table, and when it began. */
  let [oldBytes, grewAt, growths] = [0, 0, 0]
  let before = table.memoryBytes
  for (let i = 0; i < 1_000_000; i++) {
    const { lo, hi } = hashText(key, `user ${i}`)
    table.take(lo, hi, 1000, 1e9, 1)
    const bytes = table.memoryBytes
    peak = Math.max(peak, bytes)
    if (bytes > before) [oldBytes, grewAt] = [before, i]
    else if (bytes < before) {
      growths++
      t.equal(before - bytes, oldBytes)
      t.equal(i - grewAt, oldBytes / setBytes / 2, 'two sets are moved at each look-up')
    }
    before = bytes
  }
  t.equal(growths, 10)
  t.equal(before, 64 * 2 ** 20)
  t.equal(peak, 96 * 2 ** 20, 'while the last growth is under way, the old table beside the new one')
  t.ok(table.inUse(1) > 999_000, `${table.inUse(1)} of a million were kept`)
  t.equal(table.inUse(1) + table.evictions, 1_000_000)
})

t.test('past its room the bucket nearest to full goes, and the emptiest stay', async (t) => {
  const table = new BucketTable(1000)
  const abuser = hashText(key, 'abuser')
  table.take(abuser.lo, abuser.hi, 1e6, 1e6, 0)
  for (let i = 0; i < 200_000; i++) {
    const { lo, hi } = hashText(key, `flood ${i}`)
    table.take(lo, hi, 1000, 1e6, 0)
  }
  t.ok(table.evictions > 100_000)
  t.ok(table.memoryBytes <= 2 ** 17, `${table.memoryBytes}`)
  t.ok(table.take(abuser.lo, abuser.hi, 1000, 1e6, 0) > 0, 'a flood of names frees nobody from his limit')
})

t.test('in a set without a free entry exactly the bucket nearest to full goes, wherever it stands', async (t) => {
  for (let victim = 0; victim < 8; victim++) {
    for (let wanted = 0; wanted < 8; wanted++) {
      const table = new BucketTable(1)
      // The first word names the set, the upper bits of the second the entry that is looked at first.
      const hi = (way: number, i: number) => (way << 29) | (i + 1)
      const missing = () => Array.from({ length: 8 }, (_, i) => table.missing(7, hi(i, i), 0))
      for (let i = 0; i < 8; i++) table.take(7, hi(i, i), i === victim ? 500 : 1000 + i, 1e6, 0)
      t.equal(table.evictions, 0)
      const before = missing()
      t.equal(table.take(7, hi(wanted, 9), 2000, 1e6, 0), 0)
      t.equal(table.evictions, 1)
      t.same(
        missing(),
        before.map((ms, i) => (i === victim ? 0 : ms)),
        `entry ${victim}, seen from ${wanted}`,
      )
      t.equal(table.missing(7, hi(wanted, 9), 0), 2000)
      t.equal(table.take(7, hi(wanted, 10), 2000, 1e6, 2000), 0, 'and one that is full by now goes without a word')
      t.equal(table.evictions, 1)
      const entry = table.entryOf(7, hi(wanted, 10), 2000)
      t.ok(table.isOf(entry, 7, hi(wanted, 10)))
      t.notOk(table.isOf(entry, 7 + 512, hi(wanted, 10)) || table.isOf(entry, 7, hi(wanted, 11)))
    }
  }
})

t.test('full buckets make room by themselves', async (t) => {
  const table = new BucketTable(1000)
  for (let now = 0; now < 300_000; now += 10) {
    const { lo, hi } = hashText(key, `n${now}`)
    table.take(lo, hi, 1000, 1000, now)
  }
  t.equal(table.evictions, 0)
  t.equal(table.inUse(299_990), 100)
})
