// Sessions that were kicked: they stay out until their ticket must have ended (X4). Bounded; the oldest mark goes first.

const KICKS_MAX = 65_536

export class Kicks {
  readonly #keepMs: number
  #marks: Map<string, { code: number; until: number }> = new Map()

  constructor(keepMs: number) {
    this.#keepMs = keepMs
  }

  mark(session: string, code: number, now: number): void {
    const name = `s${session}`
    this.#marks.delete(name)
    if (this.#marks.size >= KICKS_MAX) this.#marks.delete(this.#marks.keys().next().value!)
    this.#marks.set(name, { code, until: now + this.#keepMs })
  }

  /** The code that keeps the session out, or 0. */
  of(session: string, now: number): number {
    const mark = this.#marks.get(`s${session}`)
    if (mark === undefined) return 0
    if (mark.until > now) return mark.code
    this.#marks.delete(`s${session}`)
    return 0
  }
}
