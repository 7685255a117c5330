// Which of our numbers were refused: they have certainly not run, and leave gaps where the other side counts. A gap is a
// loss only where nobody told us of it. Every refusal is told before what the other side says of later numbers (R1, R3).

export class Refusals {
  count = 0
  /** Of numbers that the other side has gone past. */
  #passed = 0
  #ahead: Set<number> = new Set()

  take(n: number): void {
    if (this.#ahead.has(n)) return
    this.#ahead.add(n)
    this.count++
  }

  /** How many gaps up to `last`, the highest number that the other side has seen, are refusals. */
  upTo(last: number): number {
    for (const n of this.#ahead) {
      if (n > last) continue
      this.#ahead.delete(n)
      this.#passed++
    }
    return this.#passed
  }

  /** Both sides begin at 1 again, and the other counts its gaps from none; `count` is of all lives. */
  restart(): void {
    this.#passed = 0
    this.#ahead.clear()
  }
}
