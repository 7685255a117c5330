// Listeners of named events: called in the order in which they came, whatever one of them throws is the next one's no
// business.

export class Listeners<Events extends { [event: string]: unknown }> {
  #byEvent: Map<keyof Events, ((what: never) => void)[]> = new Map()

  /** Returns what takes the listener away again. */
  on<E extends keyof Events>(event: E, listener: (what: Events[E]) => void): () => void {
    const list = [...(this.#byEvent.get(event) ?? []), listener]
    this.#byEvent.set(event, list)
    return () => {
      const rest = (this.#byEvent.get(event) ?? []).filter((one) => one !== listener)
      this.#byEvent.set(event, rest)
    }
  }

  /** False: nobody listens. */
  tell<E extends keyof Events>(event: E, what: Events[E]): boolean {
    const list = this.#byEvent.get(event)
    if (list === undefined || list.length === 0) return false
    for (const listener of list as ((what: Events[E]) => void)[]) {
      try {
        listener(what)
      } catch (error) {
        console.error(`a listener of ${String(event)} threw`, error)
      }
    }
    return true
  }
}
