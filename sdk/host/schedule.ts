// Everything that waits for a time on this host, in one heap: acknowledgements, deadlines of requests and handlers,
// heartbeats, timers of actors, records that expire. What waits is in the heap once and moves when its time changes, so
// that nothing is left behind by what was called off.

export interface Timed {
  /** When it is due; Infinity while it waits for nothing. Kept by the schedule. */
  dueAt: number
  /** Its place in the heap, -1 outside. Kept by the schedule. */
  place: number
  due(now: number): void
}

export class Schedule {
  #heap: Timed[] = []

  get nextAt(): number {
    return this.#heap.length === 0 ? Infinity : this.#heap[0].dueAt
  }

  get size(): number {
    return this.#heap.length
  }

  set(timed: Timed, at: number): void {
    if (timed.dueAt === at) return
    if (at === Infinity) {
      this.remove(timed)
      return
    }
    const earlier = at < timed.dueAt
    timed.dueAt = at
    if (timed.place < 0) {
      timed.place = this.#heap.length
      this.#heap.push(timed)
    }
    if (earlier) this.#up(timed.place)
    else this.#down(timed.place)
  }

  remove(timed: Timed): void {
    const place = timed.place
    timed.dueAt = Infinity
    if (place < 0) return
    timed.place = -1
    const last = this.#heap.pop()!
    if (last === timed) return
    this.#heap[place] = last
    last.place = place
    this.#up(place)
    this.#down(last.place)
  }

  /** Calls what is due, in order of time. What sets itself to a time that has passed is called once more at most. */
  run(now: number): void {
    for (let left = 2 * this.#heap.length + 16; left > 0 && this.nextAt <= now; left--) {
      const timed = this.#heap[0]
      this.remove(timed)
      timed.due(now)
    }
  }

  #up(place: number): void {
    const heap = this.#heap
    const timed = heap[place]
    while (place > 0) {
      const parent = (place - 1) >> 1
      if (heap[parent].dueAt <= timed.dueAt) break
      heap[place] = heap[parent]
      heap[place].place = place
      place = parent
    }
    heap[place] = timed
    timed.place = place
  }

  #down(place: number): void {
    const heap = this.#heap
    const timed = heap[place]
    for (;;) {
      let child = 2 * place + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && heap[child + 1].dueAt < heap[child].dueAt) child++
      if (heap[child].dueAt >= timed.dueAt) break
      heap[place] = heap[child]
      heap[place].place = place
      place = child
    }
    heap[place] = timed
    timed.place = place
  }
}
