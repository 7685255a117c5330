// The sending half of a lane: numbers messages, keeps them until the other end has settled them, offers them again after
// every attach. Keeps messages, never encoded frames (S3); the window bounds what is kept in count and bytes (W1).
//
//      acked            transmitted           sent
//   ----|-- sent before ------|-- still here ---|      (acked, sent] is kept; numbers are 1, 2, 3 ... (N1)
//
// Invariant: acked <= transmitted <= sent while attached; every number in (acked, sent] has an item.
import { code } from '../codes.ts'
import { laneKind } from '../wire/lane-frames.ts'
import { BEYOND_WINDOW } from './intake.ts'

const EMPTY = new Uint8Array(0)

/** A message kept by its sender. A tombstone (kind skip) is a number without a message: it travels as SKIP. */
export class Item {
  number = 0
  kind: number
  route: string
  request = 0
  code = 0
  /** Monotonic; Infinity where there is none. */
  deadlineAt = Infinity
  payload: Uint8Array
  /** What it costs of the window's bytes; replies and FIN cost nothing (W4). */
  bytes: number
  counts: boolean
  group = ''
  life = 0n
  offset = 0

  constructor(kind: number, route: string, payload: Uint8Array) {
    this.kind = kind
    this.route = route
    this.payload = payload
    this.counts = kind !== laneKind.reply && kind !== laneKind.fin
    this.bytes = this.counts ? payload.length : 0
  }

  get isOneway(): boolean {
    return this.kind === laneKind.oneway
  }

  get isTombstone(): boolean {
    return this.kind === laneKind.skip
  }
}

export type Window = { count: number; bytes: number }

export class Outbox {
  acked = 0
  sent = 0
  /** Highest number written on the current attach. */
  transmitted = 0
  /** What the other end had received when the current attach began; -1 while there is none. */
  attachReceived = -1
  window: Window
  /** What may be kept of the window's bytes on the way of the current attach, or of the last one (W5). */
  grantedBytes = Infinity
  #ever = 0
  #count = 0
  #bytes = 0
  /** Bytes of (acked, transmitted]. */
  #bytesOut = 0
  #ring: (Item | undefined)[]

  constructor(window: Window) {
    this.window = { count: window.count, bytes: window.bytes }
    this.#ring = new Array(16)
  }

  get countHeld(): number {
    return this.#count
  }
  get bytesHeld(): number {
    return this.#bytes
  }
  /**
   * Whether something is to be written. What was accepted before the other end granted its window may be more than fits
   * there: it is transmitted as far as the other end takes it (W1).
   */
  get hasUntransmitted(): boolean {
    if (this.attachReceived < 0 || this.transmitted >= this.sent) return false
    if (this.transmitted - this.acked >= this.window.count + BEYOND_WINDOW) return false
    const item = this.#ring[(this.transmitted + 1) & (this.#ring.length - 1)]!
    return this.#bytesOut === 0 || this.#bytesOut + item.bytes <= this.window.bytes
  }

  /** `code.ok`, or why a message of so many bytes is not accepted now (W1). */
  admits(bytes: number): number {
    if (bytes > this.window.bytes >>> 2) return code.too_large
    if (this.#count >= this.window.count || this.#bytes + bytes > this.window.bytes) return code.window_full
    // One message may always go, however small the share of a channel is.
    if (this.#bytes > 0 && this.#bytes + bytes > this.grantedBytes) return code.window_full
    return code.ok
  }

  /** Numbers and keeps an item that `admits` let in, or one that does not count. The item's payload is kept as it is. */
  push(item: Item): number {
    item.number = ++this.sent
    if (this.sent - this.acked > this.#ring.length) this.#grow()
    this.#ring[item.number & (this.#ring.length - 1)] = item
    if (item.counts) {
      this.#count++
      this.#bytes += item.bytes
    }
    return item.number
  }

  at(number: number): Item | undefined {
    return number > this.acked && number <= this.sent ? this.#ring[number & (this.#ring.length - 1)] : undefined
  }

  /** Forgets everything up to `number`, which the other end has settled (W2). */
  ack(number: number): void {
    const mask = this.#ring.length - 1
    while (this.acked < number) {
      const slot = ++this.acked & mask
      const item = this.#ring[slot]!
      this.#ring[slot] = undefined
      if (this.acked <= this.transmitted) this.#bytesOut -= item.bytes
      if (item.counts) {
        this.#count--
        this.#bytes -= item.bytes
      }
    }
    if (this.transmitted < this.acked) this.transmitted = this.acked
  }

  /** A new attach begins: what is above `received` is to be transmitted again (A7, A8). */
  attach(received: number): void {
    this.attachReceived = received
    this.transmitted = received
    this.#bytesOut = 0
    for (let n = this.acked + 1; n <= received; n++) this.#bytesOut += this.at(n)!.bytes
  }

  detach(): void {
    this.attachReceived = -1
  }

  /** The next item to write on this attach, or undefined. */
  next(): Item | undefined {
    if (!this.hasUntransmitted) return undefined
    const number = ++this.transmitted
    if (number > this.#ever) this.#ever = number
    const item = this.#ring[number & (this.#ring.length - 1)]!
    this.#bytesOut += item.bytes
    return item
  }

  /** Whether a number has certainly not run and can be taken back (N4). */
  canWithdraw(number: number): boolean {
    if (number <= this.acked || number > this.sent) return false
    if (number > this.#ever) return true
    return this.attachReceived >= 0 && number > this.attachReceived && number > this.transmitted
  }

  /** Takes another window; returns what is too large for it and can be taken back. */
  grant(window: Window): number[] {
    const isSmaller = window.bytes < this.window.bytes
    this.window.count = window.count
    this.window.bytes = window.bytes
    const tooLarge: number[] = []
    for (let n = this.acked + 1; isSmaller && n <= this.sent; n++) {
      if (this.at(n)!.bytes > window.bytes >>> 2 && this.canWithdraw(n)) tooLarge.push(n)
    }
    return tooLarge
  }

  /** Turns a message into a tombstone: its number stays, its content goes. False: it already was one. */
  bury(number: number, reason: number): Item | undefined {
    const item = this.at(number)
    if (item === undefined || item.isTombstone) return undefined
    const grave = new Item(laneKind.skip, '', EMPTY)
    grave.number = number
    grave.code = reason
    grave.counts = item.counts
    this.#ring[number & (this.#ring.length - 1)] = grave
    if (item.counts) this.#bytes -= item.bytes
    if (number <= this.transmitted) this.#bytesOut -= item.bytes
    return item
  }

  /** Messages in (acked, sent] that are no tombstones: the unknown ones when the lane ends (X1, X5). */
  unsettled(): Item[] {
    const items: Item[] = []
    for (let n = this.acked + 1; n <= this.sent; n++) {
      const item = this.at(n)!
      if (!item.isTombstone) items.push(item)
    }
    return items
  }

  #grow(): void {
    const old = this.#ring
    const grown: (Item | undefined)[] = new Array(old.length * 2)
    for (let n = this.acked + 1; n < this.sent; n++) grown[n & (grown.length - 1)] = old[n & (old.length - 1)]
    this.#ring = grown
  }
}
