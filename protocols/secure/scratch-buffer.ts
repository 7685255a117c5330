// One buffer for what is opened and lent for the length of a call, instead of one for each connection. A call within the
// call (two ends in one thread) finds it lent and gets a buffer of its own.
import { ViewCache } from './view-cache.ts'

export class ScratchBuffer {
  readonly #bytesMax: number
  #buffer: Uint8Array | undefined
  #views: ViewCache | undefined
  #isLent = false

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  lend(length: number): Uint8Array {
    if (this.#isLent || length > this.#bytesMax) return new Uint8Array(length)
    this.#isLent = true
    this.#buffer ??= new Uint8Array(this.#bytesMax)
    this.#views ??= new ViewCache(this.#buffer)
    return this.#views.of(length)
  }

  giveBack(lent: Uint8Array): void {
    if (lent.buffer === this.#buffer?.buffer) this.#isLent = false
  }
}
