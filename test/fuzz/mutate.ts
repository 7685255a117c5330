// Makes inputs out of inputs: the usual mutations, and some that know what our protocols are made of (lengths, varints,
// UTF-8). Everything comes from one seed, so that a run can be repeated.

/** mulberry32: small, fast, good enough to choose mutations. */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** A whole number from 0 to below `bound`. */
  below(bound: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let x = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1)
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61)
    return Math.floor((((x ^ (x >>> 14)) >>> 0) / 2 ** 32) * bound)
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]
  }
}

const TELLING_BYTES = [0x00, 0x01, 0x3f, 0x40, 0x41, 0x7f, 0x80, 0x81, 0xbf, 0xc0, 0xc1, 0xed, 0xf4, 0xfe, 0xff]
const TELLING_RUNS = [
  [0x80, 0x00],
  [0x80, 0x01],
  [0xff, 0x7f],
  [0xff, 0xff, 0xff, 0x7f],
  [0x80, 0x80, 0x80, 0x80, 0x01],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x10],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
  [0xff, 0xff],
  [0x00, 0x80],
  [0xc0, 0xaf],
  [0xed, 0xa0, 0x80],
  [0x41, 0x02, 0x02, 0x00],
]

const INPUT_BYTES_MAX = 1 << 16
const ROUNDS_MAX = 4

/** A changed copy of one of the pool's inputs. */
export function mutate(pool: readonly Uint8Array[], random: Random): Uint8Array {
  let bytes: number[] = Array.from(random.pick(pool))
  for (let round = 1 + random.below(ROUNDS_MAX); round > 0; round--) {
    const at = random.below(bytes.length + 1)
    const length = Math.min(1 + random.below(random.below(4) === 0 ? 64 : 8), bytes.length - at)
    switch (random.below(9)) {
      case 0:
        if (at < bytes.length) bytes[at] ^= 1 << random.below(8)
        break
      case 1:
        if (at < bytes.length) bytes[at] = random.pick(TELLING_BYTES)
        break
      case 2:
        if (at < bytes.length) bytes[at] = (bytes[at] + 255 + random.below(3)) & 0xff
        break
      case 3:
        bytes.splice(at, random.below(2) * length, ...random.pick(TELLING_RUNS))
        break
      case 4:
        bytes.splice(at, length)
        break
      case 5:
        bytes.splice(at, 0, ...bytes.slice(at, at + length))
        break
      case 6:
        bytes = bytes.slice(0, at)
        break
      case 7:
        bytes.splice(at, 0, ...random.pick(pool).subarray(0, 512))
        break
      default:
        bytes.splice(at, 0, ...Array.from({ length: 1 + random.below(6) }, () => random.below(256)))
    }
  }
  return Uint8Array.from(bytes.slice(0, INPUT_BYTES_MAX))
}

/** Takes parts out of an input for as long as `isSame` still holds of it; at most `triesMax` tries. */
export function shrink(input: Uint8Array, isSame: (bytes: Uint8Array) => boolean, triesMax = 2000): Uint8Array {
  let best = input
  let tries = 0
  for (let size = best.length >> 1; size >= 1; size >>= 1) {
    for (let at = 0; at + size <= best.length && tries < triesMax; tries++) {
      const shorter = new Uint8Array(best.length - size)
      shorter.set(best.subarray(0, at))
      shorter.set(best.subarray(at + size), at)
      if (isSame(shorter)) best = shorter
      else at += size
    }
  }
  return best
}
