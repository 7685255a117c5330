// Counts what a numbered stream did: each side puts 1, 2, 3 ... into its payloads and the other side checks them here, from
// the game's own numbers, not from the gateway's. A stream that starts again (the host lost its memory) is told by `restart`.

export class Tally {
  received = 0
  lost = 0
  doubled = 0
  reordered = 0
  #last = 0
  #missing: Set<number> = new Set()

  take(n: number): void {
    if (!Number.isSafeInteger(n) || n < 1) return
    this.received++
    if (n === this.#last + 1) {
      this.#last = n
    } else if (n > this.#last) {
      // At most a screenful is remembered; the count stays right.
      for (let missing = this.#last + 1; missing < n && this.#missing.size < 10_000; missing++)
        this.#missing.add(missing)
      this.lost += n - this.#last - 1
      this.#last = n
    } else if (this.#missing.delete(n)) {
      this.lost--
      this.reordered++
    } else {
      this.doubled++
    }
  }

  restart(): void {
    this.#last = 0
    this.#missing.clear()
  }

  /** `last`: the highest number so far; gaps below it are `lost`, also those that the sender knows to have been refused. */
  get summary(): { last: number; received: number; lost: number; doubled: number; reordered: number } {
    return {
      last: this.#last,
      received: this.received,
      lost: this.lost,
      doubled: this.doubled,
      reordered: this.reordered,
    }
  }
}
