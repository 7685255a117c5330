// Every timer of a gateway in one binary heap: handshakes, heartbeats, parking, back-off, drains. Whoever waits owns a
// `Deadline` for its whole life and moves it; nothing is allocated when it is set, and no frame sets one (a heartbeat
// looks at `heardAt` only when its deadline comes).
//
// Invariant: heap[d.slot] === d for each waiting deadline, slot -1 for the others.

export interface Expiring {
  expired(deadline: Deadline, now: number): void
}

export class Deadline {
  at = Infinity
  slot = -1
  readonly owner: Expiring

  constructor(owner: Expiring) {
    this.owner = owner
  }
}

/** How late a tick must be for the process to count as stalled (O1). */
export const STALL_MS = 1000

export class Deadlines {
  readonly #heap: Deadline[] = []

  get size(): number {
    return this.#heap.length
  }

  /** When the next deadline is due; Infinity when none waits. */
  next(): number {
    return this.#heap.length === 0 ? Infinity : this.#heap[0].at
  }

  set(deadline: Deadline, at: number): void {
    deadline.at = at
    if (deadline.slot === -1) {
      deadline.slot = this.#heap.length
      this.#heap.push(deadline)
      this.#up(deadline.slot)
    } else {
      this.#up(deadline.slot)
      this.#down(deadline.slot)
    }
  }

  clear(deadline: Deadline): void {
    const slot = deadline.slot
    if (slot === -1) return
    deadline.slot = -1
    deadline.at = Infinity
    const last = this.#heap.pop()!
    if (last === deadline) return
    this.#heap[slot] = last
    last.slot = slot
    this.#up(slot)
    this.#down(last.slot)
  }

  /** Tells the owners of what is due. One set again for a time already past waits for the next call: this loop ends. */
  expire(now: number): void {
    for (let left = this.#heap.length; left > 0 && this.next() <= now; left--) {
      const deadline = this.#heap[0]
      this.clear(deadline)
      deadline.owner.expired(deadline, now)
    }
  }

  /**
   * After a stall all waits are longer by its length, and none ends before `notBefore`: what peers sent meanwhile is
   * heard first (O1). Adding the same and cutting from below keeps the heap's order.
   */
  shift(byMs: number, notBefore: number): void {
    for (const deadline of this.#heap) deadline.at = Math.max(deadline.at + byMs, notBefore)
  }

  #up(slot: number): void {
    const heap = this.#heap
    const moving = heap[slot]
    while (slot > 0) {
      const parent = (slot - 1) >>> 1
      if (heap[parent].at <= moving.at) break
      heap[slot] = heap[parent]
      heap[slot].slot = slot
      slot = parent
    }
    heap[slot] = moving
    moving.slot = slot
  }

  #down(slot: number): void {
    const heap = this.#heap
    const moving = heap[slot]
    const size = heap.length
    while (true) {
      let child = 2 * slot + 1
      if (child >= size) break
      if (child + 1 < size && heap[child + 1].at < heap[child].at) child++
      if (heap[child].at >= moving.at) break
      heap[slot] = heap[child]
      heap[slot].slot = slot
      slot = child
    }
    heap[slot] = moving
    moving.slot = slot
  }
}
