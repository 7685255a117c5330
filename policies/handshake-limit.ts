// How many handshakes a network may make: one subscriber's (IPv4 address, IPv6 /64), and ten times as many for its
// neighbourhood (IPv4 /24, IPv6 /48), since who has a /48 has 65,536 of the first. Constant memory, however many come: the
// buckets are found by two hashes under a secret seed, and one of the two suffices. Somebody who empties his own buckets
// empties one of another's with little probability, both with next to none.
import { TokenBuckets } from './token-bucket.ts'

type Rate = { readonly perSecond: number; readonly burst: number }

const ROW = 4096
const NEIGHBOURS = 10
/** What one player behind one address does not reach, nor a dormitory; a tenth of a core of handshakes. */
export const HANDSHAKE_RATE: Rate = { perSecond: 100, burst: 1000 }
/** Answers to datagrams of connections that are not here; one is enough for a player, and what is lost is asked again. */
export const RESET_RATE: Rate = { perSecond: 100, burst: 1000 }

export class HandshakeLimit {
  /** Two rows for networks, two for neighbourhoods. */
  readonly #buckets = new TokenBuckets(4 * ROW)
  readonly #seed: number

  /** `seed`: 32 random bits. */
  constructor(seed: number) {
    this.#seed = seed | 0
  }

  /** Takes one for this address's networks; false where one of them has none left. */
  take(network: string, neighbourhood: string, { perSecond, burst }: Rate, now: number): boolean {
    if (!this.#takeOne(neighbourhood, 2 * ROW, NEIGHBOURS * perSecond, NEIGHBOURS * burst, now)) return false
    return this.#takeOne(network, 0, perSecond, burst, now)
  }

  #takeOne(name: string, row: number, perSecond: number, burst: number, now: number): boolean {
    const first = this.#buckets.take(row + hash(name, this.#seed), perSecond, burst, 1, now)
    const second = this.#buckets.take(row + ROW + hash(name, ~this.#seed), perSecond, burst, 1, now)
    return first || second
  }
}

/** FNV-1a from a seed, then mixed (murmur3's last step), to a place in a row. */
function hash(name: string, seed: number): number {
  let h = seed ^ 0x811c9dc5
  for (let i = 0; i < name.length; i++) h = Math.imul(h ^ name.charCodeAt(i), 0x01000193)
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) & (ROW - 1)
}
