// What limits per session count by. Whoever logs in anew gets a new session, which must not be a new bucket: that would be a
// way around every limit. So a session counts by its user and a place among the user's sessions that are here: the next one
// takes a place that was given up, with all that was taken from its buckets. A user never has more buckets than they had
// sessions at one time, and never more than PLACES_MAX: those beyond share the places of the others.

/** More devices than somebody plays on at one time. */
export const PLACES_MAX = 8

export class SessionPlaces {
  /** How many sessions have each place of a user. */
  readonly #byUser = new Map<string, number[]>()

  /** Users with a session here. */
  get size(): number {
    return this.#byUser.size
  }

  /** For one more session of this user: the first that fewest have, a new one only where all are taken. */
  take(user: string): number {
    const taken = this.#byUser.get(user)
    if (taken === undefined) {
      this.#byUser.set(user, [1])
      return 0
    }
    const fewest = Math.min(...taken)
    const place = fewest > 0 && taken.length < PLACES_MAX ? taken.length : taken.indexOf(fewest)
    taken[place] = (taken[place] ?? 0) + 1
    return place
  }

  /** The session is gone. Where it was the last one, the user's next one begins at the first place. */
  giveBack(user: string, place: number): void {
    const taken = this.#byUser.get(user)
    if (taken === undefined) return
    taken[place]--
    if (taken.every((count) => count === 0)) this.#byUser.delete(user)
  }
}
