// `latest` messages: only the newest per (route, key) matters (C2). The sender holds the newest value of up to 256 keys
// and sends them again after each attach; the receiver never delivers an older value after a newer one.
// Keys in the maps always begin with their route and a space, so that no peer can choose integer-like strings, whose
// hashes V8 does not seed.
import { expandNumber } from '../wire/lane-frames.ts'

const HELD_MAX = 256
const REMEMBERED_MAX = 1024
const STAMP_MASK = 0xffff

export type Held = {
  route: string
  key: string
  payload: Uint8Array
  stamp: number
  transmitted: boolean
  /** When to send it once more as reliable; Infinity: not (any more). */
  settleAt: number
}

export class LatestSender {
  #held: Map<string, Held> = new Map()
  #stamp = 0
  #waiting: Held[] = []

  /** Holds the newest value; an older one still waiting is replaced in place. */
  set(route: string, key: string, payload: Uint8Array, settleAt: number): void {
    const name = `${route} ${key}`
    const old = this.#held.get(name)
    if (old !== undefined) {
      old.payload = payload
      old.settleAt = settleAt
      if (old.transmitted) {
        old.transmitted = false
        this.#waiting.push(old)
        if (this.#waiting.length > HELD_MAX) this.#waiting.shift()
      }
      return
    }
    if (this.#held.size >= HELD_MAX) this.#held.delete(this.#held.keys().next().value!)
    const held: Held = { route, key, payload, stamp: 0, transmitted: false, settleAt }
    this.#held.set(name, held)
    this.#waiting.push(held)
    if (this.#waiting.length > HELD_MAX) this.#waiting.shift()
  }

  get hasWaiting(): boolean {
    return this.#waiting.length > 0
  }

  get heldCount(): number {
    return this.#held.size
  }

  /** Takes the next value to write and gives it its stamp. */
  next(): Held | undefined {
    const held = this.#waiting.shift()
    if (held === undefined) return undefined
    held.transmitted = true
    held.stamp = this.#stamp = (this.#stamp + 1) & STAMP_MASK
    return held
  }

  /** After an attach every held value is sent again. */
  resend(): void {
    this.#waiting = [...this.#held.values()]
    for (const held of this.#waiting) held.transmitted = false
  }

  /** While there is no attach nothing waits but what is held. */
  pause(): void {
    this.#waiting = []
    for (const held of this.#held.values()) held.transmitted = true
  }

  /** Values that have been quiet for their settle time; each is returned once. */
  settled(now: number): Held[] {
    const due: Held[] = []
    for (const held of this.#held.values()) {
      if (held.settleAt > now) continue
      held.settleAt = Infinity
      due.push(held)
    }
    return due
  }

  deadline(): number {
    let at = Infinity
    for (const held of this.#held.values()) if (held.settleAt < at) at = held.settleAt
    return at
  }

  clear(): void {
    this.#held.clear()
    this.#waiting = []
  }
}

export class LatestReceiver {
  #newest: Map<string, number> = new Map()
  #highest = -1
  #floor = -1

  /** Whether this value is newer than what was delivered for its key. */
  admits(route: string, key: string, stamp: number): boolean {
    const full = this.#highest < 0 ? stamp + STAMP_MASK + 1 : expandNumber(stamp, this.#highest, STAMP_MASK)
    if (full > this.#highest) this.#highest = full
    const name = `${route} ${key}`
    const newest = this.#newest.get(name)
    if (newest === undefined ? full <= this.#floor : full <= newest) return false
    if (newest !== undefined) this.#newest.delete(name)
    else if (this.#newest.size >= REMEMBERED_MAX) this.#evict()
    this.#newest.set(name, full)
    return true
  }

  get rememberedCount(): number {
    return this.#newest.size
  }

  /** A new attach: older datagrams are fenced by the epoch, so stamps start afresh. */
  reset(): void {
    this.#newest.clear()
    this.#highest = -1
    this.#floor = -1
  }

  #evict(): void {
    const [name, full] = this.#newest.entries().next().value!
    this.#newest.delete(name)
    if (full > this.#floor) this.#floor = full
  }
}
