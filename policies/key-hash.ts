// A keyed 64-bit hash of text: HalfSipHash-2-4 (the 32-bit variant of Aumasson and Bernstein's SipHash, with both output
// words). What counts by a peer's name counts by this hash under a key that no peer knows: names cannot be chosen to
// collide, and a table of two words an entry holds a million of them. Once for each connection, not for each frame.

export type HashKey = { readonly lo: number; readonly hi: number }
/** The two 32-bit words of a hash. */
export type KeyHash = { readonly lo: number; readonly hi: number }

const encoder = new TextEncoder()
const ROUNDS_END = 4

const rotate = (x: number, bits: number): number => (x << bits) | (x >>> (32 - bits))

class State {
  v0: number
  v1: number
  v2: number
  v3: number

  constructor(key: HashKey) {
    this.v0 = key.lo
    // Bit patterns of the published algorithm, the long output.
    this.v1 = key.hi ^ 0xee
    this.v2 = key.lo ^ 0x6c796765
    this.v3 = key.hi ^ 0x74656462
  }

  round(): void {
    let { v0, v1, v2, v3 } = this
    v0 = (v0 + v1) | 0
    v1 = rotate(v1, 5) ^ v0
    v0 = rotate(v0, 16)
    v2 = (v2 + v3) | 0
    v3 = rotate(v3, 8) ^ v2
    v0 = (v0 + v3) | 0
    v3 = rotate(v3, 7) ^ v0
    v2 = (v2 + v1) | 0
    v1 = rotate(v1, 13) ^ v2
    v2 = rotate(v2, 16)
    this.v0 = v0
    this.v1 = v1
    this.v2 = v2
    this.v3 = v3
  }

  word(word: number): void {
    this.v3 ^= word
    this.round()
    this.round()
    this.v0 ^= word
  }

  end(mark: number): number {
    if (mark === 0xee) this.v2 ^= mark
    else this.v1 ^= mark
    for (let i = 0; i < ROUNDS_END; i++) this.round()
    return this.v1 ^ this.v3
  }
}

export function hashBytes(key: HashKey, bytes: Uint8Array): KeyHash {
  const state = new State(key)
  const whole = bytes.length & ~3
  for (let i = 0; i < whole; i += 4) {
    state.word(bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24))
  }
  let last = (bytes.length & 0xff) << 24
  for (let i = whole; i < bytes.length; i++) last |= bytes[i] << (8 * (i - whole))
  state.word(last)
  const lo = state.end(0xee)
  return { lo, hi: state.end(0xdd) }
}

export const hashText = (key: HashKey, text: string): KeyHash => hashBytes(key, encoder.encode(text))
