// How old the oldest byte is that waits for a peer: marks of how much had been written at which time, and what the carrier
// has not passed on yet. Asked at each sample of pressure (policies/shedding.ts), so it is exact to one sample; a full
// list of marks forgets every second one.
import type { Outlet } from './outlet.ts'

const MARKS_MAX = 64

export class QueueAge {
  readonly #outlet: Outlet
  readonly #written: number[] = []
  readonly #at: number[] = []

  constructor(outlet: Outlet) {
    this.#outlet = outlet
  }

  /** In milliseconds; 0 where nothing waits. */
  sample(now: number): number {
    const outlet = this.#outlet
    const passedOn = outlet.written - (outlet.heldNow() - outlet.writer.at)
    // What had been written by a mark and is passed on is not waiting.
    let gone = 0
    while (gone < this.#written.length && this.#written[gone] <= passedOn) gone++
    this.#written.splice(0, gone)
    this.#at.splice(0, gone)
    if (passedOn >= outlet.written) return 0
    if (this.#written.at(-1) !== outlet.written) {
      if (this.#written.length >= MARKS_MAX) this.#thin()
      this.#written.push(outlet.written)
      this.#at.push(now)
    }
    return now - this.#at[0]
  }

  #thin(): void {
    for (let i = 1; i < this.#written.length; i++) {
      this.#written.splice(i, 1)
      this.#at.splice(i, 1)
    }
  }
}
