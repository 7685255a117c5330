// Accounts of one direction between one client and the actor it talks to: what was accepted by `send`, what its sender was
// told, what the other end's handler saw. Compared at the end, number by number. The numbers are the game's own, inside
// the payloads.

export type Counts = {
  sent: number
  delivered: number
  refused: number
  unknown: number
  lost: number
  doubled: number
  reordered: number
  /** Told refused, and yet it ran. */
  contradicted: number
}

export const noCounts = (): Counts => ({
  sent: 0,
  delivered: 0,
  refused: 0,
  unknown: 0,
  lost: 0,
  doubled: 0,
  reordered: 0,
  contradicted: 0,
})

/** What the sender wrote down: numbers 1..accepted, and which of them it was told were refused or are unknown. */
export type SenderLog = { accepted: number; refused: number[]; unknown: number[] }

/** Compares a sender's log with the numbers that the handler saw, in its order. */
export function compare(sender: SenderLog, handled: ArrayLike<number>, counts: Counts): void {
  const seen = new Uint8Array(sender.accepted + 1)
  const refused = new Set(sender.refused)
  const unknown = new Set(sender.unknown)
  counts.sent += sender.accepted
  counts.delivered += handled.length
  counts.refused += refused.size
  counts.unknown += unknown.size
  let highest = 0
  for (let i = 0; i < handled.length; i++) {
    const n = handled[i]
    if (n < 1 || n > sender.accepted || seen[n]) {
      counts.doubled++
      continue
    }
    seen[n] = 1
    if (refused.has(n)) counts.contradicted++
    if (n < highest) counts.reordered++
    else highest = n
  }
  for (let n = 1; n <= sender.accepted; n++) {
    if (seen[n] === 0 && !refused.has(n) && !unknown.has(n)) counts.lost++
  }
}

/** Numbers as they come, without a garbage collector in the way. */
export class NumberLog {
  #numbers = new Int32Array(256)
  length = 0

  push(n: number): void {
    if (this.length === this.#numbers.length) {
      const grown = new Int32Array(this.length * 2)
      grown.set(this.#numbers)
      this.#numbers = grown
    }
    this.#numbers[this.length++] = n
  }

  toArray(): number[] {
    return Array.from(this.#numbers.subarray(0, this.length))
  }
}
