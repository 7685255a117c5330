// All that one look at the sockets has found ready is a batch: what it leads to is written at its end, without a further
// turn of the event loop, and it happens at one time. Whoever reads sockets one by one, as Node does, knows of no end; there
// the loop's own next phase is it (loop.ts).

type Flush = () => void

class Batch {
  isOpen = false
  /** Monotonic milliseconds. Asking the clock for each socket costs more than judging a message. */
  beganAt = 0
  #due: Flush[] = []

  begin(): void {
    this.beganAt = performance.now()
    this.isOpen = true
  }

  /** To be called when the batch that is open ends; each is asked once. */
  atEnd(flush: Flush): void {
    this.#due.push(flush)
  }

  end(): void {
    this.isOpen = false
    const due = this.#due
    for (let i = 0; i < due.length; i++) due[i]()
    due.length = 0
  }
}

export const batch = new Batch()
