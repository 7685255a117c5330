// Virtual time: a heap of things to do, in order of time and then of arrival.

type Due = { at: number; order: number; run: () => void; dead: boolean }

export class Clock {
  now = 0
  #order = 0
  #heap: Due[] = []

  get pending(): number {
    return this.#heap.length
  }

  at(time: number, run: () => void): Due {
    const due = { at: Math.max(time, this.now), order: this.#order++, run, dead: false }
    this.#heap.push(due)
    this.#up(this.#heap.length - 1)
    return due
  }

  after(ms: number, run: () => void): Due {
    return this.at(this.now + ms, run)
  }

  cancel(due: Due | undefined): void {
    if (due !== undefined) due.dead = true
  }

  /** Runs everything due up to `until`; `each` is called after each thing done. */
  run(until: number, each: () => void): void {
    while (this.#heap.length > 0 && this.#heap[0].at <= until) {
      const due = this.#pop()
      if (due.dead) continue
      this.now = due.at
      due.run()
      each()
    }
    this.now = Math.max(this.now, until)
  }

  #less(a: Due, b: Due): boolean {
    return a.at < b.at || (a.at === b.at && a.order < b.order)
  }

  #up(i: number): void {
    const heap = this.#heap
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (!this.#less(heap[i], heap[parent])) return
      ;[heap[i], heap[parent]] = [heap[parent], heap[i]]
      i = parent
    }
  }

  #pop(): Due {
    const heap = this.#heap
    const top = heap[0]
    const last = heap.pop()!
    if (heap.length > 0) {
      heap[0] = last
      let i = 0
      for (;;) {
        const left = 2 * i + 1
        let least = i
        if (left < heap.length && this.#less(heap[left], heap[least])) least = left
        if (left + 1 < heap.length && this.#less(heap[left + 1], heap[least])) least = left + 1
        if (least === i) break
        ;[heap[i], heap[least]] = [heap[least], heap[i]]
        i = least
      }
    }
    return top
  }
}

export type { Due }
