// R6: what a client sends again after an attach was within its limits when it sent it first. Each limit therefore grants
// the replay of one attach min(window, rate x the time that its lane was quiet) more than its bucket holds. Made for an
// attachment when the first replayed message meets an empty bucket.

export class ReplayCredit {
  readonly #quietForMs: number
  readonly #windowCount: number
  readonly #windowBytes: number
  /** What is left for each limit, by the limit's number; -1 where it was not asked yet. */
  #left = new Float64Array(0)
  #generation = -1

  constructor(quietForMs: number, windowCount: number, windowBytes: number) {
    this.#quietForMs = quietForMs
    this.#windowCount = windowCount
    this.#windowBytes = windowBytes
  }

  /**
   * Takes `amount` (messages or bytes) of what limit number `limit` of so many grants, or nothing. `generation` tells one
   * compilation of the policies from the next: limits have other numbers then.
   */
  take(limit: number, limits: number, generation: number, perMs: number, amount: number, isBytes: boolean): boolean {
    if (this.#generation !== generation) {
      this.#left = new Float64Array(limits).fill(-1)
      this.#generation = generation
    }
    const left = this.#left
    if (left[limit] < 0)
      left[limit] = Math.min(isBytes ? this.#windowBytes : this.#windowCount, perMs * this.#quietForMs)
    if (left[limit] < amount) return false
    left[limit] -= amount
    return true
  }
}
