// What limits per session count by. Whoever logs in anew gets a new session, which must not be a new bucket: that would be a
// way around every limit. So a session counts by its user and a place among the user's sessions that are here: the next one
// takes the place that was given up last, with all that was taken from its buckets. A user never has more buckets than
// they had sessions at one time.

class Places {
  /** Places that were ever in use at one time, and those of them that are free, the last given up behind. */
  count = 0
  free: number[] | undefined = undefined
}

export class SessionPlaces {
  readonly #byUser = new Map<string, Places>()

  /** Users with a session here. */
  get size(): number {
    return this.#byUser.size
  }

  /** For one more session of this user. */
  take(user: string): number {
    let places = this.#byUser.get(user)
    if (places === undefined) {
      places = new Places()
      this.#byUser.set(user, places)
    }
    return places.free?.pop() ?? places.count++
  }

  /** The session is gone. Where it was the last one, the user's next one begins at the first place. */
  giveBack(user: string, place: number): void {
    const places = this.#byUser.get(user)
    if (places === undefined) return
    if ((places.free?.length ?? 0) + 1 === places.count) this.#byUser.delete(user)
    else if (places.free === undefined) places.free = [place]
    else places.free.push(place)
  }
}
