// Connection ids: a permutation that only the cluster reads (DGM-3).
import t from 'tap'
import { ConnectionIdCipher, decipher, encipher } from '../../../protocols/secure/connection-id.ts'
import { Random } from '../../sim/random.ts'
import { hexOf, native, secretOf } from './keys.ts'

t.test('XTEA gives the published results', async (t) => {
  const words = (hex: string): Uint32Array =>
    Uint32Array.from(hex.match(/.{8}/g) ?? [], (word) => Number.parseInt(word, 16))
  for (const [key, plain, sealed] of [
    ['000102030405060708090a0b0c0d0e0f', '4142434445464748', '497df3d072612cb5'],
    ['000102030405060708090a0b0c0d0e0f', '4141414141414141', 'e78f2d13744341d8'],
    ['00000000000000000000000000000000', '4142434445464748', 'a0390589f8b8efa5'],
  ]) {
    const block = words(plain)
    encipher(words(key), block)
    t.strictSame(block, words(sealed))
    decipher(words(key), block)
    t.strictSame(block, words(plain))
  }
})

t.test('every gateway, worker, slot and serial comes back', async (t) => {
  const cipher = new ConnectionIdCipher(native.hash, secretOf('c'))
  const random = new Random(2)
  for (let i = 0; i < 2000; i++) {
    const edge = i < 16
    const gateway = edge ? (i & 1) * 0xffff : random.between(0, 0xffff)
    const worker = edge ? ((i >> 1) & 1) * 0xff : random.between(0, 0xff)
    const slot = edge ? ((i >> 2) & 1) * 0xffffff : random.between(0, 0xffffff)
    const serial = edge ? ((i >> 3) & 1) * 0xffff : random.between(0, 0xffff)
    cipher.open(cipher.seal(gateway, worker, slot, serial), 0)
    const found = [cipher.gateway, cipher.worker, cipher.slot, cipher.serial]
    if (found.join() !== [gateway, worker, slot, serial].join())
      t.fail(`${found} of ${[gateway, worker, slot, serial]}`)
  }
})

t.test('what was opened before is not taken for another id, nor an id of zeros for nothing', async (t) => {
  const cipher = new ConnectionIdCipher(native.hash, secretOf('c'))
  const found = ({ gateway, worker, slot, serial }: ConnectionIdCipher) => [gateway, worker, slot, serial].join()
  const ids = [new Uint8Array(8)]
  // Many that begin alike, and are kept in one place.
  for (let i = 0; i < 60; i++) ids.push(Uint8Array.of(i & 1, 0, i & 2, 0x80 * (i & 1), i, 0, 0, 0xff * (i & 4)))
  for (const id of [...ids, ...ids.toReversed()]) {
    const fresh = new ConnectionIdCipher(native.hash, secretOf('c'))
    fresh.open(id, 0)
    for (let again = 0; again < 2; again++) {
      cipher.open(id, 0)
      if (found(cipher) !== found(fresh)) t.fail(`${hexOf(id)}`)
    }
    t.strictSame(cipher.seal(cipher.gateway, cipher.worker, cipher.slot, cipher.serial), id)
  }
})

t.test('ids of one connection look unrelated, and no two are alike (DGM-3.2)', async (t) => {
  const cipher = new ConnectionIdCipher(native.hash, secretOf('c'))
  const ids = Array.from({ length: 4096 }, (_, serial) => cipher.seal(1, 0, 7, serial))
  t.equal(new Set(ids.map(hexOf)).size, ids.length)
  let differing = 0
  for (let i = 1; i < ids.length; i++) {
    for (let at = 0; at < 8; at++) differing += (ids[i][at] ^ ids[i - 1][at]).toString(2).replaceAll('0', '').length
  }
  const mean = differing / (ids.length - 1)
  t.ok(mean > 31 && mean < 33, `neighbours differ in ${mean.toFixed(2)} of 64 bits`)
  const other = new ConnectionIdCipher(native.hash, secretOf('d'))
  t.not(hexOf(other.seal(1, 0, 7, 0)), hexOf(ids[0]))
})
