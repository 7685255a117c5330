// needs: gcc
// The accelerator's AEAD beside @noble/ciphers: the same bytes for every length, wherever they lie, and nothing from what is
// forged. The vectors of Noise run on it too where it is built in place (test/protocols/secure).
import { createRequire } from 'node:module'
import path from 'node:path'
import t from 'tap'
import { build } from '../../../cli/commands/accelerate.ts'
import { acceleratorPlace } from '../../../gateway/io/accelerator.ts'
import { type NativeAead, nativeAead } from '../../../gateway/io/native-aead.ts'
import { COUNTER_MAX, REKEY_COUNTER, TAG_BYTES } from '../../../protocols/secure/crypto.ts'
import { nobleProvider } from '../../../protocols/secure/noble-provider.ts'
import { scratchFolder } from './started.ts'

const built = path.join(scratchFolder(t), 'aead.node')
build(acceleratorPlace('aead').source, built)
const native = createRequire(import.meta.url)(built) as NativeAead
const aead = nativeAead(native)
const placed = aead.placed!
const noble = nobleProvider.aead

const pattern = (length: number, seed: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (Math.imul(i + 1, 0x9e3779b1) >>> 13) ^ (seed * 31))
const lengths = [0, 1, 15, 16, 17, 63, 64, 65, 100, 127, 128, 129, 255, 256, 257, 500, 1023, 1200, 4096, 65_519]
const sealedBy = (ad: Uint8Array, plain: Uint8Array, key: Uint8Array, counter: number): Uint8Array => {
  const sealed = new Uint8Array(plain.length + TAG_BYTES)
  noble.seal(key, counter, ad, plain, sealed)
  return sealed
}

t.test('this Node has what it is made of', async (t) => {
  t.equal(native.isUsable, true)
})

t.test('it seals and opens as the reference does, any text, any associated data, any counter', async (t) => {
  for (const length of lengths) {
    for (const adBytes of [0, 1, 13, 16, 32, 100]) {
      for (const counter of adBytes === 13 ? [0, 1, 2 ** 32, COUNTER_MAX, REKEY_COUNTER] : [7]) {
        const [key, ad, plain] = [pattern(32, length), pattern(adBytes, 1), pattern(length, 2)]
        const expected = sealedBy(ad, plain, key, counter)
        const sealed = new Uint8Array(length + TAG_BYTES)
        aead.seal(key, counter, ad, plain, sealed)
        const opened = new Uint8Array(length)
        if (!Buffer.from(sealed).equals(expected)) t.fail(`sealing ${length} bytes beside ${adBytes}`)
        if (!aead.open(key, counter, ad, sealed, opened) || !Buffer.from(opened).equals(plain)) {
          t.fail(`opening ${length} bytes beside ${adBytes}`)
        }
      }
    }
  }
})

t.test('in place, wherever it lies, and nothing around it is touched', async (t) => {
  const key = pattern(32, 3)
  for (const length of lengths) {
    for (const [before, adBytes] of [
      [0, 0],
      [0, 13],
      [50, 13],
      [51, 13],
      [52, 13],
      [200, 30],
    ]) {
      // A view into memory that is longer, with another view of it in between.
      const memory = new Uint8Array(7 + before + adBytes + length + TAG_BYTES + 40).fill(0xee)
      const bytes = memory.subarray(7)
      const [ad, plain] = [pattern(adBytes, 4), pattern(length, 5)]
      const at = before + adBytes
      bytes.set(ad, before)
      bytes.set(plain, at)
      placed.seal(key, 9, bytes, before, at, at + length)
      const expected = Buffer.from(memory)
      expected.fill(0xee)
      expected.set(ad, 7 + before)
      expected.set(sealedBy(ad, plain, key, 9), 7 + at)
      if (!Buffer.from(memory).equals(expected)) t.fail(`sealed ${length} at ${at}`)
      const out = new Uint8Array(length + 30).fill(0xdd).subarray(10)
      const right = placed.open(key, 9, bytes, before, at, at + length + TAG_BYTES, out)
      if (!right || !Buffer.from(out.subarray(0, length)).equals(plain)) t.fail(`opened ${length} at ${at}`)
      if (out.subarray(length).some((byte) => byte !== 0xdd)) t.fail(`wrote behind ${length}`)
      if (!Buffer.from(memory).equals(expected)) t.fail(`opening ${length} changed what was sealed`)
    }
  }
})

t.test('whatever bit is wrong, nothing is opened and nothing is written', async (t) => {
  const [key, ad, plain] = [pattern(32, 6), pattern(13, 7), pattern(70, 8)]
  const bytes = new Uint8Array(200)
  bytes.set(ad, 60)
  bytes.set(sealedBy(ad, plain, key, 4), 73)
  const out = new Uint8Array(100).fill(0xdd)
  for (let bit = 60 * 8; bit < (73 + 70 + TAG_BYTES) * 8; bit++) {
    bytes[bit >> 3] ^= 1 << (bit & 7)
    if (placed.open(key, 4, bytes, 60, 73, 73 + 70 + TAG_BYTES, out)) t.fail(`bit ${bit}`)
    bytes[bit >> 3] ^= 1 << (bit & 7)
  }
  t.equal(placed.open(key, 5, bytes, 60, 73, 73 + 70 + TAG_BYTES, out), false, 'another counter')
  t.equal(placed.open(pattern(32, 9), 4, bytes, 60, 73, 73 + 70 + TAG_BYTES, out), false, 'another key')
  t.equal(placed.open(key, 4, bytes, 60, 73, 73 + 69 + TAG_BYTES, out), false, 'cut short')
  t.ok(out.every((byte) => byte === 0xdd))
  t.equal(placed.open(key, 4, bytes, 60, 73, 73 + 70 + TAG_BYTES, out), true)
})

t.test('offsets that do not fit are errors, and so is what is no memory', async (t) => {
  const memory = new ArrayBuffer(100)
  const calls = native as unknown as Record<string, (...given: unknown[]) => unknown>
  const wrong: unknown[][] = [
    [],
    [memory],
    [memory, 0, 0],
    [new Uint8Array(100), 0, 0, 10, memory, 0],
    [memory, 5, 4, 10, memory, 0],
    [memory, 0, 11, 10, memory, 0],
    [memory, -1, 0, 10, memory, 0],
    [memory, 0, 0, 85, memory, 0],
    [memory, 0, 0, 2 ** 31 - 1, memory, 0],
    [memory, 'a', {}, null, undefined, 0],
    [new ArrayBuffer(0), 0, 0, 0, memory, 0],
    [new ArrayBuffer(200_000), 0, 0, 65_536, memory, 0],
  ]
  for (const given of wrong) {
    t.throws(() => calls.seal(...given), RangeError)
    t.throws(() => calls.open(...given), RangeError)
  }
  for (const out of [[new ArrayBuffer(9), 0], [memory, 91], [memory, -1], [undefined, 0], [memory]]) {
    t.throws(() => calls.open(memory, 0, 0, 10, ...out), RangeError)
  }
  calls.seal(memory, 0, 0, 84)
  t.equal(calls.open(memory, 0, 0, 84, memory, 0), true, 'and what fits just so is not')
})
