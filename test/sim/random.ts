// One seed decides everything: sfc32, fast and good enough to never repeat itself in a run.

export class Random {
  #a: number
  #b: number
  #c: number
  #d = 1

  constructor(seed: number) {
    this.#a = seed >>> 0
    this.#b = Math.imul(seed, 0x9e3779b1) >>> 0
    this.#c = 0x6a09e667
    for (let i = 0; i < 15; i++) this.u32()
  }

  u32(): number {
    const t = (((this.#a + this.#b) | 0) + this.#d) | 0
    this.#d = (this.#d + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (this.#c << 21) | (this.#c >>> 11)
    this.#c = (this.#c + t) | 0
    return t >>> 0
  }

  /** [0, 1) */
  unit(): number {
    return this.u32() / 0x100000000
  }

  /** A whole number in [low, high]. */
  between(low: number, high: number): number {
    return low + Math.floor(this.unit() * (high - low + 1))
  }

  chance(probability: number): boolean {
    return this.unit() < probability
  }

  pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.unit() * items.length)]
  }

  bytes(length: number): Uint8Array {
    const bytes = new Uint8Array(length)
    for (let i = 0; i < length; i++) bytes[i] = this.u32() & 0xff
    return bytes
  }

  /** An independent stream, so that a change in one part does not shift the luck of all others. */
  fork(): Random {
    return new Random(this.u32())
  }
}
