// All that one look at the sockets has found ready is a batch: what it leads to is written at its end, without a further
// turn of the event loop, and it happens at one time. Whoever reads sockets one by one, as Node does, knows of no end; there
// the loop's own next phase is it (loop.ts).

type Flush = () => void

class Batch {
  isOpen = false
  /** It has one time, `beganAt`; what has no end of its own may have that alone (`date`, `undate`). */
  isDated = false
  /** Monotonic milliseconds. Asking the clock for each socket costs more than judging a message. */
  beganAt = 0
  #due: Flush[] = []

  begin(): void {
    this.beganAt = performance.now()
    this.isOpen = this.isDated = true
  }

  /** What happens until `undate` happens now. Where a batch is open it has its time already. */
  date(): number {
    if (this.isDated) return this.beganAt
    this.isDated = true
    return (this.beganAt = performance.now())
  }

  undate(): void {
    this.isDated = this.isOpen
  }

  /** To be called when the batch that is open ends; each is asked once. */
  atEnd(flush: Flush): void {
    this.#due.push(flush)
  }

  end(): void {
    this.isOpen = this.isDated = false
    const due = this.#due
    for (let i = 0; i < due.length; i++) due[i]()
    due.length = 0
  }
}

export const batch = new Batch()
