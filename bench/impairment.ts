// What a bad network does to datagrams, one direction: loses, doubles, corrupts, delays and so reorders them. Pure: it
// decides about each datagram and keeps none; impairing-proxy.ts has the sockets and the time.
//
//   datagram -> lost? -> doubled? -> each copy: corrupted? -> after delay + jitter (+ held back: overtaken by later ones)

export type ImpairmentSettings = {
  /** Shares of datagrams, 0 to 1. */
  lossShare: number
  duplicateShare: number
  corruptShare: number
  /** Held back for `reorderMs` more, so that later ones overtake them. */
  reorderShare: number
  /** One way, in milliseconds. */
  delayMs: number
  /** Each datagram waits up to so much more, drawn anew: this reorders, too. */
  jitterMs: number
  reorderMs: number
}

export const unimpaired: Readonly<ImpairmentSettings> = {
  lossShare: 0,
  duplicateShare: 0,
  corruptShare: 0,
  reorderShare: 0,
  delayMs: 0,
  jitterMs: 0,
  reorderMs: 20,
}

export type ImpairmentCounts = {
  /** Datagrams that came. */
  taken: number
  lost: number
  doubled: number
  corrupted: number
  heldBack: number
}

const SHARES = ['lossShare', 'duplicateShare', 'corruptShare', 'reorderShare'] as const
const TIMES = ['delayMs', 'jitterMs', 'reorderMs'] as const
const TIME_MS_MAX = 60_000
/** A corrupted datagram has 1 to 3 bits turned, or (one in four) loses its end. */
const FLIPS_MAX = 3
const TRUNCATED_SHARE = 0.25

export class Impairment {
  readonly counts: ImpairmentCounts = { taken: 0, lost: 0, doubled: 0, corrupted: 0, heldBack: 0 }
  readonly #random: () => number
  #settings: Readonly<ImpairmentSettings>

  /** @throws RangeError that names the setting. `random` gives numbers in [0, 1). */
  constructor(settings: Readonly<ImpairmentSettings>, random: () => number) {
    check(settings)
    this.#settings = settings
    this.#random = random
  }

  get settings(): Readonly<ImpairmentSettings> {
    return this.#settings
  }

  /** @throws RangeError that names the setting. */
  change(changes: Partial<ImpairmentSettings>): void {
    const settings = { ...this.#settings, ...changes }
    check(settings)
    this.#settings = settings
  }

  /** Calls `deliver` for every copy that arrives; the bytes of a corrupted one are a copy of their own. */
  pass(datagram: Uint8Array, deliver: (bytes: Uint8Array, afterMs: number) => void): void {
    const { lossShare, duplicateShare } = this.#settings
    this.counts.taken++
    if (this.#isDrawn(lossShare)) {
      this.counts.lost++
      return
    }
    if (this.#isDrawn(duplicateShare)) {
      this.counts.doubled++
      this.#copy(datagram, deliver)
    }
    this.#copy(datagram, deliver)
  }

  #copy(datagram: Uint8Array, deliver: (bytes: Uint8Array, afterMs: number) => void): void {
    const { corruptShare, reorderShare, delayMs, jitterMs, reorderMs } = this.#settings
    let bytes = datagram
    let afterMs = delayMs
    if (jitterMs > 0) afterMs += this.#random() * jitterMs
    if (this.#isDrawn(corruptShare) && datagram.length > 0) {
      this.counts.corrupted++
      bytes = this.#corrupted(datagram)
    }
    if (this.#isDrawn(reorderShare)) {
      this.counts.heldBack++
      afterMs += reorderMs
    }
    deliver(bytes, afterMs)
  }

  #corrupted(datagram: Uint8Array): Uint8Array {
    const bytes = Uint8Array.from(datagram)
    if (this.#random() < TRUNCATED_SHARE) return bytes.subarray(0, Math.floor(this.#random() * bytes.length))
    for (let flips = 1 + Math.floor(this.#random() * FLIPS_MAX); flips > 0; flips--) {
      bytes[Math.floor(this.#random() * bytes.length)] ^= 1 << Math.floor(this.#random() * 8)
    }
    return bytes
  }

  #isDrawn(share: number): boolean {
    return share > 0 && this.#random() < share
  }
}

function check(settings: Readonly<ImpairmentSettings>): void {
  for (const name of SHARES) inRange(name, settings[name], 1)
  for (const name of TIMES) inRange(name, settings[name], TIME_MS_MAX)
}

function inRange(name: string, value: unknown, most: number): void {
  if (typeof value === 'number' && value >= 0 && value <= most) return
  throw new RangeError(`${name}: expected a number from 0 to ${most}, got ${String(value)}`)
}
