// KCP's congestion window (KCP-4.6), kept only where `nc` is off: slow start below the threshold, about one segment a
// round trip above it, back to one segment after a timeout, to half the flight after a fast resend.
//
// Invariant: window >= 1. ikcp starts at 0 and reaches 1 with its first, empty flush; this starts there.

const THRESHOLD_MIN = 2

export class Congestion {
  window = 1
  threshold = THRESHOLD_MIN
  /** The window in bytes, which grows by less than a segment at a time. */
  #bytes: number
  readonly #mss: number

  constructor(mss: number) {
    this.#mss = mss
    this.#bytes = mss
  }

  /** The peer's una moved on. */
  grow(peerWindow: number): void {
    if (this.window >= peerWindow) return
    const mss = this.#mss
    if (this.window < this.threshold) {
      this.window++
      this.#bytes += mss
    } else {
      if (this.#bytes < mss) this.#bytes = mss
      this.#bytes += Math.floor((mss * mss) / this.#bytes) + (mss >> 4)
      if ((this.window + 1) * mss <= this.#bytes) this.window = Math.floor((this.#bytes + mss - 1) / mss)
    }
    if (this.window > peerWindow) {
      this.window = peerWindow
      this.#bytes = peerWindow * mss
    }
  }

  /** Something was sent again because it had been overtaken. */
  ease(inFlight: number, resend: number): void {
    this.threshold = Math.max(inFlight >> 1, THRESHOLD_MIN)
    this.window = this.threshold + resend
    this.#bytes = this.window * this.#mss
  }

  /** Something timed out while `allowed` segments could be in flight. */
  collapse(allowed: number): void {
    this.threshold = Math.max(allowed >> 1, THRESHOLD_MIN)
    this.window = 1
    this.#bytes = this.#mss
  }
}
