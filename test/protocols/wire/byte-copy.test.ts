import t from 'tap'
import { copyBytes } from '../../../protocols/wire/byte-copy.ts'

t.test('every length at every place is copied as `set` would, and nothing beside it', async (t) => {
  const memory = new Uint8Array(1024).map((_, i) => i * 7 + 1)
  // A source that does not begin where its memory does, as a Buffer of the pool.
  const sources = [memory, memory.subarray(3, 700)]
  let wrong = 0
  for (let length = 0; length <= 300; length++) {
    for (const from of sources) {
      const start = length % 13
      const at = length % 5
      const to = new Uint8Array(320).fill(0xee)
      const expected = new Uint8Array(320).fill(0xee)
      expected.set(from.subarray(start, start + length), at)
      copyBytes(from, start, start + length, to, new DataView(to.buffer), at)
      if (Buffer.compare(to, expected) !== 0) wrong++
    }
  }
  t.equal(wrong, 0)
})

t.test('arrays that begin at one place take turns, each as long as it is', async (t) => {
  const memory = new Uint8Array(512).map((_, i) => i * 5 + 3)
  const [short, long] = [memory.subarray(0, 40), memory.subarray(0, 400)]
  const to = new Uint8Array(64)
  const view = new DataView(to.buffer)
  for (const [from, start] of [
    [short, 8],
    [long, 8],
    [long, 360],
    [short, 4],
    [memory.subarray(64), 400],
    [long, 300],
  ] as const) {
    copyBytes(from, start, start + 32, to, view, 0)
    t.same([...to.subarray(0, 32)], [...from.subarray(start, start + 32)])
  }
})
