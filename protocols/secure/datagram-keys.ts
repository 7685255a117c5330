// The two directions of a datagram conversation: counters on the wire, keys that are renewed by counter since datagrams are
// lost and reordered (docs/spec/datagram.md, section 5), and the replay window. Key number floor(counter / 2^19) is made
// from the one before by Noise's REKEY.
import { rekeyed } from './cipher-state.ts'
import { type Aead, COUNTER_MAX, TAG_BYTES } from './crypto.ts'
import { counterAt, DATAGRAM_BYTES_MAX, SEALED_HEAD_BYTES, writeSealedHead } from './datagram-codec.ts'
import { ReplayWindow } from './replay-window.ts'
import { ByteCopier } from '../wire/byte-copy.ts'
import { ViewCache } from './view-cache.ts'

/** Datagrams under one key: 2^19 of 1,500 bytes are less than the 1 GiB at which streams renew theirs ([DGM-5.4]). */
export const DATAGRAMS_PER_KEY = 2 ** 19
const TWO_31 = 2 ** 31
const TWO_32 = 2 ** 32

// For an AEAD that wants arrays of their own: the datagram that is opened or sealed, and what is sealed into it.
const sealed = new Uint8Array(DATAGRAM_BYTES_MAX)
const sealedHead = sealed.subarray(0, SEALED_HEAD_BYTES)
const sealedBody = new ViewCache(sealed, SEALED_HEAD_BYTES)
const sealedWhole = new ViewCache(sealed)
const plain = new Uint8Array(DATAGRAM_BYTES_MAX)
const plainView = new DataView(plain.buffer)
const plainWhole = new ViewCache(plain)
const copier = new ByteCopier()
/** What was opened into last, which is the same array again and again, and its views. */
let openedInto: Uint8Array = plain
let openedViews = plainWhole

export type OpenFailure = 'replayed' | 'forged'

export class DatagramSealer {
  readonly #aead: Aead
  readonly #perKey: number
  #key: Uint8Array
  #generation = 0
  #counter = 0

  constructor(aead: Aead, key: Uint8Array, perKey: number = DATAGRAMS_PER_KEY) {
    this.#aead = aead
    this.#key = key
    this.#perKey = perKey
  }

  get counter(): number {
    return this.#counter
  }

  /**
   * Seals bytes[at, end) (kind and content) in place. Its head goes before it, SEALED_HEAD_BYTES, its tag behind it,
   * TAG_BYTES: there has to be room. Returns where the datagram ends; 0 when exhausted.
   */
  seal(id: Uint8Array, bytes: Uint8Array, at: number, end: number): number {
    const counter = this.#counter
    if (counter > COUNTER_MAX) return 0
    if (counter - this.#generation * this.#perKey >= this.#perKey) {
      this.#key = rekeyed(this.#aead, this.#key)
      this.#generation++
    }
    this.#counter = counter + 1
    const { placed } = this.#aead
    if (placed === undefined) {
      this.#sealApart(id, bytes, at, end)
    } else {
      const start = at - SEALED_HEAD_BYTES
      writeSealedHead(bytes, start, id, counter)
      placed.seal(this.#key, counter, bytes, start, at, end)
    }
    return end + TAG_BYTES
  }

  #sealApart(id: Uint8Array, bytes: Uint8Array, at: number, end: number): void {
    const length = end - at
    const counter = this.#counter - 1
    copier.copy(bytes, at, end, plain, plainView, 0)
    writeSealedHead(sealed, 0, id, counter)
    this.#aead.seal(this.#key, counter, sealedHead, plainWhole.of(length), sealedBody.of(length + TAG_BYTES))
    bytes.set(sealedWhole.of(SEALED_HEAD_BYTES + length + TAG_BYTES), at - SEALED_HEAD_BYTES)
  }
}

export class DatagramOpener {
  readonly #aead: Aead
  readonly #perKey: number
  readonly #window = new ReplayWindow()
  #previous: Uint8Array | undefined
  #key: Uint8Array
  #next: Uint8Array | undefined
  #generation = 0
  /** Whether the datagram opened last had the highest counter until then. */
  wasHighest = false

  constructor(aead: Aead, key: Uint8Array, perKey: number = DATAGRAMS_PER_KEY) {
    this.#aead = aead
    this.#key = key
    this.#perKey = perKey
  }

  get highest(): number {
    return this.#window.highest
  }

  /**
   * Opens a datagram of SEALED_OVERHEAD_BYTES to DATAGRAM_BYTES_MAX, bytes[start, end), into the front of `out`; on a
   * failure nothing has changed.
   */
  open(bytes: Uint8Array, start: number, end: number, out: Uint8Array): OpenFailure | undefined {
    const counter = wholeCounter(counterAt(bytes, start), this.#window.highest)
    if (!this.#window.check(counter)) return 'replayed'
    const generation = this.#generationOf(counter)
    const key = this.#keyOf(generation)
    if (key === undefined) return 'forged'
    const { placed } = this.#aead
    const isRight =
      placed === undefined
        ? this.#openApart(key, counter, bytes, start, end, out)
        : placed.open(key, counter, bytes, start, start + SEALED_HEAD_BYTES, end, out)
    if (!isRight) return 'forged'
    this.wasHighest = this.#window.accept(counter)
    if (generation > this.#generation) {
      this.#previous = this.#key
      this.#key = key
      this.#next = undefined
      this.#generation = generation
    }
    return undefined
  }

  #openApart(
    key: Uint8Array,
    counter: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    out: Uint8Array,
  ): boolean {
    const length = end - start
    sealed.set(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end))
    const body = sealedBody.of(length - SEALED_HEAD_BYTES)
    return this.#aead.open(key, counter, sealedHead, body, viewsOf(out).of(length - SEALED_HEAD_BYTES - TAG_BYTES))
  }

  #generationOf(counter: number): number {
    const perKey = this.#perKey
    const first = this.#generation * perKey
    // Nearly always the current one, without a division.
    return counter >= first && counter < first + perKey ? this.#generation : Math.floor(counter / perKey)
  }

  /** The key before, the current one or the next: no others can be in use, and a forged counter costs one REKEY at most. */
  #keyOf(generation: number): Uint8Array | undefined {
    if (generation === this.#generation) return this.#key
    if (generation === this.#generation - 1) return this.#previous
    if (generation !== this.#generation + 1) return undefined
    this.#next ??= rekeyed(this.#aead, this.#key)
    return this.#next
  }
}

/** The counter nearest to the one expected next whose low 32 bits are `low` ([DGM-5.2]). */
export function wholeCounter(low: number, highest: number): number {
  const expected = highest + 1
  if (low < TWO_31 && expected <= TWO_31) return low
  const counter = expected - (expected % TWO_32) + low
  if (counter < expected - TWO_31) return counter + TWO_32
  return counter >= expected + TWO_31 && counter >= TWO_32 ? counter - TWO_32 : counter
}

function viewsOf(out: Uint8Array): ViewCache {
  if (out !== openedInto) {
    openedInto = out
    openedViews = new ViewCache(out)
  }
  return openedViews
}
