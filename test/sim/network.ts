// Connections between simulated nodes: two byte pipes, first in first out, with latency, fragmentation, stalls and cuts.
// What a stream can lose is a suffix: a cut delivers any prefix of what is in flight and then, sooner, later or never,
// tells each side. Partitions hold bytes back in one or both directions.
import type { Clock } from './clock.ts'
import type { Random } from './random.ts'

/** What a side of a connection does with what arrives. */
export interface Side {
  receive(bytes: Uint8Array): void
  drained(): void
  closed(): void
}

const KERNEL_BYTES = 4096

type Chunk = { bytes: Uint8Array; at: number }

export class Pipe {
  readonly #clock: Clock
  readonly #random: Random
  readonly #conditions: Conditions
  side: Side | undefined
  isPaused = false
  isHeld = false
  #chunks: Chunk[] = []
  #heldBytes = 0
  #lastAt = 0
  #isWaiting = false
  #isCut = false
  #wasHigh = false
  onDrained: () => void = () => {}

  constructor(clock: Clock, random: Random, conditions: Conditions) {
    this.#clock = clock
    this.#random = random
    this.#conditions = conditions
  }

  write(bytes: Uint8Array): void {
    if (this.#isCut || bytes.length === 0) return
    const { latencyMs, jitterMs } = this.#conditions
    const at = Math.max(this.#lastAt, this.#clock.now + latencyMs + this.#random.unit() * jitterMs)
    this.#lastAt = at
    this.#chunks.push({ bytes: bytes.slice(), at })
    this.#heldBytes += bytes.length
    this.#arm()
  }

  /** Bytes the sender still holds: what the reader does not take, beyond what kernels buffer. */
  queuedBytes(): number {
    if (!this.isPaused && !this.isHeld && this.#conditions.bytesPerSecond === Infinity) return 0
    return Math.max(0, this.#heldBytes - KERNEL_BYTES)
  }

  wake(): void {
    this.#arm()
  }

  /** Delivers a prefix of what is in flight, chosen by chance, and nothing after it. */
  cut(): void {
    if (this.#isCut) return
    let left = Math.floor(this.#random.unit() * (this.#heldBytes + 1))
    if (this.isHeld || this.isPaused) left = 0
    const kept: Chunk[] = []
    for (const chunk of this.#chunks) {
      if (left <= 0) break
      const part = chunk.bytes.subarray(0, Math.min(left, chunk.bytes.length))
      left -= part.length
      kept.push({ bytes: part, at: chunk.at })
    }
    this.#chunks = kept
    this.#isCut = true
  }

  /** When the last byte in flight arrives. */
  get emptyAt(): number {
    return this.#chunks.length === 0 ? this.#clock.now : this.#chunks[this.#chunks.length - 1].at
  }

  discard(): void {
    this.#chunks = []
    this.#heldBytes = 0
    this.#isCut = true
    this.side = undefined
  }

  #arm(): void {
    if (this.#isWaiting || this.#chunks.length === 0 || this.isPaused || this.isHeld) return
    this.#isWaiting = true
    this.#clock.at(this.#chunks[0].at, () => {
      this.#isWaiting = false
      this.#deliver()
    })
  }

  #deliver(): void {
    if (this.isPaused || this.isHeld || this.side === undefined) return
    const chunk = this.#chunks[0]
    if (chunk === undefined || chunk.at > this.#clock.now) {
      this.#arm()
      return
    }
    const rate = this.#conditions.bytesPerSecond
    let bytes = chunk.bytes
    if (rate !== Infinity || (bytes.length > 1 && this.#random.chance(this.#conditions.fragmentation))) {
      const most = rate === Infinity ? bytes.length : Math.max(1, Math.floor(rate / 50))
      const size = Math.min(bytes.length, Math.max(1, Math.floor(this.#random.unit() * most) + 1))
      bytes = bytes.subarray(0, size)
    }
    if (bytes.length === chunk.bytes.length) this.#chunks.shift()
    else chunk.bytes = chunk.bytes.subarray(bytes.length)
    if (rate !== Infinity && this.#chunks.length > 0)
      this.#chunks[0].at = this.#clock.now + (bytes.length * 1000) / rate
    this.#heldBytes -= bytes.length
    const { corrupt = 0 } = this.#conditions
    if (corrupt > 0 && this.#random.chance(corrupt)) {
      bytes[this.#random.between(0, bytes.length - 1)] ^= 1 << this.#random.between(0, 7)
    }
    const queued = this.queuedBytes()
    if (queued > 0) this.#wasHigh = true
    else if (this.#wasHigh) {
      this.#wasHigh = false
      this.onDrained()
    }
    this.side.receive(bytes)
    this.#arm()
  }
}

export type Conditions = {
  latencyMs: number
  jitterMs: number
  fragmentation: number
  bytesPerSecond: number
  /** Chance that a bit of a piece is turned; only where what runs inside is sealed (S1). */
  corrupt?: number
}

/** One connection: `a` dialled `b`. Each end writes into the pipe towards the other. */
export class Connection {
  readonly toA: Pipe
  readonly toB: Pipe
  isOpen = true
  readonly #clock: Clock
  readonly #random: Random

  constructor(clock: Clock, random: Random, conditions: Conditions) {
    this.#clock = clock
    this.#random = random
    this.toA = new Pipe(clock, random, conditions)
    this.toB = new Pipe(clock, random, conditions)
    this.toA.onDrained = () => this.toB.side?.drained()
    this.toB.onDrained = () => this.toA.side?.drained()
  }

  /** Holds bytes back: towards a, towards b, or both. */
  hold(towardsA: boolean, towardsB: boolean): void {
    this.toA.isHeld = towardsA
    this.toB.isHeld = towardsB
    if (!towardsA) this.toA.wake()
    if (!towardsB) this.toB.wake()
  }

  /** The connection breaks: each side gets a prefix, then learns of it, late or never (`lostClose`). */
  cut(lostClose: number): void {
    if (!this.isOpen) return
    this.isOpen = false
    for (const pipe of [this.toA, this.toB]) {
      pipe.cut()
      if (this.#random.chance(lostClose)) {
        this.#clock.at(pipe.emptyAt + 0.001, () => {
          // Nobody tells this side: only its heartbeat will.
        })
      } else {
        this.#clock.at(pipe.emptyAt + this.#random.unit() * 50, () => this.#tell(pipe))
      }
    }
  }

  /** One side closes in an orderly way: what it wrote before still arrives. */
  end(pipeToPeer: Pipe, pipeToSelf: Pipe): void {
    if (!this.isOpen) return
    this.isOpen = false
    const self = pipeToSelf.side
    pipeToSelf.discard()
    this.#clock.at(this.#clock.now, () => self?.closed())
    const wait = () => {
      if (pipeToPeer.side === undefined) return
      if (pipeToPeer.emptyAt > this.#clock.now) this.#clock.at(pipeToPeer.emptyAt + 0.001, wait)
      else this.#tell(pipeToPeer)
    }
    this.#clock.at(pipeToPeer.emptyAt + 1, wait)
  }

  #tell(pipe: Pipe): void {
    const side = pipe.side
    pipe.side = undefined
    side?.closed()
  }
}
