// The AEAD of the accelerator (native/aead.c) behind the interface of protocols/secure. A call is a few numbers and the
// memory that they are offsets in; key and nonce lie where both sides see them. What comes as separate arrays is laid side by
// side first, which costs less than handing those over.
import {
  type Aead,
  NO_BYTES,
  NONCE_BYTES,
  type PlacedAead,
  TAG_BYTES,
  writeNonce,
} from '../../protocols/secure/crypto.ts'

/** What native/aead.c exports; it says what lies where. Throws RangeErrors for offsets that do not fit. */
export interface NativeAead {
  /** False where this Node lacks what it is made of: nothing is to be called then. */
  readonly isUsable: boolean
  readonly control: ArrayBuffer
  seal(memory: ArrayBuffer, start: number, at: number, end: number): void
  /** `end`: where the tag begins. */
  open(memory: ArrayBuffer, start: number, at: number, end: number, out: ArrayBuffer, outAt: number): boolean
}

const KEY_BYTES = 32
/** With so much memory before it, a text is sealed or opened in one run of the cipher instead of two. */
const BLOCK_BYTES = 64
const AD_BYTES_MAX = 256
const TEXT_BYTES_MAX = 65_535

export function nativeAead(native: NativeAead): Aead {
  const placed = new NativePlacedAead(native)
  const bytes = new Uint8Array(BLOCK_BYTES + AD_BYTES_MAX + TEXT_BYTES_MAX + TAG_BYTES)
  const text = new Uint8Array(TEXT_BYTES_MAX)
  const start = BLOCK_BYTES
  return {
    placed,
    seal(key, counter, ad, plain, out) {
      const at = start + ad.length
      const end = at + plain.length
      if (ad.length > 0) bytes.set(ad, start)
      bytes.set(plain, at)
      placed.seal(key, counter, bytes, start, at, end)
      out.set(bytes.subarray(at, end + TAG_BYTES))
    },
    open(key, counter, ad, sealed, out) {
      const at = start + ad.length
      if (ad.length > 0) bytes.set(ad, start)
      bytes.set(sealed, at)
      const end = at + sealed.length
      if (!placed.open(key, counter, bytes, start, at, end, text)) return false
      out.set(text.subarray(0, end - TAG_BYTES - at))
      return true
    },
  }
}

class NativePlacedAead implements PlacedAead {
  readonly #native: NativeAead
  readonly #key: Uint8Array
  readonly #nonce: Uint8Array
  // The memory of an array is asked for once: few are used, many times each.
  #bytes: Uint8Array = NO_BYTES
  #memory = new ArrayBuffer(0)
  #out: Uint8Array = NO_BYTES
  #outMemory = this.#memory

  constructor(native: NativeAead) {
    this.#native = native
    this.#key = new Uint8Array(native.control, 0, KEY_BYTES)
    this.#nonce = new Uint8Array(native.control, KEY_BYTES, NONCE_BYTES)
  }

  seal(key: Uint8Array, counter: number, bytes: Uint8Array, start: number, at: number, end: number): void {
    if (bytes !== this.#bytes) this.#look(bytes)
    const from = bytes.byteOffset
    this.#key.set(key)
    writeNonce(this.#nonce, counter)
    this.#native.seal(this.#memory, from + start, from + at, from + end)
  }

  open(
    key: Uint8Array,
    counter: number,
    bytes: Uint8Array,
    start: number,
    at: number,
    end: number,
    out: Uint8Array,
  ): boolean {
    if (bytes !== this.#bytes) this.#look(bytes)
    if (out !== this.#out) {
      this.#out = out
      this.#outMemory = memoryOf(out)
    }
    const from = bytes.byteOffset
    this.#key.set(key)
    writeNonce(this.#nonce, counter)
    return this.#native.open(
      this.#memory,
      from + start,
      from + at,
      from + end - TAG_BYTES,
      this.#outMemory,
      out.byteOffset,
    )
  }

  #look(bytes: Uint8Array): void {
    this.#bytes = bytes
    this.#memory = memoryOf(bytes)
  }
}

function memoryOf({ buffer }: Uint8Array): ArrayBuffer {
  if (buffer instanceof ArrayBuffer) return buffer
  throw new TypeError('memory that threads share is not sealed')
}
