// The two directions of a datagram conversation: counters on the wire, keys that are renewed by counter since datagrams are
// lost and reordered (docs/spec/datagram.md, section 5), and the replay window. Key number floor(counter / 2^19) is made
// from the one before by Noise's REKEY.
import { rekeyed } from './cipher-state.ts'
import { type Aead, COUNTER_MAX, TAG_BYTES } from './crypto.ts'
import {
  counterOf,
  DATAGRAM_BYTES_MAX,
  SEALED_HEAD_BYTES,
  SEALED_OVERHEAD_BYTES,
  writeSealedHead,
} from './datagram-codec.ts'
import { ReplayWindow } from './replay-window.ts'
import { ViewCache } from './view-cache.ts'

/** Datagrams under one key: 2^19 of 1,500 bytes are less than the 1 GiB at which streams renew theirs ([DGM-5.4]). */
export const DATAGRAMS_PER_KEY = 2 ** 19
const TWO_31 = 2 ** 31
const TWO_32 = 2 ** 32

/** The datagram at the AEAD, for all connections: on its way in copied to here, on its way out from here. */
const sealed = new Uint8Array(DATAGRAM_BYTES_MAX)
const sealedHead = sealed.subarray(0, SEALED_HEAD_BYTES)
const sealedBody = new ViewCache(sealed, SEALED_HEAD_BYTES)
const sealedWhole = new ViewCache(sealed)

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

  /** Writes a sealed datagram of `plain` (kind and content) to the front of `out`; returns its length, 0 when exhausted. */
  seal(id: Uint8Array, plain: Uint8Array, out: Uint8Array): number {
    const counter = this.#counter
    if (counter > COUNTER_MAX) return 0
    if (counter - this.#generation * this.#perKey >= this.#perKey) {
      this.#key = rekeyed(this.#aead, this.#key)
      this.#generation++
    }
    this.#counter = counter + 1
    const end = SEALED_HEAD_BYTES + plain.length + TAG_BYTES
    writeSealedHead(sealed, id, counter)
    this.#aead.seal(this.#key, counter, sealedHead, plain, sealedBody.of(end - SEALED_HEAD_BYTES))
    out.set(sealedWhole.of(end))
    return end
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

  /** Opens a datagram of SEALED_OVERHEAD_BYTES to DATAGRAM_BYTES_MAX into `out`; on a failure nothing has changed. */
  open(datagram: Uint8Array, out: Uint8Array): OpenFailure | undefined {
    const counter = wholeCounter(counterOf(datagram), this.#window.highest)
    if (!this.#window.check(counter)) return 'replayed'
    const generation = Math.floor(counter / this.#perKey)
    const key = this.#keyOf(generation)
    if (key === undefined) return 'forged'
    sealed.set(datagram)
    const body = sealedBody.of(datagram.length - SEALED_HEAD_BYTES)
    if (!this.#aead.open(key, counter, sealedHead, body, out)) return 'forged'
    this.wasHighest = this.#window.accept(counter)
    if (generation > this.#generation) {
      this.#previous = this.#key
      this.#key = key
      this.#next = undefined
      this.#generation = generation
    }
    return undefined
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
  const counter = expected - (expected % TWO_32) + low
  if (counter < expected - TWO_31) return counter + TWO_32
  return counter >= expected + TWO_31 && counter >= TWO_32 ? counter - TWO_32 : counter
}

export const plainBytesOf = (datagram: Uint8Array): number => datagram.length - SEALED_OVERHEAD_BYTES + 1
