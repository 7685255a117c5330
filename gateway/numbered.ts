// What is open for a moment, under numbers of our own: an array in which the place of a number is its remainder, and
// numbers whose place is taken are left out. A Map of thousands that come and go a second makes a new table again and again,
// and each dead one that has grown old keeps the next one alive, with all that was open then: V8 takes that for what lives,
// and copies it (a third of the CPU time of a call over HTTP was that, in every second process or so).

const FIRST_PLACES = 64

export class Numbered<Entry extends { readonly id: number }> {
  /** Of a power of two, at most half of them taken. */
  #places: (Entry | undefined)[] = places(FIRST_PLACES)
  #lastId = 0
  size = 0

  /** A number that was never used, for the entry to be added next. */
  nextId(): number {
    if (this.size * 2 >= this.#places.length) this.#grow()
    const mask = this.#places.length - 1
    do this.#lastId++
    while (this.#places[this.#lastId & mask] !== undefined)
    return this.#lastId
  }

  add(entry: Entry): void {
    this.#places[entry.id & (this.#places.length - 1)] = entry
    this.size++
  }

  /** Whatever number a peer names. */
  get(id: number): Entry | undefined {
    const entry = this.#places[id & (this.#places.length - 1)]
    return entry?.id === id ? entry : undefined
  }

  /** Of one that was added. */
  delete(entry: Entry): void {
    this.#places[entry.id & (this.#places.length - 1)] = undefined
    this.size--
  }

  all(): Entry[] {
    return this.#places.filter((entry) => entry !== undefined)
  }

  /** Those that had places of their own have them among twice as many. */
  #grow(): void {
    const wider = places<Entry>(this.#places.length * 2)
    for (const entry of this.#places) if (entry !== undefined) wider[entry.id & (wider.length - 1)] = entry
    this.#places = wider
  }
}

const places = <Entry>(count: number): (Entry | undefined)[] => new Array<Entry | undefined>(count).fill(undefined)
